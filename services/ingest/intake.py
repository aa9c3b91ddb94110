"""The life of a submission: stored, staged, accepted or rejected whole, then written in chunks.

Invariant: a submission is taken once, whoever sends it how often; a crash at any point is mended by sending it again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from services.ingest.domain.commands import WriteChunk
from services.ingest.domain.days import unwritten_from_on
from services.ingest.formats.records import FormatError
from services.ingest.staging import stage_file
from services.ingest.store import submissions
from services.ingest.store.submissions import NewSubmission
from shared import tracing
from shared.errors import Rejected, Stop
from shared.events.codec import Event
from shared.events.envelope import Envelope
from shared.failure_text import failure_text
from shared.ids import command_id, derive
from shared.runtime import statements as sql
from shared.runtime.effects import Moment
from shared.runtime.transaction import TRANSIENT, apply

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

ROUTE = "submissions"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file at the door, already in the blob store. `key` is the caller's Idempotency-Key, if there was one."""

    company: str
    actor: str
    key: str
    sha256: str
    size: int
    content_type: str
    file_name: str
    may_write: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Taken:
    """Which receipt answers a submission; `known`: its content came before."""

    submission_id: UUID
    known: bool


async def submit(runtime: "Runtime", incoming: Incoming, route: str = ROUTE) -> Taken:
    """Take a file and say which receipt answers it. A file that is refused whole has a receipt as well.

    Raises Rejected: `company_unknown`, `clock_not_started`, `idempotency_conflict`, `submission_in_progress`.
    """
    async with runtime.handler.reading, runtime.pool.acquire() as db:
        submission = await _admit(runtime, db, incoming, route)
        if not await submissions.lock(db, submission.submission_id):
            raise Rejected(
                "submission_in_progress", "this submission is being read now; ask for its receipt in a moment"
            )
        try:
            known = await submissions.known_as(db, submission)
            if known is None:
                await _read(runtime, db, submission, incoming)
            else:
                await submissions.try_again(db, known)
        finally:
            await submissions.unlock(db, submission.submission_id)
    return Taken(known or submission.submission_id, known is not None)


async def at_the_door(runtime: "Runtime", db: asyncpg.Connection, company: str) -> tuple[datetime, date]:
    """Instant and business day for what a company sends now. Raises Rejected `company_unknown`, `clock_not_started`."""
    moment = await runtime.unit.control.moment(db)
    if company not in moment.companies:
        raise Rejected(
            "company_unknown",
            f"company {company!r} is not configured",
            404,
            what_to_do=f"PUT /v1/companies/{company} first",
        )
    return door_time(moment, company, runtime.clock.now(), stream=runtime.settings.clock == "stream")


async def _admit(runtime: "Runtime", db: asyncpg.Connection, incoming: Incoming, route: str) -> NewSubmission:
    known_at, business_date = await at_the_door(runtime, db, incoming.company)
    route = f"POST /v1/companies/{incoming.company}/{route}"
    command = command_id(incoming.actor, route, incoming.key) if incoming.key else None
    if command is not None and not await submissions.key_is_free(db, command, incoming.sha256):
        raise Rejected(
            "idempotency_conflict", "this Idempotency-Key was used with another body; send a new key for a new file"
        )
    return NewSubmission(
        submission_id=command or await _identity(db, incoming),
        company=incoming.company,
        actor=incoming.actor,
        idempotency_key=incoming.key,
        sha256=incoming.sha256,
        content_type=incoming.content_type,
        file_name=incoming.file_name,
        size=incoming.size,
        business_date=business_date,
        received_at=runtime.clock.now(),
        known_at=known_at,
        traceparent=tracing.of_request(),
    )


async def _identity(db: asyncpg.Connection, incoming: Incoming) -> UUID:
    """Identity of a submission without a key: its content, and how often that was taken before.

    So what is sent again after a crash is the same submission, and content that is taken anew is another one.
    """
    times = await submissions.times_taken(db, incoming.company, incoming.actor, incoming.sha256)
    content = ("submission", incoming.company, incoming.actor, incoming.sha256)
    return derive(*content, times) if times else derive(*content)


