"""The life of a submission: noted, staged by COPY, accepted in one row or rejected whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg

STAGED_COLUMNS = ("submission_id", "rank", "position", "group_no", "kind", "place", "body", "line_key", "nth")
INTAKE_LOCK_SPACE = 7_240_300

TRY_LOCK = "select pg_try_advisory_lock($1, hashtext($2))"
UNLOCK = "select pg_advisory_unlock($1, hashtext($2))"
NOTE_KEY = """
insert into command (command_id, body_sha256) values ($1, $2) on conflict do nothing returning command_id
"""
KEY_BODY = "select body_sha256 from command where command_id = $1"
STATE = "select state from submission where submission_id = $1"
SAME_CONTENT = """
select s.submission_id from submission s
where s.company = $1 and s.sha256 = $2 and s.state in ('accepted', 'done')
  and not (s.master_data and exists (select from submission o where o.company = s.company and o.master_data
           and o.number > s.number and o.state in ('accepted', 'done') and o.sha256 <> s.sha256))
  and not exists (select from bank_statement b where b.company = s.company and b.submission_id = s.submission_id
                  and b.state = 'refused' and b.code <> 'tried_again')
order by s.number limit 1
"""
TIMES_TAKEN = """
select count(*) from submission where company = $1 and actor = $2 and sha256 = $3 and idempotency_key = ''
  and state in ('accepted', 'done')
"""
BEGIN = """
insert into submission (submission_id, company, actor, idempotency_key, sha256, content_type, file_name, bytes, state,
    business_date, received_at, known_at, traceparent)
values ($1, $2, $3, $4, $5, $6, $7, $8, 'receiving', $9, $10, $11, $12)
on conflict (submission_id) do update set state = 'receiving', content_type = excluded.content_type,
    file_name = excluded.file_name, code = '', place = '', reason = '', received_at = excluded.received_at,
    known_at = excluded.known_at, business_date = excluded.business_date, traceparent = excluded.traceparent
"""
DROP_STAGED = "delete from staged_record where submission_id = $1"
ACCEPT = """
update submission set state = case when $3 = 0 then 'done' else 'accepted' end, format = $2, records = $3, staged = $3,
    master_data = $4, bank_from_on = $5, done_at = case when $3 = 0 then known_at end
where submission_id = $1 and state = 'receiving'
"""
REJECT = """
update submission set state = 'rejected', format = $2, code = $3, place = $4, reason = $5
where submission_id = $1 and state = 'receiving'
"""
# Statements that are booked already go first, so that the next head is decided beside their lines: those begun, and
# what a release put into the queue.
NEXT = """
select submission_id, company, actor, known_at, business_date, traceparent,
    (select coalesce(sum(value::int), 0) from jsonb_each_text(counts)) as decided
from submission
where company = $1 and state = 'accepted' and code <> 'stuck'
order by (groups <> '{}' or (format = 'release' and bank_from_on is not null)) desc, number limit 1 for update
"""
WAITING_COMPANIES = """
select distinct company from submission where state = 'accepted' and code <> 'stuck' order by company
"""
# A stuck submission is a parked key too: that is where figures, operators and redrive look.
MARK_STUCK = """
with stuck as (
    update submission set code = 'stuck', reason = $2 where submission_id = $1 and state = 'accepted' returning company)
insert into parked_key (key, company, account_id, code, error)
select company || '/submission/' || $1::uuid, company, null, 'stuck', $2 from stuck
on conflict (key) do update set error = excluded.error
"""
TRY_AGAIN = """
with again as (
    update submission set code = '', reason = ''
    where state = 'accepted' and code = 'stuck' and ($1::uuid is null or submission_id = $1)
    returning company || '/submission/' || submission_id as key),
freed as (delete from parked_key using again where parked_key.key = again.key)
select count(*) from again
"""


@dataclass(frozen=True, slots=True)
class NewSubmission:
    """What is known of a submission before its content is read. `known_at` is the instant at the door; `traceparent`
    is the request's own, empty where it had none."""

    submission_id: UUID
    company: str
    actor: str
    idempotency_key: str
    sha256: str
    content_type: str
    file_name: str
    size: int
    business_date: date
    received_at: datetime
    known_at: datetime
    traceparent: str = ""


