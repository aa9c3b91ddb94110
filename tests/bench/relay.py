"""The relay alone: rows that wait in the outbox, to acknowledged records on Kafka, nothing else running in the service.

The rows are those that the simplest handler writes, copied until there are enough of them.
"""

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.events.catalogue import PARTITIONS
from shared.runtime import statements as sql
from tests.bench.figures import Row, judged, plain
from tests.bench.load import EFFECTS, configuration, contacts
from tests.bench.usage import cpu_s
from tests.bench.world import Bench, pool_of

WRITTEN, TIMES, TARGET_PER_S = 20_000, 10, 30_000
POLL_S, TIMEOUT_S = 0.05, 110.0
COLUMNS = ", ".join(f'"{name}"' for name in sql.OUTBOX_COLUMNS)
MORE = f"""
insert into outbox ({COLUMNS}) select {COLUMNS} from
    (select * from outbox order by id) as o cross join generate_series(1, $1::int - 1) as g
"""


async def run(bench: Bench) -> dict[str, Any]:
    dsn = await bench.toy_database()
    pool = await pool_of(dsn)
    await bench.begin_at_the_end(pool)
    await bench.feed([configuration()])
    await bench.send(contacts(WRITTEN))
    worker = bench.worker("simplest", dsn)
    await bench.timed(pool, worker, wanted=WRITTEN + 1)
    await asyncio.to_thread(worker.stop)
    async with pool.acquire() as db:
        await db.execute(MORE, TIMES)
        await db.execute("analyze outbox")
        waiting = await db.fetchval("select count(*) from outbox")
    try:
        return {"rows": waiting, **await _timed(bench, dsn, waiting)}
    finally:
        await pool.close()


def rows(found: dict[str, Any]) -> list[Row]:
    processor = [found["relay_cpu_us"], found["postgres_cpu_us"], found["kafka_cpu_us"]]
    return [
        judged("relay alone, events/s", found["per_s"], "at least", TARGET_PER_S),
        plain("processor time per event, relay / PostgreSQL / Kafka", processor, "us"),
    ]


async def _timed(bench: Bench, dsn: str, wanted: int) -> dict[str, Any]:
    """From the first acknowledged record to the last."""
    lanes = [TopicPartition(EFFECTS, number) for number in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bench.bootstrap)
    await consumer.start()

    async def end() -> int:
        return sum((await consumer.end_offsets(lanes)).values())

    before, deadline = await end(), time.monotonic() + TIMEOUT_S
    relay = bench.worker("simplest", dsn, relay="only-relay")
    try:
        while (first := await end()) == before:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S / 5)
        began = time.perf_counter()
        used = [cpu_s(pid) for pid in (relay.pid, bench.postgres_pid, bench.kafka_pid)]
        while (now := await end()) < before + wanted:
            if relay.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the relay sent {now - before} of {wanted}:\n{relay.log_tail(40)}")
            await asyncio.sleep(POLL_S)
        seconds = time.perf_counter() - began
        after = [cpu_s(pid) for pid in (relay.pid, bench.postgres_pid, bench.kafka_pid)]
    finally:
        await asyncio.to_thread(relay.stop)
        await consumer.stop()
    each = [round((b - a) * 1e6 / (now - first), 1) for a, b in zip(used, after, strict=True)]
    names = ("relay_cpu_us", "postgres_cpu_us", "kafka_cpu_us")
    return {
        "per_s": round((now - first) / seconds),
        "seconds": round(seconds, 2),
        **dict(zip(names, each, strict=True)),
    }
