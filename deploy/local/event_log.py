"""The whole log as events, read once from the beginning, without a group; for summaries, which decide nothing."""

from dataclasses import dataclass, field
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.errors import Poison, Stop
from shared.events.catalogue import PARTITIONS, READS
from shared.events.codec import Event, decode

FETCH_RECORDS, FETCH_TIMEOUT_MS = 2_000, 500


@dataclass(frozen=True)
class Log:
    """Events in the order of topic and offset, duplicates left out; `records` counts all that lay in the log.

    `written_ms`: by event id the instant that its record carries, in milliseconds of the wall clock. `unreadable`: the
    place of each record that is no event of ours -> why; the services park such a record.
    """

    events: list[Event]
    records: int
    written_ms: dict[UUID, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def of(self, *types: str) -> list[Event]:
        wanted = set(types)
        return [event for event in self.events if event.type in wanted]


async def read_log(bootstrap: str) -> Log:
    """Every event of every topic up to the end of the log at this moment."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        lanes = [TopicPartition(topic, n) for topic in READS["reporting"] for n in range(PARTITIONS)]
        consumer.assign(lanes)
        ends = await consumer.end_offsets(lanes)
        await consumer.seek_to_beginning(*lanes)
        return await _read(consumer, {lane: end for lane, end in ends.items() if end})
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, left: dict[TopicPartition, int]) -> Log:
    events: dict[TopicPartition, list[Event]] = {lane: [] for lane in left}
    seen: dict[UUID, int] = {}
    unreadable: dict[str, str] = {}
    records = 0
    while left:
        fetched = await consumer.getmany(*left, timeout_ms=FETCH_TIMEOUT_MS, max_records=FETCH_RECORDS)
        for lane, found in fetched.items():
            records += len(found)
            for record in found:
                try:
                    event = decode(lane.topic, _key(record), list(record.headers), record.value or b"")
                except (Poison, Stop) as problem:
                    unreadable[f"{lane.topic}/{lane.partition} offset {record.offset}"] = problem.message
                    continue
                if event.envelope.id not in seen:
                    seen[event.envelope.id] = record.timestamp
                    events[lane].append(event)
            if found and found[-1].offset + 1 >= left[lane]:
                del left[lane]
    return Log([event for lane in sorted(events) for event in events[lane]], records, seen, unreadable)


def _key(record: ConsumerRecord) -> str:
    return (record.key or b"").decode(errors="replace")
