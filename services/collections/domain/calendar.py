"""Business days of a calendar and the instants at which a sending window opens and closes.

Calendars are keys of the `holidays` library: financial centres (`XECB`, `XFED`) or countries (`GB`, `DE-BY`).
Local times become instants by the zone's rules of that day, so that daylight saving never shifts a window.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

SATURDAY = 5
SEARCH_DAYS_MAX = 400


class CalendarUnknown(ValueError):
    """The calendar is not a key of the holidays library; use one such as XECB, XFED, GB or DE-BY."""


@cache
def _financial() -> frozenset[str]:
    return frozenset(holidays.list_supported_financial())


@lru_cache(maxsize=512)
def _closed(calendar: str, year: int) -> frozenset[date]:
    try:
        if calendar in _financial():
            return frozenset(holidays.financial_holidays(calendar, years=year))
        country, _, subdivision = calendar.partition("-")
        return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))
    except NotImplementedError as problem:
        raise CalendarUnknown(f"calendar {calendar!r}: {CalendarUnknown.__doc__}") from problem


def is_business_day(day: date, calendar: str) -> bool:
    return day.weekday() < SATURDAY and day not in _closed(calendar, day.year)


def add_business_days(day: date, count: int, calendar: str) -> date:
    """The `count`-th business day after `day`; with 0 the day itself, or the next business day if it is none."""
    found = day
    for _ in range(count):
        found = next_business_day(found, calendar)
    return found if is_business_day(found, calendar) else next_business_day(found, calendar)


def next_business_day(day: date, calendar: str) -> date:
    """First business day after `day`."""
    for step in range(1, SEARCH_DAYS_MAX):
        if is_business_day(found := day + timedelta(days=step), calendar):
            return found
    raise CalendarUnknown(f"calendar {calendar!r} has no business day within {SEARCH_DAYS_MAX} days of {day}")


def business_days_between(start: date, end: date, calendar: str) -> int:
    """Business days after `start` up to and including `end`; 0 if `end` is not later."""
    return sum(is_business_day(start + timedelta(days=step), calendar) for step in range(1, (end - start).days + 1))


def instant(day: date, at: time, zone: str) -> datetime:
    """UTC instant of a local time of `zone`; a time that the clocks skip is read with the offset before the gap."""
    return datetime.combine(day, at, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def zone_or(zone: str, fallback: str) -> str:
    """`zone` if it is a known IANA zone, else `fallback`."""
    if not zone:
        return fallback
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return fallback
    return zone
