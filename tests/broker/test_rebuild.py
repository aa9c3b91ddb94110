"""A rebuild that several processes share out, from a real log: what they make together equals what stands."""

import pytest

from deploy.local.kafka import KafkaServer
from services.reporting.main import REBUILT
from shared.bus import admin
from shared.bus.kafka import KafkaSink
from shared.bus.kafka_log import KafkaReader
from shared.bus.port import Outgoing
from shared.db.migrate import ROOT
from tests.store.rebuild.conftest import Live, live
from tests.store.rebuild.living import Living
from tests.store.reporting import quarter

pytestmark = pytest.mark.broker
DAYS = 8


async def to_kafka(world: Living, bootstrap: str) -> int:
    """The log of the world, partition by partition, at the same offsets; how many records it has."""
    await admin.apply(bootstrap, admin.load(ROOT / "deploy" / "topics.yaml"))
    sink = KafkaSink(bootstrap, "test")
    await sink.start()
    sent = 0
    for lane, records in sorted(world.log.records.items()):
        await sink.send([Outgoing(lane.topic, r.key, r.headers, r.value, lane.number) for r in records])
        sent += len(records)
    await sink.stop()
    return sent


async def test_two_processes_rebuild_what_stands_row_for_row_with_every_close_in_between(
    live: Live, own_kafka: KafkaServer
) -> None:
    world = await live("reporting")
    await quarter.live(world, DAYS)
    records = await to_kafka(world, own_kafka.bootstrap)
    reader = KafkaReader(own_kafka.bootstrap, "test-rebuild")
    work = world.rebuild(REBUILT, reader=reader, processes=2, bootstrap=own_kafka.bootstrap)
    report = await work.run()
    assert report.swapped and report.differences == []
    assert report.records == records
    (days,) = await world.rows("select count(*) as days from day_snapshot")
    assert days == {"days": DAYS}
    await world.tell(world.item("INV-AFTER", 5_000, due_on=world.on))
    assert await world.rows("select remaining_minor from item where number = 'INV-AFTER'") == [
        {"remaining_minor": 5_000}
    ]


async def test_what_fails_in_a_process_ends_the_rebuild_with_its_reason_and_the_store_stands(
    live: Live, own_kafka: KafkaServer
) -> None:
    world = await live("reporting")
    await quarter.live(world, 1)
    await admin.apply(own_kafka.bootstrap, admin.load(ROOT / "deploy" / "topics.yaml"))
    reader = KafkaReader(own_kafka.bootstrap, "test-rebuild")
    work = world.rebuild(REBUILT, reader=reader, processes=2, bootstrap="127.0.0.1:1")
    before = await world.rows("select count(*) from item")
    with pytest.raises(Exception, match="a process of the replay failed"):
        await work.run()
    assert await world.rows("select count(*) from item") == before


__all__ = ["live"]
