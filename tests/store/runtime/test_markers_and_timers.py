"""Markers, the work of a closed day, timers and the relay, on PostgreSQL and the memory bus."""

from datetime import date, timedelta
from typing import Any

import pytest

from shared.bus.memory import MemorySink
from shared.errors import Transient
from shared.events.catalogue import ACCOUNTS, INVOICES, LEDGER
from shared.events.control import PolicyActivated
from shared.events.envelope import Envelope
from shared.events.markers import ClockTicked, DayClosed
from shared.runtime import failpoints, loops, markers
from shared.runtime import statements as sql
from shared.runtime.effects import Effects, Timer
from shared.runtime.relay import relay_once
from shared.runtime.timers import write
from tests.builders import KNOWN_AT, event
from tests.store.runtime.conftest import World
from tests.store.runtime.toy import contact


@pytest.fixture(autouse=True)
def disarm():
    yield
    failpoints.armed.clear()


def kinds(world: World) -> list[str]:
    return [Envelope.from_headers(r.headers).type for r in world.published(LEDGER)]


async def test_a_tick_counts_only_when_every_upstream_partition_has_shown_it(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.mark(skip=(INVOICES, 7))
    await world.settle(runtime, source)
    assert await world.rows("select * from business_clock") == []
    marker = ClockTicked(marker_id=markers.derive("test-marker", 1), number=1, at=KNOWN_AT)
    world._mark_one(INVOICES, 7, marker, marker.model_dump_json().encode())  # noqa: SLF001
    await world.settle(runtime, source)
    assert [r["number"] for r in await world.rows("select number from business_clock")] == [1]
    assert kinds(world) == ["clock.ticked"] * 12


async def test_two_replicas_that_each_read_a_part_complete_a_marker_once(world: World) -> None:
    first, second = world.runtime(), world.runtime()
    one, two = await world.member(first), await world.member(second)
    world.configure()
    world.mark()
    world.mark(closed=date(2026, 1, 5))
    for _ in range(20):
        await loops.consume_once(first, one, 0)
        await loops.consume_once(second, two, 0)
    for _ in range(20):
        await loops.timers_once(first)
        await loops.timers_once(second)
        await loops.relay_step(first, world.sink)
    assert kinds(world).count("clock.ticked") == 12
    assert kinds(world).count("day.closed") == 12
    assert sorted((w.phase, w.part) for w in world.handler.days) == [(1, 0), (1, 1), (2, 0)]


async def test_the_days_work_is_done_before_its_marker_and_the_marker_carries_totals(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.put(event(contact("a1")))
    world.mark(closed=date(2026, 1, 5))
    world.mark()
    await world.settle(runtime, source)
    records = world.published(LEDGER)
    assert [Envelope.from_headers(r.headers).type for r in records].count("cash.changed") == 1
    body = next(
        DayClosed.model_validate_json(r.value) for r in records if Envelope.from_headers(r.headers).type == "day.closed"
    )
    assert body.totals == {"facts": 1}
    assert await world.rows("select * from closed_day") != []
    lanes: dict[int, list[str]] = {}
    for record in records:
        lanes.setdefault(record.partition.number, []).append(Envelope.from_headers(record.headers).type)
    for lane in lanes.values():
        assert [k for k in lane if k != "cash.changed"] == ["day.closed", "clock.ticked"]
    lane = next(lane for lane in lanes.values() if "cash.changed" in lane)
    assert lane.index("cash.changed") < lane.index("day.closed")


async def test_a_tick_behind_an_unfinished_day_waits_for_it(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.mark(closed=date(2026, 1, 5))
    world.mark()
    while await loops.consume_once(runtime, source, 0):
        pass
    assert not await markers.forward_once(runtime.pool, runtime.service, runtime.handler)
    await world.settle(runtime, source)
    assert len(kinds(world)) == 24


async def test_a_crash_in_a_part_of_the_day_does_that_part_again_and_no_other(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.mark(closed=date(2026, 1, 5))
    while await loops.consume_once(runtime, source, 0):
        pass

    async def crash() -> None:
        failpoints.armed.clear()
        raise ConnectionError("killed")

    failpoints.armed["transaction.saved"] = crash
    with pytest.raises(ConnectionError):
        await loops.day_part_once(runtime)
    await world.settle(runtime, source)
    assert sorted((w.phase, w.part) for w in world.handler.days) == [(1, 0), (1, 0), (1, 1), (2, 0)]
    assert kinds(world) == ["day.closed"] * 12


async def test_parked_keys_stand_in_the_services_own_tick(world: World) -> None:
    world.handler.poison = "bad"
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.put(event(contact("a1", name="bad")))
    world.mark()
    await world.settle(runtime, source)
    tick = ClockTicked.model_validate_json(world.published(LEDGER)[0].value)
    assert [(p.id, p.account_id) for p in tick.companies["acme"].parked] == [("acme/a1", "a1")]


async def test_a_business_timer_fires_at_the_tick_that_reaches_it_and_once(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.put(event(contact("a1", phone="call back")))
    await world.settle(runtime, source)
    assert world.handler.fired == []
    world.mark()
    await world.settle(runtime, source)
    world.mark()
    await world.settle(runtime, source)
    assert [(f.kind, f.key) for f in world.handler.fired] == [("call", "a1")]


async def order_calls(world: World, runtime: Any, source: Any, count: int) -> None:
    """Timers that the next tick makes due, the tick, and everything read."""
    world.configure()
    for n in range(count):
        world.put(event(contact(f"a{n}", phone="call back")))
    await world.settle(runtime, source)
    world.mark()
    while await loops.consume_once(runtime, source, 0):
        pass


async def test_a_marker_waits_for_all_timers_that_its_tick_makes_due_however_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops.timers, "CLAIM_MAX", 2)
    runtime = world.runtime()
    source = await world.member(runtime)
    await order_calls(world, runtime, source, 5)
    for fired in (2, 4):
        await loops.timers_once(runtime)
        assert len(world.handler.fired) == fired
        assert [r["state"] for r in await world.rows("select state from marker")] == ["ready"]
    await loops.timers_once(runtime)
    assert len(world.handler.fired) == 5
    assert [r["state"] for r in await world.rows("select state from marker")] == ["written"]


async def test_a_marker_that_is_complete_after_a_loop_looked_does_not_pass_the_timers_it_makes_due(
    world: World,
) -> None:
    """Between a loop's look and its forwarding the consumer may complete a tick."""
    runtime = world.runtime()
    source = await world.member(runtime)
    await order_calls(world, runtime, source, 1)
    assert not await markers.forward_once(runtime.pool, runtime.service, runtime.handler)
    await loops.timers_once(runtime)
    assert [(f.kind, f.key) for f in world.handler.fired] == [("call", "a0")]
    assert [r["state"] for r in await world.rows("select state from marker")] == ["written"]


async def test_a_timer_that_fails_is_put_back_with_its_error_and_stops_no_other(world: World) -> None:
    runtime = world.runtime()
    cause = event(contact("a1"))
    effects = Effects()
    past = runtime.clock.now() - timedelta(seconds=5)
    effects.timers += [Timer(kind, "k", "acme", past, cause, clock="wall") for kind in ("call", "explode")]
    async with world.pool.acquire() as db, db.transaction():
        await write(db, effects)
    await loops.due_once(runtime)
    assert "call" in {f.kind for f in world.handler.fired}
    rows = await world.rows("select kind, attempts, error from timer")
    assert [(r["kind"], r["attempts"], r["error"]) for r in rows] == [("explode", 1, rows[0]["error"])]
    assert rows[0]["error"].startswith("ValueError at decide"), "the place, without the text"


async def test_the_relay_loses_nothing_when_it_dies_between_send_and_delete(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    for n in range(5):
        world.put(event(contact(f"a{n}")))
    await loops.consume_once(runtime, source, 0)

    async def crash() -> None:
        failpoints.armed.clear()
        raise ConnectionError("killed")

    failpoints.armed["relay.sent"] = crash
    with pytest.raises(ConnectionError):
        await relay_once(world.pool, world.sink)
    assert await relay_once(world.pool, world.sink) == 5
    sent = [Envelope.from_headers(r.headers).id for r in world.published(LEDGER)]
    assert len(sent) == 10 and len(set(sent)) == 5


async def test_the_relay_deletes_what_was_sent_and_keeps_a_row_that_commits_late(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    columns = "topic, key, headers, value, event_id"
    insert = f"insert into outbox ({columns}) values ('ar.ledger', 'k', '[]', 'v', gen_random_uuid())"
    async with world.pool.acquire() as late, world.pool.acquire() as early:
        transaction = late.transaction()
        await transaction.start()
        await late.execute(insert)
        await early.execute(insert)
        assert await relay_once(world.pool, world.sink) == 1
        await transaction.commit()
    assert await relay_once(world.pool, world.sink) == 1
    assert await world.rows("select * from outbox") == []


async def test_a_marker_never_leaves_in_one_cycle_with_rows_written_before_it(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.put(event(contact("a1")))
    world.mark()
    while await loops.consume_once(runtime, source, 0):
        pass
    await loops.timers_once(runtime)
    cycles: list[list[str]] = []

    class Noting(MemorySink):
        async def send(self, records) -> None:
            cycles.append([Envelope.from_headers(r.headers).type for r in records])

    while await relay_once(world.pool, Noting(world.log)):
        pass
    assert cycles == [["cash.changed"], ["clock.ticked"] * 12]


async def test_a_marker_waits_for_every_open_transaction_that_writes_the_outbox(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.mark()
    while await loops.consume_once(runtime, source, 0):
        pass
    async with world.pool.acquire() as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(sql.LOCK_SHARED)
        waiting = loops.asyncio.ensure_future(markers.forward_once(runtime.pool, runtime.service, runtime.handler))
        await loops.asyncio.sleep(0.2)
        assert not waiting.done()
        await transaction.commit()
        assert await waiting


async def test_the_bus_down_means_rows_stay_and_the_error_is_transient(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.put(event(contact("a1")))
    await loops.consume_once(runtime, source, 0)

    class Down(MemorySink):
        async def send(self, records) -> None:
            raise Transient("no broker")

    with pytest.raises(Transient):
        await relay_once(world.pool, Down(world.log))
    assert len(await world.rows("select * from outbox")) == 1
    assert {p.topic for p in source.assigned()} >= {ACCOUNTS}


async def test_a_marker_that_the_relay_sends_twice_changes_nothing_even_after_it_was_written(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    number = world.mark(closed=date(2026, 1, 5))
    await world.settle(runtime, source)
    before = kinds(world)
    marker = DayClosed(
        marker_id=markers.derive("test-marker", number),
        number=number,
        company="acme",
        date=date(2026, 1, 5),
        at=KNOWN_AT,
    )
    for topic in (ACCOUNTS, INVOICES):
        for lane in range(12):
            world._mark_one(topic, lane, marker, marker.model_dump_json().encode())  # noqa: SLF001
    world.mark()
    await world.settle(runtime, source)
    assert sorted(kinds(world)) == sorted([*before, *["clock.ticked"] * 12])
    assert len(world.handler.days) == 3


async def test_a_part_of_the_day_that_fails_is_put_back_with_its_error_and_done_later(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.mark(closed=date(2026, 1, 5))
    while await loops.consume_once(runtime, source, 0):
        pass
    failing = world.handler.decide
    world.handler.decide = lambda *given: (_ for _ in ()).throw(ValueError("no calendar"))  # type: ignore[method-assign]
    assert await loops.day_part_once(runtime) == 0
    rows = await world.rows("select key, attempts, error from timer where kind = 'day.part' and attempts > 0")
    assert [(r["attempts"], r["error"]) for r in rows] == [(1, rows[0]["error"])] and rows[0]["error"].startswith(
        "ValueError at "
    )
    world.handler.decide = failing  # type: ignore[method-assign]
    async with world.pool.acquire() as db:
        await db.execute("update timer set due_at = now() - interval '1 second'")
    await world.settle(runtime, source)
    assert kinds(world) == ["day.closed"] * 12


async def test_a_later_day_is_not_begun_while_the_day_before_has_work(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.mark(closed=date(2026, 1, 5))
    world.mark(closed=date(2026, 1, 6))
    while await loops.consume_once(runtime, source, 0):
        pass
    async with world.pool.acquire() as one:
        claiming = one.transaction()
        await claiming.start()
        first = await one.fetch(sql.CLAIM_DAY_PART, runtime.clock.now())
        second = await one.fetch(sql.CLAIM_DAY_PART, runtime.clock.now())
        async with world.pool.acquire() as other, other.transaction():
            assert await other.fetch(sql.CLAIM_DAY_PART, runtime.clock.now()) == []
        await claiming.rollback()
    assert [r["key"][:18] for r in (*first, *second)] == ["000000000000000001"] * 2
    await world.settle(runtime, source)
    assert [w.date.day for w in world.handler.days] == [5, 5, 5, 6, 6, 6]


async def test_of_two_policies_effective_on_one_day_the_later_activation_counts(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    for version in ("2026-10", "2026-9"):
        fact = PolicyActivated(
            company="acme", name="dunning", version=version, sha256="0", content={}, effective_on=date(2026, 1, 1),
            approver="user:conrad",
        )  # fmt: skip
        world.put(event(fact), "ar.control", number=4)
    await world.settle(runtime, source)
    async with world.pool.acquire() as db:
        moment = await runtime.unit.control.moment(db)
    policy = moment.policy("acme", "dunning", date(2026, 1, 5))
    assert policy is not None and policy.version == "2026-9"
