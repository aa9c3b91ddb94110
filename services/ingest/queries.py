"""The read side of the API: receipts, outcomes, held-back records, statements, policies, reach."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest import tables as t

Row = sa.RowMapping
PROBLEM_OUTCOMES = ("quarantined", "held")
LEFT_OUT = ("statement_refused",)
PROBLEMS_SHOWN = 20


async def _all(engine: AsyncEngine, query: sa.Select[Any]) -> Sequence[Row]:
    async with engine.connect() as connection:
        return (await connection.execute(query)).mappings().all()


async def submission(engine: AsyncEngine, company: str, submission_id: UUID) -> Row | None:
    found = t.submission.c
    query = sa.select(t.submission).where(found.submission_id == submission_id, found.company == company)
    return next(iter(await _all(engine, query)), None)


async def submissions(engine: AsyncEngine, company: str, after: int | None, limit: int) -> Sequence[Row]:
    """Newest first, behind the number `after`."""
    found = t.submission.c
    query = sa.select(t.submission).where(found.company == company).order_by(found.number.desc()).limit(limit)
    return await _all(engine, query.where(found.number < after) if after is not None else query)


async def outcomes(
    engine: AsyncEngine, submission_id: UUID, after: int | None, limit: int, only: Sequence[str] = ()
) -> Sequence[Row]:
    """Outcomes of records by position; `only` keeps some of the outcomes."""
    found = t.record_outcome.c
    query = (
        sa.select(t.record_outcome).where(found.submission_id == submission_id).order_by(found.position).limit(limit)
    )
    if only:
        query = query.where(found.outcome.in_(only))
    return await _all(engine, query.where(found.position > after) if after is not None else query)


async def problems(engine: AsyncEngine, submission_id: UUID) -> Sequence[Row]:
    """What was not taken: records with a reason of their own first, then lines that share that of their statement."""
    found = t.record_outcome.c
    with_statement = sa.and_(found.kind == "bank_line", found.outcome != "quarantined")
    query = (
        sa.select(t.record_outcome)
        .where(found.submission_id == submission_id)
        .where(sa.or_(found.outcome.in_(PROBLEM_OUTCOMES), found.code.in_(LEFT_OUT)))
        .order_by(with_statement, found.position)
        .limit(PROBLEMS_SHOWN)
    )
    return await _all(engine, query)


async def quarantined(engine: AsyncEngine, company: str, state: str, after: int | None, limit: int) -> Sequence[Row]:
    found = t.quarantined_record.c
    query = (
        sa.select(t.quarantined_record)
        .where(found.company == company, found.state == state)
        .order_by(found.number)
        .limit(limit)
    )
    return await _all(engine, query.where(found.number > after) if after is not None else query)


async def quarantined_one(engine: AsyncEngine, company: str, record_id: UUID) -> Row | None:
    found = t.quarantined_record.c
    query = sa.select(t.quarantined_record).where(found.company == company, found.record_id == record_id)
    return next(iter(await _all(engine, query)), None)


async def statements(
    engine: AsyncEngine, company: str, state: str | None, after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row]:
    found = t.bank_statement.c
    query = (
        sa.select(t.bank_statement)
        .where(found.company == company)
        .order_by(found.to_on.desc(), found.statement_id.desc())
        .limit(limit)
    )
    if state:
        query = query.where(found.state == state)
    if after:
        query = query.where(sa.tuple_(found.to_on, found.statement_id) < sa.tuple_(*map(sa.literal, after)))
    return await _all(engine, query)


async def policies(engine: AsyncEngine, company: str, after: tuple[Any, ...] | None, limit: int) -> Sequence[Row]:
    draft, decided = t.policy_draft.c, t.approval.c
    query = (
        sa.select(t.policy_draft, decided.outcome, decided.decided_by)
        .join(t.approval, sa.and_(decided.company == draft.company, decided.id == draft.draft_id))
        .where(draft.company == company)
        .order_by(draft.proposed_at.desc(), draft.draft_id)
        .limit(limit)
    )
    if after:
        at, draft_id = after
        older = sa.or_(draft.proposed_at < at, sa.and_(draft.proposed_at == at, draft.draft_id > draft_id))
        query = query.where(older)
    return await _all(engine, query)


async def reaches(engine: AsyncEngine, company: str) -> dict[str, Any]:
    found = t.bank_reach.c
    query = sa.select(found.bank_account, found.complete_through_on).where(found.company == company)
    return {row["bank_account"]: row["complete_through_on"] for row in await _all(engine, query)}


async def company(engine: AsyncEngine, name: str) -> dict[str, Any] | None:
    config = t.metadata.tables["company_config"]
    rows = await _all(engine, sa.select(config.c.body).where(config.c.company == name))
    return rows[0]["body"] if rows else None
