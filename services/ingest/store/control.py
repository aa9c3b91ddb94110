"""Drafts and approvals, held-back records, held statements; and the way back into the queue for what is released."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from services.ingest.domain.configuring import Draft
from services.ingest.domain.known import Known, Quarantined, StatementRow
from services.ingest.domain.releasing import HeldStatement, StatementRelease, release_id
from services.ingest.store import bank
from services.ingest.store.chunks import quarantined_of
from shared.approval import ApprovalRequest, Approved

if TYPE_CHECKING:
    from shared.events.codec import Event

POLICY_KNOWN = """
select exists (select from policy_version where company = $1 and name = $2 and version = $3)
    or exists (select from policy_draft d join approval a on a.company = d.company and a.id = d.draft_id
               where d.company = $1 and d.name = $2 and d.version = $3 and a.outcome in ('pending', 'approved'))
"""
ADD_DRAFT = """
insert into policy_draft (company, draft_id, name, version, sha256, content, effective_on, proposed_by, proposed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
ADD_REQUEST = """
insert into approval (company, id, kind, subject_id, body_hash, customer_id, reason_code, requested_by,
    requested_on_behalf_of, requested_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
DECIDE = """
update approval set outcome = 'approved', decided_by = $3, decided_on_behalf_of = $4, decided_at = $5
where company = $1 and id = $2
"""
DRAFT = """
select d.draft_id, d.company, d.name, d.version, d.sha256, d.content, d.effective_on, d.proposed_by, d.proposed_at,
    a.body_hash, a.requested_by, a.requested_on_behalf_of, a.requested_at, a.outcome, a.subject_id, a.kind
from policy_draft d join approval a on a.company = d.company and a.id = d.draft_id
where d.company = $1 and d.draft_id = $2 for update of a
"""
QUARANTINED = """
select record_id, kind, subject, code, reason, state, times, account_id, amount_minor, currency, hints
from quarantined_record where company = $1 and record_id = $2 for update
"""
HELD = """
select statement_id, bank_account, number, from_on, to_on, opening_minor, closing_minor, credits_minor, debits_minor,
    lines, state, mode, segment, covers, chained, submission_id, printed_id, currency, code, reason, times, gap, head,
    head -> 'days' as days
from bank_statement where company = $1 and statement_id = $2 for update
"""
BANK_ACCOUNT = "select bank_account from bank_statement where company = $1 and statement_id = $2"
# Lines of another booked statement may wait to be written, and its own may wait to be kept.
EQUAL_HELD_LINES = """
select exists (select from submission where submission_id = $4 and state = 'accepted')
    or exists (select from held_line h where h.statement_id = $2 and h.line_key <> '' and (
        exists (select from bank_line b where b.company = $1 and b.bank_account = $3 and b.line_key = h.line_key
                and b.booked)
        or h.line_key in (
            select r.line_key from submission w join staged_record r using (submission_id)
            join bank_statement b
                on b.statement_id = coalesce(nullif(r.statement_id, ''), w.groups ->> r.group_no::text)
            where w.company = $1 and w.state = 'accepted' and (w.groups <> '{}' or w.format = 'release')
              and b.bank_account = $3 and b.state = 'booked')))
"""
ADD_SUBMISSION = """
insert into submission (submission_id, company, actor, idempotency_key, sha256, bytes, format, state, records, staged,
    business_date, received_at, known_at, bank_from_on)
values ($1, $2, $3, $4, '', 0, 'release', 'accepted', $5, $5, $6, $7, $7, $8)
"""
RETRY = """
with taken as (
    update quarantined_record set state = 'retrying'
    where company = $2 and state = 'open' and (record_id = any($3::uuid[]) or waits_for = any($4::text[]))
    returning record_id, number, kind, place, body, statement_id, line),
numbered as (select *, row_number() over (order by number) as n from taken)
insert into staged_record (submission_id, rank, position, group_no, kind, place, body, line_key, nth, record_id,
    statement_id)
select $1, 1, n, 0, kind, place, body, coalesce(line ->> 'line_key', ''), coalesce((line ->> 'nth')::int, 0),
    record_id, statement_id
from numbered
"""
RESTAGE_LINES = """
with taken as (delete from held_line where statement_id = $2 returning position, place, body, line_key, nth)
insert into staged_record (submission_id, rank, position, group_no, kind, place, body, line_key, nth, statement_id)
select $1, 1, position, 0, 'bank_line', place, body, line_key, nth, $3 from taken
"""
RESTAGE_HEAD = """
insert into staged_record (submission_id, rank, position, group_no, kind, place, body)
select $1, 0, 0, 0, 'statement', 'release', head::text from bank_statement where statement_id = $2
"""


async def policy_known(db: asyncpg.Connection, company: str, name: str, version: str) -> bool:
    return await db.fetchval(POLICY_KNOWN, company, name, version)


async def save_draft(db: asyncpg.Connection, draft: Draft, request: ApprovalRequest) -> None:
    await db.execute(
        ADD_DRAFT, draft.company, draft.draft_id, draft.name, draft.version, draft.sha256, draft.content,
        draft.effective_on, draft.proposed_by, draft.proposed_at,
    )  # fmt: skip
    await db.execute(
        ADD_REQUEST, request.company, request.id, request.kind, request.subject_id, request.body_hash,
        request.customer_id, request.reason_code, request.requested_by, request.requested_on_behalf_of,
        request.requested_at,
    )  # fmt: skip


async def save_decision(db: asyncpg.Connection, request: ApprovalRequest, decision: Approved) -> None:
    await db.execute(
        DECIDE, request.company, request.id, decision.decided_by, decision.decided_on_behalf_of, decision.decided_at
    )


async def load_draft(db: asyncpg.Connection, company: str, draft_id: UUID) -> tuple[Draft, ApprovalRequest] | None:
    row = await db.fetchrow(DRAFT, company, draft_id)
    if row is None:
        return None
    draft = Draft(
        row["draft_id"], company, row["name"], row["version"], row["sha256"], row["content"], row["effective_on"],
        row["proposed_by"], row["proposed_at"],
    )  # fmt: skip
    request = ApprovalRequest(
        id=row["draft_id"],
        company=company,
        kind=row["kind"],
        subject_id=row["subject_id"],
        body_hash=row["body_hash"],
        customer_id="",
        reason_code="",
        amount_minor=None,
        currency=None,
        requested_by=row["requested_by"],
        requested_at=row["requested_at"],
        requested_on_behalf_of=row["requested_on_behalf_of"],
        outcome=row["outcome"],
    )
    return draft, request


async def load_quarantined(db: asyncpg.Connection, company: str, record_id: UUID) -> Quarantined | None:
    row = await db.fetchrow(QUARANTINED, company, record_id)
    return quarantined_of(row) if row is not None else None


async def load_statement(db: asyncpg.Connection, company: str, statement_id: str) -> HeldStatement | None:
    """A statement with its account's chain and what is booked around it. The chain is locked first, as by chunks."""
    bank_account = await db.fetchval(BANK_ACCOUNT, company, statement_id)
    known = Known()
    if bank_account:
        await bank.load_chains(db, company, known, [bank_account])
    row = await db.fetchrow(HELD, company, statement_id)
    if row is None:
        return None
    found = bank.statement_of(row)
    equal_lines = False
    if bank_account:
        span = (bank_account, found.statement.from_on, found.statement.to_on)
        await bank.load_around(db, company, known, [span])
        equal_lines = await db.fetchval(EQUAL_HELD_LINES, company, statement_id, bank_account, found.submission_id)
    known.statements[statement_id] = found
    kept = StatementRow(found, row["printed_id"], row["currency"], row["gap"], row["head"])
    return HeldStatement(kept, known, equal_lines)


async def restage_records(
    db: asyncpg.Connection, company: str, cause: "Event", record_ids: Sequence[UUID], waits_for: Sequence[str]
) -> None:
    """Put held-back records into the queue again, by id or by what they wait for, as a submission of their own."""
    envelope = cause.envelope
    submission_id = release_id(envelope.id)
    done = await db.execute(RETRY, submission_id, company, list(record_ids), list(waits_for))
    count = int(done.rpartition(" ")[2])
    if count:
        await _add_submission(db, company, cause, submission_id, count, None)


async def _add_submission(
    db: asyncpg.Connection, company: str, cause: "Event", submission_id: UUID, count: int, bank_from_on: object
) -> None:
    envelope = cause.envelope
    key = f"release/{envelope.id}/{submission_id}"
    await db.execute(
        ADD_SUBMISSION, submission_id, company, envelope.actor, key, count, envelope.business_date,
        envelope.known_at, bank_from_on,
    )  # fmt: skip


async def restage_statement(db: asyncpg.Connection, company: str, cause: "Event", release: StatementRelease) -> None:
    """Put a statement's kept lines into the queue, with its head where that is to be decided again."""
    submission_id = release.context.submission_id
    bound = "" if release.head_again else release.statement_id
    done = await db.execute(RESTAGE_LINES, submission_id, release.statement_id, bound)
    count = int(done.rpartition(" ")[2])
    if release.head_again:
        await db.execute(RESTAGE_HEAD, submission_id, release.statement_id)
        count += 1
    await _add_submission(db, company, cause, submission_id, count, release.bank_from_on)
