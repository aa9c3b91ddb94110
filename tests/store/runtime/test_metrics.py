"""Each metric of the runtime moves when what it speaks of does, and goes back when it is over."""

import asyncio
from datetime import date
from typing import Any

import pytest
from prometheus_client import REGISTRY

from shared.errors import Transient
from shared.events.control import PolicyActivated
from shared.runtime import dead_letters, failpoints, gauges, loops
from shared.runtime.gauges import gauges_once
from shared.runtime.watch import Watch
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


def summed(name: str, topic: str) -> float:
    """Over the partitions of a topic."""
    samples = [sample for family in REGISTRY.collect() for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if sample.labels["topic"] == topic)


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
    assert summed(LAG, "ar.accounts") == 0
    for n in range(30):
        world.put(event(contact(f"a{n}")))
    await gauges_once(runtime, source)
    assert (summed(LAG, "ar.accounts"), summed(LAG, "ar.invoices")) == (30, 0)
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert summed(LAG, "ar.accounts") == 0


async def test_a_member_whose_partitions_went_elsewhere_shows_no_lag_of_theirs(world: World) -> None:
    runtime, source = await member(world)
    for n in range(30):
        world.put(event(contact(f"a{n}")))
    await gauges_once(runtime, source)
    assert summed(LAG, "ar.accounts") == 30
    await source.stop()
    await gauges_once(runtime, source)
    assert summed(LAG, "ar.accounts") == 0


async def test_the_lag_is_told_while_the_database_does_not_answer(world: World, monkeypatch) -> None:
    runtime, source = await member(world)
    watch = Watch()
    await gauges_once(runtime, source, watch)
    world.put(event(contact("a1")))

    def away() -> None:
        raise ConnectionRefusedError("the database is away")

    monkeypatch.setattr(runtime, "pool", type("Away", (), {"acquire": staticmethod(away)}))
    with pytest.raises(ConnectionRefusedError):
        await gauges_once(runtime, source, watch)
    assert summed(LAG, "ar.accounts") == 1


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


async def test_the_parts_of_a_closed_day_are_counted_where_they_are_done(world: World) -> None:
    runtime, source = await member(world)
    meter = Meter("recoup_day_parts_total")
    world.mark(closed=date(2026, 1, 5))
    await world.settle(runtime, source)
    assert meter.grown() == [world.handler.day_parts + 1], "each part, and the second phase"


async def test_the_lag_grows_older_from_the_look_that_saw_it_until_it_is_taken(world: World, monkeypatch) -> None:
    runtime, source = await member(world)
    watch, at_s = Watch(), [1_000.0]
    monkeypatch.setattr(gauges.time, "monotonic", lambda: at_s[0])
    await gauges_once(runtime, source, watch)
    for n in range(30):
        world.put(event(contact(f"a{n}")))
    ages = []
    for at_s[0] in (1_005.0, 1_065.0):
        await gauges_once(runtime, source, watch)
        ages.append((max_of("recoup_consumer_lag_seconds"), value("recoup_no_progress_seconds")))
    assert ages == [(0, 5), (60, 65)]
    await world.settle(runtime, source)
    at_s[0] = 1_070.0
    await gauges_once(runtime, source, watch)
    assert (max_of("recoup_consumer_lag_seconds"), value("recoup_no_progress_seconds")) == (0, 0)


def max_of(name: str) -> float:
    return max(s.value for family in REGISTRY.collect() for s in family.samples if s.name == name)


async def test_a_batch_that_fails_again_and_again_is_no_progress_though_the_consumer_has_fetched_it(
    world: World, monkeypatch
) -> None:
    runtime, source = await member(world)
    watch, at_s = Watch(), [1_000.0]
    monkeypatch.setattr(gauges.time, "monotonic", lambda: at_s[0])
    await gauges_once(runtime, source, watch)
    world.put(event(contact("a1")))
    await source.fetch(500, 0)
    assert sum(source.lag().values()) == 0, "the consumer holds it"
    at_s[0] = 1_090.0
    await gauges_once(runtime, source, watch)
    assert value("recoup_no_progress_seconds") == 90
    assert summed(LAG, "ar.accounts") == 1, "what the consumer holds is not taken"


async def test_the_lag_grows_older_while_the_database_does_not_answer(world: World, monkeypatch) -> None:
    runtime, source = await member(world)
    watch, at_s = Watch(), [1_000.0]
    monkeypatch.setattr(gauges.time, "monotonic", lambda: at_s[0])
    await gauges_once(runtime, source, watch)
    world.put(event(contact("a1")))

    def away() -> None:
        raise ConnectionRefusedError("the database is away")

    monkeypatch.setattr(runtime, "pool", type("Away", (), {"acquire": staticmethod(away)}))
    for at_s[0] in (1_010.0, 1_100.0):
        with pytest.raises(ConnectionRefusedError):
            await gauges_once(runtime, source, watch)
    assert (max_of("recoup_consumer_lag_seconds"), value("recoup_no_progress_seconds")) == (90, 100)


