"""Reads of the API: notices, deliveries, counts of what was withheld. Every query names one company."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifications.tables import effect, gate_record, notice

JUDGEMENTS_MAX = 50
REASON_CODES_MAX = 100


async def notices(
    db: AsyncConnection,
    company: str,
    *,
    status: str | None,
    account_id: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[sa.RowMapping]:
    """Newest first: by decided_on and notice_id, behind `after`."""
    query = sa.select(notice).where(notice.c.company == company)
    if status:
        query = query.where(notice.c.status == status)
    if account_id:
        query = query.where(notice.c.account_id == account_id)
    if after:
        query = query.where(sa.tuple_(notice.c.decided_on, notice.c.notice_id) < sa.tuple_(*after))
    query = query.order_by(notice.c.decided_on.desc(), notice.c.notice_id.desc()).limit(limit)
    return list((await db.execute(query)).mappings())


async def notice_by_id(db: AsyncConnection, company: str, notice_id: UUID) -> sa.RowMapping | None:
    query = sa.select(notice).where(notice.c.company == company, notice.c.notice_id == notice_id)
    return (await db.execute(query)).mappings().first()


async def judgements(db: AsyncConnection, company: str, subject_id: UUID) -> list[sa.RowMapping]:
    """Judgements of one notice or delivery in their order."""
    query = (
        sa.select(gate_record)
        .where(gate_record.c.company == company, gate_record.c.subject_id == subject_id)
        .order_by(gate_record.c.claim)
        .limit(JUDGEMENTS_MAX)
    )
    return list((await db.execute(query)).mappings())


async def effects(
    db: AsyncConnection,
    company: str,
    *,
    status: str | None,
    account_id: str | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[sa.RowMapping]:
    """By hold and version, behind `after`."""
    query = sa.select(effect).where(effect.c.company == company)
    if status:
        query = query.where(effect.c.status == status)
    if account_id:
        query = query.where(effect.c.account_id == account_id)
    if after:
        query = query.where(sa.tuple_(effect.c.hold_id, effect.c.version) > sa.tuple_(*after))
    query = query.order_by(effect.c.hold_id, effect.c.version).limit(limit)
    return list((await db.execute(query)).mappings())


async def withheld(
    db: AsyncConnection, company: str, from_on: date | None, to_on: date | None
) -> tuple[int, list[sa.RowMapping]]:
    """Number of withheld notices decided in the days given, and how many name each reason."""
    chosen = sa.and_(notice.c.company == company, notice.c.status == "withheld")
    if from_on:
        chosen = sa.and_(chosen, notice.c.decided_on >= from_on)
    if to_on:
        chosen = sa.and_(chosen, notice.c.decided_on <= to_on)
    total = (await db.execute(sa.select(sa.func.count()).select_from(notice).where(chosen))).scalar_one()
    reason = sa.func.jsonb_array_elements(notice.c.reasons).table_valued(sa.column("value", JSONB)).lateral()
    code = reason.c.value["code"].astext.label("code")
    count = sa.func.count(sa.distinct(notice.c.notice_id)).label("notices")
    query = (
        sa.select(code, count)
        .select_from(notice.join(reason, sa.true()))
        .where(chosen)
        .group_by(code)
        .order_by(count.desc(), code)
        .limit(REASON_CODES_MAX)
    )
    return total, list((await db.execute(query)).mappings())


async def pending(db: AsyncConnection, company: str, until: datetime, number: int) -> int:
    """What is due and not yet judged; the same rule as the day's work (`store.count_pending`)."""
    waiting = sa.select(sa.func.count()).where(
        notice.c.company == company,
        sa.or_(
            notice.c.status == "sending",
            sa.and_(
                notice.c.status == "requested",
                notice.c.not_before_at <= until,
                notice.c.judged_at_number < number,
                notice.c.next_try_at.is_(None),
            ),
        ),
    )
    unsent = sa.select(sa.func.count()).where(
        effect.c.company == company,
        effect.c.status == "due",
        effect.c.next_try_at.is_(None),
        sa.or_(
            ~effect.c.gated,
            sa.and_(effect.c.from_at <= until, effect.c.judged_at_number < number, effect.c.read_at_number < number),
        ),
    )
    return (await db.execute(waiting)).scalar_one() + (await db.execute(unsent)).scalar_one()
