"""Lists of the API: promises, disputes, holds, notices, receipts, reconciliation rows, exceptions. Keyset pages.

Every query names one company; `after` are the key values of the last row before the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.domain.ratios import WithheldCount, withheld_by_reason
from services.reporting.tables import (
    account,
    application,
    application_reversal,
    candidate,
    day_snapshot,
    dispute,
    document,
    effect,
    hold,
    item,
    metadata,
    notice,
    payment,
    payment_part,
    promise,
    quarantine,
    receipt,
    reconciliation,
    statement,
    statement_gap,
    suggestion,
)

After = Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class Window:
    """Days from..to (both inclusive, None: open) and one account, where a list is asked for that."""

    from_on: date | None = None
    to_on: date | None = None
    account_id: str | None = None
    status: str | None = None


async def _rows(db: AsyncConnection, query: sa.Select) -> list[sa.RowMapping]:
    return list((await db.execute(query)).mappings())


def _windowed(query: sa.Select, table: sa.Table, day: sa.ColumnElement, window: Window) -> sa.Select:
    if window.from_on:
        query = query.where(day >= window.from_on)
    if window.to_on:
        query = query.where(day <= window.to_on)
    if window.account_id:
        query = query.where(table.c.account_id == window.account_id)
    if window.status:
        query = query.where(table.c.status == window.status)
    return query


def _with_name(table: sa.Table, *columns: sa.ColumnElement) -> sa.Select:
    own = sa.and_(account.c.company == table.c.company, account.c.account_id == table.c.account_id)
    name = sa.func.coalesce(account.c.name, "").label("account_name")
    return sa.select(*(columns or table.c), name).select_from(table.outerjoin(account, own))


def _page(query: sa.Select, keys: Sequence[sa.ColumnElement], after: After, limit: int, newest: bool) -> sa.Select:
    if after:
        mine, theirs = sa.tuple_(*keys), sa.tuple_(*after)
        query = query.where(mine < theirs if newest else mine > theirs)
    return query.order_by(*(key.desc() if newest else key for key in keys)).limit(limit)


def _cash_waits() -> sa.ColumnElement[bool]:
    """A promise was not kept, while cash of the account from its time lies on no item, or cash may be the account's."""
    p, part, c = promise, payment_part, candidate
    own = (
        sa.select(sa.literal(1))
        .select_from(
            part.join(payment, sa.and_(payment.c.company == part.c.company, payment.c.payment_id == part.c.payment_id))
        )
        .where(
            part.c.company == p.c.company,
            part.c.account_id == p.c.account_id,
            part.c.currency == p.c.currency,
            sa.or_(part.c.unapplied_minor > 0, part.c.on_account_minor > 0),
            payment.c.valued_on >= p.c.taken_on,
        )
    )
    perhaps = sa.select(sa.literal(1)).where(
        c.c.company == p.c.company,
        c.c.account_id == p.c.account_id,
        c.c.currency == p.c.currency,
        c.c.live,
        c.c.since_on >= p.c.taken_on,
    )
    return sa.and_(p.c.status.in_(("broken", "partly_kept")), sa.or_(own.exists(), perhaps.exists()))


async def promises(db: AsyncConnection, company: str, window: Window, after: After, limit: int) -> list[sa.RowMapping]:
    """By due date, newest first."""
    columns = (*promise.c, _cash_waits().label("cash_waits"))
    query = _windowed(_with_name(promise, *columns), promise, promise.c.due_on, window)
    query = query.where(promise.c.company == company)
    return await _rows(db, _page(query, (promise.c.due_on, promise.c.promise_id), after, limit, newest=True))


async def promises_due_next(db: AsyncConnection, company: str, limit: int) -> list[sa.RowMapping]:
    """Open promises, the earliest due first."""
    query = _with_name(promise).where(promise.c.company == company, promise.c.status == "open")
    return await _rows(db, query.order_by(promise.c.due_on, promise.c.promise_id).limit(limit))


async def promise_outcomes(db: AsyncConnection, company: str, window: Window) -> list[sa.RowMapping]:
    """Counts and sums by status and currency of promises due in the window; `cash_waits` as on each promise."""
    p = promise
    received = sa.cast(sa.func.sum(sa.func.least(p.c.received_minor, p.c.amount_minor)), sa.BigInteger)
    query = sa.select(
        p.c.status,
        p.c.currency,
        sa.func.count().label("promises"),
        sa.cast(sa.func.sum(p.c.amount_minor), sa.BigInteger).label("amount_minor"),
        received.label("received_minor"),
        sa.func.count().filter(_cash_waits()).label("cash_waits"),
    ).where(p.c.company == company)
    return await _rows(db, _windowed(query, p, p.c.due_on, window).group_by(p.c.status, p.c.currency))


