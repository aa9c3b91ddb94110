"""Banking days by the holidays library, and how far the unbroken chain of booked statements of an account reaches."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import holidays

SEARCH_DAYS_MAX = 40


@lru_cache(maxsize=256)
def _off(calendar: str, year: int) -> frozenset[date]:
    name, _, subdivision = calendar.partition("-")
    if name in holidays.list_supported_financial():
        return frozenset(holidays.financial_holidays(name, years=year))
    return frozenset(holidays.country_holidays(name, subdiv=subdivision or None, years=year))


@lru_cache(maxsize=512)
def is_calendar(calendar: str) -> bool:
    """Whether the library knows the calendar."""
    name, _, subdivision = calendar.partition("-")
    countries = holidays.list_supported_countries(include_aliases=True)
    known = name in countries and (not subdivision or subdivision in countries[name])
    return known or calendar in holidays.list_supported_financial()


def is_holiday(calendar: str, day: date) -> bool:
    """Whether the day is a holiday, on a weekend too."""
    return day in _off(calendar, day.year)


def is_banking_day(calendar: str, day: date) -> bool:
    return day.weekday() < 5 and day not in _off(calendar, day.year)


def last_before(calendar: str, day: date) -> date:
    """The last banking day before a day."""
    return next(
        found for back in range(1, SEARCH_DAYS_MAX) if is_banking_day(calendar, found := day - timedelta(days=back))
    )


def days_after(calendar: str, start: date, end: date) -> int:
    """Banking days in (start, end]."""
    return sum(is_banking_day(calendar, start + timedelta(days=n)) for n in range(1, (end - start).days + 1))


def add_days(calendar: str, day: date, count: int) -> date:
    """The count-th banking day after a day; of 0 the day itself or the next banking day."""
    found = day
    while count or not is_banking_day(calendar, found):
        found += timedelta(days=1)
        count -= count > 0 and is_banking_day(calendar, found)
    return found


@dataclass(frozen=True, slots=True)
class Link:
    """One booked statement in the chain. `accepted`: a person said that the chain goes on at this one."""

    from_on: date
    to_on: date
    opening_minor: int
    closing_minor: int
    accepted: bool = False


def chain_through(links: Iterable[Link]) -> date | None:
    """Last day of the unbroken chain: each statement opens with the balance at which the chain closed, or states days
    of the chain again and goes on."""
    waiting = sorted(links, key=lambda link: (link.from_on, link.to_on))
    through: date | None = None
    closing: int | None = None
    while True:
        following = next((x for x in waiting if _follows(x, through, closing)), None)
        if following is None:
            return through
        waiting.remove(following)
        through, closing = max(following.to_on, through or following.to_on), following.closing_minor


def _follows(link: Link, through: date | None, closing: int | None) -> bool:
    if through is None:
        return True
    if link.to_on < through:
        return False
    return link.accepted or link.opening_minor == closing or (link.from_on <= through < link.to_on)
