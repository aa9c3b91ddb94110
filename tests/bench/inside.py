"""A service inside the bench's own process: the real handler, transaction and store, on the log in memory.

So two stores can take turns batch by batch, and the cost of the bus, which is the same for both, does not blur a ratio.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import asyncpg

from shared.bus.memory import MemoryLog, MemorySource
from shared.bus.port import Outgoing
from shared.clock import WallClock
from shared.events.catalogue import EVENTS, READS
from shared.events.codec import Event
from shared.logs import configure
from shared.runtime import loops
from shared.runtime.effects import Handler
from shared.runtime.transaction import Unit
from tests.bench.usage import cpu_s
from tests.builders import headers_and_value

ALL_TOPICS = sorted({entry.topic for entry in EVENTS.values()})


class NoGuard:
    async def check(self) -> None:
        return None


@dataclass
class Inside:
    """`wall_s` and `cpu_s` have one entry per measured batch, of this process and PostgreSQL together, per event."""

    service: str
    handler: Handler
    pool: asyncpg.Pool
    postgres_pid: int
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    async def start(self) -> "Inside":
        self.log = MemoryLog(ALL_TOPICS)
        self.runtime: Any = SimpleNamespace(
            service=self.service,
            settings=SimpleNamespace(role="all", batch_records=500, clock="stream", drain_timeout_s=5.0),
            handler=self.handler,
            unit=Unit(self.service, self.handler),
            pool=self.pool,
            clock=WallClock(),
            log=configure(self.service, "ERROR"),
            guard=NoGuard(),
            relay_wanted=asyncio.Event(),
            timers_wanted=asyncio.Event(),
            no_new_work=asyncio.Event(),
            relay_stop=asyncio.Event(),
            failing={},
        )
        self.source = MemorySource(self.log, self.service, READS[self.service])
        await self.source.start(lambda partitions: loops.load_positions(self.runtime, list(partitions)))
        return self

    async def take(self, events: Sequence[Event]) -> None:
        """Exactly these events as one batch, through the consumer's own step."""
        for event in events:
            self.log.append(Outgoing(event.topic, **headers_and_value(event)))
        self.runtime.settings.batch_records = len(events)
        taken = await loops.consume_once(self.runtime, self.source, 0)
        if taken != len(events):
            raise RuntimeError(f"a batch of {len(events)} was wanted, {taken} were taken")

    async def measured(self, events: Sequence[Event]) -> None:
        """`take`, noting what it cost per event."""
        began, used = time.perf_counter(), self._used()
        await self.take(events)
        self.wall_s.append((time.perf_counter() - began) / len(events))
        self.cpu_s.append((self._used() - used) / len(events))

    def _used(self) -> float:
        return time.process_time() + cpu_s(self.postgres_pid)
