"""Bounds of what leaves and of what can be parked: a cycle of the relay, a marker, a key."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from shared.bus.memory import MemorySink
from shared.bus.port import Outgoing
from shared.errors import Stop, Transient
from shared.events.catalogue import ACCOUNTS, EVENT_BYTES_MAX, LEDGER
from shared.events.codec import decode
from shared.events.markers import ClockTicked, CompanyReach, Parked
from shared.ids import derive
from shared.runtime import markers, relay
from shared.runtime import statements as sql
from shared.runtime.outbox import OutboxRow, write_rows
from tests.builders import event, headers_and_value
from tests.store.runtime.conftest import World
from tests.store.runtime.toy import contact

LARGE = 400_000
AT = datetime(2026, 1, 5, 17, tzinfo=UTC)


class SlowSink(MemorySink):
    """What a bus takes within the timeout of a send; more of it is not acknowledged in time."""

    bytes_max = 20_000_000

    async def send(self, records: Sequence[Outgoing]) -> None:
        if sum(len(record.value) for record in records) > self.bytes_max:
            raise Transient("the bus did not acknowledge in time")
        await super().send(records)


async def test_a_cycle_is_bounded_in_bytes_so_that_large_events_come_through_a_slow_bus(world: World) -> None:
    envelope = event(contact("a1")).envelope
    rows = [OutboxRow(LEDGER, None, "acme/a1", "acme/a1", envelope, bytes([65 + n]) * LARGE) for n in range(60)]
    async with world.pool.acquire() as db, db.transaction():
        await write_rows(db, rows)
    sink = SlowSink(world.log)
    while await relay.relay_once(world.pool, sink):
        continue
    assert [r.value[0] for r in world.published(LEDGER)] == [65 + n for n in range(60)]


async def test_an_event_larger_than_a_cycle_is_sent_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "CYCLE_BYTES", LARGE // 2)
    envelope = event(contact("a1")).envelope
    async with world.pool.acquire() as db, db.transaction():
        await write_rows(db, [OutboxRow(LEDGER, None, "k", "k", envelope, b"x" * LARGE) for _ in range(2)])
    assert [await relay.relay_once(world.pool, world.sink) for _ in range(3)] == [1, 1, 0]


def parked(company: str, count: int) -> CompanyReach:
    named = [
        Parked(kind="key", id=f"{company}/{n:0120d}", company=company, account_id=f"{n:0120d}") for n in range(count)
    ]
    return CompanyReach(bank_accounts={"EUR-1": date(2026, 1, 5)}, parked=named)


async def written(world: World, marker: ClockTicked) -> list[ClockTicked]:
    async with world.pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_EXCLUSIVE)
        await markers.write_markers(
            db, "cash_application", [LEDGER], marker, known_at=marker.at, business_date=marker.at.date()
        )
    while await relay.relay_once(world.pool, world.sink):
        continue
    return [decode(LEDGER, r.key.decode(), r.headers, r.value).data for r in world.published(LEDGER)]


async def test_a_tick_that_would_be_too_large_says_more_of_those_with_most_and_names_all_of_the_others(
    world: World,
) -> None:
    companies = {f"c{n:03}": parked(f"c{n:03}", 100) for n in range(40)} | {"small": parked("small", 1)}
    tick = ClockTicked(marker_id=derive("test", 1), number=1, at=AT, companies=companies)
    assert len(tick.model_dump_json()) > EVENT_BYTES_MAX
    sent = await written(world, tick)
    assert len(sent) == 12
    reach = sent[0].companies
    assert reach["small"] == companies["small"]
    assert all(r.bank_accounts == {"EUR-1": date(2026, 1, 5)} for r in reach.values())
    cut = [name for name, r in reach.items() if r.parked_more]
    assert 0 < len(cut) < 40 and all(not reach[name].parked for name in cut)


async def test_a_tick_that_cannot_be_made_smaller_stops_the_service_and_not_the_relay(world: World) -> None:
    companies = {f"c{n:06}": CompanyReach() for n in range(20_000)}
    tick = ClockTicked(marker_id=derive("test", 1), number=1, at=AT, companies=companies)
    with pytest.raises(Stop, match="20000 companies"):
        await written(world, tick)


async def test_a_record_with_an_endless_key_parks_it_alone(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    key = "acme/" + "".join(str(derive("key", n)) for n in range(300))
    world.log.append(
        Outgoing(ACCOUNTS, **(headers_and_value(event(contact("a1"))) | {"key": key.encode(), "value": b"{"}))
    )
    world.put(event(contact("b1")))
    await world.settle(runtime, source)
    assert [r["account_id"] for r in await world.rows("select account_id from toy_account")] == ["b1"]
    assert len(await world.rows("select key from parked_key")) == 1
