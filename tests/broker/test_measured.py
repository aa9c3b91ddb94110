"""What was measured of Apache Kafka and the runtime relies on, one test for each: positions, generations, static
members, holes, late answers, late commits, frozen owners. A new version of broker or client has to pass them.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.kafka import KafkaServer
from shared.bus import admin
from shared.bus import kafka as adapter
from shared.bus.kafka import KafkaSink, KafkaSource
from shared.bus.partitioner import partition_of
from shared.bus.port import Outgoing, Partition, Record
from shared.errors import Transient
from shared.events.catalogue import ACCOUNTS, LEDGER, PARTITIONS
from shared.runtime import failpoints
from shared.runtime.effects import Effects
from shared.runtime.outbox import OutboxRow, rows_of, write_rows
from shared.runtime.relay import relay_once
from tests.broker.conftest import Cluster
from tests.broker.test_members import drained, published
from tests.builders import event
from tests.store.runtime.toy import cash, contact
from tests.system.storm import ProxiedKafka

_names = itertools.count(1)
SESSION_S = 10.0


@dataclass
class Reader:
    """A KafkaSource with positions of the test's choice; remembers where each generation began and what it read."""

    source: KafkaSource
    begin: int = 0
    loading_s: float = 0.0
    generations: list[list[Partition]] = field(default_factory=list)
    read: list[tuple[int, Record]] = field(default_factory=list)

    async def load(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self.generations.append(list(partitions))
        await asyncio.sleep(self.loading_s)
        return dict.fromkeys(partitions, self.begin)

    async def start(self) -> "Reader":
        await self.source.start(self.load)
        return self

    async def fetch(self, timeout_s: float = 0.5) -> int:
        batch = await self.source.fetch(500, timeout_s)
        found = [record for records in batch.values() for record in records]
        self.read += [(len(self.generations), record) for record in found]
        return len(found)

    async def fetch_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.fetch()

    async def until_assigned(self, count: int) -> None:
        async with asyncio.timeout(40):
            while len(self.source.assigned()) != count:
                await self.fetch(0.1)

    def begins(self) -> dict[tuple[int, Partition], int]:
        """Generation and partition -> first offset that was read in it."""
        found: dict[tuple[int, Partition], int] = {}
        for generation, record in self.read:
            found.setdefault((generation, record.partition), record.offset)
        return found


@dataclass
class Topics:
    """Topics of one test on the shared broker."""

    bootstrap: str
    names: list[str]
    sink: KafkaSink
    readers: list[Reader] = field(default_factory=list)

    async def reader(self, instance: int, group: str = "", **options: float) -> Reader:
        name = f"{group or self.names[0]}-{instance}"
        made = Reader(KafkaSource(self.bootstrap, group or self.names[0], self.names, name), **options)  # type: ignore[arg-type]
        self.readers.append(made)
        return await made.start()

    async def put(self, each: int) -> None:
        """`each` records into every partition of every topic."""
        every = [(topic, number) for topic in self.names for number in range(PARTITIONS)]
        await self.sink.send([Outgoing(t, b"k", [], b"v", n) for t, n in every for _ in range(each)])


async def make_topics(bootstrap: str, count: int) -> list[str]:
    names = [f"measured-{next(_names)}-{time.monotonic_ns()}" for _ in range(count)]
    await admin.apply(bootstrap, [admin.Topic(name, PARTITIONS, 1) for name in names])
    return names


@pytest.fixture
async def topics(kafka: str) -> AsyncIterator[Topics]:
    made = Topics(kafka, await make_topics(kafka, 2), KafkaSink(kafka, "test"))
    yield made
    for reader in made.readers:
        await reader.source.stop()
    await made.sink.stop()


@pytest.fixture
async def proxied(tmp_path: Path) -> AsyncIterator[ProxiedKafka]:
    server = ProxiedKafka(tmp_path / "kafka")
    server.way.start()
    server.start()
    yield server
    server.way.heal()
    server.stop()
    server.way.stop()


async def records_of(bootstrap: str, topic: str) -> dict[int, list[tuple[int, bytes]]]:
    """Offset and value of all that lies in each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        lanes = [TopicPartition(topic, n) for n in range(PARTITIONS)]
        consumer.assign(lanes)
        ends = await consumer.end_offsets(lanes)
        for lane in lanes:
            consumer.seek(lane, 0)
        found: dict[int, list[tuple[int, bytes]]] = {lane.partition: [] for lane in lanes}
        while any([await consumer.position(lane) < end for lane, end in ends.items()]):
            for lane, records in (await consumer.getmany(timeout_ms=500)).items():
                found[lane.partition] += [(record.offset, record.value) for record in records]
        return found
    finally:
        await consumer.stop()


async def test_every_start_begins_exactly_at_the_position_of_the_store(topics: Topics) -> None:
    await topics.put(8)
    for begin in (3, 0, 7, 5):
        reader = await topics.reader(0, begin=begin)
        await reader.until_assigned(2 * PARTITIONS)
        async with asyncio.timeout(10):
            while len(reader.read) < 2 * PARTITIONS * (8 - begin):
                await reader.fetch()
        assert set(reader.begins().values()) == {begin} and len(reader.begins()) == 2 * PARTITIONS
        await reader.source.stop()


async def test_nothing_is_given_on_while_the_positions_are_still_loaded(topics: Topics) -> None:
    """The client itself hands records out before the callback has ended."""
    await topics.put(8)
    reader = await topics.reader(0, begin=5, loading_s=1.5)
    await reader.fetch_for(1.0)
    assert reader.read == [] and reader.source.assigned() == frozenset()
    await reader.until_assigned(2 * PARTITIONS)
    await reader.fetch_for(1.0)
    assert set(reader.begins().values()) == {5}


async def test_a_fetch_that_waits_through_a_rebalance_gives_only_what_the_new_generation_begins_with(
    topics: Topics,
) -> None:
    """It waits since before the rebalance and would return records of partitions whose position is not loaded yet."""
    first = await topics.reader(0, begin=0)
    await first.until_assigned(2 * PARTITIONS)
    waiting = asyncio.ensure_future(first.fetch(8.0))
    first.begin, first.loading_s = 2, 0.5
    second = await topics.reader(1, begin=2, loading_s=0.5)
    await topics.put(6)
    await asyncio.gather(waiting, second.until_assigned(PARTITIONS), first.until_assigned(PARTITIONS))
    await asyncio.gather(first.fetch_for(1.5), second.fetch_for(1.5))
    for reader in (first, second):
        in_last = [record for generation, record in reader.read if generation == len(reader.generations)]
        for partition in reader.source.assigned():
            offsets = [record.offset for record in in_last if record.partition == partition]
            assert offsets == list(range(2, 6)), f"{partition} of {reader.source.assigned()}"


async def test_a_partition_number_of_all_topics_goes_to_one_member(topics: Topics) -> None:
    readers = [await topics.reader(n) for n in range(3)]
    await asyncio.gather(*(reader.until_assigned(2 * PARTITIONS // 3) for reader in readers))
    shares = [reader.source.assigned() for reader in readers]
    assert len(frozenset().union(*shares)) == 2 * PARTITIONS
    for share in shares:
        per_topic = [{p.number for p in share if p.topic == topic} for topic in topics.names]
        assert per_topic[0] == per_topic[1] and len(per_topic[0]) == PARTITIONS // 3


async def test_a_static_member_that_is_back_within_its_session_disturbs_nobody(topics: Topics) -> None:
    first, second = await topics.reader(0), await topics.reader(1)
    await asyncio.gather(first.until_assigned(PARTITIONS), second.until_assigned(PARTITIONS))
    before, share = len(second.generations), first.source.assigned()
    await asyncio.gather(first.source.stop(), second.fetch_for(1.0))
    began = time.monotonic()
    again = await topics.reader(0)
    await topics.put(1)
    await asyncio.gather(again.until_assigned(PARTITIONS), second.fetch_for(1.0))
    took_s = time.monotonic() - began
    assert again.source.assigned() == share and len(second.generations) == before
    assert took_s < SESSION_S / 2
    await again.fetch_for(0.5)
    assert {partition for _, partition in again.begins()} == share


async def test_a_static_member_that_never_returns_costs_one_session_and_no_more(topics: Topics) -> None:
    first, second = await topics.reader(0), await topics.reader(1)
    await asyncio.gather(first.until_assigned(PARTITIONS), second.until_assigned(PARTITIONS))
    began = time.monotonic()
    await first.source.stop()
    await second.until_assigned(2 * PARTITIONS)
    assert SESSION_S / 2 < time.monotonic() - began < 2 * SESSION_S


async def test_cut_connections_and_a_killed_broker_leave_no_hole_and_lose_nothing_that_was_acknowledged(
    proxied: ProxiedKafka,
) -> None:
    (topic,) = await make_topics(proxied.bootstrap, 1)
    sink, batches = KafkaSink(proxied.bootstrap, "test"), [[b"%d.%d" % (n, m) for m in range(60)] for n in range(120)]
    failures = 0
    for number, batch in enumerate(batches):
        if number % 7 == 3:
            asyncio.get_running_loop().call_later(0.002, proxied.way.cut)
        if number == 60:
            proxied.kill()
            proxied.launch()
        async with asyncio.timeout(60):
            while True:  # as the relay does: until it is acknowledged
                try:
                    await sink.send([Outgoing(topic, value.partition(b".")[2], [], value) for value in batch])
                    break
                except Transient:
                    failures += 1
                    await asyncio.sleep(0.1)
        await asyncio.sleep(0.005)
    await sink.stop()
    found = await records_of(proxied.bootstrap, topic)
    for lane in found.values():
        assert [offset for offset, _ in lane] == list(range(len(lane))), "a hole in the offsets"
        firsts = list(dict.fromkeys(value for _, value in lane))
        assert firsts == sorted(firsts, key=lambda v: int(v.partition(b".")[0])), "a later batch before an earlier one"
    values = [value for lane in found.values() for _, value in lane]
    assert set(values) == {value for batch in batches for value in batch}
    assert len(values) - len(set(values)) <= failures * 60, "a duplicate of a batch that was acknowledged at once"


async def test_what_a_timed_out_send_delivers_late_is_never_behind_what_was_sent_after_it(
    proxied: ProxiedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The producer is kept: a dropped one would still deliver its record, out of order."""
    (topic,) = await make_topics(proxied.bootstrap, 1)
    monkeypatch.setattr(adapter, "SEND_TIMEOUT_S", 1.5)
    sink = KafkaSink(proxied.bootstrap, "test")

    def at(value: bytes) -> Outgoing:
        return Outgoing(topic, b"k", [], value, 0)

    await sink.send([at(b"0")])
    for round_number in range(3):
        first, then = (b"%d" % (2 * round_number + n) for n in (1, 2))
        proxied.way.half_open() if round_number % 2 else proxied.way.refuse()
        with pytest.raises(Transient):
            await sink.send([at(first)])
        proxied.way.heal()
        async with asyncio.timeout(60):
            while True:
                try:
                    await sink.send([at(first), at(then)])
                    break
                except Transient:
                    await asyncio.sleep(0.1)
    await asyncio.sleep(2)
    await sink.stop()
    values = [int(value) for _, value in (await records_of(proxied.bootstrap, topic))[0]]
    assert list(dict.fromkeys(values)) == list(range(7)), values
    for value, following in itertools.pairwise(values):
        assert following >= value - 1, f"a ghost behind its successor: {values}"


async def test_a_row_that_commits_late_with_a_low_id_is_sent_too(cluster: Cluster) -> None:
    """Reading behind the last id, or deleting up to it, would lose it."""

    def rows(account: str, count: int) -> list[OutboxRow]:
        effects = Effects()
        for number in range(1, count + 1):
            effects.emit(event(contact(account)), cash("acme", account, number), account)
        return rows_of("cash_application", effects.emissions)

    async with cluster.pool.acquire() as late, cluster.pool.acquire() as early:
        transaction = late.transaction()
        await transaction.start()
        await write_rows(late, rows("late", 3))
        async with early.transaction():
            await write_rows(early, rows("early", 2))
        assert await relay_once(cluster.pool, cluster.sink) == 2
        assert await cluster.count("outbox") == 0, "only what is committed is seen"
        await transaction.commit()
    assert await relay_once(cluster.pool, cluster.sink) == 3
    found = await records_of(cluster.bootstrap, LEDGER)
    assert sum(len(lane) for lane in found.values()) == 5 and await drained(cluster)


async def test_an_owner_that_freezes_in_its_transaction_is_ended_after_five_seconds(cluster: Cluster) -> None:
    """Without the server's own timeout the new owner would wait for the rows of the old one for ever."""
    cluster.member(0)
    await cluster.configure()
    await cluster.feed(400)
    await cluster.until_total(400)
    frozen, awake = asyncio.Event(), asyncio.Event()

    async def freeze() -> None:
        failpoints.armed.clear()
        frozen.set()
        await awake.wait()

    failpoints.armed["transaction.before_commit"] = freeze
    try:
        await cluster.feed(400)
        async with asyncio.timeout(20):
            await frozen.wait()
        second = cluster.member(1)

        async def second_has_partitions() -> bool:
            return bool(second.source.assigned())

        await cluster.until(second_has_partitions)
        taken_over = {p.number for p in second.source.assigned() if p.topic == ACCOUNTS}
        accounts = [n for n in range(40) if partition_of(f"acme/a{n}".encode(), PARTITIONS) in taken_over]
        assert 0 < len(accounts) < 40
        await cluster.until_total(400 + 10 * len(accounts), timeout_s=20)
    finally:
        failpoints.armed.clear()
        awake.set()
    await cluster.until_total(800, timeout_s=40)
    await cluster.until(lambda: drained(cluster))
    assert await cluster.total() == 800 and await cluster.count("toy_fact") == 800
    assert {tuple(s) for s in (await published(cluster)).values()} == {tuple(range(1, 21))}


async def test_the_broker_opens_its_port_only_when_it_serves(own_kafka: KafkaServer) -> None:
    """So an open port is all that a start has to wait for."""
    for _ in range(3):
        own_kafka.kill()
        own_kafka.launch()
        own_kafka.wait_ready()
        (topic,) = await make_topics(own_kafka.bootstrap, 1)
        sink = KafkaSink(own_kafka.bootstrap, "test")
        began = time.monotonic()
        await sink.send([Outgoing(topic, b"k", [], b"v")])
        assert time.monotonic() - began < 5
        await sink.stop()
