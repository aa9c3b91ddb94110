"""Load and save of a batch: rows of the items and payments it touches are locked in sorted order, then written once.

Statements per batch are constant: four to load, at most one per table to save.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.reporting.projections.rows import PART_PLACES, PLACES, ItemNow, PaymentNow, Row, Rows
from services.reporting.store.upserts import IN_ORDER

Key = tuple[str, UUID]

ITEMS_NOW = """
select i.company, i.item_id, i.version, i.remaining_minor, i.disputed_minor, i.relief
from item i join unnest($1::text[], $2::uuid[]) as k(company, item_id) using (company, item_id)
order by i.company, i.item_id for update of i
"""
ADD_PAYMENTS = """
insert into payment (company, payment_id, version)
select company, payment_id, 0 from unnest($1::text[], $2::uuid[]) as k(company, payment_id) order by 1, 2
on conflict do nothing
"""
PAYMENTS_NOW = """
select p.company, p.payment_id, p.version, p.split, p.unidentified_minor, p.refunded_minor, p.non_ar_minor,
    p.returned_minor, p.small_gain_minor
from payment p join unnest($1::text[], $2::uuid[]) as k(company, payment_id) using (company, payment_id)
order by p.company, p.payment_id for update of p
"""


def _place(key: Key) -> tuple[str, int]:
    """Sorts as the keys themselves do, without asking two ids at each comparison."""
    return key[0], key[1].int


async def load_items(db: asyncpg.Connection, keys: Iterable[Key]) -> dict[Key, ItemNow]:
    """Locked states of known items. An item's events share a Kafka key, so nobody else opens it meanwhile."""
    order = sorted(set(keys), key=_place)
    if not order:
        return {}
    rows = await db.fetch(ITEMS_NOW, [c for c, _ in order], [i for _, i in order])
    return {
        (r["company"], r["item_id"]): ItemNow(r["version"], r["remaining_minor"], r["disputed_minor"], r["relief"])
        for r in rows
    }


async def load_payments(db: asyncpg.Connection, keys: Iterable[Key]) -> dict[Key, PaymentNow]:
    """Locked states of payments, made first where they are new: a payment's events may come by several keys."""
    order = sorted(set(keys), key=_place)
    if not order:
        return {}
    columns = [c for c, _ in order], [i for _, i in order]
    await db.execute(ADD_PAYMENTS, *columns)
    rows = await db.fetch(PAYMENTS_NOW, *columns)
    return {(r["company"], r["payment_id"]): PaymentNow(r["version"], _places(r)) for r in rows}


def _places(row: asyncpg.Record) -> dict[tuple[str, str], int]:
    found = {(place, ""): row[f"{place}_minor"] for place in PLACES}
    for part in row["split"]:
        found |= {(place, part["account_id"]): part[f"{place}_minor"] for place in PART_PLACES}
    return {key: minor for key, minor in found.items() if minor}


def _column(rows: list[Row], name: str, is_json: bool) -> list[Any]:
    values = [row[name] for row in rows]
    return [orjson.dumps(value, default=str).decode() for value in values] if is_json else values


async def save_rows(db: asyncpg.Connection, rows: Rows) -> None:
    """Write every table that has rows, once."""
    for statement in IN_ORDER:
        found = rows.of(statement.source)
        if found:
            columns = [_column(found, name, name in statement.json) for name in statement.columns]
            await db.execute(statement.sql, *columns)  # tidy: allow one statement per table, whatever the batch size
