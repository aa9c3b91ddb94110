"""The read side of the API: pages of each list and the overview of an account. SQLAlchemy Core, no writes.

Invariant: every statement is bound to one company. Rows come back as the dataclasses of domain/rows.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.collections import tables as t
from services.collections.domain.rows import (
    Account,
    Activity,
    Candidate,
    Cash,
    Contact,
    Dispute,
    Escalation,
    Hold,
    Item,
    Notice,
    Promise,
    WorklistRow,
)

R = TypeVar("R")
OVERVIEW_ROWS_MAX = 200


@dataclass(frozen=True, slots=True)
class Listing:
    """How a table is listed: by which columns, which way."""

    table: sa.Table
    row: type
    keys: tuple[sa.ColumnElement[Any], ...]
    newest_first: bool = False


LISTINGS: dict[str, Listing] = {
    "worklist": Listing(
        t.worklist, WorklistRow, (t.worklist.c.priority, -t.worklist.c.score_minor, t.worklist.c.account_id)
    ),
    "promises": Listing(t.promise, Promise, (t.promise.c.due_on, t.promise.c.promise_id)),
    "disputes": Listing(t.dispute, Dispute, (t.dispute.c.due_on, t.dispute.c.dispute_id)),
    "holds": Listing(t.hold, Hold, (t.hold.c.proposed_on, t.hold.c.hold_id)),
    "notices": Listing(t.notice, Notice, (t.notice.c.decided_on, t.notice.c.notice_id), newest_first=True),
    "escalations": Listing(t.escalation, Escalation, (t.escalation.c.raised_on, t.escalation.c.escalation_id)),
    "activities": Listing(t.activity, Activity, (t.activity.c.logged_at, t.activity.c.activity_id), newest_first=True),
}


@dataclass(frozen=True, slots=True)
class Exposure:
    """Sums of one currency in minor units; `overdue_minor` is what is past due on the date of the last worklist."""

    currency: str
    open_minor: int
    credits_minor: int
    unapplied_minor: int
    on_account_minor: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that collections knows of an account; lists hold at most 200 rows, the newest of histories."""

    account: Account
    exposure: list[Exposure]
    worklist: WorklistRow | None
    items: list[Item]
    contacts: list[Contact]
    candidates: list[Candidate]
    promises: list[Promise]
    disputes: list[Dispute]
    holds: list[Hold]
    notices: list[Notice]
    escalations: list[Escalation]
    activities: list[Activity]


async def page(
    engine: AsyncEngine,
    name: str,
    company: str,
    filters: dict[str, Any],
    after: Sequence[Any] | None,
    limit: int,
) -> list[Any]:
    """Up to `limit` rows of a list behind the keyset `after`. `filters`: column -> value, None for any."""
    listing = LISTINGS[name]
    asked = sa.select(listing.table).where(listing.table.c.company == company)
    for column, value in filters.items():
        if value is not None:
            asked = asked.where(listing.table.c[column] == value)
    keys = sa.tuple_(*listing.keys)
    if after is not None:
        bound = sa.tuple_(*(sa.literal(value, key.type) for value, key in zip(after, listing.keys, strict=True)))
        asked = asked.where(keys < bound if listing.newest_first else keys > bound)
    order = [key.desc() if listing.newest_first else key.asc() for key in listing.keys]
    async with engine.connect() as connection:
        return await _rows(connection, asked.order_by(*order).limit(limit), listing.row)


async def account_of(engine: AsyncEngine, name: str, company: str, thing_id: UUID) -> str | None:
    """The account to which a promise, dispute, hold or notice belongs, None if there is no such thing."""
    table = LISTINGS[name].table
    own = list(table.primary_key)[-1]
    asked = sa.select(table.c.account_id).where(table.c.company == company, own == thing_id)
    async with engine.connect() as connection:
        return await connection.scalar(asked)


async def overview(engine: AsyncEngine, company: str, account_id: str) -> Overview | None:
    """The account with everything around it, None if it is not known. One snapshot of the store."""

    def of(table: sa.Table) -> sa.Select[Any]:
        return (
            sa.select(table)
            .where(table.c.company == company, table.c.account_id == account_id)
            .limit(OVERVIEW_ROWS_MAX)
        )

    async with engine.connect() as opened:
        connection = await opened.execution_options(isolation_level="REPEATABLE READ")
        accounts = await _rows(connection, of(t.account), Account)
        if not accounts:
            return None
        items = await _rows(connection, of(t.item).where(t.item.c.remaining_minor > 0).order_by(t.item.c.due_on), Item)
        cash = await _rows(connection, of(t.cash), Cash)
        listed = await _rows(connection, of(t.worklist).where(t.worklist.c.listed), WorklistRow)
        return Overview(
            account=accounts[0],
            exposure=_exposure(items, cash),
            worklist=listed[0] if listed else None,
            items=items,
            contacts=await _rows(connection, of(t.contact).order_by(t.contact.c.contact_id), Contact),
            candidates=await _rows(connection, of(t.candidate).where(~t.candidate.c.cleared), Candidate),
            promises=await _rows(connection, of(t.promise).order_by(t.promise.c.taken_at.desc()), Promise),
            disputes=await _rows(connection, of(t.dispute).order_by(t.dispute.c.opened_on.desc()), Dispute),
            holds=await _rows(connection, of(t.hold).order_by(t.hold.c.proposed_on.desc()), Hold),
            notices=await _rows(connection, of(t.notice).order_by(t.notice.c.decided_on.desc()), Notice),
            escalations=await _rows(connection, of(t.escalation).order_by(t.escalation.c.raised_on.desc()), Escalation),
            activities=await _rows(connection, of(t.activity).order_by(t.activity.c.logged_at.desc()), Activity),
        )


def _exposure(items: list[Item], cash: list[Cash]) -> list[Exposure]:
    found = []
    for currency in sorted({item.currency for item in items} | {row.currency for row in cash}):
        of_currency = [item for item in items if item.currency == currency]
        found.append(
            Exposure(
                currency=currency,
                open_minor=sum(item.remaining_minor for item in of_currency if item.side == "debit"),
                credits_minor=sum(item.remaining_minor for item in of_currency if item.side == "credit"),
                unapplied_minor=sum(row.unapplied_minor for row in cash if row.currency == currency),
                on_account_minor=sum(row.on_account_minor for row in cash if row.currency == currency),
            )
        )
    return found


async def _rows(connection: AsyncConnection, asked: sa.Select[Any], row: type[R]) -> list[R]:
    names = [column.name for column in fields(row)]  # type: ignore[arg-type]
    found = await connection.execute(asked)
    return [row(**{name: record[name] for name in names}) for record in found.mappings()]
