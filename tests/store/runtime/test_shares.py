"""Shares of a worker: all partitions are taken, each by one share; one that fails ends the others in order."""

import asyncio
from typing import Any

import pytest

from shared.bus.memory import MemorySource
from shared.bus.port import Partition, Source
from shared.errors import Stop
from shared.events.catalogue import CONTROL, READS
from shared.runtime import halts, loops
from shared.runtime.shares import Share, in_shares
from tests.builders import event
from tests.store.runtime.conftest import ACCOUNTS, SERVICE, World
from tests.store.runtime.toy import contact

ACCOUNTS_FED = 60
DEADLINE_S = 20.0


async def consume_until(world: World, runtime: Any, query: str, wanted: int) -> None:
    source = MemorySource(world.log, SERVICE, READS[SERVICE])
    running = asyncio.ensure_future(loops.run_consumer(runtime, source))
    async with asyncio.timeout(DEADLINE_S):
        while (await world.rows(query))[0][0] < wanted:
            assert not running.done()
            await asyncio.sleep(0.01)
    runtime.no_new_work.set()
    await running


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_every_partition_is_taken_once_whatever_the_number_of_shares(world: World, count: int) -> None:
    runtime = world.runtime(batch_records=7, consumer_shares=count)
    world.configure()
    for n in range(3 * ACCOUNTS_FED):
        world.put(event(contact(f"a{n % ACCOUNTS_FED}")))
    await consume_until(world, runtime, "select count(*) from toy_fact", 3 * ACCOUNTS_FED)
    rows = await world.rows("select facts from toy_account")
    assert [row["facts"] for row in rows] == [3] * ACCOUNTS_FED
    cursors = await world.rows("select sum(next_offset)::int from kafka_cursor")
    assert cursors[0][0] == 3 * ACCOUNTS_FED + 1


async def test_shares_have_no_partition_in_common_and_leave_none_out(world: World) -> None:
    source = await world.member(world.runtime())
    await source.fetch(1, 0)
    parts = [Share(source, n, 5).assigned() for n in range(5)]
    assert sum(map(len, parts)) == len(source.assigned())
    assert frozenset().union(*parts) == source.assigned()
    assert all(len({p.number % 5 for p in part}) == 1 for part in parts)


async def test_a_share_is_given_nothing_of_another(world: World) -> None:
    source = await world.member(world.runtime())
    for n in range(ACCOUNTS_FED):
        world.put(event(contact(f"a{n}")))
    await source.fetch(1, 0, frozenset())
    given = await Share(source, 1, 2).fetch(ACCOUNTS_FED, 0)
    assert given
    assert {partition.number % 2 for partition in given} == {1}


async def test_a_share_that_is_sought_back_again_and_again_meets_all_its_partitions(world: World) -> None:
    """As one does whose facts wait for a company: the partition with its configuration must come in turn."""
    source = await world.member(world.runtime())
    for number in (0, 1, 2, 3, 5):
        world.put(event(contact("a1")), number=number)
    await source.fetch(1, 0, frozenset())
    shares, met = [Share(source, n, 2) for n in range(2)], set()
    for turn in range(20):
        given = await shares[turn % 2].fetch(1, 0)
        await shares[turn % 2].seek(dict.fromkeys(given, 0))
        met |= {partition.number for partition in given}
    assert met == {0, 1, 2, 3, 5}


async def test_what_stands_in_one_share_is_still_shown_after_another_went_on(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    await source.fetch(1, 0)
    stopped = Partition(ACCOUNTS, 1)
    await source.halt(stopped, "a hole")
    halts.show(runtime, Share(source, 1, 2))
    halts.show(runtime, Share(source, 0, 2))
    assert runtime.failing == {f"partition {ACCOUNTS}/1": "a hole"}
    assert Share(source, 0, 2).halted() == {}
    assert Partition(CONTROL, 0) in Share(source, 0, 2).assigned()


async def test_a_share_that_fails_for_good_lets_the_others_end_their_batch(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    ended: list[str] = []

    async def run(share: Source, name: str) -> None:
        if name == "consumer 2":
            raise Stop("no further")
        await runtime.no_new_work.wait()
        await asyncio.sleep(0.01)
        ended.append(name)

    with pytest.raises(Stop, match="no further"):
        await in_shares(runtime, source, 3, run)
    assert sorted(ended) == ["consumer", "consumer 3"]


async def test_a_share_that_fails_is_told_of_although_another_does_not_end_in_time(world: World) -> None:
    """The process cancels what does not end within its budget, and must still say why it ended."""
    runtime = world.runtime()
    source = await world.member(runtime)

    async def run(share: Source, name: str) -> None:
        if name == "consumer 2":
            raise Stop("no further")
        await asyncio.Event().wait()

    running = asyncio.ensure_future(in_shares(runtime, source, 2, run))
    await runtime.no_new_work.wait()
    running.cancel()
    with pytest.raises(Stop, match="no further"):
        await running
