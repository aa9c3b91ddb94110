"""The outbox: emissions become rows with derived ids and gap-free sequences, in the order in which they were emitted.

The upsert on stream_head gives the numbers and takes the key's lock, so that row ids of one key follow commit order.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from shared import tracing
from shared.bus.partitioner import partition_of
from shared.events.catalogue import EVENT_BYTES_MAX, EVENTS, PARTITIONS, PAYMENTS, key_of
from shared.events.codec import encode
from shared.events.envelope import Envelope, headers_of, sequence_text
from shared.ids import output_id
from shared.runtime import statements as sql
from shared.runtime.effects import Emission, PoisonEvent
from shared.runtime.start import unpublished

CODE_VERSION = "0.1.0"
ROW_BYTES_MAX = EVENT_BYTES_MAX
CHARACTER_BYTES_MAX = 4


@dataclass(slots=True)
class OutboxRow:
    """`stream` is the key under which the sequence counts; on ar.payments that is the partition."""

    topic: str
    partition: int | None
    key: str
    stream: str
    envelope: Envelope
    value: bytes
    marker_id: UUID | None = None


def rows_of(source: str, emissions: Sequence[Emission], at: datetime | None = None) -> list[OutboxRow]:
    """Rows for the emissions. Raises PoisonEvent for one over the bound: it is poison of the event that caused it."""
    ordinals: Counter[tuple[UUID, str, str]] = Counter()
    rows = []
    for emission in emissions:
        cause, data = emission.cause.envelope, emission.data
        slot = (cause.id, data.TYPE, emission.subject)
        event_id = emission.event_id or output_id(cause.id, data.TYPE, emission.subject, ordinals[slot])
        ordinals[slot] += 1
        row = _row(source, emission, event_id, at or cause.known_at)
        size = len(row.value) + CHARACTER_BYTES_MAX * (len(row.key) + len(emission.subject))
        if size > ROW_BYTES_MAX:
            what = f"{data.TYPE} that follows from {cause.type} {cause.id} has {size} bytes, at most {ROW_BYTES_MAX} go"
            raise PoisonEvent(emission.cause, what, "too_large_out")
        rows.append(row)
    return rows


def _row(source: str, emission: Emission, event_id: UUID, at: datetime) -> OutboxRow:
    cause, data = emission.cause.envelope, emission.data
    entry = EVENTS[data.TYPE]
    key = emission.key or key_of(data.company, getattr(data, "account_id", None), emission.subject)
    if entry.key == "company":
        key = data.company
    elif entry.key == "payment":
        key = f"{data.company}/{emission.subject}"
    envelope = Envelope(
        id=event_id,
        source=source,
        type=data.TYPE,
        subject=emission.subject,
        time=at,
        company=data.company,
        actor=emission.actor or cause.actor,
        business_date=emission.business_date or cause.business_date,
        known_at=cause.known_at,
        correlation_id=cause.correlation_id,
        causation_id=cause.id,
        on_behalf_of=cause.on_behalf_of,
        policy_version=emission.policy,
        code_version=CODE_VERSION,
        traceparent=tracing.continued(cause.traceparent, cause.correlation_id, event_id),
    )
    topic = emission.topic or entry.topic
    partition = partition_of(key.encode(), PARTITIONS) if topic == PAYMENTS else None
    stream = key if partition is None else f"~p{partition}"
    return OutboxRow(topic, partition, key, stream, envelope, encode(data))


async def publish(
    db: asyncpg.Connection,
    source: str,
    emissions: Sequence[Emission],
    at: datetime | None = None,
    *,
    restored: bool = False,
) -> None:
    """Write emissions into the outbox inside the transaction of `db`: two statements, whatever their number.

    The caller holds the shared advisory lock (`LOCK_SHARED`) since before its first write. `restored`: what stands in
    the log already, though the store has lost it, is left out.
    """
    await write_rows(db, rows_of(source, emissions, at), restored=restored)


async def write_rows(db: asyncpg.Connection, rows: Sequence[OutboxRow], *, restored: bool = False) -> None:
    if restored and rows:
        wanted = await unpublished(db, [row.envelope.id for row in rows])
        rows = [row for row in rows if row.envelope.id in wanted]
    if not rows:
        return
    counts = Counter((row.topic, row.stream) for row in rows)
    streams = sorted(counts)
    heads = await db.fetch(
        sql.ADVANCE_HEADS, [t for t, _ in streams], [s for _, s in streams], [counts[stream] for stream in streams]
    )
    following = {(h["topic"], h["key"]): h["sequence"] - counts[h["topic"], h["key"]] + 1 for h in heads}
    records = []
    for row in rows:
        number = following[row.topic, row.stream]
        following[row.topic, row.stream] = number + 1
        headers = orjson.dumps(row.envelope.to_texts(sequence_text(number)))
        records.append((row.topic, row.partition, row.key, headers, row.value, row.marker_id, row.envelope.id))
    await db.copy_records_to_table("outbox", records=records, columns=sql.OUTBOX_COLUMNS)


def pack(headers: Sequence[tuple[str, bytes]]) -> bytes:
    return orjson.dumps([(name, value.decode()) for name, value in headers])


def unpack(packed: bytes) -> list[tuple[str, bytes]]:
    """Headers of a row: the values of an envelope alone, as `write_rows` puts them, or pairs as `pack` does."""
    found = orjson.loads(packed)
    if found and isinstance(found[0], str):
        return headers_of(found)
    return [(name, value.encode()) for name, value in found]
