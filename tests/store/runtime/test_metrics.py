"""Each metric of the runtime moves when what it speaks of does, and goes back when it is over."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from shared.runtime import dead_letters, failpoints, loops
from shared.runtime.gauges import gauges_once
from tests.builders import event
from tests.store.runtime.conftest import World
from tests.store.runtime.toy import contact

LAG = "recoup_consumer_lag_records"


@pytest.fixture(autouse=True)
def disarm():
    yield
    failpoints.armed.clear()


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Meter:
    """Counters of this process, which other tests have moved: what they grew by since."""

    def __init__(self, *names: str) -> None:
        self._before = {name: value(name) for name in names}

    def grown(self) -> list[float]:
        return [value(name) - before for name, before in self._before.items()]


async def member(world: World) -> tuple[Any, Any]:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    return runtime, source


async def shift(world: World, statement: str) -> None:
    async with world.pool.acquire() as db:
        await db.execute(statement)


async def test_a_parked_key_raises_its_gauge_until_it_is_redriven(world: World) -> None:
    runtime, source = await member(world)
    await gauges_once(runtime, source)
    assert value("recoup_parked_keys") == 0
    world.handler.poison = "bad"
    for account in ("a1", "a2", "a1"):
        world.put(event(contact(account, name="bad")))
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert value("recoup_parked_keys") == 2
    world.handler.poison = ""
    await dead_letters.redrive(world.pool, runtime.unit)
    await gauges_once(runtime, source)
    assert value("recoup_parked_keys") == 0


async def test_the_outbox_grows_older_while_the_relay_is_held(world: World) -> None:
    runtime, source = await member(world)
    meter = Meter("recoup_relayed_total")
    world.put(event(contact("a1")))
    world.put(event(contact("a2")))
    await loops.consume_once(runtime, source, 0)
    await gauges_once(runtime, source)
    assert value("recoup_outbox_rows") == 2
    young = value("recoup_outbox_oldest_seconds")
    await shift(world, "update outbox set written_at = written_at - interval '90 seconds'")
    await gauges_once(runtime, source)
    assert young < 60 and 90 <= value("recoup_outbox_oldest_seconds") < 150
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert (value("recoup_outbox_rows"), value("recoup_outbox_oldest_seconds")) == (0, 0)
    assert meter.grown() == [2]


async def test_the_lag_grows_per_topic_while_the_consumer_is_held(world: World) -> None:
    runtime, source = await member(world)
    await gauges_once(runtime, source)
    assert value(LAG, topic="ar.accounts") == 0
    for n in range(30):
        world.put(event(contact(f"a{n}")))
    await gauges_once(runtime, source)
    assert (value(LAG, topic="ar.accounts"), value(LAG, topic="ar.invoices")) == (30, 0)
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert value(LAG, topic="ar.accounts") == 0


async def test_a_member_whose_partitions_went_elsewhere_shows_no_lag_of_theirs(world: World) -> None:
    runtime, source = await member(world)
    for n in range(30):
        world.put(event(contact(f"a{n}")))
    await gauges_once(runtime, source)
    assert value(LAG, topic="ar.accounts") == 30
    await source.stop()
    await gauges_once(runtime, source)
    assert value(LAG, topic="ar.accounts") == 0


async def test_the_lag_is_told_while_the_database_does_not_answer(world: World, monkeypatch) -> None:
    runtime, source = await member(world)
    world.put(event(contact("a1")))

    def away() -> None:
        raise ConnectionRefusedError("the database is away")

    monkeypatch.setattr(runtime, "pool", type("Away", (), {"acquire": staticmethod(away)}))
    with pytest.raises(ConnectionRefusedError):
        await gauges_once(runtime, source)
    assert value(LAG, topic="ar.accounts") == 1


async def test_the_marker_age_counts_from_the_last_complete_tick(world: World) -> None:
    runtime, source = await member(world)
    world.mark()
    await world.settle(runtime, source)
    await shift(world, "update business_clock set complete_at = complete_at - interval '10 minutes'")
    await gauges_once(runtime, source)
    assert 600 <= value("recoup_marker_age_seconds") < 660
    world.mark()
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert value("recoup_marker_age_seconds") < 60


async def test_a_batch_is_counted_with_its_size_its_time_and_what_came_of_it(world: World) -> None:
    runtime, source = await member(world)
    names = ("recoup_batch_records_count", "recoup_batch_records_sum", "recoup_transaction_seconds_count",
             "recoup_facts_total", "recoup_emitted_total")  # fmt: skip
    meter, spent = Meter(*names), Meter("recoup_transaction_seconds_sum")
    for n in range(7):
        world.put(event(contact(f"a{n}")))
    assert await loops.consume_once(runtime, source, 0) == 7
    assert meter.grown() == [1, 7, 1, 7, 7]
    assert 0 < spent.grown()[0] < 10


async def test_a_transient_failure_is_counted_by_its_loop_and_no_transaction_is(world: World) -> None:
    runtime, source = await member(world)
    world.put(event(contact("a1")))
    meter = Meter("recoup_transaction_seconds_count")
    before = value("recoup_retries_total", loop="consumer")

    async def once() -> None:
        failpoints.armed.clear()
        raise ConnectionError("gone for a moment")

    failpoints.armed["transaction.before_commit"] = once

    async def step() -> int:
        done = await loops.consume_once(runtime, source, 0)
        runtime.no_new_work.set()
        return done

    await loops.forever(runtime, "consumer", step)
    assert value("recoup_retries_total", loop="consumer") - before == 1
    assert meter.grown() == [1], "the failed try is none"


async def test_fired_and_failed_timers_are_counted_apart(world: World) -> None:
    runtime, source = await member(world)
    meter = Meter("recoup_timers_fired_total", "recoup_timers_failed_total")
    world.put(event(contact("a1", phone="call back")))
    await world.settle(runtime, source)
    world.mark()
    await world.settle(runtime, source)
    assert meter.grown() == [1, 0]
    world.put(event(contact("a2", phone="call back")))
    await loops.consume_once(runtime, source, 0)
    await shift(world, "update timer set kind = 'explode'")
    world.mark()
    await world.settle(runtime, source)
    assert meter.grown()[1] == 1
