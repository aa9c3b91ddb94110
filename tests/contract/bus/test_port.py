"""The contract of the bus port, held by the memory adapter and by the Kafka adapter on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.bus.kafka import KafkaSink, KafkaSource
from shared.bus.memory import MemoryLog, MemorySink, MemorySource
from shared.bus.partitioner import partition_of
from shared.bus.port import Outgoing, Partition, Record, Sink, Source

PARTITIONS = 4


@dataclass
class Bus:
    topic: str
    sink: Sink
    source: Callable[[str], Source]


@pytest.fixture(params=["memory", "kafka"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    topic = f"contract.{request.node.name[:80].replace('[', '-').replace(']', '')}"
    made: list[Any] = []
    if request.param == "memory":
        log = MemoryLog([topic], PARTITIONS)
        sink: Sink = MemorySink(log)

        def source(instance: str) -> Source:
            made.append(MemorySource(log, topic, [topic]))
            return made[-1]

    else:
        bootstrap = request.getfixturevalue("kafka")
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        await admin.close()
        sink = KafkaSink(bootstrap, "contract")

        def source(instance: str) -> Source:
            made.append(KafkaSource(bootstrap, topic, [topic], instance))
            return made[-1]

    await sink.start()
    yield Bus(topic, sink, source)
    await sink.stop()
    for each in made:
        await each.stop()


def outgoing(bus: Bus, key: str, value: str, number: int | None = None) -> Outgoing:
    return Outgoing(bus.topic, key.encode(), [("ce_type", b"x"), ("n", value.encode())], value.encode(), number)


async def collect(source: Source, count: int) -> list[Record]:
    found: list[Record] = []
    for _ in range(300):
        for records in (await source.fetch(100, 0.1)).values():
            found.extend(records)
        if len(found) >= count:
            break
    return found


async def from_zero(partitions) -> dict[Partition, int]:
    return dict.fromkeys(partitions, 0)


async def test_records_come_back_whole_and_in_order_per_key(bus: Bus) -> None:
    source = bus.source("m1")
    await source.start(from_zero)
    await bus.sink.send([outgoing(bus, f"k{n % 3}", f"v{n}") for n in range(30)])
    found = await collect(source, 30)
    for key in (b"k0", b"k1", b"k2"):
        mine = [r for r in found if r.key == key]
        assert [r.value for r in mine] == sorted((r.value for r in mine), key=lambda v: int(v[1:]))
        assert {r.partition.number for r in mine} == {partition_of(key, PARTITIONS)}
    assert dict(found[0].headers)["ce_type"] == b"x"


async def test_offsets_are_contiguous_and_a_named_partition_is_used(bus: Bus) -> None:
    source = bus.source("m1")
    await source.start(from_zero)
    await bus.sink.send([outgoing(bus, "any", str(n), number=2) for n in range(10)])
    found = await collect(source, 10)
    assert [r.offset for r in found] == list(range(10))
    assert {r.partition for r in found} == {Partition(bus.topic, 2)}


async def test_reading_begins_where_the_store_says_and_seek_goes_back(bus: Bus) -> None:
    await bus.sink.send([outgoing(bus, "k", str(n), number=1) for n in range(10)])

    async def from_seven(partitions) -> dict[Partition, int]:
        return {p: 7 if p.number == 1 else 0 for p in partitions}

    source = bus.source("m1")
    await source.start(from_seven)
    assert [r.value for r in await collect(source, 3)] == [b"7", b"8", b"9"]
    await source.seek({Partition(bus.topic, 1): 9})
    assert [r.value for r in await collect(source, 1)] == [b"9"]


async def test_a_second_member_takes_over_a_share_and_gives_it_back(bus: Bus) -> None:
    positions: dict[Partition, int] = {}

    async def load(partitions) -> dict[Partition, int]:
        return {p: positions.get(p, 0) for p in partitions}

    one, two = bus.source("m1"), bus.source("m2")
    await one.start(load)
    await collect(one, 0)
    starting = asyncio.ensure_future(two.start(load))
    for _ in range(300):
        await asyncio.gather(one.fetch(10, 0.05), two.fetch(10, 0.05) if starting.done() else asyncio.sleep(0.05))
        if len(one.assigned()) == len(two.assigned()) == PARTITIONS // 2:
            break
    assert one.assigned().isdisjoint(two.assigned())
    assert len(one.assigned() | two.assigned()) == PARTITIONS


async def test_lag_is_what_lies_behind_the_position(bus: Bus) -> None:
    source = bus.source("m1")
    await source.start(from_zero)
    await bus.sink.send([outgoing(bus, "k", str(n), number=0) for n in range(5)])
    await collect(source, 5)
    assert sum(source.lag().values()) == 0
    await source.seek({Partition(bus.topic, 0): 2})
    assert sum(source.lag().values()) == 3


async def test_the_ends_of_the_log_are_told_beside_the_fetching(bus: Bus) -> None:
    source = bus.source("m1")
    assert await source.ends() == {}, "nothing is assigned yet"
    await source.start(from_zero)
    await bus.sink.send([outgoing(bus, "k", str(n), number=1) for n in range(5)])
    await collect(source, 5)
    await bus.sink.send([outgoing(bus, "k", str(n), number=1) for n in range(2)])
    assert await source.ends() == {Partition(bus.topic, n): 7 if n == 1 else 0 for n in range(PARTITIONS)}
