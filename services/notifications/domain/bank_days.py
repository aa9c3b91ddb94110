"""Banking and working days, from the tables of the holidays library: Saturday, Sunday and holidays are none.

A calendar is a market or settlement system (XECB, XFED, XLON) or an ISO country code; nothing here knows today.
"""

from datetime import date, timedelta
from functools import lru_cache

import holidays

DAYS_SEARCHED_MAX = 31
_MARKETS = frozenset(holidays.list_supported_financial())
_COUNTRIES = frozenset(holidays.list_supported_countries())


class CalendarUnknown(ValueError):
    """The calendar's code is neither a market nor a country of the holidays library; correct the configuration."""


@lru_cache(maxsize=512)
def holidays_of(calendar: str, year: int) -> frozenset[date]:
    """Holidays of one year. Raises CalendarUnknown."""
    if calendar in _MARKETS:
        return frozenset(holidays.financial_holidays(calendar, years=year))
    if calendar in _COUNTRIES:
        return frozenset(holidays.country_holidays(calendar, years=year))
    raise CalendarUnknown(f"calendar {calendar!r} is unknown; use a code like XECB, XFED, XLON or a country code")


def knows(calendar: str) -> bool:
    return calendar in _MARKETS or calendar in _COUNTRIES


def is_working_day(calendar: str, day: date) -> bool:
    """Whether `day` is a banking day of `calendar`. Raises CalendarUnknown."""
    return day.weekday() < 5 and day not in holidays_of(calendar, day.year)


def last_before(calendar: str, day: date) -> date:
    """The last banking day before `day`. Raises CalendarUnknown."""
    for back in range(1, DAYS_SEARCHED_MAX + 1):
        if is_working_day(calendar, day - timedelta(days=back)):
            return day - timedelta(days=back)
    raise CalendarUnknown(f"calendar {calendar!r} has no banking day in the {DAYS_SEARCHED_MAX} days before {day}")


def working_days_after(calendar: str, start: date, end: date, limit: int) -> int:
    """Working days in (start, end], counted up to `limit` + 1. Raises CalendarUnknown."""
    count, day = 0, start
    while day < end and count <= limit:
        day += timedelta(days=1)
        count += is_working_day(calendar, day)
    return count
