"""The simplest handler through the whole transaction: events per second of one and of two processes, share of a plain
COPY of the same rows in the same run, and the latency with the relay in the same process."""

import asyncio
from typing import Any

from shared.runtime import statements as sql
from tests.bench.figures import Row, judged, percentile, plain
from tests.bench.latency import Watch, arrived, send_evenly
from tests.bench.load import COMPANY, EFFECTS, configuration, contacts, control_ends
from tests.bench.rows import copy_records_per_s, copy_rows_per_s, counters, difference, named
from tests.bench.world import Bench, pool_of

EVENTS, EVENTS_OF_TWO, BATCH = 100_000, 200_000, 500
LATENCY_S = 8
TARGET_PER_S, TARGET_OF_TWO_PER_S = 20_000, 30_000


async def run(bench: Bench) -> dict[str, Any]:
    await bench.feed([configuration()])
    await bench.send(contacts(EVENTS))
    alone = await _one(bench)
    await bench.send(contacts(EVENTS_OF_TWO - EVENTS, first=EVENTS))
    two = await _two(bench)
    relayed = await _relayed(bench)
    return {"worker": alone, "two_workers": two, "worker_and_relay": relayed, "latency": await _latency(bench, relayed)}


def rows(found: dict[str, Any]) -> list[Row]:
    alone, two, relayed, latency = (found[name] for name in ("worker", "two_workers", "worker_and_relay", "latency"))
    percentiles = [latency["p50_ms"], latency["p99_ms"]]
    return [
        judged("simplest handler, one worker, events/s", alone["per_s"], "at least", TARGET_PER_S),
        plain("processor time per event, worker / PostgreSQL", _cpu(alone), "us"),
        plain("rows inserted/s", alone["rows_inserted_per_s"]),
        plain("plain COPY of the same rows, rows/s", alone["copy_rows_per_s"]),
        plain("share of the plain COPY", alone["share_of_copy"] * 100, "%"),
        plain("share of a COPY whose rows the driver encodes", alone["share_of_copy_from_records"] * 100, "%"),
        judged("simplest handler, two workers, events/s", two["per_s"], "at least", TARGET_OF_TWO_PER_S),
        plain("processor time per event, workers / PostgreSQL", _cpu(two), "us"),
        plain("one worker and its relay in one process, events/s", relayed["per_s"]),
        plain(f"event to effect p50 / p99 at {latency['load_events_per_s']:,}/s", percentiles, "ms"),
    ]


def _cpu(part: dict[str, Any]) -> list[float]:
    return [part["worker_cpu_us_per_event"], part["postgres_cpu_us_per_event"]]


async def _one(bench: Bench) -> dict[str, Any]:
    dsn = await bench.toy_database()
    pool = await pool_of(dsn)
    before = await counters(pool)
    worker = bench.worker("simplest", dsn)
    try:
        found: dict[str, Any] = dict(await bench.timed(pool, worker, wanted=EVENTS + 1))
    finally:
        await asyncio.to_thread(worker.stop)
    wrote = difference(before, await counters(pool))
    inserted = {table: counts[0] for table, counts in wrote.items() if counts[0] > EVENTS // 2}
    copied = await copy_rows_per_s(pool, inserted, EVENTS // BATCH)
    copied_records = await copy_records_per_s(pool, inserted, EVENTS // BATCH)
    per_s = found["per_s"] * sum(inserted.values()) / EVENTS
    await pool.close()
    return found | {
        "rows_inserted_per_event": round(sum(inserted.values()) / EVENTS, 2),
        "rows_inserted_per_s": round(per_s),
        "copy_rows_per_s": round(copied),
        "share_of_copy": round(per_s / copied, 3),
        "copy_from_records_rows_per_s": round(copied_records),
        "share_of_copy_from_records": round(per_s / copied_records, 3),
        "tables": named(wrote),
    }


async def _two(bench: Bench) -> dict[str, Any]:
    """Both begin together: they share the partitions while the company's facts still wait for its configuration."""
    dsn = await bench.toy_database()
    pool = await pool_of(dsn)
    await control_ends(bench, pool)
    workers = [bench.worker("simplest", dsn, beside="bench-two") for _ in range(2)]
    try:
        await bench.shared_out("bench-two", members=2)
        async with pool.acquire() as db, db.transaction():
            await db.execute(sql.SAVE_COMPANIES, [COMPANY.company], [COMPANY.model_dump(mode="json")])
            await db.execute(sql.BUMP_CONTROL)
        return dict(await bench.timed(pool, *workers, wanted=EVENTS_OF_TWO))
    finally:
        for worker in workers:
            await asyncio.to_thread(worker.stop)
        await pool.close()


async def _relayed(bench: Bench) -> dict[str, Any]:
    dsn = await bench.toy_database()
    pool = await pool_of(dsn)
    worker = bench.worker("simplest", dsn, relay="relay")
    try:
        return dict(await bench.timed(pool, worker, wanted=EVENTS + 1))
    finally:
        await asyncio.to_thread(worker.stop)
        await pool.close()


async def _latency(bench: Bench, relayed: dict[str, Any]) -> dict[str, Any]:
    """Event to acknowledged effect at half of what worker and relay reach together in one process."""
    dsn = await bench.toy_database()
    pool = await pool_of(dsn)
    await bench.begin_at_the_end(pool)
    await bench.feed([configuration()])
    load = relayed["per_s"] // 2
    worker = bench.worker("simplest", dsn, relay="relay")
    try:
        async with Watch.open(bench.bootstrap, EFFECTS) as watch:
            await asyncio.sleep(4)
            for seconds in (2, LATENCY_S):
                watch.seen.clear()
                await send_evenly(bench.bootstrap, list(contacts(load * seconds, first=watch.sent)), load, watch)
                await arrived(watch, worker)
    finally:
        await asyncio.to_thread(worker.stop)
        await pool.close()
    seen = [1000 * seconds for seconds in watch.seen]
    return {
        "load_events_per_s": load,
        "measured": len(seen),
        "p50_ms": round(percentile(seen, 0.5)),
        "p99_ms": round(percentile(seen, 0.99)),
    }
