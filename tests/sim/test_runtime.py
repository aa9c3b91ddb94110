"""The simulation of the runtime: seeds that once failed, then a fixed run of new ones."""

import asyncio

import pytest

from tests.sim.__main__ import kept, replay, run_seeds
from tests.sim.driver import play, prepared
from tests.sim.profiles import FAULTS
from tests.sim.statements import make_store

pytestmark = pytest.mark.sim

SEEDS = 150


def test_every_seed_that_once_failed_holds_now() -> None:
    failures = [f"{r.found}; {replay(r.seed)}" for r in asyncio.run(run_seeds(kept("runtime"))) if r.violation]
    assert failures == []


def test_no_invariant_breaks_under_any_fault() -> None:
    results = asyncio.run(run_seeds(range(SEEDS), twice_every=15))
    assert [f"{r.found}; {replay(r.seed)}" for r in results if r.violation] == []
    assert {fault for result in results for fault in result.faults} == set(FAULTS)
    assert sum(result.blocked for result in results) > 0, "locks are met"


async def test_the_same_seed_gives_the_same_log() -> None:
    async with prepared():
        for seed in range(5):
            assert (await play(seed, make_store())).digest == (await play(seed, make_store())).digest
