"""A service on a memory log, as it lives: it is told facts through the log, days are closed by markers, it consumes."""

import asyncio
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel

from shared.bus.log import MemoryReader
from shared.bus.memory import MemoryLog, MemorySink, MemorySource
from shared.bus.port import Outgoing
from shared.clock import WallClock
from shared.events.catalogue import EVENTS, LEDGER, READS, TOPICS_OF
from shared.events.codec import Event
from shared.events.markers import DayClosed
from shared.ids import derive
from shared.logs import configure
from shared.runtime import loops, markers
from shared.runtime.effects import Handler
from shared.runtime.rebuild import Projection, Rebuild
from shared.runtime.transaction import Unit
from tests.builders import event, headers_and_value
from tests.store.reporting.world import World, at

ALL_TOPICS = sorted({entry.topic for entry in EVENTS.values()})


class NoGuard:
    async def check(self) -> None:
        return None


@dataclass
class Living(World):
    """The facts of tests.store.reporting.world, which go through the log of a service that is alive."""

    service: str = "reporting"
    owner_dsn: str = ""
    log: MemoryLog = field(default_factory=lambda: MemoryLog(ALL_TOPICS))
    source: MemorySource | None = None
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.unit = Unit(self.service, self.handler)
        self.runtime: Any = SimpleNamespace(
            service=self.service,
            settings=SimpleNamespace(role="all", batch_records=500, clock="stream", drain_timeout_s=5.0),
            handler=self.handler,
            unit=self.unit,
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

    async def begin(self) -> None:
        self.source = MemorySource(self.log, self.service, READS[self.service])
        await self.source.start(lambda partitions: loops.load_positions(self.runtime, list(partitions)))
        await self.tell(self.configured())

    def put(self, made: Event) -> None:
        self.log.append(Outgoing(made.topic, **headers_and_value(made)))

    async def tell(self, *facts: BaseModel, known_at: Any = None, **options: Any) -> Any:
        for fact in facts:
            self.put(event(fact, on=self.on, known_at=known_at or at(self.on), **options))
        await self.settle()

    async def close(self, totals: dict[str, Any] | None = None, day: date | None = None) -> None:
        day = day or self.on
        self.numbers += 1
        banks: dict[str, date | None] = dict.fromkeys(self.banks, day)
        for service, topics in TOPICS_OF.items():
            for topic in topics:
                marker = DayClosed(
                    marker_id=derive("test-marker", self.numbers),
                    number=self.numbers,
                    company=self.company,
                    date=day,
                    at=at(day, 17),
                    bank_accounts=banks,
                    totals=totals if topic == LEDGER and totals else {},
                )
                self._mark(service, topic, marker, day)
        await self.settle()
        self.on = day + timedelta(days=1 if day.weekday() < 4 else 7 - day.weekday())

    def _mark(self, service: str, topic: str, marker: DayClosed, day: date) -> None:
        value = marker.model_dump_json().encode()
        for number in range(12):
            row = markers._marker_row(  # noqa: SLF001
                service, topic, number, marker, value, self.company, at(day, 17), day
            )
            self.log.append(Outgoing(topic, str(number).encode(), row.envelope.to_headers(), value, number))

    async def settle(self) -> None:
        """Run every loop until nothing is left to do."""
        assert self.source is not None
        for _ in range(500):
            done = await loops.consume_once(self.runtime, self.source, 0)
            done += await loops.timers_once(self.runtime)
            done += await loops.relay_step(self.runtime, MemorySink(self.log))
            if not done:
                return
        raise AssertionError("the service does not come to rest")

    def rebuild(self, projection: Projection, handler: Handler | None = None, **options: Any) -> Rebuild:
        reader = options.pop("reader", None) or MemoryReader(self.log)
        return Rebuild(
            self.service, handler or self.handler, projection, self.owner_dsn, reader, self.told.append, **options
        )