async def disputes(db: AsyncConnection, company: str, window: Window, after: After, limit: int) -> list[sa.RowMapping]:
    """By opening date, newest first."""
    own = sa.and_(item.c.company == dispute.c.company, item.c.item_id == dispute.c.item_id)
    number = sa.func.coalesce(item.c.number, "").label("number")
    names = sa.and_(account.c.company == dispute.c.company, account.c.account_id == dispute.c.account_id)
    query = sa.select(*dispute.c, number, sa.func.coalesce(account.c.name, "").label("account_name")).select_from(
        dispute.outerjoin(item, own).outerjoin(account, names)
    )
    query = _windowed(query, dispute, dispute.c.opened_on, window).where(dispute.c.company == company)
    return await _rows(db, _page(query, (dispute.c.opened_on, dispute.c.dispute_id), after, limit, newest=True))


def _confirmed() -> sa.Subquery:
    """Per hold the highest version that the access system confirmed."""
    return (
        sa.select(
            effect.c.company,
            effect.c.subject_id,
            sa.func.max(effect.c.version).label("confirmed_version"),
            sa.func.max(effect.c.answered_at).label("confirmed_at"),
        )
        .where(effect.c.confirmed, effect.c.of == "hold")
        .group_by(effect.c.company, effect.c.subject_id)
        .subquery("confirmed_hold")
    )


async def holds(db: AsyncConnection, company: str, window: Window, after: After, limit: int) -> list[sa.RowMapping]:
    """Newest first. `in_force`: ordered, confirmed, and the lease of the confirmation runs at the last tick.

    `lapsed`: confirmed once, but the lease has ended; access systems then restore access by themselves. `unconfirmed`:
    this version was not confirmed yet.
    """
    told = _confirmed()
    clock = metadata.tables["business_clock"]
    ends_at = told.c.confirmed_at + sa.func.make_interval(0, 0, 0, 0, 0, 0, hold.c.lease_s)
    ended = sa.func.coalesce(ends_at <= sa.select(sa.func.max(clock.c.at)).scalar_subquery(), False)
    version = sa.func.coalesce(told.c.confirmed_version, 0)
    live = hold.c.status.in_(("ordered", "renewed"))
    names = sa.and_(account.c.company == hold.c.company, account.c.account_id == hold.c.account_id)
    joined = hold.outerjoin(told, sa.and_(told.c.company == hold.c.company, told.c.subject_id == hold.c.hold_id))
    query = sa.select(
        *hold.c,
        sa.func.coalesce(account.c.name, "").label("account_name"),
        version.label("confirmed_version"),
        told.c.confirmed_at,
        sa.and_(live, version > 0, ~ended).label("in_force"),
        sa.and_(live, version > 0, ended).label("lapsed"),
        sa.and_(hold.c.status.in_(("ordered", "renewed", "lifted")), version < hold.c.version).label("unconfirmed"),
    ).select_from(joined.outerjoin(account, names))
    query = _windowed(query, hold, hold.c.business_date, window).where(hold.c.company == company)
    return await _rows(db, _page(query, (hold.c.business_date, hold.c.hold_id), after, limit, newest=True))


async def notices(db: AsyncConnection, company: str, window: Window, after: After, limit: int) -> list[sa.RowMapping]:
    """By the day on which it was decided (or its outcome, where the request is not known), newest first."""
    day = sa.func.coalesce(notice.c.decided_on, notice.c.outcome_on)
    query = _windowed(_with_name(notice, *notice.c, day.label("day")), notice, day, window)
    query = query.where(notice.c.company == company, day.is_not(None))
    return await _rows(db, _page(query, (day, notice.c.notice_id), after, limit, newest=True))


async def withheld(
    db: AsyncConnection, company: str, window: Window
) -> tuple[list[sa.RowMapping], list[WithheldCount]]:
    """Outcomes by status; and per reason how many notices name it, and how many name it alone."""
    day = notice.c.outcome_on
    chosen = _windowed(sa.select(notice.c.notice_id), notice, day, window).where(notice.c.company == company)
    by_status = sa.select(notice.c.status, sa.func.count().label("notices")).where(
        notice.c.company == company, notice.c.notice_id.in_(chosen)
    )
    codes = sa.func.jsonb_path_query_array(notice.c.reasons, sa.cast("$[*].code", JSONPATH), type_=JSONB).label("codes")
    alike = sa.select(codes, sa.func.count().label("notices")).where(
        notice.c.company == company, notice.c.status == "withheld", notice.c.notice_id.in_(chosen)
    )
    combinations = await _rows(db, alike.group_by(codes))
    by_reason = withheld_by_reason((row["codes"], row["notices"]) for row in combinations)
    return await _rows(db, by_status.group_by(notice.c.status)), by_reason


