"""Servers of a bench: Apache Kafka and PostgreSQL 18 with fsync on, started for it and stopped after it.

What is measured runs in a process of its own (`tests.bench.worker`), so that feeding and reading do not count with it.
"""

import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local import databases
from deploy.local.kafka import KafkaServer
from deploy.local.paths import REPOSITORY
from deploy.local.postgres import PostgresServer
from deploy.local.processes import Child, spawn
from shared.bus import admin
from shared.bus.kafka import KafkaSink
from shared.bus.port import Outgoing
from shared.db.migrate import ROOT, upgrade
from shared.db.pool import create_pool
from shared.events.catalogue import PARTITIONS, READS
from shared.events.codec import Event
from tests.bench.usage import cpu_s
from tests.builders import headers_and_value
from tests.store.runtime.conftest import SERVICE
from tests.store.runtime.toy import metadata as toy_metadata

FEED_PART, SEND_PART = 1_000, 5_000
JOIN_TIMEOUT_S = 60.0
POLL_S = 0.05
WAIT_TIMEOUT_S = 300.0
Relay = Literal["relay", "no-relay", "only-relay"]


@dataclass
class Bench:
    """The servers, and the workers that were started on them."""

    folder: Path
    bootstrap: str
    admin_dsn: str
    postgres_pid: int
    kafka_pid: int
    workers: int = 0

    async def toy_database(self) -> str:
        """A fresh database with the tables of the simplest handler, as its owner."""
        dsn = await self._database("toy")
        engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
        async with engine.begin() as found:
            await found.run_sync(toy_metadata.create_all)
        await engine.dispose()
        return dsn

    async def database(self, service: str) -> str:
        """A fresh migrated database of `service`, as its owner."""
        dsn = await self._database(service)
        await upgrade(dsn, service)
        return dsn

    async def _database(self, role: str) -> str:
        connection = await databases.connect(self.admin_dsn)
        name = f"bench_{role}_{time.monotonic_ns()}"
        try:
            await databases.ensure_roles(connection, role, "bench")
            await databases.ensure_database(connection, name, role, None)
        finally:
            await connection.close()
        return databases.addresses(self.admin_dsn, name, role, "bench").owner_dsn

    async def feed(self, events: Sequence[Event]) -> None:
        sink = KafkaSink(self.bootstrap, "bench")
        await sink.start()
        for start in range(0, len(events), FEED_PART):
            await sink.send([Outgoing(e.topic, **headers_and_value(e)) for e in events[start : start + FEED_PART]])
        await sink.stop()

    async def send(self, records: Iterable[Outgoing]) -> None:
        """Records that are made as they go."""
        sink, rest = KafkaSink(self.bootstrap, "bench"), iter(records)
        await sink.start()
        while part := list(islice(rest, SEND_PART)):
            await sink.send(part)
        await sink.stop()

    async def shared_out(self, group: str, *, members: int) -> None:
        """Wait until the group has so many members and every one of them has its partitions."""
        client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await client.start()
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        try:
            while True:
                (answer,) = await client.describe_consumer_groups([group])
                (found,) = answer.to_object()["groups"]
                if found["state"] == "Stable" and len(found["members"]) == members:
                    return
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the group {group} does not come to rest with {members} members: {found}")
                await asyncio.sleep(0.2)
        finally:
            await client.close()

    async def ends(self, topics: Iterable[str]) -> Mapping[TopicPartition, int]:
        """Where each partition ends now."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            return await consumer.end_offsets([TopicPartition(t, n) for t in topics for n in range(PARTITIONS)])
        finally:
            await consumer.stop()

    async def begin_at_the_end(self, pool: asyncpg.Pool) -> None:
        """Let the store's worker begin behind everything that lies on the bus now."""
        ends = await self.ends(READS[SERVICE])
        rows = [(p.topic, p.partition, end) for p, end in ends.items()]
        async with pool.acquire() as db:
            await db.copy_records_to_table("kafka_cursor", records=rows)

    def worker(self, handler: str, dsn: str, *, relay: Relay = "no-relay", beside: str = "") -> Child:
        """Start a worker process (see tests.bench.worker), in a group of its own or in the group `beside`."""
        self.workers += 1
        member = f"bench-{self.workers}"
        arguments = [handler, dsn, self.bootstrap, beside or member, member, relay]
        command = [sys.executable, "-m", "tests.bench.worker", *arguments]
        log = self.folder / f"worker-{self.workers}.log"
        return spawn("worker", command, log, environment=dict(os.environ), cwd=REPOSITORY)

    async def timed(self, pool: asyncpg.Pool, *workers: Child, wanted: int) -> dict[str, float]:
        """Events per second of the workers from the first batch taken to the last, and processor time per event."""
        began_at = await _position(pool)
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while (first := await _position(pool)) == began_at:
            _alive(workers, deadline)
            await asyncio.sleep(POLL_S / 5)
        began, used = time.perf_counter(), self._used(workers)
        while (position := await _position(pool)) < began_at + wanted:
            _alive(workers, deadline)
            await asyncio.sleep(POLL_S)
        events, seconds = position - first, time.perf_counter() - began
        after = self._used(workers)
        cpu = {f"{name}_cpu_us_per_event": round((after[name] - used[name]) * 1e6 / events, 1) for name in used}
        return {"per_s": round(events / seconds), "seconds": round(seconds, 2), **cpu}

    def _used(self, workers: Sequence[Child]) -> dict[str, float]:
        used = sum(cpu_s(worker.pid) for worker in workers)
        return {"worker": used, "postgres": cpu_s(self.postgres_pid), "kafka": cpu_s(self.kafka_pid)}


async def _position(pool: asyncpg.Pool) -> int:
    async with pool.acquire() as db:
        return await db.fetchval("select coalesce(sum(next_offset), 0)::bigint from kafka_cursor")


def _alive(workers: Sequence[Child], deadline: float) -> None:
    for worker in workers:
        if worker.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the worker ended or does not come to an end:\n{worker.log_tail(40)}")


def quiet_producer() -> None:
    """A topic that was just made has no leader for a moment; the producer tries again and says so each time."""
    logging.getLogger("aiokafka.producer.sender").setLevel(logging.CRITICAL)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="recoup-bench-") as folder, ExitStack() as stack:
        os.chmod(folder, 0o755)
        quiet_producer()
        kafka = KafkaServer(Path(folder) / "kafka")
        kafka.start()
        stack.callback(kafka.stop)
        postgres = PostgresServer(Path(folder) / "postgres", fsync=True)
        postgres.start()
        stack.callback(postgres.stop)
        await admin.apply(kafka.bootstrap, admin.load(ROOT / "deploy" / "topics.yaml"))
        assert kafka.child is not None and postgres.child is not None
        yield Bench(Path(folder), kafka.bootstrap, postgres.admin_dsn, postgres.child.pid, kafka.child.pid)


async def pool_of(dsn: str) -> asyncpg.Pool:
    return await create_pool(dsn, size=4)
