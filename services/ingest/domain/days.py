"""When a tick and a day's close are due in live mode, and from which day on unwritten records could change the cash.

Pure functions of instants, zones, calendars and the days that records state.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.calendars import is_business_day, last_business_day
from shared.events.control import CompanyConfigured

WINDOW_OPENS, WINDOW_CLOSES = time(6, 0), time(22, 0)
"""Widest hours in which any contact policy may send; outside them ticks are rare."""
CATCH_UP_DAYS_MAX = 30
_STATED_DAYS = {
    "statement": ("from", "first_booked_on", "to"),
    "payment": ("document_on", "accounted_on"),
    "bank_reach": ("complete_through_on",),
}


def window_open(companies: Iterable[CompanyConfigured], now: datetime) -> bool:
    """Whether any company could be sending now, by its local time."""
    local = (now.astimezone(ZoneInfo(company.time_zone)).time() for company in companies)
    return any(WINDOW_OPENS <= at < WINDOW_CLOSES for at in local)


def tick_due(last_at: datetime | None, now: datetime, *, busy_s: float, idle_s: float, busy: bool) -> bool:
    return last_at is None or now - last_at >= timedelta(seconds=busy_s if busy else idle_s)


def days_to_close(company: CompanyConfigured, last_closed: date | None, now: datetime) -> list[date]:
    """Business days whose close is due and not written, oldest first; the first ever is today's."""
    local = now.astimezone(ZoneInfo(company.time_zone))
    hour, minute = (int(part) for part in company.day_close_at.split(":"))
    today_is_over = local.time() >= time(hour, minute)
    newest = local.date() if today_is_over else local.date() - timedelta(days=1)
    first = local.date() if last_closed is None else last_closed + timedelta(days=1)
    first = max(first, newest - timedelta(days=CATCH_UP_DAYS_MAX))
    span = (first + timedelta(days=days) for days in range((newest - first).days + 1))
    return [on for on in span if is_business_day(on, company.calendar)]


def first_bank_day(kind: str, body: Mapping[str, Any]) -> date | None:
    """The first day that a record of bank data touches, as far as it can be read; None for every other record."""
    stated = [body.get(name) for name in _STATED_DAYS.get(kind, ())]
    closing = body.get("closing")
    if kind == "statement" and isinstance(closing, dict):
        stated.append(closing.get("on"))
    return min((on for text in stated if (on := _day(text)) is not None), default=None)


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def unwritten_from_on(
    company: CompanyConfigured, kinds: Iterable[str], first: date | None, at: datetime
) -> date | None:
    """The day that no bank account may reach while records of these kinds, accepted at `at`, are not written.

    `first` is the first day of their bank data. Every other record could lessen a debt, so that no notice may go out:
    the gate wants the last banking day before its own, which is not before the one that counts here.
    """
    days = [first] if first is not None else []
    if set(kinds) - {"statement", "bank_line"}:
        today = at.astimezone(ZoneInfo(company.time_zone)).date()
        days += [last_business_day(today, account.calendar) for account in company.bank_accounts]
    return min(days, default=None)
