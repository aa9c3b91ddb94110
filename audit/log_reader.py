"""The log as the auditor reads it: every topic from the beginning, its own decoding, duplicates left out by ce_id.

Invariant: nothing is decoded by the code that wrote it; a record that is no event is named, not skipped.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

TOPICS = (
    "ar.control", "ar.accounts", "ar.invoices", "ar.payments", "ar.ledger", "ar.collections", "ar.notifications",
)  # fmt: skip
MARKERS = frozenset({"clock.ticked", "day.closed"})
FETCH_TIMEOUT_MS = 500
FETCH_RECORDS = 5_000
EMPTY_FETCHES_MAX = 60
UNSENT_OFFSET = 10**15
REQUIRED = (
    "ce_id", "ce_source", "ce_type", "ce_time", "ce_company", "ce_actor", "ce_businessdate", "ce_knownat",
    "ce_sequence",
)  # fmt: skip
VALUES_OF = (
    "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_dataschema", "content-type",
    "ce_company", "ce_actor", "ce_onbehalfof", "ce_businessdate", "ce_knownat", "ce_policyversion", "ce_codeversion",
    "ce_sequence", "ce_correlationid", "ce_causationid", "ce_traceparent",
)  # fmt: skip
"""Headers whose values alone stand in a row that is not sent yet; empty ones are not sent."""
Headers = Iterable[tuple[str, bytes]]


class LogUnreadable(Exception):
    """A record of the log cannot be decoded; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Event:
    """One record: envelope, place in the log, and the payload as plain JSON values."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    company: str
    actor: str
    business_date: date
    known_at: datetime
    sequence: int
    policy: str
    causation: str
    topic: str
    partition: int
    offset: int
    key: str
    data: dict[str, Any]

    def day(self, name: str) -> date | None:
        """A date of the payload."""
        value = self.data.get(name)
        return date.fromisoformat(value) if value else None

    def instant(self, name: str) -> datetime | None:
        """An instant of the payload."""
        value = self.data.get(name)
        return datetime.fromisoformat(value) if value else None


@dataclass(slots=True)
class Log:
    """Events without duplicates, in the order of topic, partition and offset. `same_id`: repeated records whose
    content differs from the first. `unreadable`: topic, partition and offset of a record that is no event -> why."""

    events: list[Event] = field(default_factory=list)
    records: int = 0
    same_id: list[str] = field(default_factory=list)
    unreadable: dict[tuple[str, int, int], str] = field(default_factory=dict)
    _by_type: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    _ids: dict[str, Event] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take a record in; a known id only if its content differs is remembered."""
        self.records += 1
        known = self._ids.get(event.id)
        if known is None:
            self._ids[event.id] = event
            self.events.append(event)
            self._by_type[event.type].append(event)
        elif known.data != event.data or known.sequence != event.sequence:
            self.same_id.append(event.id)

    def of(self, *types: str) -> list[Event]:
        """Events of these types; of one type in the order of the log."""
        return [event for kind in types for event in self._by_type.get(kind, ())]

    def starting(self, prefix: str) -> list[Event]:
        """Events whose type starts with `prefix`, in the order of the log."""
        return [event for event in self.events if event.type.startswith(prefix)]


def decode(topic: str, partition: int, offset: int, key: bytes | str | None, headers: Headers, value: bytes) -> Event:
    """Event of a record. Raises LogUnreadable."""
    where = f"{topic}/{partition} at {offset}"
    found = {name: (text or b"").decode(errors="replace") for name, text in headers}
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise LogUnreadable(f"{where}: the record has no {missing[0]} header")
    try:
        data = json.loads(value or b"")
        if not isinstance(data, dict):
            raise ValueError("its value is no object")
        return Event(
            id=found["ce_id"],
            source=found["ce_source"],
            type=found["ce_type"],
            subject=found.get("ce_subject", ""),
            time=datetime.fromisoformat(found["ce_time"]),
            company=found["ce_company"],
            actor=found["ce_actor"],
            business_date=date.fromisoformat(found["ce_businessdate"]),
            known_at=datetime.fromisoformat(found["ce_knownat"]),
            sequence=int(found["ce_sequence"] or 0),
            policy=found.get("ce_policyversion", ""),
            causation=found.get("ce_causationid", ""),
            topic=topic,
            partition=partition,
            offset=offset,
            key=key.decode() if isinstance(key, bytes) else key or "",
            data=data,
        )
    except (ValueError, KeyError) as problem:
        raise LogUnreadable(f"{where}: {found.get('ce_type')} {found.get('ce_id')}: {problem}") from problem


async def read_log(bootstrap: str) -> Log:
    """Every record of every topic up to the end that the log has now."""
    consumer = AIOKafkaConsumer(
        *TOPICS,
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_bytes=16 * 1024 * 1024,
        max_partition_fetch_bytes=2 * 1024 * 1024,
    )
    await consumer.start()
    try:
        return await _read_all(consumer)
    finally:
        await consumer.stop()


async def _read_all(consumer: AIOKafkaConsumer) -> Log:
    partitions = [
        TopicPartition(topic, number)
        for topic in TOPICS
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]
    if missing := set(TOPICS) - {place.topic for place in partitions}:
        raise LogUnreadable(f"the broker has no topic {sorted(missing)[0]}; is it the broker of this stack?")
    log = Log()
    ends = await consumer.end_offsets(partitions)
    await consumer.seek_to_beginning(*partitions)
    left = {p: end for p, end in ends.items() if end}
    found: dict[TopicPartition, list[Event]] = defaultdict(list)
    empty = 0
    while left:
        fetched = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS, max_records=FETCH_RECORDS)
        empty = 0 if fetched else empty + 1
        if empty > EMPTY_FETCHES_MAX:
            raise LogUnreadable(
                f"no record came for {EMPTY_FETCHES_MAX * FETCH_TIMEOUT_MS // 1000} s; is the broker up?"
            )
        for place, records in fetched.items():
            for r in records:
                if r.offset >= ends[place]:
                    continue
                try:
                    found[place].append(decode(*place, r.offset, r.key, r.headers, r.value))
                except LogUnreadable as problem:
                    log.unreadable[*place, r.offset] = str(problem)
        left = {p: end for p, end in left.items() if await consumer.position(p) < end}
    for place in sorted(found):
        for event in found[place]:
            log.add(event)
    return log


def add_unsent(log: Log, rows: Iterable[dict[str, Any]]) -> None:
    """Events that a store has committed and its relay has not sent yet; they stand behind all that was sent."""
    for row in rows:
        headers = _unsent_headers(json.loads(row["headers"]))
        partition = -1 if row["partition"] is None else row["partition"]
        log.add(decode(row["topic"], partition, UNSENT_OFFSET + row["id"], row["key"], headers, row["value"]))


def _unsent_headers(kept: list[Any]) -> list[tuple[str, bytes]]:
    """Of a row that is not sent yet: the values alone, or pairs for what is no event of the service's own."""
    pairs = zip(VALUES_OF, kept, strict=False) if kept and isinstance(kept[0], str) else kept
    return [(name, text.encode()) for name, text in pairs if text]