async def test_what_stands_in_the_store_is_told_while_the_log_does_not_answer(world: World, monkeypatch) -> None:
    runtime, source = await member(world)
    world.put(event(contact("a1")))
    await loops.consume_once(runtime, source, 0)

    async def away() -> None:
        raise Transient("the broker is away")

    monkeypatch.setattr(source, "ends", away)
    with pytest.raises(Transient):
        await gauges_once(runtime, source)
    assert value("recoup_outbox_rows") == 1


async def test_no_progress_is_said_once_in_the_log_of_the_process(world: World, monkeypatch) -> None:
    runtime, source = await member(world)
    told: list[tuple[str, dict]] = []
    error = staticmethod(lambda event, **facts: told.append((event, facts)))
    monkeypatch.setattr(runtime, "log", type("Log", (), {"error": error}))
    monkeypatch.setattr(gauges, "NO_PROGRESS_TOLD_S", 0.05)
    monkeypatch.setattr(gauges, "GAUGES_EVERY_S", 0.02)
    task = asyncio.create_task(gauges.run_gauges(runtime, source))
    await asyncio.sleep(0.05)
    world.put(event(contact("a1")))
    await asyncio.sleep(0.3)
    runtime.no_new_work.set()
    await task
    assert [event for event, _ in told] == ["no_progress"]


async def test_an_assignment_is_counted_with_its_partitions(world: World) -> None:
    meter = Meter("recoup_rebalances_total")
    runtime, source = await member(world)
    await gauges_once(runtime, source)
    whole = value("recoup_partitions_assigned")
    other = await world.member(world.runtime())
    await source.fetch(1, 0)
    await other.fetch(1, 0)
    await gauges_once(runtime, source)
    assert value("recoup_partitions_assigned") == whole / 2
    assert meter.grown()[0] >= 3


async def test_a_marker_is_open_until_its_day_is_worked_and_it_is_written(world: World) -> None:
    runtime, source = await member(world)
    world.mark(closed=date(2026, 1, 5))
    await loops.consume_once(runtime, source, 0)
    await gauges_once(runtime, source)
    assert value("recoup_markers_open") == 1
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert value("recoup_markers_open") == 0


DUE_70_S_AGO = {"wall": "now() - interval '70 seconds'", "business": "timestamptz '2026-01-05 16:58:51+00'"}


@pytest.mark.parametrize(("clock", "due"), DUE_70_S_AGO.items())
async def test_a_due_timer_is_late_by_its_own_clock_until_it_fires(world: World, clock: str, due: str) -> None:
    runtime, source = await member(world)
    world.mark()
    await world.settle(runtime, source)
    fired = REGISTRY.get_sample_value("recoup_timer_lateness_seconds_sum", {"clock": clock}) or 0.0
    world.put(event(contact("a1", phone="call back")))
    await loops.consume_once(runtime, source, 0)
    await shift(world, f"update timer set clock = '{clock}', due_at = {due}")
    await gauges_once(runtime, source)
    assert 70 <= value("recoup_timers_late_seconds", clock=clock) < 100
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert value("recoup_timers_late_seconds", clock=clock) == 0
    assert 70 <= value("recoup_timer_lateness_seconds_sum", clock=clock) - fired < 100


async def test_a_timer_that_was_put_back_is_shown_until_it_is_through(world: World) -> None:
    runtime, source = await member(world)
    world.put(event(contact("a1", phone="call back")))
    await loops.consume_once(runtime, source, 0)
    await shift(world, "update timer set kind = 'explode'")
    world.mark()
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert value("recoup_timers_put_back") == 1
    await shift(world, "update timer set kind = 'call', due_at = now()")
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert value("recoup_timers_put_back") == 0


async def test_a_policy_that_cannot_be_read_is_counted(world: World, monkeypatch) -> None:
    runtime, source = await member(world)
    await gauges_once(runtime, source)
    assert value("recoup_policies_refused") == 0
    policy = PolicyActivated(
        company="acme", name="toy", version="1", sha256="0", content={}, effective_on=date(2026, 1, 1), approver="c"
    )
    world.handler.policy_problem = lambda name, content: "it is empty"
    world.put(event(policy), "ar.control")
    await world.settle(runtime, source)
    await gauges_once(runtime, source)
    assert value("recoup_policies_refused") == 1
