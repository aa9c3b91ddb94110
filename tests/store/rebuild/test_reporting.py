"""The projections of reporting rebuild from offset 0 beside the live ones, equal them, and take their place."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from services.reporting.main import REBUILT
from shared.bus.log import MemoryReader
from shared.bus.port import Outgoing
from shared.errors import Stop
from shared.events.catalogue import EVENTS
from shared.runtime import replay
from shared.runtime.rebuild import Differs, Projection
from shared.runtime.statements import LOCK_SHARED
from tests.builders import event, headers_and_value
from tests.store.rebuild.conftest import Live
from tests.store.rebuild.living import Living
from tests.store.reporting import quarter

FILLED = {
    "account", "contact", "document", "item", "item_posting", "cash", "receipt", "payment", "payment_part",
    "payment_posting", "application", "suggestion", "candidate", "promise", "dispute", "hold", "effect", "notice",
    "activity", "escalation", "statement", "statement_gap", "quarantine", "bank_day", "day_snapshot", "day_aging",
    "reconciliation",
}  # fmt: skip


async def lived(live: Live, days: int = 10) -> Living:
    world = await live("reporting")
    await quarter.live(world, days)
    return world


def twice(world: Living) -> None:
    """The relay crashed: the last records of every partition lie in the log a second time."""
    for partition, lane in list(world.log.records.items()):
        for record in [r for r in lane if dict(r.headers)["ce_type"].decode() in EVENTS][-3:]:
            world.log.append(Outgoing(partition.topic, record.key, record.headers, record.value, partition.number))


@pytest.mark.parametrize("batch", [17, 2_000])
async def test_what_is_rebuilt_equals_what_stands_row_for_row_and_takes_its_place(
    live: Live, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(replay, "BATCH_RECORDS", batch)
    world = await lived(live)
    twice(world)
    await world.settle()
    before = await world.rows("select * from bi_open_item_v1 order by 1, 2, 3")
    report = await world.rebuild(REBUILT).run()
    assert report.swapped and report.differences == []
    assert {table for table, rows in report.rows.items() if rows} >= FILLED
    assert report.records == sum(map(len, world.log.records.values()))
    assert await world.rows("select * from bi_open_item_v1 order by 1, 2, 3") == before
    assert await world.rows("select 1 from retired.item limit 1")


async def test_the_service_goes_on_in_the_new_store_without_a_restart(live: Live) -> None:
    world = await lived(live, 4)
    await world.rebuild(REBUILT).run()
    await world.tell(world.item("INV-AFTER", 5_000, due_on=date(2026, 6, 1)))
    await world.close()
    (new,) = await world.rows("select remaining_minor from item where number = 'INV-AFTER'")
    assert new == {"remaining_minor": 5_000}
    assert await world.rows("select 1 from retired.item where number = 'INV-AFTER'") == []
    (days,) = await world.rows("select count(*) as days from day_snapshot")
    assert days == {"days": 5}
    again = await world.rebuild(REBUILT).run()
    assert again.swapped and again.differences == []


async def test_facts_that_come_in_meanwhile_are_in_what_is_swapped(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "BATCH_RECORDS", 50)
    world = await lived(live, 3)

    class Meanwhile(MemoryReader):
        left = 12

        async def fetch(self, max_records: int, timeout_s: float) -> Any:
            self.left -= 1
            if self.left >= 0:
                await world.tell(world.item(f"INV-M{self.left}", 100, due_on=date(2026, 6, 1)))
            return await super().fetch(max_records, timeout_s)

    report = await world.rebuild(REBUILT, reader=Meanwhile(world.log)).run()
    assert report.swapped
    (found,) = await world.rows("select count(*) as items from item where number like 'INV-M%'")
    assert found == {"items": 12}


async def test_a_row_that_differs_stops_the_swap_and_names_its_table(live: Live) -> None:
    world = await lived(live, 2)
    async with world.pool.acquire() as db:
        await db.execute("update item set remaining_minor = 1 where number = 'INV-0000'")
        await db.execute("delete from promise")
    with pytest.raises(Differs) as stopped:
        await world.rebuild(REBUILT).run()
    found = {d.table: (d.only_live, d.only_rebuilt) for d in stopped.value.differences}
    assert found == {"item": (1, 1), "promise": (0, 1)}
    assert await world.rows("select 1 from promise") == []
    report = await world.rebuild(REBUILT, accept_differences=True).run()
    assert report.swapped and {d.table for d in report.differences} == {"item", "promise"}
    assert await world.rows("select 1 as one from promise") == [{"one": 1}]


async def test_a_close_sees_what_entered_before_it_whatever_is_read_first(live: Live) -> None:
    """Cash of a later day is in the log of one partition before the close of the day before is in that of another."""
    world = await live("reporting")
    await world.tell(world.account(), world.item("A", 1_000, due_on=world.on + timedelta(days=9)))
    await world.tell(world.cash(400), world.state("p", 400, unapplied=400))
    await world.close()
    await world.tell(world.cash(900))
    await world.close()
    own = await world.rows("select date, expected_minor, found_minor from reconciliation where scope = 'own'")
    report = await world.rebuild(REBUILT).run()
    assert report.differences == []
    assert own == await world.rows("select date, expected_minor, found_minor from reconciliation where scope = 'own'")


async def test_poison_is_parked_in_the_new_store_as_in_the_old(live: Live) -> None:
    world = await lived(live, 1)
    made = event(world.item("BAD", 1, due_on=world.on), on=world.on)
    broken = headers_and_value(made) | {"value": b'{"company": "acme"}'}
    world.log.append(Outgoing(made.topic, **broken))
    await world.settle()
    parked = await world.rows("select key, code from parked_key")
    assert len(parked) == 1
    assert (await world.rebuild(REBUILT).run()).swapped
    assert await world.rows("select key, code from parked_key") == parked


@pytest.mark.parametrize("begun", ["delete from timer where kind = 'none'", LOCK_SHARED])
async def test_work_of_the_service_that_is_under_way_goes_first(live: Live, begun: str) -> None:
    world = await lived(live, 1)
    async with world.pool.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        await db.execute("set local idle_in_transaction_session_timeout = 0")
        await db.execute("set local transaction_timeout = 0")
        await db.execute(begun)
        work, is_read = world.rebuild(REBUILT), asyncio.Event()
        work.say = lambda text: is_read.set()
        running = asyncio.create_task(work.run())
        await is_read.wait()
        done, _ = await asyncio.wait([running], timeout=4)
        assert not done
        await transaction.commit()
    assert (await running).swapped


async def test_only_one_rebuild_of_a_service_runs_at_a_time(live: Live) -> None:
    world = await live("reporting")
    first, second = world.rebuild(REBUILT).run(), world.rebuild(REBUILT).run()
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(r) for r in results if isinstance(r, BaseException)] == [Stop]


async def test_a_service_that_publishes_is_never_swapped_whole(live: Live) -> None:
    world = await live("collections")
    with pytest.raises(Stop, match="publishes"):
        await world.rebuild(Projection()).run()