def door_time(moment: Moment, company: str, now: datetime, *, stream: bool) -> tuple[datetime, date]:
    """Instant and business day at the door: wall clock when live, the last tick in stream mode.

    Raises Rejected `clock_not_started` in stream mode before the first tick.
    """
    if stream and moment.now is None:
        raise Rejected("clock_not_started", "the stream clock has no tick yet; POST /v1/clock first")
    known_at = moment.now if stream and moment.now is not None else now
    at = Moment(now=known_at, companies=moment.companies, closed_on=moment.closed_on)
    business_date = at.business_date(company)
    assert business_date is not None, "a configured company has a business date at every instant"
    return known_at, business_date


async def _read(runtime: "Runtime", db: asyncpg.Connection, submission: NewSubmission, incoming: Incoming) -> None:
    await submissions.begin(db, submission)
    path: Path = runtime.blobs.path(submission.sha256)
    try:
        found = await stage_file(db, submission.submission_id, path, incoming.content_type, incoming.may_write)
    except FormatError as error:
        await submissions.reject(db, submission.submission_id, "", error.code, error.place, error.message)
        runtime.log.warning("submission_rejected", submission_id=str(submission.submission_id), code=error.code)
        return
    company = (await runtime.unit.control.moment(db)).companies[submission.company]
    from_on = unwritten_from_on(company, found.kinds, found.bank_from_on, submission.known_at)
    await submissions.accept(db, submission.submission_id, found.format_name, found.records, found.master_data, from_on)
    runtime.timers_wanted.set()


async def write_chunk(runtime: "Runtime", company: str) -> bool:
    """Write the next chunk of the company's oldest accepted submission. False when there is none.

    A failure that is not of the moment is that of the chunk: its submission is passed over as stuck. Raises what is
    transient.
    """
    row = None
    try:
        async with runtime.pool.acquire() as db, db.transaction():
            await db.execute(sql.LOCK_SHARED)
            row = await submissions.next_accepted(db, company)
            if row is None:
                return False
            moment = await runtime.unit.control.moment(db)
            await apply(db, runtime.unit, [_chunk_event(runtime, row, moment)], moment)
    except BaseException as problem:
        runtime.unit.control.forget()
        if row is None or not isinstance(problem, Exception) or isinstance(problem, (*TRANSIENT, Stop, MemoryError)):
            raise
        await _pass_over(runtime, row["submission_id"], problem)
    runtime.relay_wanted.set()
    return True


async def _pass_over(runtime: "Runtime", submission_id: UUID, problem: Exception) -> None:
    reason = failure_text(problem)
    runtime.log.error("submission_stuck", submission_id=str(submission_id), error=reason)
    async with runtime.pool.acquire() as db:
        await submissions.mark_stuck(db, submission_id, reason)


async def try_stuck_again(runtime: "Runtime") -> int:
    """Put what is stuck back into the queue, once per start of the process; returns how many."""
    async with runtime.pool.acquire() as db:
        return await submissions.try_again(db)


def _chunk_event(runtime: "Runtime", row: asyncpg.Record, moment: Moment) -> Event:
    """The event of a chunk: a file that outlasted its day counts for the open one."""
    submission_id, company = row["submission_id"], row["company"]
    closed = moment.business_date(company)
    envelope = Envelope(
        id=derive("chunk", submission_id, row["decided"]),
        source=runtime.service,
        type="command.write_chunk",
        subject=str(submission_id),
        time=row["known_at"],
        company=company,
        actor=row["actor"],
        business_date=max(row["business_date"], closed) if closed else row["business_date"],
        known_at=row["known_at"],
        correlation_id=submission_id,
        causation_id=submission_id,
        traceparent=row["traceparent"] or tracing.root(submission_id),
    )
    size = runtime.settings.chunk_records
    return Event(envelope, WriteChunk(submission_id=submission_id, size=size), company)


async def write_company(runtime: "Runtime", company: str) -> int:
    """Write everything that is accepted for a company; returns the number of chunks."""
    chunks = 0
    while await write_chunk(runtime, company):
        chunks += 1
    return chunks


async def write_all(runtime: "Runtime") -> int:
    """Write everything that is accepted, company by company."""
    async with runtime.pool.acquire() as db:
        companies = await submissions.waiting_companies(db)
    return sum([await write_company(runtime, company) for company in companies])
