"""The toy service on a real broker: topics of a broker of its own, members that a test starts and kills."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.kafka import KafkaServer
from shared.bus import admin
from shared.bus.kafka import KafkaSink, KafkaSource
from shared.bus.port import Outgoing
from shared.db.migrate import ROOT
from shared.db.pool import create_pool
from shared.events.catalogue import CONTROL, READS
from shared.events.codec import Event
from shared.events.control import CompanyConfigured
from shared.runtime import loops
from shared.runtime.transaction import TRANSIENT
from tests.builders import event, headers_and_value
from tests.store.runtime.conftest import SERVICE, World
from tests.store.runtime.toy import ToyHandler, contact, metadata


@dataclass
class Member:
    """One process's loops, as tasks."""

    runtime: Any
    source: KafkaSource
    sink: KafkaSink
    tasks: list[asyncio.Task] = field(default_factory=list)

    def start(self) -> None:
        jobs = (
            loops.run_consumer(self.runtime, self.source),
            loops.run_relay(self.runtime, self.sink),
            loops.run_timers(self.runtime),
        )
        self.tasks = [asyncio.ensure_future(job) for job in jobs]

    async def kill(self) -> None:
        """As if the process had died: nothing is drained, nothing said to the group."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def stop(self) -> None:
        consumer, relay, timers = self.tasks
        self.runtime.no_new_work.set()
        await asyncio.gather(consumer, timers)
        self.runtime.relay_stop.set()
        await relay


@dataclass
class Cluster:
    bootstrap: str
    pool: asyncpg.Pool
    handler: ToyHandler
    sink: KafkaSink
    admin_dsn: str
    name: str
    members: list[Member] = field(default_factory=list)

    def member(self, instance: int) -> Member:
        world = World(self.pool, None, self.handler, None)  # type: ignore[arg-type]
        name = f"{SERVICE}-{instance}"
        source = KafkaSource(self.bootstrap, SERVICE, READS[SERVICE], name)
        member = Member(world.runtime(), source, KafkaSink(self.bootstrap, name))
        self.members.append(member)
        member.start()
        return member

    async def configure(self) -> None:
        fact = CompanyConfigured(
            company="acme", name="Acme", base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB"
        )
        await self.sink.send([Outgoing(CONTROL, **headers_and_value(event(fact)))])

    async def feed(self, count: int, accounts: int = 40) -> None:
        await self.send([event(contact(f"a{n % accounts}")) for n in range(count)])

    async def send(self, facts: Sequence[Event]) -> None:
        for start in range(0, len(facts), 500):
            part = facts[start : start + 500]
            await self.sink.send([Outgoing(f.topic, **headers_and_value(f)) for f in part])

    async def count(self, table: str, condition: str = "true") -> int:
        async with self.pool.acquire() as db:
            return await db.fetchval(f"select count(*) from {table} where {condition}")

    async def total(self) -> int:
        async with self.pool.acquire() as db:
            return await db.fetchval("select coalesce(sum(facts), 0)::int from toy_account")

    async def until(self, condition: Callable[[], Awaitable[bool]], timeout_s: float = 60) -> None:
        """Until it holds; a database that is away for the moment says nothing."""
        async with asyncio.timeout(timeout_s):
            while not await _holds(condition):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def until_total(self, wanted: int, timeout_s: float = 60) -> None:
        async def reached() -> bool:
            return await self.total() >= wanted

        await self.until(reached, timeout_s)


async def _holds(condition: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await condition()
    except TRANSIENT:
        return False


@pytest.fixture
async def cluster(own_kafka: KafkaServer, make_database: Any, postgres: str) -> AsyncIterator[Cluster]:
    async with open_cluster(own_kafka.bootstrap, await make_database(), postgres) as made:
        yield made


@asynccontextmanager
async def open_cluster(bootstrap: str, dsn: str, admin_dsn: str) -> AsyncIterator[Cluster]:
    """The toy service's tables in the empty database `dsn`, the topics on the broker, and no member yet."""
    await admin.apply(bootstrap, admin.load(ROOT / "deploy" / "topics.yaml"))
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    pool = await create_pool(dsn, size=16)
    sink = KafkaSink(bootstrap, "test")
    await sink.start()
    made = Cluster(bootstrap, pool, ToyHandler(), sink, admin_dsn, dsn.rpartition("/")[2].partition("?")[0])
    yield made
    for member in made.members:
        await member.kill()
        await member.source.stop()
        await member.sink.stop()
    await sink.stop()
    await pool.close()
