"""When a tick and a day's close are due in live mode: pure functions of instants, zones and calendars."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.ingest.domain.calendars import is_business_day
from shared.events.control import CompanyConfigured

WINDOW_OPENS, WINDOW_CLOSES = time(6, 0), time(22, 0)
"""Widest hours in which any contact policy may send; outside them ticks are rare."""
CATCH_UP_DAYS_MAX = 30


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
    return [on for on in span if is_business_day(company.calendar, on)]
