"""The consumer of `feeds.inbound`: messages of ERPs that speak Kafka become submissions, answers go to feeds.receipts.

Invariant: a message's record, its key and our position are committed together; what is refused is answered, never
retried; receipts with the outcome follow when the record was decided.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import orjson

from services.ingest import intake
from services.ingest.domain.days import first_bank_day, unwritten_from_on
from services.ingest.domain.fields import Refused
from services.ingest.domain.inbound import FeedRights, Message, RefusedMessage, read
from services.ingest.feeds import feeds_of
from services.ingest.store import inbound as store
from shared import tracing
from shared.auth import AuthSettings
from shared.bus.kafka import KafkaSource
from shared.bus.port import Partition, Record, Source
from shared.errors import Rejected, Transient
from shared.events.catalogue import FEEDS_INBOUND
from shared.events.codec import Event
from shared.events.control import CompanyConfigured
from shared.events.envelope import Envelope
from shared.events.feeds import FeedReceipt
from shared.ids import command_id, derive
from shared.runtime import halts, outbox
from shared.runtime import statements as sql
from shared.runtime.effects import Emission, Moment
from shared.runtime.loops import forever, patient_load, patiently

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

BATCH_MAX, FETCH_TIMEOUT_S = 500, 0.5


@dataclass(slots=True)
class _Batch:
    """A fetched batch: proven messages by place, and refusals; `traces` are the trace contexts that they brought."""

    messages: dict[str, Message] = field(default_factory=dict)
    refused: dict[str, RefusedMessage] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)


def place_of(record: Record) -> str:
    return f"{record.partition.number}@{record.offset}"


def sort_out(records: Mapping[Partition, Sequence[Record]], feeds: Mapping[str, FeedRights]) -> _Batch:
    """Read every record of a batch."""
    batch = _Batch()
    for lane in sorted(records):
        for record in records[lane]:
            headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
            found = read(headers, record.value, feeds)
            target = batch.messages if isinstance(found, Message) else batch.refused
            target[place_of(record)] = found  # type: ignore[assignment]
            batch.traces[place_of(record)] = tracing.accepted(headers.get(tracing.HEADER, ""))
    return batch


async def take(
    runtime: "Runtime", records: Mapping[Partition, Sequence[Record]], feeds: Mapping[str, FeedRights]
) -> bool:
    """Take a batch in one transaction. False when another process was ahead and the positions must be read again."""
    batch = sort_out(records, feeds)
    spans = {lane: (found[0].offset, found[-1].offset) for lane, found in records.items()}
    async with runtime.pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_SHARED)
        if not await store.move(db, spans):
            return False
        moment = await runtime.unit.control.moment(db)
        await _take(runtime, db, batch, moment)
    runtime.relay_wanted.set()
    return True


async def _take(runtime: "Runtime", db: asyncpg.Connection, batch: _Batch, moment: Moment) -> None:
    commands = {
        place: command_id(f"feed:{message.feed}", FEEDS_INBOUND, message.idempotency_key)
        for place, message in batch.messages.items()
    }
    _refuse_unknown_companies(batch, moment)
    first = {commands[place]: place for place in reversed(batch.messages)}
    bodies = {command: batch.messages[place].sha256 for command, place in first.items()}
    fresh, known = await store.fresh_keys(db, bodies)
    taken: dict[str, Message] = {}
    repeated: dict[str, Message] = {}
    for place, message in batch.messages.items():
        command = commands[place]
        if command in fresh and first[command] == place:
            taken[place] = message
        elif (known | bodies)[command] == message.sha256:
            repeated[place] = message
        else:
            reason = "this idempotency_key was used with another value"
            refused = Refused("idempotency_conflict", "idempotency_key", reason)
            batch.refused[place] = RefusedMessage(message.feed, message.idempotency_key, refused, message.company)
    now = runtime.clock.now()
    if taken:
        await _stage(runtime, db, taken, moment, batch.traces)
    receipts = [_refusal(place, found) for place, found in batch.refused.items()]
    receipts += [_repetition(place, found) for place, found in repeated.items()]
    at = moment.now or now
    said = [_emission(runtime, receipt, at, batch.traces[receipt.place]) for receipt in receipts]
    await outbox.publish(db, runtime.service, said)


def _refuse_unknown_companies(batch: _Batch, moment: Moment) -> None:
    for place, message in list(batch.messages.items()):
        if message.company not in moment.companies:
            refused = Refused("company_unknown", "company", f"company {message.company!r} is not configured")
            batch.refused[place] = RefusedMessage(message.feed, message.idempotency_key, refused, message.company)
            del batch.messages[place]


async def _stage(
    runtime: "Runtime",
    db: asyncpg.Connection,
    taken: dict[str, Message],
    moment: Moment,
    traces: Mapping[str, str],
) -> None:
    """One accepted submission per feed and company of the batch."""
    now, stream = runtime.clock.now(), runtime.settings.clock == "stream"
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for place, message in taken.items():
        groups[message.feed, message.company].append(place)
    rows, staged = [], []
    known_at = now
    for (feed, company), places in groups.items():
        known_at, business_date = intake.door_time(moment, company, now, stream=stream)
        submission_id = derive("submission", FEEDS_INBOUND, feed, company, places[0])
        from_on = _from_on(moment.companies[company], [taken[place] for place in places], known_at)
        key = f"feeds.inbound/{places[0]}"
        rows.append((submission_id, company, f"feed:{feed}", key, len(places), business_date, from_on))
        for position, place in enumerate(places, 1):
            staged.append((*_staged(submission_id, position, place, taken[place]), traces[place]))
    await store.add_submissions(db, rows, staged, now, known_at)


def _from_on(company: CompanyConfigured, messages: Sequence[Message], at: datetime) -> date | None:
    days = [first_bank_day(message.record_type, message.body) for message in messages]
    first = min((on for on in days if on is not None), default=None)
    return unwritten_from_on(company, {message.record_type for message in messages}, first, at)


def _staged(submission_id: UUID, position: int, place: str, message: Message) -> tuple[object, ...]:
    body = orjson.dumps(message.body).decode().replace("\\u0000", " ")
    where = f"{place} {message.idempotency_key}"
    return (submission_id, 1, position, 0, message.record_type, where, body, "", 0)


def _refusal(place: str, found: RefusedMessage) -> FeedReceipt:
    refused = found.refused
    return FeedReceipt(
        company=found.company[:40],
        feed=found.feed,
        idempotency_key=found.idempotency_key,
        place=place,
        outcome="refused",
        code=refused.code,
        field=refused.field,
        reason=refused.reason,
    )


def _repetition(place: str, message: Message) -> FeedReceipt:
    return FeedReceipt(
        company=message.company,
        feed=message.feed,
        idempotency_key=message.idempotency_key,
        place=place,
        outcome="known",
    )


def _emission(runtime: "Runtime", receipt: FeedReceipt, at: datetime, traceparent: str) -> Emission:
    """A receipt without a decided record; its cause is the message itself."""
    identity = derive("feed_receipt", receipt.place, receipt.idempotency_key, receipt.outcome, receipt.code)
    envelope = Envelope(
        id=identity,
        source=runtime.service,
        type="feed.message",
        subject=receipt.place,
        time=at,
        company=receipt.company,
        actor=f"feed:{receipt.feed}",
        business_date=at.date(),
        known_at=at,
        correlation_id=identity,
        causation_id=identity,
        traceparent=traceparent,
    )
    return Emission(Event(envelope, None), receipt, receipt.place, key=receipt.feed or "~", event_id=identity)


async def consume_once(runtime: "Runtime", source: Source) -> int:
    """Fetch and take one batch."""
    await halts.retry(runtime, source, lambda lanes: load_positions(runtime, lanes), source.place)
    fetched = {lane: found for lane, found in (await source.fetch(BATCH_MAX, FETCH_TIMEOUT_S)).items() if found}
    halts.show(runtime, source)
    if not fetched:
        return 0
    starts = {lane: records[0].offset for lane, records in fetched.items()}
    try:
        feeds = feeds_of(runtime.settings.feed_secrets_file, AuthSettings().api_keys_file)
        if not await take(runtime, fetched, feeds):
            await source.place(await load_positions(runtime, sorted(source.assigned())))
            return 0
    except BaseException as problem:
        runtime.unit.control.forget()
        await source.seek(starts)
        if isinstance(problem, Rejected):
            raise Transient(f"messages of feeds wait: {problem}") from problem
        raise
    halts.moved(runtime, frozenset(fetched))
    await source.commit({lane: records[-1].offset + 1 for lane, records in fetched.items()})
    return sum(map(len, fetched.values()))


async def load_positions(runtime: "Runtime", partitions: Sequence[Partition]) -> dict[Partition, int]:
    async with runtime.pool.acquire() as db:
        found = await store.positions(db, partitions)
    return {Partition(*lane): offset for lane, offset in found.items()}


async def run(runtime: "Runtime", stop: asyncio.Event) -> None:
    """Loop of the role `worker`, where feeds are configured."""
    if runtime.settings.feed_secrets_file is None:
        return await _idle(stop)
    await runtime.guard.hold()
    instance = f"ingest-feeds-{runtime.settings.instance}"
    source = KafkaSource(
        runtime.settings.kafka_bootstrap, "ingest-feeds", [FEEDS_INBOUND], instance, isolation="read_committed"
    )

    load = patient_load(runtime, "feeds.positions", lambda lanes: load_positions(runtime, lanes))
    await patiently(runtime, "feeds.start", lambda: source.start(load))
    try:
        await forever(runtime, "feeds", lambda: consume_once(runtime, source), until=stop)
    finally:
        await source.stop()
    return None


async def _idle(stop: asyncio.Event) -> None:
    await stop.wait()
