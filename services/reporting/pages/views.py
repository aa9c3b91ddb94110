"""What the overview and the account page show, gathered from queries and formulas."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting import reports
from services.reporting.api import promise_summary
from services.reporting.domain.exchange import sum_in_base
from services.reporting.domain.snapshot import shown_row
from services.reporting.exceptions import ROWS_MAX
from services.reporting.pages.charts import Column, columns, line
from services.reporting.pages.render import short
from services.reporting.pages.words import bucket
from services.reporting.queries import accounts, as_of, lists
from services.reporting.queries.lists import Window

CASH_DAYS, TREND_DAYS, WITHHELD_DAYS = 28, 60, 30
AGING_WIDTH = 960
SHORT_LIST = 8
LONG_LIST = 200
FIGURES_MAX = 1_000
CASH_ROWS_MAX = 5_000
"""28 days of up to 178 bank accounts and currencies."""


async def overview(db: AsyncConnection, place: reports.Place) -> dict[str, Any]:
    company, on = place.cut.company, place.cut.on
    rows, total = await reports.aging(db, place)
    snapshots = list(reversed(await lists.days(db, company, Window(to_on=on), None, TREND_DAYS)))
    recent = Window(on - timedelta(days=WITHHELD_DAYS - 1), on)
    by_status, by_reason = await lists.withheld(db, company, recent)
    holds = await lists.holds(db, company, Window(), None, ROWS_MAX)
    reconciled = await lists.reconciliations(db, company, Window(on, on), None, FIGURES_MAX)
    closed = snapshots[-1] if snapshots and snapshots[-1]["date"] == on else None
    at_close = _banks(closed["bank_accounts"] if closed else {}, on)
    return {
        "aging": [shown_row(row) for row in rows],
        "total": shown_row(total) if total else None,
        "aging_chart": _aging_chart(shown_row(total), place.base) if total else None,
        "dso": await reports.dso(db, place),
        "trend": _trend(snapshots),
        "cash": await _cash(db, place, _complete_through(at_close)),
        "withheld_days": WITHHELD_DAYS,
        "outcomes": {row["status"]: row["notices"] for row in by_status},
        "reasons": by_reason,
        "withheld": await lists.notices(db, company, Window(recent.from_on, on, status="withheld"), None, SHORT_LIST),
        "in_force": [row for row in holds if row["in_force"]],
        "proposed": [row for row in holds if row["status"] == "proposed"],
        "unconfirmed": [row for row in holds if row["unconfirmed"]],
        "promises": promise_summary(await lists.promise_outcomes(db, company, Window())),
        "promises_open": await lists.promises_due_next(db, company, SHORT_LIST),
        "banks": _banks(place.clock["bank_accounts"], on),
        "reconciled": reconciled,
        "differences": [row for row in reconciled if row["difference_minor"] != 0],
    }


def _aging_chart(row: Mapping[str, Any], base: str) -> Any:
    return columns(
        [
            Column(bucket(name), minor, short(minor, base), row["disputed"][name])
            for name, minor in row["buckets"].items()
        ],
        width=AGING_WIDTH,
    )


def _trend(snapshots: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    totals = [row["figures"].get("aging_base") or {} for row in snapshots]
    net = [total.get("net_minor") for total in totals]
    overdue = [total.get("overdue_minor") for total in totals]
    return {"net": line(net), "overdue": line(overdue), "days": len(snapshots)}


async def _cash(db: AsyncConnection, place: reports.Place, through: date | None) -> dict[str, Any]:
    """Credits of the four weeks up to the last complete bank day, by day in the base currency, as known at the close.

    While no bank day is complete the weeks end at the close, and `day` is None.
    """
    on = min(through or place.cut.on, place.cut.on)
    begin = on - timedelta(days=CASH_DAYS - 1)
    rows = await lists.cash_received(db, place.cut.company, Window(begin, on), None, CASH_ROWS_MAX, place.cut.on)
    days: dict[date, dict[str, int]] = {}
    for row in rows:
        sums = days.setdefault(row["accounted_on"], {})
        sums[row["currency"]] = sums.get(row["currency"], 0) + row["amount_minor"]
    wanted = [begin + timedelta(days=n) for n in range(CASH_DAYS)]
    shown_days = [day for day in wanted if day.weekday() < 5 or day in days]
    in_base = {day: sum_in_base(days.get(day, {}), place.base, place.rate) for day in shown_days}
    known = [(day, minor) for day, minor in in_base.items() if minor is not None]
    chart = columns([Column(f"{d.day} {d:%b}", minor, short(minor, place.base)) for d, minor in known], labels_max=8)
    weeks: dict[date, int] = {}
    for day, minor in known:
        monday = day - timedelta(days=day.weekday())
        weeks[monday] = weeks.get(monday, 0) + minor
    by_bank: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        sums_of = by_bank.setdefault((row["bank_account"], row["currency"]), [0, 0])
        sums_of[0] += row["payments"]
        sums_of[1] += row["amount_minor"]
    last = [row for row in rows if row["accounted_on"] == on]
    return {
        "chart": chart,
        "rows": rows,
        "weeks": weeks,
        "by_bank": by_bank,
        "total": sum(m for _, m in known),
        "day": on if through else None,
        "day_minor": sum_in_base(days.get(on, {}), place.base, place.rate),
        "day_payments": sum(row["payments"] for row in last),
    }


def _banks(reach: Mapping[str, str | None], on: date) -> list[dict[str, Any]]:
    """Each bank account with how far its data reach and how many days that is behind the closed day."""
    found = []
    for bank, reached in sorted(reach.items()):
        through = date.fromisoformat(reached) if reached else None
        found.append({"id": bank, "through": through, "behind": (on - through).days if through else None})
    return found


def _complete_through(banks: Sequence[Mapping[str, Any]]) -> date | None:
    """The last day that the statements of every bank account cover; None while one has none."""
    ends = [bank["through"] for bank in banks]
    return min(ends) if ends and None not in ends else None


async def account(db: AsyncConnection, place: reports.Place, account_id: str, from_on: date) -> dict[str, Any]:
    company = place.cut.company
    mine = Window(account_id=account_id)
    rows, total = await reports.aging(db, place, account_id=account_id)
    statement = await reports.statement(db, place, account_id, from_on)
    payments = await accounts.payments_of(db, company, account_id, LONG_LIST)
    applied: dict[Any, list[Any]] = {}
    for row in await lists.applications(db, company, [p["payment_id"] for p in payments]):
        applied.setdefault(row["payment_id"], []).append(row)
    return {
        "aging": [shown_row(row) for row in rows],
        "total": shown_row(total) if total else None,
        "items": await as_of.items_at(db, place.cut, account_id=account_id, limit=LONG_LIST),
        "kinds": await lists.cash_by_kind(db, company, account_id),
        "payments": payments,
        "applied": applied,
        "candidates": await lists.candidates(db, company, account_id, SHORT_LIST),
        "contacts": await accounts.contacts(db, company, account_id),
        "promises": await lists.promises(db, company, mine, None, LONG_LIST),
        "disputes": await lists.disputes(db, company, mine, None, LONG_LIST),
        "notices": await lists.notices(db, company, mine, None, LONG_LIST),
        "holds": await lists.holds(db, company, mine, None, LONG_LIST),
        "activities": await accounts.activities(db, company, account_id, LONG_LIST),
        "escalations": await accounts.escalations(db, company, account_id),
        "statement": statement,
        "list_max": LONG_LIST,
    }
