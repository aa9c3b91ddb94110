"""The read side of the API: pages of items, payments, candidates, debits and refunds, and one of each with its why.

Invariant: every statement is bound to one company.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.cash_application import schemas as s
from services.cash_application import tables as t
from services.cash_application.domain.journal import FUNDINGS

DETAIL_ROWS_MAX = 500
CERTIFICATES_MAX = 10


@dataclass(frozen=True, slots=True)
class Listing:
    """How a table is listed: its keyset columns, and which way."""

    table: sa.Table
    keys: tuple[sa.Column[Any], ...]
    newest_first: bool = False


LISTINGS = {
    "items": Listing(t.open_item, (t.open_item.c.due_on, t.open_item.c.item_id)),
    "payments": Listing(t.receipt, (t.receipt.c.business_date, t.receipt.c.payment_id), newest_first=True),
    "candidates": Listing(t.candidate, (t.candidate.c.since_on, t.candidate.c.candidate_id)),
    "debits": Listing(t.open_debit, (t.open_debit.c.valued_on, t.open_debit.c.debit_id)),
    "refunds": Listing(t.refund, (t.refund.c.requested_on, t.refund.c.refund_id), newest_first=True),
}
STATES: dict[str, sa.ColumnElement[bool]] = {
    "unapplied": sa.and_(t.receipt.c.open_minor > t.receipt.c.unidentified_minor),
    "unidentified": t.receipt.c.unidentified_minor > 0,
    "waiting": t.receipt.c.open_minor > 0,
    "suggested": sa.and_(
        t.receipt.c.open_minor > 0,
        sa.exists().where(
            t.suggestion.c.company == t.receipt.c.company, t.suggestion.c.payment_id == t.receipt.c.payment_id
        ),
    ),
}
"""Filters of the list of payments by where their cash stands."""


async def page(
    engine: AsyncEngine,
    name: str,
    company: str,
    conditions: Sequence[sa.ColumnElement[bool]],
    after: Sequence[Any] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Up to `limit` rows of a list behind the keyset `after`."""
    listing = LISTINGS[name]
    asked = sa.select(listing.table).where(listing.table.c.company == company, *conditions)
    keys = sa.tuple_(*listing.keys)
    if after is not None:
        bound = sa.tuple_(*(sa.literal(value, key.type) for value, key in zip(after, listing.keys, strict=True)))
        asked = asked.where(keys < bound if listing.newest_first else keys > bound)
    order = [key.desc() if listing.newest_first else key.asc() for key in listing.keys]
    async with engine.connect() as connection:
        return await _rows(connection, asked.order_by(*order).limit(limit))


def item_conditions(account_id: str, only_open: bool) -> list[sa.ColumnElement[bool]]:
    of_account = [t.open_item.c.account_id == account_id]
    return [*of_account, t.open_item.c.remaining_minor > 0] if only_open else of_account


def payment_conditions(
    state: str | None, account_id: str | None, bank_account: str | None
) -> list[sa.ColumnElement[bool]]:
    found = []
    if state is not None:
        found.append(STATES[state])
    if account_id is not None:
        part = t.receipt_part
        found.append(
            sa.exists().where(
                part.c.company == t.receipt.c.company,
                part.c.payment_id == t.receipt.c.payment_id,
                part.c.account_id == account_id,
            )
        )
    if bank_account is not None:
        found.append(t.receipt.c.bank_account == bank_account)
    return found


def candidate_conditions(account_id: str | None) -> list[sa.ColumnElement[bool]]:
    of_account = [t.candidate.c.account_id == account_id] if account_id is not None else []
    return [t.candidate.c.open, *of_account]


def debit_conditions() -> list[sa.ColumnElement[bool]]:
    return [t.open_debit.c.left_minor > 0]


def refund_conditions(status: str | None) -> list[sa.ColumnElement[bool]]:
    return [t.refund.c.status == status] if status is not None else []


