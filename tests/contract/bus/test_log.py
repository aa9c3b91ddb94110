"""The contract of reading a log from its beginning, held by the memory reader and by the Kafka reader on a broker."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition

from shared.bus.kafka import KafkaSink
from shared.bus.kafka_log import KafkaReader
from shared.bus.log import LogReader, MemoryReader
from shared.bus.memory import MemoryLog, MemorySink
from shared.bus.port import Outgoing, Partition, Record, Sink
from shared.errors import Stop
from shared.runtime.start import LookBack

PARTITIONS = 3


@dataclass
class Log:
    topic: str
    sink: Sink
    reader: Callable[[], LogReader]

    @property
    def partitions(self) -> list[Partition]:
        return [Partition(self.topic, number) for number in range(PARTITIONS)]

    async def put(self, count: int, number: int) -> None:
        await self.sink.send([Outgoing(self.topic, b"k", [], str(n).encode(), number) for n in range(count)])


@pytest.fixture(params=["memory", "kafka"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    topic = f"log.{request.node.name[:80].replace('[', '-').replace(']', '')}"
    if request.param == "memory":
        memory = MemoryLog([topic], PARTITIONS)
        made = Log(topic, MemorySink(memory), lambda: MemoryReader(memory))
    else:
        bootstrap = request.getfixturevalue("kafka")
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        await admin.close()
        made = Log(topic, KafkaSink(bootstrap, "log-contract"), lambda: KafkaReader(bootstrap, "log-contract"))
    await made.sink.start()
    yield made
    await made.sink.stop()


async def read(reader: LogReader, wanted: int) -> dict[Partition, list[Record]]:
    """Fetch until `wanted` records came; each fetch waits a second at most."""
    found: dict[Partition, list[Record]] = {}
    for _ in range(30):
        for partition, records in (await reader.fetch(10, 1.0)).items():
            found.setdefault(partition, []).extend(records)
        if sum(map(len, found.values())) >= wanted:
            break
    return found


async def test_every_reader_begins_at_the_beginning_and_reads_all_in_order(log: Log) -> None:
    await log.put(25, 0)
    await log.put(5, 2)
    for _ in (1, 2):
        reader = log.reader()
        await reader.start(log.partitions)
        found = await read(reader, 30)
        await reader.stop()
        assert {p.number: [r.offset for r in records] for p, records in found.items()} == {
            0: list(range(25)),
            2: list(range(5)),
        }
        assert all(r.key == b"k" and r.value == str(r.offset).encode() for lane in found.values() for r in lane)


async def test_of_a_held_partition_nothing_comes_and_nothing_is_lost(log: Log) -> None:
    await log.put(25, 0)
    await log.put(5, 1)
    reader = log.reader()
    await reader.start(log.partitions)
    before = await read(reader, 5)
    began = len(before.get(log.partitions[0], []))
    reader.hold([log.partitions[0]])
    held = [await reader.fetch(10, 0.2) for _ in range(5)]
    assert all(log.partitions[0] not in batch for batch in held)
    reader.hold([])
    after = await read(reader, 25 - began)
    await reader.stop()
    offsets = [r.offset for found in (before, after) for r in found.get(log.partitions[0], [])]
    assert offsets == list(range(25))


async def test_a_reader_that_is_sought_goes_on_there_also_back_while_others_are_held(log: Log) -> None:
    await log.put(25, 0)
    await log.put(5, 1)
    reader, (first, second, third) = log.reader(), log.partitions
    await reader.start(log.partitions)
    reader.hold(log.partitions)
    assert await reader.ends() == {first: 25, second: 5, third: 0}
    for begin in (20, 7, 22):
        await reader.seek({first: begin})
        reader.hold([second, third])
        found = await read(reader, 25 - begin)
        assert {p: [r.offset for r in lane] for p, lane in found.items()} == {first: list(range(begin, 25))}
        reader.hold(log.partitions)
    await reader.stop()


async def test_a_log_that_lost_its_beginning_is_refused(kafka: str) -> None:
    topic = "log.truncated"
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    sink = KafkaSink(kafka, "log-contract")
    await sink.start()
    await sink.send([Outgoing(topic, b"k", [], b"v", 0) for _ in range(4)])
    await sink.stop()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=2)})
    await admin.close()
    reader = KafkaReader(kafka, "log-contract")
    with pytest.raises(Stop, match="log.truncated/0 at 2"):
        await reader.start([Partition(topic, 0)])
    await reader.stop()


async def test_a_look_back_needs_no_beginning_and_ends_where_the_log_begins(kafka: str) -> None:
    topic = "log.looked-back"
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 2, 1)])
    sink = KafkaSink(kafka, "log-contract")
    await sink.start()
    await sink.send([Outgoing(topic, b"k", [], b"v", number) for number in (0, 1) for _ in range(4)])
    await sink.stop()
    some, none = Partition(topic, 0), Partition(topic, 1)
    kept_from = {some: 2, none: 4}
    await admin.delete_records({TopicPartition(*p): RecordsToDelete(before_offset=at) for p, at in kept_from.items()})
    await admin.close()
    reader = KafkaReader(kafka, "log-contract")
    back = LookBack(reader, [some, none])
    await back.start()
    assert reader.begins() == kept_from
    found = [lanes async for lanes, _ in back.windows({some: (0, 4), none: (0, 4)})]
    await reader.stop()
    assert [{p: [r.offset for r in lane] for p, lane in lanes.items()} for lanes in found] == [{some: [2, 3]}]