async def lock(db: asyncpg.Connection, submission_id: UUID) -> bool:
    """Take the session's lock on a submission; False when another process reads it now."""
    return await db.fetchval(TRY_LOCK, INTAKE_LOCK_SPACE, str(submission_id))


async def unlock(db: asyncpg.Connection, submission_id: UUID) -> None:
    """Give the session's lock back. When that fails the connection goes, and the lock with it: connections return to
    the pool as they are."""
    try:
        await db.fetchval(UNLOCK, INTAKE_LOCK_SPACE, str(submission_id))
    except BaseException:
        db.terminate()
        raise


async def key_is_free(db: asyncpg.Connection, command: UUID, sha256: str) -> bool:
    """Note an Idempotency-Key with its body; False when the key was used with another one."""
    if await db.fetchval(NOTE_KEY, command, sha256) is not None:
        return True
    return await db.fetchval(KEY_BODY, command) == sha256


async def known_as(db: asyncpg.Connection, submission: NewSubmission) -> UUID | None:
    """The submission that already brought this content, or this very one when it was accepted before.

    Content counts as known as long as it says nothing new: master data go back to an earlier state when newer ones
    came in between, and a statement that was refused is decided anew.
    """
    if await db.fetchval(STATE, submission.submission_id) in ("accepted", "done"):
        return submission.submission_id
    return await db.fetchval(SAME_CONTENT, submission.company, submission.sha256)


async def times_taken(db: asyncpg.Connection, company: str, actor: str, sha256: str) -> int:
    """How often this content was accepted from the actor without a key."""
    return await db.fetchval(TIMES_TAKEN, company, actor, sha256)


async def begin(db: asyncpg.Connection, s: NewSubmission) -> None:
    """Note the submission as being read, and drop what an interrupted reading left."""
    async with db.transaction():
        await db.execute(
            BEGIN, s.submission_id, s.company, s.actor, s.idempotency_key, s.sha256, s.content_type, s.file_name,
            s.size, s.business_date, s.received_at, s.known_at, s.traceparent,
        )  # fmt: skip
        await db.execute(DROP_STAGED, s.submission_id)


async def stage(db: asyncpg.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add staged records by COPY; nobody sees them before the submission is accepted."""
    await db.copy_records_to_table("staged_record", records=rows, columns=STAGED_COLUMNS)


async def accept(
    db: asyncpg.Connection,
    submission_id: UUID,
    format_name: str,
    records: int,
    master_data: bool,
    bank_from_on: date | None,
) -> None:
    await db.execute(ACCEPT, submission_id, format_name, records, master_data, bank_from_on)


async def reject(
    db: asyncpg.Connection, submission_id: UUID, format_name: str, code: str, place: str, reason: str
) -> None:
    """Nothing half taken: the staged records go with the verdict."""
    async with db.transaction():
        await db.execute(DROP_STAGED, submission_id)
        await db.execute(REJECT, submission_id, format_name, code, place, reason[:2_000])


async def next_accepted(db: asyncpg.Connection, company: str) -> asyncpg.Record | None:
    """The accepted submission of a company that is to be written next, locked: booked heads first, then by age."""
    return await db.fetchrow(NEXT, company)


async def mark_stuck(db: asyncpg.Connection, submission_id: UUID, reason: str) -> None:
    """Pass a submission over: it stays accepted, caps the reach and is named in every tick until it is written."""
    await db.execute(MARK_STUCK, submission_id, reason[:2_000])


async def try_again(db: asyncpg.Connection, submission_id: UUID | None = None) -> int:
    """Put a stuck submission, or every one, back into the queue; returns how many."""
    return await db.fetchval(TRY_AGAIN, submission_id)


async def waiting_companies(db: asyncpg.Connection) -> list[str]:
    return [row["company"] for row in await db.fetch(WAITING_COMPANIES)]
