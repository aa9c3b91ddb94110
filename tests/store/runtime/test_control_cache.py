"""Control: what a process remembers is what was committed; what counts is what was said last, whatever comes twice."""

from contextlib import suppress
from datetime import date
from typing import Any

import pytest

from shared.events.catalogue import CONTROL
from shared.events.codec import Event
from shared.events.control import RatePublished
from shared.runtime import failpoints, loops
from shared.runtime.control import save_control
from shared.runtime.transaction import TRANSIENT
from tests.builders import event
from tests.store.runtime.conftest import World

OPEN = "from pg_stat_activity where datname = current_database() and state = 'idle in transaction'"


def published(rate: str) -> Event:
    """Under the company's key, as all of control: what counts is order within one partition."""
    made = event(RatePublished(company="acme", pair="EUR/USD", on=date(2026, 1, 5), rate=rate, source="ECB"))
    return made._replace(key="acme")


async def test_control_of_a_transaction_that_was_lost_is_not_taken_for_what_another_replica_committed(
    world: World,
) -> None:
    """The server has ended its session, which it does not know yet, when another replica commits and a timer looks."""
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    world.put(published("1.10"), CONTROL)
    seen = []

    async def lost() -> None:
        failpoints.armed.clear()
        async with world.pool.acquire() as other:
            assert await other.fetchval(f"select bool_and(pg_terminate_backend(pid, 10000)) {OPEN}")
            await save_control(other, [published("1.20")])
            seen.append(await rate_of(world, runtime))

    failpoints.armed["transaction.saved"] = lost
    try:
        with suppress(*TRANSIENT):
            await loops.consume_once(runtime, source, 0)
    finally:
        failpoints.armed.clear()
    assert seen == ["1.20"]


async def rate_of(world: World, runtime: Any) -> str | None:
    async with world.pool.acquire() as db:
        return (await runtime.unit.control.moment(db)).rate("acme", "EUR/USD", date(2026, 1, 6))


@pytest.mark.parametrize("together", [True, False])
async def test_a_copy_that_comes_late_does_not_put_back_what_has_replaced_it(world: World, together: bool) -> None:
    """A dropped producer delivers what another has long sent: the same fact lies behind its successor again."""
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    older, newer = published("1.10"), published("1.20")
    for made in (older, newer, older):
        world.put(made, CONTROL)
        if not together:
            await world.settle(runtime, source)
    await world.settle(runtime, source)
    assert await rate_of(world, runtime) == "1.20"
