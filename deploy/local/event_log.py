"""The whole log as events, read once from the beginning through the bus; for summaries, which decide nothing."""

import os
from dataclasses import dataclass

from shared.bus.kafka import KafkaSource
from shared.bus.port import Partition
from shared.events.catalogue import READS
from shared.events.codec import Event, decode

FETCH_RECORDS, FETCH_TIMEOUT_S, EMPTY_FETCHES = 2_000, 0.3, 4


@dataclass(frozen=True)
class Log:
    """Events in the order of topic and offset, duplicates left out; `records` counts all that lay in the log."""

    events: list[Event]
    records: int

    def of(self, *types: str) -> list[Event]:
        wanted = set(types)
        return [event for event in self.events if event.type in wanted]


async def read_log(bootstrap: str) -> Log:
    """Every event of every topic up to the end of the log at this moment."""
    group = f"summary-{os.getpid()}"
    source = KafkaSource(bootstrap, group, READS["reporting"], f"{group}-0")

    async def from_zero(partitions: list[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 0)

    await source.start(from_zero)
    events, seen, records, empty = [], set(), 0, 0
    try:
        while empty < EMPTY_FETCHES or not source.assigned() or sum(source.lag().values()):
            fetched = await source.fetch(FETCH_RECORDS, FETCH_TIMEOUT_S)
            empty = 0 if fetched else empty + 1
            for lane in fetched.values():
                records += len(lane)
                for record in lane:
                    key = (record.key or b"").decode()
                    event = decode(record.partition.topic, key, record.headers, record.value)
                    if event.envelope.id not in seen:
                        seen.add(event.envelope.id)
                        events.append(event)
    finally:
        await source.stop()
    return Log(events, records)
