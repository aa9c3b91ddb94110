"""The figures of a closed day: aging per currency and in the base currency, DSO, cash in, notices, reconciliation rows.

Amounts in the base currency use the rate published for the day; without one they are absent, and so is what needs them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from services.reporting.domain.aging import Aging, OpenAmount, OpenCredit, age
from services.reporting.domain.days_sales import (
    average_days_delinquent,
    best_possible_dso,
    dso_simple,
    shown,
)
from services.reporting.domain.exchange import RateOf, aging_in_base, in_base, sum_in_base
from services.reporting.domain.ratios import withheld_by_reason
from services.reporting.domain.reconciliation import Figure

CREDITS = "credits"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`figures` is JSON-able; `aging` are (currency, bucket, amount, disputed, in base)."""

    figures: dict[str, Any]
    aging: list[tuple[str, str, int, int, int | None]]


def snapshot(
    on: date,
    base: str,
    rate_of: RateOf,
    *,
    amounts: Iterable[OpenAmount],
    credits: Iterable[OpenCredit],
    sales: Mapping[str, int],
    sales_days: int,
    items: int,
    cash_in: Sequence[Mapping[str, Any]],
    notices: Sequence[Mapping[str, Any]],
    reconciled: Sequence[Figure],
) -> Snapshot:
    rows = age(amounts, credits, on)
    total = aging_in_base(rows, base, rate_of) if rows else None
    received: dict[str, int] = {}
    for row in cash_in:
        received[row["currency"]] = received.get(row["currency"], 0) + row["minor"]
    figures = {
        "open_items": items,
        "aging": [shown_row(row) for row in rows],
        "aging_base": shown_row(total) if total else None,
        "dso": dso_figures(total, sum_in_base(sales, base, rate_of), sales_days),
        "sales": dict(sales),
        "cash_in": [dict(row) for row in cash_in],
        "cash_in_base_minor": sum_in_base(received, base, rate_of),
        "notices": count_notices(notices),
        "differences": sum(not figure.agrees for figure in reconciled),
        "reconciled": len(reconciled),
    }
    return Snapshot(figures, [part for row in rows for part in _parts(row, base, rate_of)])


def shown_row(row: Aging) -> dict[str, Any]:
    """An aging row as JSON."""
    return {
        "group": row.group,
        "currency": row.currency,
        "buckets": row.buckets,
        "disputed": row.disputed,
        "gross_minor": row.gross_minor,
        "credits_minor": row.credits_minor,
        "net_minor": row.net_minor,
        "overdue_minor": row.overdue_minor,
        "disputed_minor": row.disputed_minor,
    }


def dso_figures(total: Aging | None, sales_minor: int | None, days: int) -> dict[str, Any]:
    """DSO, BPDSO and ADD over the last `days`; `negative` flags receivables below zero."""
    if total is None or sales_minor is None:
        return {"days": days, "sales_minor": sales_minor, "simple": None, "best_possible": None, "add": None}
    simple = dso_simple(total.net_minor, sales_minor, days)
    best = best_possible_dso(total.buckets["current"], sales_minor, days)
    return {
        "days": days,
        "sales_minor": sales_minor,
        "receivables_minor": total.net_minor,
        "negative": total.net_minor < 0,
        "simple": shown(simple),
        "best_possible": shown(best),
        "add": shown(average_days_delinquent(simple, best)),
    }


def count_notices(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Outcomes by status, and what was withheld by reason. `rows`: status, codes, notices (how many alike)."""
    by_status: dict[str, int] = {}
    for row in rows:
        by_status[row["status"]] = by_status.get(row["status"], 0) + row["notices"]
    withheld = [(row["codes"], row["notices"]) for row in rows if row["status"] == "withheld"]
    return {"by_status": by_status, "withheld": [asdict(row) for row in withheld_by_reason(withheld)]}


def _parts(row: Aging, base: str, rate_of: RateOf) -> list[tuple[str, str, int, int, int | None]]:
    figures = [(name, minor, row.disputed[name]) for name, minor in row.buckets.items()]
    figures.append((CREDITS, row.credits_minor, 0))
    return [
        (row.currency, name, minor, disputed, in_base(minor, row.currency, base, rate_of))
        for name, minor, disputed in figures
    ]
