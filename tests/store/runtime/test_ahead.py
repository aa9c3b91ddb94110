"""A consumer that reads ahead: the next batch is ready while a full one is taken, and no failure skips a record."""

import asyncio
from collections.abc import Iterator

import pytest

from shared.bus.memory import MemorySource
from shared.bus.port import Partition
from shared.errors import Transient
from shared.events.catalogue import READS
from shared.events.control import CompanyConfigured
from shared.runtime import failpoints, loops
from shared.runtime.batches import Batch, Batches
from shared.runtime.transaction import Stale
from tests.builders import event
from tests.store.runtime.conftest import SERVICE, World
from tests.store.runtime.toy import contact

FACTS, BATCH = 200, 5


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.armed.clear()


def fed(world: World, facts: int = FACTS) -> None:
    world.configure()
    for number in range(facts):
        world.put(event(contact(f"a{number % 20}")))


def places(batch: Batch) -> set[tuple[Partition, int]]:
    return {(taken.record.partition, taken.record.offset) for taken in batch.taken}


async def test_while_a_full_batch_is_taken_the_next_one_is_fetched_and_decoded(world: World) -> None:
    source = await world.member(world.runtime())
    fed(world)
    batches = Batches(source, SERVICE, BATCH, ahead=True)
    first = await batches.next(0)
    await asyncio.sleep(0.05)
    positions = dict(source._positions)  # noqa: SLF001
    second = await batches.next(0)
    assert positions == positions | second.ends()
    assert not places(first) & places(second)
    assert all(taken.event is not None for taken in second.taken)


async def test_a_batch_that_is_not_full_leaves_the_next_fetch_for_later(world: World) -> None:
    source = await world.member(world.runtime())
    world.configure()
    batches = Batches(source, SERVICE, BATCH, ahead=True)
    await batches.next(0)
    fed(world, 3)
    await asyncio.sleep(0.05)
    assert [type(taken.event.data) for taken in (await batches.next(0)).taken if taken.event][0] is CompanyConfigured


async def test_a_seek_drops_what_was_made_ready(world: World) -> None:
    source = await world.member(world.runtime())
    fed(world)
    batches = Batches(source, SERVICE, BATCH, ahead=True)
    first = await batches.next(0)
    await batches.seek(first.begins())
    seen: set[tuple[Partition, int]] = set()
    while (batch := await batches.next(0)).taken:
        assert not places(batch) & seen, "a record came twice"
        seen |= places(batch)
    assert len(seen) == FACTS + 1


async def test_facts_that_wait_keep_the_configuration_out_of_no_batch_that_is_read_ahead(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    for _ in range(2):
        world.put(event(contact("a1", company="later")))
    world.configure("later")
    batches = Batches(source, SERVICE, 2, ahead=True)
    for _ in range(10):
        await loops.take_next(runtime, batches, 0)
    assert [r["facts"] for r in await world.rows("select facts from toy_account")] == [2]


@pytest.mark.parametrize("place", ["transaction.before_commit", "transaction.committed", "consumer.taken"])
async def test_failures_between_full_batches_skip_and_double_nothing(
    world: World, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = world.runtime(batch_records=BATCH)
    fed(world)
    hits = 0

    async def sometimes() -> None:
        nonlocal hits
        hits += 1
        if hits % 3 == 0:
            raise Transient("the database was away")

    failpoints.armed[place] = sometimes
    monkeypatch.setattr(loops, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(loops, "FETCH_TIMEOUT_S", 0.05)
    source = MemorySource(world.log, SERVICE, READS[SERVICE])
    running = asyncio.ensure_future(loops.run_consumer(runtime, source))
    try:
        async with asyncio.timeout(60):
            while (await world.rows("select coalesce(sum(facts), 0)::int as n from toy_account"))[0]["n"] < FACTS:  # noqa: ASYNC110
                assert not running.done(), running.exception()
                await asyncio.sleep(0.05)
    finally:
        runtime.no_new_work.set()
        await running
    assert hits > FACTS // BATCH
    assert (await world.rows("select count(*) as n from toy_fact"))[0]["n"] == FACTS
    cursors = await world.rows("select sum(next_offset)::int as n from kafka_cursor")
    assert cursors[0]["n"] == FACTS + 1


async def test_a_batch_that_another_owner_took_is_met_again_when_the_cursors_cannot_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    fed(world, 3)
    take, load = loops.halts.take_before_halts, loops.load_positions

    async def stale(*_: object) -> None:
        monkeypatch.setattr(loops.halts, "take_before_halts", take)
        raise Stale

    async def away(*_: object) -> None:
        monkeypatch.setattr(loops, "load_positions", load)
        raise Transient("the frozen owner still holds a cursor")

    batches = Batches(source, SERVICE, BATCH, ahead=False)
    await source.fetch(0, 0)
    monkeypatch.setattr(loops.halts, "take_before_halts", stale)
    monkeypatch.setattr(loops, "load_positions", away)
    with pytest.raises(Transient):
        await loops.take_next(runtime, batches, 0)
    assert await loops.take_next(runtime, batches, 0) == 4
