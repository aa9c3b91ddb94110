"""Servers of a bench: Apache Kafka and PostgreSQL 18 with fsync on, started for it and stopped after it."""

import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local import databases
from deploy.local.kafka import KafkaServer
from deploy.local.postgres import PostgresServer
from shared.bus import admin
from shared.bus.kafka import KafkaSink
from shared.bus.port import Outgoing
from shared.db.migrate import ROOT, upgrade
from shared.db.pool import create_pool
from shared.events.codec import Event
from tests.builders import headers_and_value


@dataclass
class Bench:
    bootstrap: str
    admin_dsn: str

    async def database(self, service: str) -> str:
        """A fresh migrated database of `service`, as its owner."""
        connection = await databases.connect(self.admin_dsn)
        name = f"bench_{service}_{time.monotonic_ns()}"
        try:
            await databases.ensure_roles(connection, service, "bench")
            await databases.ensure_database(connection, name, service, None)
        finally:
            await connection.close()
        address = databases.addresses(self.admin_dsn, name, service, "bench")
        await upgrade(address.owner_dsn, service)
        return address.owner_dsn

    async def feed(self, events: list[Event]) -> None:
        sink = KafkaSink(self.bootstrap, "bench")
        await sink.start()
        for start in range(0, len(events), 1_000):
            part = [Outgoing(e.topic, **headers_and_value(e)) for e in events[start : start + 1_000]]
            await sink.send(part)
        await sink.stop()


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="recoup-bench-") as folder, ExitStack() as stack:
        os.chmod(folder, 0o755)
        kafka = KafkaServer(Path(folder) / "kafka")
        kafka.start()
        stack.callback(kafka.stop)
        postgres = PostgresServer(Path(folder) / "postgres", fsync=True)
        postgres.start()
        stack.callback(postgres.stop)
        await admin.apply(kafka.bootstrap, admin.load(ROOT / "deploy" / "topics.yaml"))
        yield Bench(kafka.bootstrap, postgres.admin_dsn)


async def pool_of(dsn: str) -> asyncpg.Pool:
    return await create_pool(dsn, size=16)
