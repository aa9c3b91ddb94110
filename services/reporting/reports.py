"""Reports that API and pages share: aging, DSO, account statement at a cut. Reads by queries, formulas by domain."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.aging import Aging, Basis, age
from services.reporting.domain.days_sales import CountBack, dso_count_back, month_of
from services.reporting.domain.exchange import aging_in_base, sum_in_base
from services.reporting.domain.snapshot import dso_figures
from services.reporting.queries import accounts, as_of, lists
from services.reporting.queries.as_of import By, Cut
from shared.problems import Problem

SALES_DAYS = 90


@dataclass(frozen=True, slots=True)
class Place:
    """A cut with what is needed to show money in the base currency."""

    cut: Cut
    base: str
    name: str
    rates: Mapping[str, str]
    clock: Mapping[str, Any]

    def rate(self, pair: str) -> str | None:
        return self.rates.get(pair)


async def place_of(
    db: AsyncConnection, company: str, on: date | None = None, known_at: datetime | None = None
) -> Place:
    """The cut that was asked for; without a date the last closed day, before the first one the day of the last tick."""
    clock = await as_of.clock_of(db, company)
    config = await as_of.configuration_of(db, company)
    day = on or clock["closed_on"] or (clock["tick_at"].date() if clock["tick_at"] else None)
    if day is None:
        raise Problem(
            409, "no_business_day_yet", f"company {company!r} has no business day here yet",
            "wait for the first tick, or name a date with as_of",
        )  # fmt: skip
    rates = await as_of.rates_of(db, company, day)
    return Place(Cut(company, day, known_at), config.get("base_currency", ""), config.get("name", ""), rates, clock)


async def aging(
    db: AsyncConnection, place: Place, by: By = "currency", basis: Basis = "due", account_id: str | None = None
) -> tuple[list[Aging], Aging | None]:
    """Rows, and their sum in the base currency (None without a rate)."""
    amounts, credits = await as_of.aging_facts(db, place.cut, by, basis, account_id)
    rows = age(amounts, credits, place.cut.on, basis)
    return rows, aging_in_base(rows, place.base, place.rate) if place.base else None


async def dso(db: AsyncConnection, place: Place, days: int = SALES_DAYS) -> dict[str, Any]:
    """DSO simple, best possible, ADD over the last `days`, and count-back over calendar months."""
    _, total = await aging(db, place)
    on = place.cut.on
    sales = await lists.sales_since(db, place.cut.company, on - timedelta(days=days), on)
    figures = dso_figures(total, sum_in_base(sales, place.base, place.rate), days)
    months = await _sales_by_month(db, place)
    back: CountBack | None = None
    if total is not None and months and any(months.values()):
        back = dso_count_back(total.net_minor, months, on)
    return figures | {"count_back": back.text() if back else None, "as_of": on, "base_currency": place.base}


async def _sales_by_month(db: AsyncConnection, place: Place) -> dict[tuple[int, int], int]:
    """Empty when a rate is missing."""
    months: dict[tuple[int, int], dict[str, int]] = {}
    for row in await lists.sales_by_month(db, place.cut.company, place.cut.on):
        months.setdefault(month_of(row["month"]), {})[row["currency"]] = row["minor"]
    found = {month: sum_in_base(amounts, place.base, place.rate) for month, amounts in months.items()}
    return {} if any(minor is None for minor in found.values()) else {m: v for m, v in found.items() if v is not None}


async def statement(db: AsyncConnection, place: Place, account_id: str, from_on: date) -> dict[str, Any]:
    """Lines with running balances per currency, opening, closing, and what they leave unexplained."""
    opening, rows, closing = await accounts.statement(db, place.cut, account_id, from_on)
    running = dict(opening)
    lines = []
    for row in rows:
        currency = row["currency"]
        running[currency] = running.get(currency, 0) + row["amount_minor"]
        lines.append({**row, "balance_minor": running[currency]})
    currencies = sorted({*opening, *closing, *running})
    balances = [
        {
            "currency": currency,
            "opening_minor": opening.get(currency, 0),
            "closing_minor": closing.get(currency, 0),
            "difference_minor": closing.get(currency, 0) - running.get(currency, 0),
        }
        for currency in currencies
    ]
    return {"balances": balances, "lines": lines, "from_on": from_on, "to_on": place.cut.on}