async def cash_received(
    db: AsyncConnection,
    company: str,
    window: Window,
    after: After,
    limit: int,
    come_by_on: date | None = None,
) -> list[sa.RowMapping]:
    """Credits by day of booking, bank account and currency, oldest first; `come_by_on`: those known by then."""
    total = sa.cast(sa.func.sum(receipt.c.amount_minor), sa.BigInteger).label("amount_minor")
    keys = (receipt.c.accounted_on, receipt.c.bank_account, receipt.c.currency)
    query = sa.select(*keys, sa.func.count().label("payments"), total).where(receipt.c.company == company)
    query = query.where(receipt.c.business_date <= come_by_on) if come_by_on else query
    query = _windowed(query, receipt, receipt.c.accounted_on, window).group_by(*keys)
    return await _rows(db, _page(query, keys, after, limit, newest=False))


async def cash_by_kind(db: AsyncConnection, company: str, account_id: str) -> list[sa.RowMapping]:
    """What relieved the account's debit items, by funding and currency, largest first."""
    part = sa.func.jsonb_each_text(item.c.relief).table_valued("key", "value").lateral()
    total = sa.func.sum(sa.cast(part.c.value, sa.BigInteger))
    query = (
        sa.select(part.c.key.label("kind"), item.c.currency, sa.cast(total, sa.BigInteger).label("amount_minor"))
        .select_from(item.join(part, sa.true()))
        .where(item.c.company == company, item.c.account_id == account_id, item.c.side == "debit")
        .group_by(part.c.key, item.c.currency)
        .having(total != 0)
        .order_by(item.c.currency, total.desc())
    )
    return await _rows(db, query)


async def reconciliations(
    db: AsyncConnection, company: str, window: Window, after: After, limit: int
) -> list[sa.RowMapping]:
    """Rows of closed days, differences first; `agrees` is the first of their keys."""
    r = reconciliation
    agrees = sa.func.coalesce(r.c.difference_minor, 1) == 0
    query = sa.select(r, agrees.label("agrees")).where(r.c.company == company)
    query = _windowed(query, r, r.c.date, window)
    return await _rows(db, _page(query, (agrees, r.c.scope, r.c.currency, r.c.figure), after, limit, newest=False))


async def days(db: AsyncConnection, company: str, window: Window, after: After, limit: int) -> list[sa.RowMapping]:
    """Snapshots, newest first."""
    query = _windowed(sa.select(day_snapshot), day_snapshot, day_snapshot.c.date, window)
    query = query.where(day_snapshot.c.company == company)
    return await _rows(db, _page(query, (day_snapshot.c.date,), after, limit, newest=True))


async def sales_by_month(db: AsyncConnection, company: str, to_on: date) -> list[sa.RowMapping]:
    """Credit sales by month and currency: documents less credit memos and less cancelled invoices."""
    memo = sa.case((document.c.document_type == "credit_memo", -document.c.total_minor), else_=document.c.total_minor)
    sold = sa.select(document.c.currency, document.c.document_on.label("day"), memo.label("minor")).where(
        document.c.company == company, document.c.document_on <= to_on
    )
    gone = metadata.tables["cancellation"]
    cancelled = (
        sa.select(document.c.currency, gone.c.cancelled_on, -document.c.total_minor)
        .select_from(
            gone.join(
                document,
                sa.and_(document.c.company == gone.c.company, document.c.document_id == gone.c.document_id),
            )
        )
        .where(gone.c.company == company, gone.c.cancelled_on <= to_on)
    )
    both = sa.union_all(sold, cancelled).subquery()
    month = sa.cast(sa.func.date_trunc("month", both.c.day), sa.Date).label("month")
    total = sa.cast(sa.func.sum(both.c.minor), sa.BigInteger).label("minor")
    return await _rows(db, sa.select(month, both.c.currency, total).group_by(month, both.c.currency).order_by(month))


async def sales_since(db: AsyncConnection, company: str, after_on: date, to_on: date) -> dict[str, int]:
    """Credit sales by currency of days after `after_on` up to `to_on`."""
    memo = sa.case((document.c.document_type == "credit_memo", -document.c.total_minor), else_=document.c.total_minor)
    gone = metadata.tables["cancellation"]
    sold = sa.select(document.c.currency, memo.label("minor")).where(
        document.c.company == company, document.c.document_on > after_on, document.c.document_on <= to_on
    )
    same = sa.and_(document.c.company == gone.c.company, document.c.document_id == gone.c.document_id)
    cancelled = (
        sa.select(document.c.currency, -document.c.total_minor)
        .select_from(gone.join(document, same))
        .where(gone.c.company == company, gone.c.cancelled_on > after_on, gone.c.cancelled_on <= to_on)
    )
    both = sa.union_all(sold, cancelled).subquery()
    total = sa.cast(sa.func.sum(both.c.minor), sa.BigInteger).label("minor")
    rows = await _rows(db, sa.select(both.c.currency, total).group_by(both.c.currency))
    return {row["currency"]: row["minor"] for row in rows}


