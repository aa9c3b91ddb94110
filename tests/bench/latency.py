"""From an event to its effect: events leave evenly, a reader of the effects' topic notes when each arrives.

Both clocks are this process's own. An effect names its event by `ce_causationid`.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.bus.kafka import KafkaSink
from shared.bus.port import Outgoing
from shared.events.catalogue import PARTITIONS

STEP_S = 0.01
ARRIVE_TIMEOUT_S = 60.0
FETCH_MAX_WAIT_MS = 10

Key = bytes
KeyOf = Callable[[dict[str, bytes]], Key | None]


class Alive(Protocol):
    def poll(self) -> int | None: ...

    def log_tail(self, lines: int = 15) -> str: ...


def caused_by(headers: dict[str, bytes]) -> Key | None:
    return headers["ce_causationid"]


def caused_by_of(kind: str) -> KeyOf:
    """Only effects of one type count."""
    return lambda headers: headers["ce_causationid"] if headers["ce_type"] == kind.encode() else None


@dataclass
class Watch:
    """`waiting`: when each event left; `seen`: seconds from there to its effect, `at`: when that came; `sent` counts
    all that ever left."""

    waiting: dict[Key, float] = field(default_factory=dict)
    seen: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    sent: int = 0

    def left(self, keys: Sequence[Key], at: float) -> None:
        self.waiting.update((key, at) for key in keys)
        self.sent += len(keys)

    def came(self, key: Key | None, at: float) -> None:
        if key is not None and key in self.waiting:
            self.seen.append(at - self.waiting.pop(key))
            self.at.append(at)

    @classmethod
    @asynccontextmanager
    async def open(cls, bootstrap: str, topic: str, key_of: KeyOf = caused_by) -> "AsyncIterator[Watch]":
        """Reads the topic from its end while the block runs."""
        watch = cls()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=FETCH_MAX_WAIT_MS
        )
        await consumer.start()
        lanes = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(lanes)
        await consumer.seek_to_end(*lanes)
        for lane in lanes:
            await consumer.position(lane)
        reading = asyncio.ensure_future(_read(consumer, watch, key_of))
        try:
            yield watch
        finally:
            await ended(reading)
            await consumer.stop()


async def ended(watching: "asyncio.Future[None]") -> None:
    """End a task that watches; what had ended it before is raised."""
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


async def _read(consumer: AIOKafkaConsumer, watch: Watch, key_of: KeyOf) -> None:
    while True:
        found = await consumer.getmany(timeout_ms=100)
        now = time.perf_counter()
        for messages in found.values():
            for message in messages:
                watch.came(key_of(dict(message.headers)), now)


async def send_evenly(
    bootstrap: str, records: list[Outgoing], per_s: float | None, watch: Watch, keys: Sequence[Key] | None = None
) -> None:
    """Send at an even pace, None all at once; the records are made before, so that making them delays nothing.

    `keys`: by what their effects are found, where it is not their ids.
    """
    ids = keys or [dict(record.headers)["ce_id"] for record in records]
    sink = KafkaSink(bootstrap, "bench-load")
    await sink.start()
    began, at = time.perf_counter(), 0
    while at < len(records):
        passed_s = time.perf_counter() - began
        due = len(records) if per_s is None else min(len(records), int(passed_s * per_s) + 1)
        if due > at:
            watch.left(ids[at:due], time.perf_counter())
            await sink.send(records[at:due])
            at = due
        await asyncio.sleep(STEP_S)
    await sink.stop()


async def arrived(watch: Watch, worker: Alive) -> None:
    """Wait until every event has its effect. Raises RuntimeError when the worker ended or effects do not come."""
    deadline = time.monotonic() + ARRIVE_TIMEOUT_S
    while watch.waiting:
        if worker.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(
                f"{len(watch.waiting)} effects did not arrive within {ARRIVE_TIMEOUT_S:.0f} s of the last event, or "
                f"the worker ended:\n{worker.log_tail(40)}"
            )
        await asyncio.sleep(0.05)
