"""The runtime around the toy service: PostgreSQL, the memory bus, every step under the test's control."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from shared.bus.memory import MemoryLog, MemorySink, MemorySource
from shared.bus.port import Outgoing
from shared.clock import WallClock
from shared.db.pool import create_pool
from shared.events.catalogue import ACCOUNTS, CONTROL, READS, TOPICS_OF
from shared.events.control import CompanyConfigured
from shared.events.markers import ClockTicked, DayClosed
from shared.ids import derive
from shared.logs import configure
from shared.runtime import loops, markers
from shared.runtime import statements as sql
from shared.runtime.transaction import Unit
from tests.builders import event, headers_and_value
from tests.store.runtime.toy import ToyHandler, metadata

SERVICE = "cash_application"
ALL_TOPICS = sorted({*READS[SERVICE], *TOPICS_OF[SERVICE], *TOPICS_OF["ingest"]})


class NoGuard:
    async def check(self) -> None:
        return None


@dataclass
class World:
    """One toy service on a memory log. `member()` adds a replica."""

    pool: asyncpg.Pool
    log: MemoryLog
    handler: ToyHandler
    sink: MemorySink
    sources: list[MemorySource] = field(default_factory=list)
    numbers: int = 0

    def runtime(self, **settings: Any) -> Any:
        defaults = {"role": "all", "batch_records": 500, "clock": "stream", "drain_timeout_s": 5.0}
        defaults["consumer_shares"] = 2
        return SimpleNamespace(
            service=SERVICE,
            settings=SimpleNamespace(**(defaults | settings)),
            handler=self.handler,
            unit=Unit(SERVICE, self.handler),
            pool=self.pool,
            clock=WallClock(),
            log=configure(SERVICE, "ERROR"),
            guard=NoGuard(),
            relay_wanted=asyncio.Event(),
            timers_wanted=asyncio.Event(),
            no_new_work=asyncio.Event(),
            relay_stop=asyncio.Event(),
            failing={},
            starting=False,
        )

    async def member(self, runtime: Any) -> MemorySource:
        source = MemorySource(self.log, SERVICE, READS[SERVICE])
        await source.start(lambda partitions: loops.load_positions(runtime, list(partitions)))
        self.sources.append(source)
        return source

    def put(self, made: Any, topic: str | None = None, number: int | None = None) -> None:
        self.log.append(Outgoing(topic or made.topic, number=number, **headers_and_value(made)))

    def configure(self, company: str = "acme") -> None:
        fact = CompanyConfigured(
            company=company, name="Acme", base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB"
        )
        self.put(event(fact), CONTROL)

    def mark(
        self, topics: list[str] | None = None, *, closed: date | None = None, skip: tuple[str, int] | None = None
    ) -> int:
        """A tick, or the close of a day, in every partition of ingest's topics."""
        self.numbers += 1
        at = datetime(2026, 1, 5, 17, 0, self.numbers, tzinfo=UTC)
        marker_id = derive("test-marker", self.numbers)
        if closed is None:
            marker: Any = ClockTicked(marker_id=marker_id, number=self.numbers, at=at)
        else:
            marker = DayClosed(marker_id=marker_id, number=self.numbers, company="acme", date=closed, at=at)
        value = marker.model_dump_json().encode()
        for topic in topics or TOPICS_OF["ingest"]:
            for number in range(12):
                if (topic, number) != skip:
                    self._mark_one(topic, number, marker, value)
        return self.numbers

    def _mark_one(self, topic: str, number: int, marker: Any, value: bytes) -> None:
        row = markers._marker_row(  # noqa: SLF001
            "ingest", topic, number, marker, value, getattr(marker, "company", "*"), marker.at, date(2026, 1, 5)
        )
        self.log.append(Outgoing(topic, str(number).encode(), row.envelope.to_headers(), value, number))

    async def settle(self, runtime: Any, source: MemorySource) -> None:
        """Run every loop until nothing is left to do."""
        for _ in range(200):
            done = await loops.consume_once(runtime, source, 0)
            done += await loops.timers_once(runtime)
            done += await loops.relay_step(runtime, self.sink)
            if not done:
                return
        raise AssertionError("the service does not come to rest")

    def published(self, topic: str) -> list[Any]:
        return [r for p, lane in sorted(self.log.records.items()) if p.topic == topic for r in lane]

    async def rows(self, query: str, *args: Any) -> list[asyncpg.Record]:
        async with self.pool.acquire() as db:
            return await db.fetch(query, *args)


@pytest.fixture
async def world(make_database: Callable[..., Awaitable[str]]) -> AsyncIterator[World]:
    dsn = await make_database()
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    pool = await create_pool(dsn)
    log = MemoryLog(ALL_TOPICS)
    yield World(pool, log, ToyHandler(), MemorySink(log))
    await pool.close()


__all__ = ["ACCOUNTS", "World", "sql"]
