"""Decides what ingest is asked: a chunk of a submission, configuration, policies, releases. Pure but for load and save.

Invariant: every outcome of a chunk is written in the transaction that removes its staged records.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.ingest import store
from services.ingest.domain import commands, configuring, releasing
from services.ingest.domain.inbound import receipt_said
from services.ingest.domain.known import Chunk, Context, Quarantined, Said, Written
from services.ingest.domain.taking import Taking
from services.ingest.store.inbound import STEP_OVER
from shared.approval import ApprovalRequest, Approved
from shared.errors import Poison
from shared.events.catalogue import key_of
from shared.events.codec import Event
from shared.runtime.control import save_control
from shared.runtime.effects import DayWork, Effects, Emission, Moment

FILES_READ_AT_ONCE = 3


@dataclass(slots=True)
class Rows:
    """The write set. Each part is None or empty when the command does not touch it."""

    company: str = ""
    chunk: Chunk | None = None
    written: Written | None = None
    draft: configuring.Draft | None = None
    request: ApprovalRequest | None = None
    approved: tuple[ApprovalRequest, Approved] | None = None
    control: list[Event] = field(default_factory=list)
    retry_records: list[UUID] = field(default_factory=list)
    discarded: tuple[UUID, str] | None = None
    release: releasing.StatementRelease | None = None
    cause: Event | None = None


class IngestHandler:
    """See shared.runtime.effects.Handler. Ingest is given one command at a time.

    `reading` bounds the files that one process reads at once: each holds a connection while it is staged.
    """

    day_parts = 0
    day_phase2 = False
    step_over_sql = STEP_OVER

    def __init__(self) -> None:
        self.reading = asyncio.Semaphore(FILES_READ_AT_ONCE)

    async def load(self, db: Any, events: Sequence[Event], moment: Moment) -> Any:
        return [await _load(db, event, moment) for event in events]

    def decide(self, state: Any, events: Sequence[Event], moment: Moment) -> Effects:
        effects = Effects(rows=[])
        for loaded, event in zip(state, events, strict=True):
            rows = Rows(company=event.company, cause=event)
            effects.reply = _decide(loaded, event, moment, rows, effects)
            effects.rows.append(rows)
        return effects

    async def save(self, db: Any, effects: Effects) -> None:
        for rows in effects.rows:
            await store.save(db, rows)
            if rows.control:
                await save_control(db, rows.control)

    async def totals(self, db: Any, closed: DayWork) -> dict[str, Any]:
        return {}


async def _load(db: Any, event: Event, moment: Moment) -> Any:
    data, company = event.data, event.company
    match data:
        case commands.WriteChunk():
            return await store.load_chunk(db, data.submission_id, data.size, moment.companies[company])
        case commands.ProposePolicy():
            return await store.policy_known(db, company, data.name, data.version)
        case commands.ApprovePolicy():
            return await store.load_draft(db, company, data.draft_id)
        case commands.ReleaseRecord() | commands.DiscardRecord():
            return await store.load_quarantined(db, company, data.record_id)
        case commands.ReleaseStatement():
            return await store.load_statement(db, company, data.statement_id)
    return None


def _decide(loaded: Any, event: Event, moment: Moment, rows: Rows, effects: Effects) -> Any:
    data = event.data
    match data:
        case commands.WriteChunk():
            return _write_chunk(loaded, event, rows, effects)
        case commands.ConfigureCompany():
            configuring.check_company(data.company, moment.companies.get(event.company))
            _control(event, [data.company], rows, effects)
            return {"company": event.company, "bank_accounts": [a.id for a in data.company.bank_accounts]}
        case commands.PublishRates():
            _control(event, data.rates, rows, effects)
            return {"published": len(data.rates)}
        case commands.ProposePolicy():
            rows.draft, rows.request = configuring.draft(data, event.envelope, known=loaded)
            return {"draft_id": str(rows.draft.draft_id), "sha256": data.sha256, "state": "proposed"}
        case commands.ApprovePolicy():
            rows.approved, activated = configuring.activate(data, loaded, event.envelope)
            _control(event, [activated], rows, effects, actor=rows.approved[0].requested_by)
            return {"name": activated.name, "version": activated.version, "state": "activated"}
        case commands.ReleaseRecord():
            rows.retry_records = [releasing.to_retry(loaded, event.company, data.record_id).record_id]
            return {"record_id": str(data.record_id), "state": "retrying"}
        case commands.DiscardRecord():
            return _discard(loaded, event, rows, effects)
        case commands.ReleaseStatement():
            return _release_statement(loaded, event, moment, rows, effects)
    raise Poison(f"ingest has no rule for {event.type}; the API and the handler are of different versions")


def _control(event: Event, facts: Sequence[Any], rows: Rows, effects: Effects, actor: str = "") -> None:
    """Publish control facts and keep them here as well: ingest reads none of its own topics."""
    for fact in facts:
        effects.emit(event, fact, fact.company, actor=actor)
        rows.control.append(Event(event.envelope, fact))


def _write_chunk(chunk: Chunk | None, event: Event, rows: Rows, effects: Effects) -> Any:
    if chunk is None:
        return {"left": False}
    written = Taking(chunk.context, chunk.known).take_all(chunk.records)
    rows.chunk, rows.written = chunk, written
    effects.emissions += [emission(event, said) for said in written.said]
    if chunk.context.feed:
        effects.emissions += [emission(event, receipt_said(chunk.context, row)) for row in written.outcomes]
    return {"left": not chunk.last}


def emission(event: Event, said: Said) -> Emission:
    if said.traceparent:
        event = event._replace(envelope=event.envelope._replace(traceparent=said.traceparent))
    key = said.key or (key_of(event.company, None, said.own_key) if said.own_key else "")
    return Emission(event, said.fact, said.subject, key=key, event_id=said.event_id, topic=said.topic)


def _discard(row: Quarantined | None, event: Event, rows: Rows, effects: Effects) -> Any:
    entry = releasing.to_retry(row, event.company, event.data.record_id)
    rows.discarded = (entry.record_id, "discarded")
    said = releasing.discarded_said(event.company, entry, event.envelope.actor, event.data.reason)
    effects.emissions.append(emission(event, said))
    return {"record_id": str(entry.record_id), "state": "discarded"}


def _release_statement(
    held: releasing.HeldStatement | None, event: Event, moment: Moment, rows: Rows, effects: Effects
) -> Any:
    context = Context(
        submission_id=releasing.release_id(event.envelope.id),
        company=event.company,
        config=moment.companies[event.company],
        business_date=event.envelope.business_date,
    )
    rows.release = releasing.release(held, event.data, context)
    rows.written = rows.release.written
    effects.emissions += [emission(event, said) for said in rows.release.written.said]
    return {
        "statement_id": event.data.statement_id,
        "state": rows.release.state,
        "submission_id": str(context.submission_id) if rows.release.restaged else None,
    }