async def waiting_cash(db: AsyncConnection, company: str, limit: int) -> list[sa.RowMapping]:
    """Payments with cash that waits (unidentified or unapplied), the largest first."""
    part = (
        sa.select(
            payment_part.c.company,
            payment_part.c.payment_id,
            sa.cast(sa.func.sum(payment_part.c.unapplied_minor), sa.BigInteger).label("unapplied_minor"),
        )
        .where(payment_part.c.company == company, payment_part.c.unapplied_minor > 0)
        .group_by(payment_part.c.company, payment_part.c.payment_id)
        .subquery()
    )
    same = sa.and_(part.c.company == payment.c.company, part.c.payment_id == payment.c.payment_id)
    line = sa.and_(receipt.c.company == payment.c.company, receipt.c.payment_id == payment.c.payment_id)
    names = sa.and_(account.c.company == payment.c.company, account.c.account_id == payment.c.account_id)
    unapplied = sa.func.coalesce(part.c.unapplied_minor, 0)
    suggested = (
        sa.select(sa.func.count())
        .where(suggestion.c.company == company, suggestion.c.payment_id == payment.c.payment_id, suggestion.c.live)
        .scalar_subquery()
    )
    query = (
        sa.select(
            payment.c.payment_id,
            payment.c.account_id,
            sa.func.coalesce(account.c.name, "").label("account_name"),
            payment.c.bank_account,
            payment.c.currency,
            payment.c.amount_minor,
            payment.c.unidentified_minor,
            unapplied.label("unapplied_minor"),
            payment.c.status,
            payment.c.reason_code,
            payment.c.rule,
            payment.c.valued_on,
            receipt.c.payer_name,
            receipt.c.remittance_text,
            suggested.label("suggestions"),
        )
        .select_from(payment.outerjoin(part, same).outerjoin(receipt, line).outerjoin(account, names))
        .where(payment.c.company == company, sa.or_(payment.c.unidentified_minor > 0, unapplied > 0))
        .order_by((payment.c.unidentified_minor + unapplied).desc(), payment.c.payment_id)
        .limit(limit)
    )
    return await _rows(db, query)


async def quarantined(db: AsyncConnection, company: str, limit: int) -> list[sa.RowMapping]:
    """Records that wait for a person, oldest first."""
    q = quarantine
    query = sa.select(q).where(q.c.company == company, ~q.c.released).order_by(q.c.since_on, q.c.record_id)
    return await _rows(db, query.limit(limit))


async def held_statements(db: AsyncConnection, company: str, limit: int) -> list[sa.RowMapping]:
    query = sa.select(statement).where(statement.c.company == company, statement.c.state == "held")
    return await _rows(db, query.order_by(statement.c.from_on, statement.c.statement_id).limit(limit))


async def gaps(db: AsyncConnection, company: str, limit: int) -> list[sa.RowMapping]:
    query = sa.select(statement_gap).where(statement_gap.c.company == company)
    return await _rows(db, query.order_by(statement_gap.c.noticed_on.desc(), statement_gap.c.statement_id).limit(limit))


async def parked_keys(db: AsyncConnection, company: str, limit: int) -> list[sa.RowMapping]:
    """Keys whose events this service could not digest."""
    parked = metadata.tables["parked_key"]
    query = sa.select(parked).where(parked.c.company == company).order_by(parked.c.since_at, parked.c.key)
    return await _rows(db, query.limit(limit))


async def candidates(db: AsyncConnection, company: str, account_id: str, limit: int) -> list[sa.RowMapping]:
    """Cash that evidence connects with an account but that is not applied."""
    c = candidate
    query = sa.select(c).where(c.c.company == company, c.c.account_id == account_id, c.c.live)
    return await _rows(db, query.order_by(c.c.amount_minor.desc(), c.c.candidate_id).limit(limit))


async def applications(db: AsyncConnection, company: str, payment_ids: Sequence[Any]) -> list[sa.RowMapping]:
    """What payments paid, with the reason where it was taken back."""
    back = sa.and_(
        application_reversal.c.company == application.c.company,
        application_reversal.c.posting_id == application.c.posting_id,
    )
    own = sa.and_(item.c.company == application.c.company, item.c.item_id == application.c.item_id)
    query = (
        sa.select(*application.c, item.c.number, application_reversal.c.reason_code.label("taken_back"))
        .select_from(application.outerjoin(application_reversal, back).outerjoin(item, own))
        .where(application.c.company == company, application.c.payment_id.in_(payment_ids))
        .order_by(application.c.business_date, application.c.posting_id, application.c.item_id)
        .limit(2_000)
    )
    return await _rows(db, query)
