"""SQL statements per batch, counted at the driver: exact, and the same whatever the size of the batch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg

from services.cash_application.handlers import CashApplicationHandler
from shared.bus.memory import MemoryLog, MemorySink
from shared.events.codec import Event
from shared.runtime import loops
from tests.bench import cash
from tests.bench.figures import Row
from tests.bench.load import COMPANY
from tests.bench.world import Bench, pool_of
from tests.builders import event
from tests.store.runtime.conftest import ALL_TOPICS, World
from tests.store.runtime.toy import ToyHandler, contact

SIZES = (1, 10, 100, 500)
CALLS = ("fetch", "fetchrow", "fetchval", "execute", "copy_records_to_table", "executemany")


async def run(bench: Bench) -> dict[str, Any]:
    """Statements per batch by size, for both handlers, and whether each is constant."""
    offsets = [sum(SIZES[:n]) for n in range(len(SIZES) + 1)]
    toy = [event(contact(f"a{n}")) for n in range(offsets[-1])]
    paid = cash.payments()
    found = {
        "simplest": await _counts(await bench.toy_database(), ToyHandler(), [event(COMPANY)], toy),
        "cash_application": await _counts(
            await bench.database("cash_application"), CashApplicationHandler(), cash.books(), paid[: offsets[-1]]
        ),
    }
    return {name: {"per_batch": counts, "constant": len(set(counts.values())) == 1} for name, counts in found.items()}


def rows(found: dict[str, Any]) -> list[Row]:
    rows = []
    for name in ("simplest", "cash_application"):
        counts = [*found[name]["per_batch"].values()]
        what = f"SQL statements per batch of {'/'.join(map(str, SIZES))}, {name}"
        rows.append(Row(what, " / ".join(map(str, counts)), "constant", found[name]["constant"]))
    return rows


async def _counts(dsn: str, handler: Any, before: Sequence[Event], facts: Sequence[Event]) -> dict[int, int]:
    pool = await pool_of(dsn)
    log = MemoryLog(ALL_TOPICS)
    world = World(pool, log, handler, MemorySink(log))
    runtime = world.runtime(batch_records=len(before))
    source = await world.member(runtime)
    await _take(world, runtime, source, before)
    await _take(world, runtime, source, [event(contact("warm"))])
    counts, at = {}, 0
    for size in SIZES:
        with counted() as seen:
            await _take(world, runtime, source, facts[at : at + size])
        counts[size] = len(seen)
        at += size
    await pool.close()
    return counts


async def _take(world: World, runtime: Any, source: Any, events: Sequence[Event]) -> None:
    """One batch of exactly `events`, through the consumer's own step."""
    for each in events:
        world.put(each)
    runtime.settings.batch_records = len(events)
    taken = await loops.consume_once(runtime, source, 0)
    if taken != len(events):
        raise RuntimeError(f"a batch of {len(events)} was wanted, {taken} were taken")


@contextmanager
def counted() -> Iterator[list[str]]:
    """Every statement that any connection runs inside, COPY and the statements of transactions included."""
    seen: list[str] = []
    plain: dict[str, Callable[..., Any]] = {name: getattr(asyncpg.Connection, name) for name in CALLS}

    def logged(name: str) -> Callable[..., Any]:
        def call(self: Any, first: str, *values: Any, **options: Any) -> Any:
            seen.append(first)
            return plain[name](self, first, *values, **options)

        return call

    for name in CALLS:
        setattr(asyncpg.Connection, name, logged(name))
    try:
        yield seen
    finally:
        for name in CALLS:
            setattr(asyncpg.Connection, name, plain[name])
