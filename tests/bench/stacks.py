"""Local stacks of the bench: ports and a folder of their own, fsync on, every process stopped by its pid at the end."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local import readiness
from deploy.local.local_stack import PREFERRED_PORTS, LocalStack
from deploy.local.paths import cache_dir
from deploy.local.ports import free_ports
from deploy.local.processes import Child
from shared.events.catalogue import CONTROL, PARTITIONS, READS


@contextlib.contextmanager
def stack_of(*, services: bool) -> Iterator[LocalStack]:
    """A started stack in a folder that goes when the block ends; with `services`, all five are ready."""
    ports = zip(PREFERRED_PORTS, free_ports(len(PREFERRED_PORTS)), strict=True)
    environment = {k: v for k, v in os.environ.items() if k != "KAFKA_BOOTSTRAP_SERVERS"}
    environment |= {f"RECOUP_PORT_{name.upper()}": str(port) for name, port in ports}
    with tempfile.TemporaryDirectory(prefix="recoup-bench-stack-") as folder:
        local = Path(folder) / "local"
        environment |= {"RECOUP_LOCAL_DIR": str(local), "RECOUP_CACHE_DIR": str(cache_dir())}
        local.mkdir()
        for path in (local, local.parent):
            path.chmod(0o755)
        stack = LocalStack(local, say=lambda text: None, environment=environment)
        try:
            stack.start(services=services)
            yield stack
        finally:
            stack.stop()


@contextlib.contextmanager
def one_service(stack: LocalStack, service: str) -> Iterator[Child]:
    """One process of a service, ready, while the block runs."""
    assert stack.info is not None
    child = stack.start_service(service)
    try:
        readiness.wait_ready([(child, stack.info.services[service])])
        yield child
    finally:
        child.stop()


async def owner_of(stack: LocalStack, service: str) -> asyncpg.Connection:
    """A connection as the owner of a service's schema. Close it."""
    assert stack.info is not None
    return await asyncpg.connect(stack.info.databases[service].owner_dsn, timeout=10)


async def ends_of(bootstrap: str, topics: Iterable[str]) -> Mapping[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return await consumer.end_offsets([TopicPartition(t, n) for t in topics for n in range(PARTITIONS)])
    finally:
        await consumer.stop()


async def begin_behind_others(stack: LocalStack, service: str) -> None:
    """Let a service that was never started begin behind all facts that lie there, though not behind configurations."""
    assert stack.info is not None
    topics = [topic for topic in READS[service] if topic != CONTROL]
    ends = await ends_of(stack.info.kafka_bootstrap, topics)
    rows = [(lane.topic, lane.partition, end) for lane, end in ends.items()]
    db = await owner_of(stack, service)
    await db.copy_records_to_table("kafka_cursor", records=rows, columns=("topic", "partition", "next_offset"))
    await db.close()
