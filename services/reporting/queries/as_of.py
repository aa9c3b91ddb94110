"""States as of a business day and as known at an instant: the current ones less what was accounted or known later.

Invariant: both answers come from the same deltas, so that aging, items and statements of one date add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.aging import Basis, OpenAmount, OpenCredit
from services.reporting.tables import account, item, item_posting, metadata, payment, payment_part, payment_posting

By = Literal["currency", "account", "country", "industry", "collector"]
UNIDENTIFIED_GROUP = "(unidentified)"


@dataclass(frozen=True, slots=True)
class Cut:
    """As of `on` by `accounted_on` (disputes by business date); with `known_at`, as it was known at that instant."""

    company: str
    on: date
    known_at: datetime | None = None

    def after(self, table: sa.Table, day: sa.Column) -> sa.ColumnElement[bool]:
        """Postings that the cut does not hold."""
        later = day > self.on
        if self.known_at is not None:
            later = sa.or_(later, table.c.known_at > self.known_at)
        return sa.and_(table.c.company == self.company, later)


def open_items(cut: Cut, *account_ids: str | None) -> sa.Subquery:
    """item_id, remaining_minor, disputed_minor of what is open at the cut, of all accounts if none is named."""
    p = item_posting
    named = [account_id for account_id in account_ids if account_id is not None]
    mine = [item.c.account_id.in_(named)] if named else []
    theirs = [p.c.account_id.in_(named)] if named else []
    stands = sa.or_(item.c.remaining_minor > 0, item.c.disputed_minor > 0)
    current = sa.select(item.c.item_id, item.c.remaining_minor, item.c.disputed_minor).where(
        item.c.company == cut.company, stands, *mine
    )
    zero = sa.literal(0, sa.BigInteger)
    later = sa.select(p.c.item_id, -p.c.remaining_delta_minor, zero).where(cut.after(p, p.c.accounted_on), *theirs)
    disputed = sa.select(p.c.item_id, zero, -p.c.disputed_delta_minor).where(
        cut.after(p, p.c.business_date), p.c.disputed_delta_minor != 0, *theirs
    )
    union = sa.union_all(current, later, disputed).subquery()
    remaining = sa.func.sum(union.c.remaining_minor)
    disputed_sum = sa.func.greatest(sa.func.sum(union.c.disputed_minor), 0)
    return (
        sa.select(
            union.c.item_id,
            sa.cast(remaining, sa.BigInteger).label("remaining_minor"),
            sa.cast(sa.func.least(disputed_sum, remaining), sa.BigInteger).label("disputed_minor"),
        )
        .group_by(union.c.item_id)
        .having(remaining > 0)
        .subquery("open_at_cut")
    )


def cash_off_items(cut: Cut, account_id: str | None = None) -> sa.Subquery:
    """account_id ('' where nobody is known), currency, minor of cash that is on no item at the cut."""
    part, moved = payment_part, payment_posting
    mine = [] if account_id is None else [part.c.account_id == account_id]
    theirs = [] if account_id is None else [moved.c.account_id == account_id]
    stands = sa.or_(part.c.unapplied_minor > 0, part.c.on_account_minor > 0)
    parts = sa.select(
        part.c.account_id, part.c.currency, (part.c.unapplied_minor + part.c.on_account_minor).label("minor")
    ).where(part.c.company == cut.company, stands, *mine)
    later = sa.select(moved.c.account_id, moved.c.currency, -moved.c.delta_minor).where(
        cut.after(moved, moved.c.accounted_on),
        moved.c.place.in_(("unapplied", "on_account", "unidentified")),
        *theirs,
    )
    selects = [parts, later]
    if account_id is None:
        unidentified = sa.select(sa.literal(""), payment.c.currency, payment.c.unidentified_minor).where(
            payment.c.company == cut.company, payment.c.unidentified_minor > 0
        )
        selects.append(unidentified)
    union = sa.union_all(*selects).subquery()
    total = sa.cast(sa.func.sum(union.c.minor), sa.BigInteger).label("minor")
    query = sa.select(union.c.account_id, union.c.currency, total).group_by(union.c.account_id, union.c.currency)
    return query.having(sa.func.sum(union.c.minor) != 0).subquery("cash_at_cut")


def _group(by: By, account_id: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    if by == "currency":
        return sa.literal("")
    return account_id if by == "account" else sa.func.coalesce(account.c[by], "")


async def aging_facts(
    db: AsyncConnection, cut: Cut, by: By = "currency", basis: Basis = "due", account_id: str | None = None
) -> tuple[list[OpenAmount], list[OpenCredit]]:
    """What `domain.aging.age` needs, summed in the database by group, currency and day."""
    found = open_items(cut, account_id)
    day = item.c.due_on if basis == "due" else item.c.document_on
    group = _group(by, item.c.account_id).label("group")
    joined = found.join(item, sa.and_(item.c.company == cut.company, item.c.item_id == found.c.item_id)).outerjoin(
        account, sa.and_(account.c.company == cut.company, account.c.account_id == item.c.account_id)
    )
    total = sa.cast(sa.func.sum(found.c.remaining_minor), sa.BigInteger)
    disputed = sa.cast(sa.func.sum(found.c.disputed_minor), sa.BigInteger)
    query = (
        sa.select(
            group, item.c.currency, item.c.side, day.label("day"), total.label("minor"), disputed.label("disputed")
        )
        .select_from(joined)
        .group_by(group, item.c.currency, item.c.side, day)
    )
    rows = (await db.execute(query)).all()
    amounts = [OpenAmount(r.group, r.currency, r.day, r.minor, r.disputed) for r in rows if r.side == "debit"]
    credits = [OpenCredit(r.group, r.currency, r.minor) for r in rows if r.side == "credit"]
    return amounts, credits + await _cash_credits(db, cut, by, account_id)


async def _cash_credits(db: AsyncConnection, cut: Cut, by: By, account_id: str | None) -> list[OpenCredit]:
    cash = cash_off_items(cut, account_id)
    group = _group(by, cash.c.account_id).label("group")
    joined = cash.outerjoin(
        account, sa.and_(account.c.company == cut.company, account.c.account_id == cash.c.account_id)
    )
    query = sa.select(group, cash.c.account_id, cash.c.currency, cash.c.minor).select_from(joined)
    return [
        OpenCredit(UNIDENTIFIED_GROUP if by != "currency" and not r.account_id else r.group, r.currency, r.minor)
        for r in (await db.execute(query)).all()
    ]


async def items_at(
    db: AsyncConnection,
    cut: Cut,
    *,
    account_id: str | None = None,
    currency: str | None = None,
    overdue_only: bool = False,
    disputed_only: bool = False,
    after: Sequence[Any] | None = None,
    limit: int,
) -> list[sa.RowMapping]:
    """Open items at the cut, by due date and id: the drill-down of every aging figure."""
    found = open_items(cut, account_id)
    joined = found.join(item, sa.and_(item.c.company == cut.company, item.c.item_id == found.c.item_id)).outerjoin(
        account, sa.and_(account.c.company == cut.company, account.c.account_id == item.c.account_id)
    )
    query = sa.select(
        item.c.item_id,
        item.c.account_id,
        sa.func.coalesce(account.c.name, "").label("account_name"),
        item.c.number,
        item.c.line,
        item.c.kind,
        item.c.side,
        item.c.currency,
        item.c.original_minor,
        found.c.remaining_minor,
        found.c.disputed_minor,
        item.c.document_on,
        item.c.due_on,
        (sa.literal(cut.on, sa.Date) - item.c.due_on).label("days_past_due"),
        item.c.document_id,
    ).select_from(joined)
    if currency:
        query = query.where(item.c.currency == currency)
    if overdue_only:
        query = query.where(item.c.due_on < cut.on, item.c.side == "debit")
    if disputed_only:
        query = query.where(found.c.disputed_minor > 0)
    if after:
        query = query.where(sa.tuple_(item.c.due_on, item.c.item_id) > sa.tuple_(*after))
    query = query.order_by(item.c.due_on, item.c.item_id).limit(limit)
    return list((await db.execute(query)).mappings())


async def clock_of(db: AsyncConnection, company: str) -> dict[str, Any]:
    """tick_at, reach (bank account -> complete through) and closed_on of a company, None or empty before the first."""
    clock, closed = metadata.tables["business_clock"], metadata.tables["closed_day"]
    tick = (await db.execute(sa.select(clock.c.at, clock.c.reach))).mappings().first()
    day = await db.scalar(sa.select(closed.c.closed_on).where(closed.c.company == company))
    reach = (tick["reach"] if tick else {}).get(company, {})
    parked = reach.get("parked", [])
    return {
        "tick_at": tick["at"] if tick else None,
        "closed_on": day,
        "bank_accounts": reach.get("bank_accounts", {}),
        "parked": parked,
    }


async def rates_of(db: AsyncConnection, company: str, on: date) -> dict[str, str]:
    """Pair -> rate published on or before a day, the latest of each."""
    rate = metadata.tables["rate"]
    query = (
        sa.select(rate.c.pair, rate.c.rate)
        .where(rate.c.company == company, rate.c.on <= on)
        .ext(distinct_on(rate.c.pair))
        .order_by(rate.c.pair, rate.c.on.desc())
    )
    return {row.pair: row.rate for row in (await db.execute(query)).all()}


async def configuration_of(db: AsyncConnection, company: str) -> dict[str, Any]:
    """company.configured as it was last read, empty before it."""
    config = metadata.tables["company_config"]
    return await db.scalar(sa.select(config.c.body).where(config.c.company == company)) or {}
