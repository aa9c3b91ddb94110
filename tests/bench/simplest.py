"""The simplest handler through the whole transaction: events per second, share of a plain COPY, latency."""

import asyncio
import time
from typing import Any

from deploy.local.processes import Child
from shared.bus.kafka import KafkaSink, KafkaSource
from shared.bus.port import Outgoing
from shared.events.control import CompanyConfigured
from tests.bench.rows import copy_records_per_s, copy_rows_per_s, counters, difference, named
from tests.bench.world import Bench, pool_of
from tests.builders import event, headers_and_value
from tests.store.runtime.toy import contact

EVENTS, ACCOUNTS, BATCH = 40_000, 2_000, 500
LATENCY_S, TARGET_PER_S = 8, 10_000
ARRIVE_TIMEOUT_S = 30.0
EFFECTS = "ar.ledger"
COMPANY = CompanyConfigured(company="acme", base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB")


async def run(bench: Bench) -> dict[str, Any]:
    await bench.feed([event(COMPANY)])
    await bench.feed([event(contact(f"a{n % ACCOUNTS}")) for n in range(EVENTS)])
    alone = await _throughput(bench, relay=False)
    relayed = await _throughput(bench, relay=True)
    load = min(TARGET_PER_S, relayed["per_s"]) // 2
    return {"worker": alone, "worker_and_relay": relayed, "latency": await _latency(bench, load)}


async def _throughput(bench: Bench, *, relay: bool) -> dict[str, Any]:
    dsn = await bench.toy_database()
    pool = await pool_of(dsn)
    before = await counters(pool)
    worker = bench.worker("simplest", dsn, relay=relay)
    try:
        found: dict[str, Any] = dict(await bench.timed(pool, worker, wanted=EVENTS + 1))
    finally:
        await asyncio.to_thread(worker.stop)
    if not relay:
        wrote = difference(before, await counters(pool))
        inserted = {table: counts[0] for table, counts in wrote.items() if counts[0] > EVENTS // 2}
        copied = await copy_rows_per_s(pool, inserted, EVENTS // BATCH)
        copied_records = await copy_records_per_s(pool, inserted, EVENTS // BATCH)
        per_s = found["per_s"] * sum(inserted.values()) / EVENTS
        found |= {
            "rows_inserted_per_event": round(sum(inserted.values()) / EVENTS, 2),
            "rows_inserted_per_s": round(per_s),
            "copy_rows_per_s": round(copied),
            "share_of_copy": round(per_s / copied, 3),
            "copy_from_records_rows_per_s": round(copied_records),
            "share_of_copy_from_records": round(per_s / copied_records, 3),
            "tables": named(wrote),
        }
    await pool.close()
    return found


async def _latency(bench: Bench, load_per_s: int) -> dict[str, Any]:
    """Event to acknowledged effect in ms, from a reader of the service's topic, worker and relay in one process."""
    dsn = await bench.toy_database()
    pool = await pool_of(dsn)
    await bench.begin_at_the_end(pool)
    await bench.feed([event(COMPANY)])
    worker = bench.worker("simplest", dsn, relay=True)
    await pool.close()
    try:
        seen = await _measure(bench, load_per_s, worker)
    finally:
        await asyncio.to_thread(worker.stop)
    ordered = sorted(seen)
    return {
        "load_events_per_s": load_per_s,
        "measured": len(ordered),
        "p50_ms": round(1000 * ordered[len(ordered) // 2]),
        "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)]),
    }


async def _measure(bench: Bench, load_per_s: int, worker: Child) -> list[float]:
    """Seconds per event. The first two seconds warm up and are not counted."""
    sink = KafkaSink(bench.bootstrap, "bench-load")
    await sink.start()
    reader = KafkaSource(bench.bootstrap, "bench-reader", [EFFECTS], "bench-reader-0")
    ends = await bench.ends([EFFECTS])
    await reader.start(_positions({p.partition: end for p, end in ends.items()}))
    await asyncio.sleep(5)
    sent: dict[bytes, float] = {}
    seen: list[float] = []
    stop = asyncio.Event()
    reading = asyncio.ensure_future(_read(reader, sent, seen, stop))
    number = await _send(sink, sent, load_per_s, 2.0, 0)
    await _arrived(sent, worker)
    seen.clear()
    await _send(sink, sent, load_per_s, LATENCY_S, number)
    await _arrived(sent, worker)
    stop.set()
    await reading
    await reader.stop()
    await sink.stop()
    return seen


async def _arrived(sent: dict[bytes, float], worker: Child) -> None:
    deadline = time.monotonic() + ARRIVE_TIMEOUT_S
    while sent:
        if worker.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(
                f"{len(sent)} effects did not arrive within {ARRIVE_TIMEOUT_S:.0f} s of the last event, or the worker "
                f"ended:\n{worker.log_tail(40)}"
            )
        await asyncio.sleep(0.05)


def _positions(ends: dict[int, int]) -> Any:
    async def load(partitions: Any) -> Any:
        return {p: ends[p.number] for p in partitions}

    return load


async def _send(sink: KafkaSink, sent: dict[bytes, float], per_s: int, seconds: float, number: int) -> int:
    """Send evenly; the events are made before, so that making them does not delay them."""
    ready = [event(contact(f"a{n % ACCOUNTS}")) for n in range(number, number + int(per_s * seconds))]
    records = [Outgoing(e.topic, **headers_and_value(e)) for e in ready]
    ids = [str(e.envelope.id).encode() for e in ready]
    began, at = time.perf_counter(), 0
    while at < len(records):
        due = min(len(records), int((time.perf_counter() - began) * per_s) + 1)
        now = time.perf_counter()
        sent.update((identity, now) for identity in ids[at:due])
        await sink.send(records[at:due])
        at = due
        await asyncio.sleep(0.01)
    return number + len(records)


async def _read(reader: KafkaSource, sent: dict[bytes, float], seen: list[float], stop: asyncio.Event) -> None:
    while not stop.is_set():
        for records in (await reader.fetch(2_000, 0.1)).values():
            now = time.perf_counter()
            for record in records:
                cause = dict(record.headers)["ce_causationid"]
                if cause in sent:
                    seen.append(now - sent.pop(cause))
