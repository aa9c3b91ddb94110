"""The servers of the one-machine stack do what the rest relies on: they keep what was acknowledged, and they end."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import databases
from deploy.local.kafka import KafkaServer
from deploy.local.ports import free_ports, is_free
from deploy.local.postgres import PostgresServer

pytestmark = pytest.mark.timeout(90)


async def _produce(bootstrap: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait("kept", value)
    finally:
        await producer.stop()


async def _consume(bootstrap: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer("kept", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def _create_topic(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


@pytest.mark.broker
async def test_kafka_keeps_what_it_acknowledged_over_a_kill_and_over_a_change_of_ports(own_kafka: KafkaServer) -> None:
    values = [b"%d" % number for number in range(50)]
    await _create_topic(own_kafka.bootstrap)
    await _produce(own_kafka.bootstrap, values)
    own_kafka.kill()
    own_kafka.port, own_kafka.controller_port = free_ports(2)
    own_kafka.start()
    await _produce(own_kafka.bootstrap, [b"after"])
    assert await _consume(own_kafka.bootstrap, 51) == [*values, b"after"]


def test_a_stopped_broker_leaves_its_port_and_no_process(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path / "kafka")
    server.start()
    assert server.child is not None and server.child.id.is_alive()
    server.stop()
    assert not server.child.id.is_alive() and is_free(server.port)


async def test_postgres_keeps_what_was_committed_over_a_kill(server_folder: Path) -> None:
    server = PostgresServer(server_folder / "kept")
    server.start()
    try:
        connection = await asyncpg.connect(server.admin_dsn)
        await connection.execute("create table kept as select 7 as number")
        server.kill()
        server.start()
        connection = await asyncpg.connect(server.admin_dsn)
        assert await connection.fetchval("select number from kept") == 7
        await connection.close()
    finally:
        server.stop()


async def test_a_service_cannot_connect_to_the_database_of_another(postgres: str) -> None:
    mine = await databases.ensure_service_database(postgres, "ingest", "secret")
    other = await databases.ensure_service_database(postgres, "reporting", "secret")
    for dsn in (mine.dsn, mine.owner_dsn, mine.reader_dsn):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(databases.on_database(dsn, "recoup_reporting"))
    assert await (await asyncpg.connect(other.dsn)).fetchval("select current_database()") == "recoup_reporting"


async def test_the_application_role_writes_rows_but_makes_no_tables(make_database) -> None:
    owner_dsn = await make_database()
    owner = await asyncpg.connect(owner_dsn)
    await owner.execute("create table note (text text)")
    application = await asyncpg.connect(owner_dsn.replace("recoup_scratch_owner", "recoup_scratch"))
    await application.execute("insert into note values ('written')")
    assert await application.fetchval("select text from note") == "written"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await application.execute("create table another (text text)")
    reader = await asyncpg.connect(owner_dsn.replace("recoup_scratch_owner", "recoup_scratch_reader"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.fetchval("select text from note")
    for connection in (owner, application, reader):
        await connection.close()


async def test_each_test_gets_a_database_of_its_own(make_database) -> None:
    first, second = await make_database(), await make_database()
    assert first != second
    connection = await asyncpg.connect(first)
    await connection.execute("create table only_here (id int)")
    await connection.close()
    connection = await asyncpg.connect(second)
    assert await connection.fetchval("select to_regclass('only_here')") is None
    await connection.close()
