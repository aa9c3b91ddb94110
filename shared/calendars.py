"""Business days of a named calendar: Monday to Friday without its holidays, from the tables of the `holidays` library.

A calendar is a financial one (`XECB`, `XFED`, `XLON`) or a country, with a subdivision after a hyphen (`DE`, `GB-ENG`).
Invariant: a name that one service takes for a calendar, every service takes for the same days. Nothing knows today.
"""

from datetime import date, timedelta
from functools import lru_cache

import holidays

SATURDAY = 5
SEARCH_DAYS_MAX = 31
"""No calendar closes for longer; a search that finds nothing within them is a mistake in the calendar."""
YEARS_CACHED_MAX = 512
"""Tables of one calendar and year that are kept, a few kB each."""

_MARKETS = frozenset(holidays.list_supported_financial())
_COUNTRIES: dict[str, frozenset[str]] = {
    country: frozenset(parts) for country, parts in holidays.list_supported_countries(include_aliases=True).items()
}


class CalendarUnknown(ValueError):
    """The calendar is not a key of the holidays library; use one such as XECB, XFED, GB or DE-BY."""


def is_calendar(calendar: str) -> bool:
    """Whether the name is that of a calendar."""
    country, hyphen, part = calendar.partition("-")
    return calendar in _MARKETS or (country in _COUNTRIES and (not hyphen or part in _COUNTRIES[country]))


def check_calendar(calendar: str) -> None:
    """Raises CalendarUnknown, with what to write instead."""
    if not is_calendar(calendar):
        raise CalendarUnknown(f"calendar {calendar!r}: {CalendarUnknown.__doc__}")


@lru_cache(maxsize=YEARS_CACHED_MAX)
def holidays_of(calendar: str, year: int) -> frozenset[date]:
    """Holidays of one year, those on a weekend too. Raises CalendarUnknown."""
    check_calendar(calendar)
    if calendar in _MARKETS:
        return frozenset(holidays.financial_holidays(calendar, years=year))
    country, _, part = calendar.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))


def is_business_day(day: date, calendar: str) -> bool:
    """Raises CalendarUnknown."""
    return day.weekday() < SATURDAY and day not in holidays_of(calendar, day.year)


def next_business_day(day: date, calendar: str) -> date:
    """The first business day later than `day`. Raises CalendarUnknown."""
    return _nearest(day, calendar, timedelta(days=1))


def last_business_day(day: date, calendar: str) -> date:
    """The last business day earlier than `day`. Raises CalendarUnknown."""
    return _nearest(day, calendar, timedelta(days=-1))


def _nearest(day: date, calendar: str, step: timedelta) -> date:
    found = day
    for _ in range(SEARCH_DAYS_MAX):
        if is_business_day(found := found + step, calendar):
            return found
    raise CalendarUnknown(f"calendar {calendar!r} has no business day within {SEARCH_DAYS_MAX} days of {day}")


def through_days_off(day: date, calendar: str) -> date:
    """The last day before the next business day: data complete through a Friday are complete through the weekend."""
    return next_business_day(day, calendar) - timedelta(days=1)


def add_business_days(day: date, count: int, calendar: str) -> date:
    """The `count`-th business day after `day`; with 0 the day itself, or the next business day if it is none."""
    found = day
    for _ in range(count):
        found = next_business_day(found, calendar)
    return found if is_business_day(found, calendar) else next_business_day(found, calendar)


def business_days_between(start: date, end: date, calendar: str, limit: int | None = None) -> int:
    """Business days after `start` up to and including `end`, 0 if `end` is not later; counted up to `limit` + 1."""
    count, day = 0, start
    while day < end and (limit is None or count <= limit):
        day += timedelta(days=1)
        count += is_business_day(day, calendar)
    return count
