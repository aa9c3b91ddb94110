"""The simplest handler through the whole transaction: events per second, latency at half load, share of a plain COPY."""

import asyncio
import time
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local import databases
from shared.bus.kafka import KafkaSink, KafkaSource
from shared.bus.port import Outgoing
from shared.events.catalogue import CONTROL, READS
from shared.events.control import CompanyConfigured
from shared.runtime import loops
from tests.bench.world import Bench, pool_of
from tests.builders import event, headers_and_value
from tests.store.runtime.conftest import SERVICE, World
from tests.store.runtime.toy import ToyHandler, contact, metadata

EVENTS, ACCOUNTS = 40_000, 2_000
LATENCY_S, HALF_LOAD = 8, 5_000


async def database(bench: Bench) -> str:
    connection = await databases.connect(bench.admin_dsn)
    name = f"bench_toy_{time.monotonic_ns()}"
    try:
        await databases.ensure_roles(connection, "bench", "bench")
        await databases.ensure_database(connection, name, "bench", None)
    finally:
        await connection.close()
    dsn = databases.addresses(bench.admin_dsn, name, "bench", "bench").owner_dsn
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as found:
        await found.run_sync(metadata.create_all)
    await engine.dispose()
    return dsn


async def run(bench: Bench) -> dict[str, Any]:
    pool = await pool_of(await database(bench))
    fact = CompanyConfigured(company="acme", base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB")
    await bench.feed([event(fact)])
    await bench.feed([event(contact(f"a{n % ACCOUNTS}")) for n in range(EVENTS)])
    runtime = World(pool, None, ToyHandler(), None).runtime()  # type: ignore[arg-type]
    source = KafkaSource(bench.bootstrap, SERVICE, READS[SERVICE], f"{SERVICE}-0")
    sink = KafkaSink(bench.bootstrap, "bench-relay")
    tasks = [asyncio.ensure_future(loops.run_consumer(runtime, source))]
    rate = await _until(pool, EVENTS)
    tasks.append(asyncio.ensure_future(loops.run_relay(runtime, sink)))
    await _drained(pool)
    latency = await _latency(bench, pool)
    runtime.no_new_work.set()
    await tasks[0]
    runtime.relay_stop.set()
    await tasks[1]
    copy_rate = await _plain_copy(pool)
    await pool.close()
    rows_per_event = 5  # inbox, fact, account (updated), stream head (updated), outbox
    return {
        "events_per_s": round(rate),
        "rows_per_s": round(rate * rows_per_event),
        "copy_rows_per_s": round(copy_rate),
        "share_of_copy": round(rate * rows_per_event / copy_rate, 3),
        **latency,
    }


async def _count(pool: asyncpg.Pool) -> int:
    async with pool.acquire() as db:
        return await db.fetchval("select coalesce(sum(facts), 0)::int from toy_account")


async def _until(pool: asyncpg.Pool, wanted: int) -> float:
    """Events per second from the first one taken to the last."""
    while (first := await _count(pool)) == 0:
        await asyncio.sleep(0.005)
    began = time.perf_counter()
    while (count := await _count(pool)) < wanted:
        await asyncio.sleep(0.02)
    return (count - first) / (time.perf_counter() - began)


async def _drained(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as db:
        while await db.fetchval("select exists (select from outbox)"):
            await asyncio.sleep(0.02)


async def _latency(bench: Bench, pool: asyncpg.Pool) -> dict[str, Any]:
    """Event to acknowledged effect at half of the wanted rate, in ms, from a reader of the service's topic."""
    sink = KafkaSink(bench.bootstrap, "bench-load")
    await sink.start()
    reader = KafkaSource(bench.bootstrap, "bench-reader", ["ar.ledger"], "bench-reader-0")
    ends = await _ends(bench)

    async def at_end(partitions):  # noqa: ANN001, ANN202
        return {p: ends.get(p.number, 0) for p in partitions}

    await reader.start(at_end)
    sent: dict[str, float] = {}
    seen: list[float] = []
    stop = asyncio.Event()
    reading = asyncio.ensure_future(_read(reader, sent, seen, stop))
    began = time.perf_counter()
    number = 0
    while (elapsed := time.perf_counter() - began) < LATENCY_S:
        due = int(elapsed * HALF_LOAD)
        part = [event(contact(f"a{n % ACCOUNTS}")) for n in range(number, due)]
        number = due
        now = time.perf_counter()
        sent.update((str(e.envelope.id), now) for e in part)
        if part:
            await sink.send([Outgoing(e.topic, **headers_and_value(e)) for e in part])
        await asyncio.sleep(0.01)
    await asyncio.sleep(2)
    stop.set()
    await reading
    await reader.stop()
    await sink.stop()
    ordered = sorted(seen)
    return {
        "load_events_per_s": HALF_LOAD,
        "measured": len(ordered),
        "p50_ms": round(1000 * ordered[len(ordered) // 2]),
        "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)]),
    }


async def _ends(bench: Bench) -> dict[int, int]:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    consumer = AIOKafkaConsumer(bootstrap_servers=bench.bootstrap)
    await consumer.start()
    ends = await consumer.end_offsets([TopicPartition("ar.ledger", n) for n in range(12)])
    await consumer.stop()
    return {tp.partition: end for tp, end in ends.items()}


async def _read(reader: KafkaSource, sent: dict[str, float], seen: list[float], stop: asyncio.Event) -> None:
    while not stop.is_set():
        for records in (await reader.fetch(2_000, 0.1)).values():
            now = time.perf_counter()
            for record in records:
                cause = dict(record.headers)["ce_causationid"].decode()
                if cause in sent:
                    seen.append(now - sent.pop(cause))


async def _plain_copy(pool: asyncpg.Pool) -> float:
    """Rows per second of COPY into copies of the same tables, 500 events to a commit, as the worker commits."""
    async with pool.acquire() as db:
        outbox = await db.fetch("select event_id from inbox limit 20000")
        await db.execute("create table copy_inbox (like inbox including all)")
        await db.execute("create table copy_fact (like toy_fact including all)")
        await db.execute("create table copy_outbox (topic text, key text, headers bytea, value bytea, event_id uuid)")
        ids = [row["event_id"] for row in outbox]
        began = time.perf_counter()
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            async with db.transaction():
                await db.copy_records_to_table("copy_inbox", records=[(i,) for i in part], columns=["event_id"])
                await db.copy_records_to_table("copy_fact", records=[(i, "a1") for i in part])
                rows = [("ar.ledger", "acme/a1", b"h" * 700, b"v" * 120, i) for i in part]
                await db.copy_records_to_table("copy_outbox", records=rows)
        return 3 * len(ids) / (time.perf_counter() - began)
