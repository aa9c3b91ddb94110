"""Members, crashes and the broker itself, on Apache Kafka: every fact once, in order per key, whatever dies."""

import asyncio
from functools import partial

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.kafka import KafkaServer
from shared.errors import Stop
from shared.events.catalogue import LEDGER, PARTITIONS
from shared.events.envelope import Envelope
from shared.runtime.guard import InstanceGuard
from shared.runtime.lifecycle import Runtime
from tests.broker.conftest import Cluster


async def published(cluster: Cluster) -> dict[bytes, list[int]]:
    """Sequences per key on ar.ledger, duplicates left out."""
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        lanes = [TopicPartition(LEDGER, n) for n in range(PARTITIONS)]
        consumer.assign(lanes)
        await consumer.seek_to_beginning(*lanes)
        ends = await consumer.end_offsets(lanes)
        found: dict[bytes, list[int]] = {}
        seen: set[str] = set()
        while any([await consumer.position(lane) < end for lane, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    envelope = Envelope.from_headers(record.headers)
                    if str(envelope.id) not in seen:
                        seen.add(str(envelope.id))
                        found.setdefault(record.key, []).append(int(envelope.sequence))
        return found
    finally:
        await consumer.stop()


async def drained(cluster: Cluster) -> bool:
    async with cluster.pool.acquire() as db:
        return not await db.fetchval("select exists (select from outbox)")


async def test_a_member_is_killed_under_load_and_the_other_takes_over(cluster: Cluster) -> None:
    first, _ = cluster.member(0), cluster.member(1)
    await cluster.configure()
    await cluster.feed(2_000)
    await cluster.until_total(500)
    await first.kill()
    await first.source.stop()
    await cluster.feed(2_000)
    await cluster.until_total(4_000)
    await cluster.until(lambda: drained(cluster))
    assert await cluster.total() == 4_000
    assert {tuple(s) for s in (await published(cluster)).values()} == {tuple(range(1, 101))}


async def test_the_broker_is_killed_and_comes_back_and_nothing_is_lost(
    cluster: Cluster, own_kafka: KafkaServer
) -> None:
    cluster.member(0)
    await cluster.configure()
    await cluster.feed(1_000)
    await cluster.until_total(200)
    own_kafka.kill()
    await asyncio.sleep(1)
    own_kafka.start()
    await cluster.feed(1_000)
    await cluster.until_total(2_000)
    await cluster.until(lambda: drained(cluster))
    assert await cluster.total() == 2_000
    assert {tuple(s) for s in (await published(cluster)).values()} == {tuple(range(1, 51))}


async def test_a_member_that_joins_while_the_database_is_away_waits_for_it(cluster: Cluster) -> None:
    """Both members are given partitions anew and cannot load where they begin; neither may give up."""
    first = cluster.member(0)
    await cluster.configure()
    await cluster.feed(500)
    await cluster.until_total(500)
    admin = await asyncpg.connect(cluster.admin_dsn)
    await admin.execute(f"alter database {cluster.name} connection limit 0")
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", cluster.name)
    second = cluster.member(1)

    async def both_wait() -> bool:
        return all("consumer.positions" in member.runtime.failing for member in (first, second))

    await cluster.until(both_wait)
    await admin.execute(f"alter database {cluster.name} connection limit -1")
    await admin.close()
    await cluster.feed(500)
    await cluster.until_total(1_000)
    assert not any(task.done() for member in (first, second) for task in member.tasks)
    assert first.source.assigned() and second.source.assigned()


async def test_a_member_that_is_asked_to_end_while_it_waits_for_its_positions_ends_in_order(cluster: Cluster) -> None:
    """The database is away when another member joins; what both are waiting for is not wanted any more."""
    first = cluster.member(0)
    await cluster.configure()
    await cluster.feed(500)
    await cluster.until_total(500)
    admin = await asyncpg.connect(cluster.admin_dsn)
    await admin.execute(f"alter database {cluster.name} connection limit 0")
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", cluster.name)
    second = cluster.member(1)

    async def both_wait() -> bool:
        return all("consumer.positions" in member.runtime.failing for member in (first, second))

    await cluster.until(both_wait)
    async with asyncio.timeout(20):
        await first.stop()
        await second.stop()
    await admin.execute(f"alter database {cluster.name} connection limit -1")
    await admin.close()


async def test_a_member_that_stops_in_order_leaves_nothing_undone(cluster: Cluster) -> None:
    member = cluster.member(0)
    await cluster.configure()
    await cluster.feed(500)
    await cluster.until_total(100)
    await member.stop()
    assert await drained(cluster)
    total = await cluster.total()
    cluster.member(0)
    await cluster.until_total(500)
    assert 100 <= total <= 500 == await cluster.total()


async def test_a_second_process_with_the_same_instance_is_turned_away(make_database) -> None:
    dsn = await make_database()
    first, second = InstanceGuard(dsn, "cash_application-0"), InstanceGuard(dsn, "cash_application-0")
    await first.hold()
    with pytest.raises(Stop, match="RECOUP_INSTANCE"):
        await second.hold()
    await first.hold()
    await first.release()
    await second.hold()
    await second.release()


async def test_the_database_goes_away_under_load_and_everything_is_taken_once(cluster: Cluster) -> None:
    """Its backends are ended and no new one may connect; readiness says so until it does again."""
    member = cluster.member(0)
    ready = partial(Runtime.ready, member.runtime)
    member.runtime.source = member.source
    await cluster.configure()
    await cluster.feed(2_000)
    await cluster.until_total(200)
    assert (await ready())["database"] is True
    admin = await asyncpg.connect(cluster.admin_dsn)
    name = cluster.name
    await admin.execute(f"alter database {name} connection limit 0")
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
    await cluster.feed(1_000)

    async def says_so() -> bool:
        found = await ready()
        return found["database"] is not True and "loop consumer" in found

    await cluster.until(says_so)
    assert not any(task.done() for task in member.tasks), "the loops wait; none gives up"
    await admin.execute(f"alter database {name} connection limit -1")
    await admin.close()
    await cluster.until_total(3_000)
    await cluster.until(lambda: drained(cluster))
    assert await cluster.total() == 3_000
    assert {tuple(s) for s in (await published(cluster)).values()} == {tuple(range(1, 76))}

    async def ready_again() -> bool:
        return all(value is True for value in (await ready()).values())

    await cluster.until(ready_again)
