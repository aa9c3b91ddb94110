"""What a log may do to its readers, on Apache Kafka: a cursor out of range, records too large, foreign transactions."""

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition

from deploy.local.kafka import KafkaServer
from shared.bus.kafka import KafkaSource
from shared.bus.partitioner import partition_of
from shared.bus.port import Outgoing, Partition, Record
from shared.events.catalogue import ACCOUNTS, EVENT_BYTES_MAX, FEEDS_INBOUND, PARTITIONS
from shared.runtime import halts
from tests.broker.conftest import Cluster
from tests.builders import event, headers_and_value
from tests.store.runtime.toy import contact

LANE = Partition(FEEDS_INBOUND, 0)


def lane_of(account: str) -> Partition:
    return Partition(ACCOUNTS, partition_of(f"acme/{account}".encode(), PARTITIONS))


async def test_a_cursor_beyond_the_end_stops_its_partition_alone_until_it_is_mended(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halts, "RETRY_EVERY_S", 0.5)
    other = next(name for name in (f"b{n}" for n in range(100)) if lane_of(name) != lane_of("a1"))
    async with cluster.pool.acquire() as db:
        await db.execute("insert into kafka_cursor values ($1, $2, 50)", *lane_of("a1"))
    member = cluster.member(0)
    await cluster.configure()
    await cluster.send([event(contact(name)) for name in ("a1", other, "a1", other)])
    await cluster.until_total(2)
    lane = lane_of("a1")
    assert "beyond the end" in member.runtime.failing[f"partition {lane.topic}/{lane.number}"]
    assert await cluster.count("toy_account", "account_id = 'a1'") == 0
    assert not any(task.done() for task in member.tasks), "the process goes on"
    async with cluster.pool.acquire() as db:
        await db.execute("update kafka_cursor set next_offset = 0 where topic = $1 and partition = $2", *lane)
    await cluster.until_total(4)
    assert member.runtime.failing == {}


async def test_a_record_over_the_bound_parks_its_key_however_small_it_was_on_the_way(cluster: Cluster) -> None:
    """Compression lets more through than the topic's bound says; one record may also fill a whole fetch."""
    cluster.member(0)
    await cluster.configure()
    made = headers_and_value(event(contact("a1")))
    packed = b" " * (4 * EVENT_BYTES_MAX)
    noise = os.urandom(EVENT_BYTES_MAX + 1)
    for value in (packed, noise):
        await cluster.sink.send([Outgoing(ACCOUNTS, **made | {"value": value})])
    await cluster.send([event(contact("b1"))])
    await cluster.until_total(1)

    async def parked() -> bool:
        return await cluster.count("dead_letter") == 2

    await cluster.until(parked)
    assert await cluster.count("parked_key", "code = 'oversized' and key = 'acme/a1'") == 1
    assert await cluster.count("dead_letter", f"octet_length(value) > {EVENT_BYTES_MAX}") == 2


async def test_the_largest_event_that_may_be_written_is_sent(cluster: Cluster) -> None:
    made = headers_and_value(event(contact("a1")))
    await cluster.sink.send([Outgoing(ACCOUNTS, **made | {"value": os.urandom(EVENT_BYTES_MAX)})] * 3)


@pytest.fixture
async def feed(own_kafka: KafkaServer) -> AsyncIterator[Callable[..., Any]]:
    """Writes into the topic of feeds as a foreign producer does, in a transaction that ends well or not."""
    admin = AIOKafkaAdminClient(bootstrap_servers=own_kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(FEEDS_INBOUND, 1, 1)])
    producer = AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap, transactional_id="foreign")
    await producer.start()

    async def write(*values: bytes, commit: bool = True) -> None:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(FEEDS_INBOUND, value, partition=0)
        await (producer.commit_transaction() if commit else producer.abort_transaction())

    async def forget(before: int) -> None:
        await admin.delete_records({TopicPartition(*LANE): RecordsToDelete(before_offset=before)})

    write.forget = forget  # type: ignore[attr-defined]
    yield write
    await producer.stop()
    await admin.close()


async def read(bootstrap: str, position: dict[Partition, int], count: int) -> tuple[KafkaSource, list[Record]]:
    source = KafkaSource(bootstrap, "ingest-feeds", [FEEDS_INBOUND], "feeds-0", isolation="read_committed")

    async def load(_: Any) -> dict[Partition, int]:
        return position

    await source.start(load)
    found: list[Record] = []
    for _ in range(60):
        found += (await source.fetch(100, 0.2)).get(LANE, [])
        if len(found) >= count and source.assigned():
            break
    return source, found


async def test_of_foreign_transactions_only_what_was_committed_is_read_and_the_holes_are_none(
    own_kafka: KafkaServer, feed: Callable[..., Any]
) -> None:
    await feed(b"1", b"2")
    await feed(b"never", commit=False)
    await feed(b"3")
    source, found = await read(own_kafka.bootstrap, {}, 3)
    await source.stop()
    assert [record.value for record in found] == [b"1", b"2", b"3"]
    assert found[-1].offset - found[0].offset > 2, "the log has offsets that give no record"
    assert source.halted() == {}
    behind, more = await read(own_kafka.bootstrap, {LANE: found[-1].offset + 1}, 0)
    await feed(b"4")
    more += [r for _ in range(20) for r in (await behind.fetch(100, 0.2)).get(LANE, [])]
    await behind.stop()
    assert [record.value for record in more] == [b"4"]


async def test_a_feed_is_read_from_where_its_topic_begins_and_what_was_lost_since_is_an_alarm(
    own_kafka: KafkaServer, feed: Callable[..., Any]
) -> None:
    for value in (b"1", b"2", b"3"):
        await feed(value)
    await feed.forget(2)
    source, found = await read(own_kafka.bootstrap, {}, 2)
    await source.stop()
    assert [record.value for record in found] == [b"2", b"3"], "seen for the first time: what is there"
    source, found = await read(own_kafka.bootstrap, {LANE: 1}, 0)
    assert found == [] and "before the beginning 2" in source.halted()[LANE]
    await source.place({LANE: 2})
    found = [r for _ in range(20) for r in (await source.fetch(100, 0.2)).get(LANE, [])]
    await source.stop()
    assert [record.value for record in found] == [b"2", b"3"] and source.halted() == {}
