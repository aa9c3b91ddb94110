"""Banking and business days: Monday to Friday without the holidays of a named calendar (holidays library).

A calendar is a financial one (XECB, XNYS, XLON…) or a country, with a subdivision after a hyphen (DE, GB-ENG).
"""

from datetime import date, timedelta
from functools import lru_cache

import holidays

SEARCH_DAYS_MAX = 30


class CalendarUnknown(ValueError):
    """No such calendar; use a key of the holidays library such as XECB, GB or DE-BY."""


@lru_cache(maxsize=256)
def _days_off(calendar: str, year: int) -> frozenset[date]:
    name, _, subdivision = calendar.partition("-")
    try:
        if name in holidays.list_supported_financial():
            return frozenset(holidays.financial_holidays(name, years=year))
        return frozenset(holidays.country_holidays(name, subdiv=subdivision or None, years=year))
    except NotImplementedError:
        raise CalendarUnknown(f"calendar {calendar!r} is not known; use a key of holidays like XECB") from None


def check_calendar(calendar: str) -> None:
    """Raises CalendarUnknown."""
    _days_off(calendar, 2026)


def is_business_day(calendar: str, on: date) -> bool:
    return on.weekday() < 5 and on not in _days_off(calendar, on.year)


def next_business_day(calendar: str, after: date) -> date:
    """The first business day later than `after`; at most 30 days are searched."""
    for days in range(1, SEARCH_DAYS_MAX + 1):
        if is_business_day(calendar, found := after + timedelta(days=days)):
            return found
    raise CalendarUnknown(f"calendar {calendar!r} has no business day within {SEARCH_DAYS_MAX} days after {after}")


def last_business_day(calendar: str, before: date) -> date:
    """The last business day earlier than `before`; at most 30 days are searched."""
    for days in range(1, SEARCH_DAYS_MAX + 1):
        if is_business_day(calendar, found := before - timedelta(days=days)):
            return found
    raise CalendarUnknown(f"calendar {calendar!r} has no business day within {SEARCH_DAYS_MAX} days before {before}")


def through_days_off(calendar: str, on: date) -> date:
    """The last day before the next business day: data complete through a Friday are complete through the weekend."""
    return next_business_day(calendar, on) - timedelta(days=1)