async def item(engine: AsyncEngine, company: str, item_id: UUID) -> s.ItemDetail | None:
    """An item with every line of the journal that touched it, oldest first."""
    line, posting = t.journal_line, t.posting
    async with engine.connect() as connection:
        rows = await _rows(
            connection, sa.select(t.open_item).where(t.open_item.c.company == company, t.open_item.c.item_id == item_id)
        )
        if not rows:
            return None
        asked = (
            sa.select(line, *(posting.c[name] for name in _POSTING_FIELDS))
            .join(posting, posting.c.posting_id == line.c.posting_id)
            .where(line.c.item_id == item_id, line.c.company == company)
            .order_by(line.c.id)
            .limit(DETAIL_ROWS_MAX)
        )
        lines = await _rows(connection, asked)
    found = rows[0]
    relief = {name: found[f"relief_{name}"] for name in FUNDINGS if found[f"relief_{name}"]}
    return s.ItemDetail(
        **_fields(s.Item, found), relief=relief, lines=[s.Line(**_fields(s.Line, row)) for row in lines]
    )


_POSTING_FIELDS = (
    "kind", "origin", "reverses_posting_id", "reason_code", "rule", "policy", "certificate_id", "actor", "valued_on",
    "known_at",
)  # fmt: skip


async def payment(engine: AsyncEngine, company: str, payment_id: UUID) -> s.PaymentDetail | None:
    """A payment with its whole split, applications, suggestions, candidates and certificates."""

    def of(table: sa.Table) -> sa.Select[Any]:
        mine = (table.c.company == company, table.c.payment_id == payment_id)
        return sa.select(table).where(*mine).limit(DETAIL_ROWS_MAX)

    async with engine.connect() as opened:
        connection = await opened.execution_options(isolation_level="REPEATABLE READ")
        receipts = await _rows(connection, of(t.receipt))
        if not receipts:
            return None
        numbered = of(t.application).add_columns(t.open_item.c.number)
        joined = numbered.join(t.open_item, t.open_item.c.item_id == t.application.c.item_id)
        certificates = of(t.certificate).add_columns(sa.cast(t.certificate.c.snapshot, sa.Text).label("shown"))
        return s.PaymentDetail(
            **payment_row(receipts[0]).model_dump(),
            split=[s.Split(**_fields(s.Split, r)) for r in await _rows(connection, of(t.receipt_part))],
            applications=[s.Application(**_fields(s.Application, r)) for r in await _rows(connection, joined)],
            suggestions=[
                s.Suggestion(**_fields(s.Suggestion, r))
                for r in await _rows(connection, of(t.suggestion).order_by(t.suggestion.c.rank))
            ],
            candidates=[
                s.Candidate(**_fields(s.Candidate, r))
                for r in await _rows(connection, of(t.candidate).where(t.candidate.c.open))
            ],
            certificates=[
                s.Certificate(**{**_fields(s.Certificate, r), "snapshot": r["shown"]})
                for r in await _rows(connection, certificates.limit(CERTIFICATES_MAX))
            ],
        )


async def cash(engine: AsyncEngine, company: str, account_id: str) -> list[s.Cash]:
    """Cash of an account that is not on items, per currency."""
    mine = (t.account_cash.c.company == company, t.account_cash.c.account_id == account_id)
    async with engine.connect() as connection:
        rows = await _rows(connection, sa.select(t.account_cash).where(*mine).order_by(t.account_cash.c.currency))
    return [s.Cash(**_fields(s.Cash, row)) for row in rows]


async def refund_payment(engine: AsyncEngine, company: str, refund_id: UUID) -> tuple[UUID, str] | None:
    """Payment and account of a refund."""
    asked = sa.select(t.refund.c.payment_id, t.refund.c.account_id).where(
        t.refund.c.company == company, t.refund.c.refund_id == refund_id
    )
    async with engine.connect() as connection:
        row = (await connection.execute(asked)).first()
    return (row[0], row[1]) if row else None


def payment_row(row: dict[str, Any]) -> s.Payment:
    """A payment of the list, with what the bank said of its payer."""
    view = row["view"]
    more = {
        "payer_name": view.get("name"),
        "payer_account": view.get("account"),
        "text": view.get("text", []),
        "small_gain_minor": row["gain_minor"],
        "payment_version": row["version"],
        "account_id": row["account_id"] or None,
    }
    return s.Payment(**{**_fields(s.Payment, row), **more})


def rows_of(model: type[Any], rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Rows as answers of `model`."""
    return [payment_row(row) if model is s.Payment else model(**_fields(model, row)) for row in rows]


def _fields(model: type[Any], row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in model.model_fields if name in row}


async def _rows(connection: AsyncConnection, asked: sa.Select[Any]) -> list[dict[str, Any]]:
    return [dict(record) for record in (await connection.execute(asked)).mappings()]
