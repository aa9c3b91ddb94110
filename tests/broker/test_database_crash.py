"""A database server that crashes under load: every open transaction is lost, every fact is taken once all the same."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.kafka import KafkaServer
from deploy.local.postgres import PostgresServer, outside_home
from shared.runtime import failpoints
from tests.broker.conftest import Cluster, open_cluster
from tests.broker.test_members import drained, published
from tests.servers import remove_folder

# The backend of a transaction that holds a batch: it waits for the client between two statements.
IN_THE_BATCH = "select pid from pg_stat_activity where state = 'idle in transaction' and datname = $1 limit 1"
FACTS, CRASHES = 2_000, 2


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that a test may crash; the one of the other tests stays as it is."""
    tmp_path.chmod(0o755)
    server = PostgresServer(tmp_path / "postgres", fsync=False)
    server.start()
    yield server
    server.stop()
    remove_folder(outside_home(tmp_path / "postgres"))


async def crash_in_the_batch(cluster: Cluster) -> None:
    """Kill the backend of the next batch after it was saved and before it is committed: the server restarts itself and
    tells every other client of the crash."""
    crashed = asyncio.Event()

    async def kill() -> None:
        failpoints.armed.clear()
        admin = await asyncpg.connect(cluster.admin_dsn)
        os.kill(await admin.fetchval(IN_THE_BATCH, cluster.name), signal.SIGKILL)
        crashed.set()
        await asyncio.sleep(0.05)

    failpoints.armed["transaction.before_commit"] = kill
    async with asyncio.timeout(20):
        await crashed.wait()


async def test_a_backend_is_killed_in_the_middle_of_a_batch_and_nothing_is_lost_or_doubled(
    own_kafka: KafkaServer, own_postgres: PostgresServer
) -> None:
    dsn = own_postgres.admin_dsn
    async with open_cluster(own_kafka.bootstrap, dsn, dsn) as cluster:
        member = cluster.member(0)
        await cluster.configure()
        await cluster.feed(FACTS)
        for crash in range(1, CRASHES + 1):
            await crash_in_the_batch(cluster)
            await cluster.feed(FACTS)
            await cluster.until_total(FACTS * crash // 4)
            assert not any(task.done() for task in member.tasks), "a crash is of the moment; no loop gives up"
        await cluster.until_total(FACTS * (CRASHES + 1))
        await cluster.until(lambda: drained(cluster))
        assert await cluster.total() == FACTS * (CRASHES + 1)
        assert await cluster.count("parked_key") == 0
        each = FACTS * (CRASHES + 1) // 40
        assert {tuple(s) for s in (await published(cluster)).values()} == {tuple(range(1, each + 1))}
