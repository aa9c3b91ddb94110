"""The copies of items in collections and notifications rebuild from the ledger alone; the rest of the store stays."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.collections.main import REBUILT as OF_COLLECTIONS
from services.notifications.main import REBUILT as OF_NOTIFICATIONS
from shared.runtime.rebuild import Differs, Projection
from tests.store.rebuild.conftest import Live
from tests.store.rebuild.living import Living

COPIES = {"collections": OF_COLLECTIONS, "notifications": OF_NOTIFICATIONS}
DUE_ON = date(2026, 3, 20)


async def lived(live: Live, service: str) -> Living:
    """Thirty accounts whose items are opened, paid in part and settled over three days."""
    world = await live(service)
    await world.tell(*[world.account(f"C-{n}") for n in range(30)])
    for day in range(3):
        facts: list[Any] = []
        for n in range(30):
            amount = 10_000 + n
            remaining = {0: amount, 1: amount // 2, 2: 0 if n % 2 else amount // 2}[day]
            facts.append(
                world.item(
                    f"R-{n}", amount, due_on=DUE_ON, remaining=remaining, account_id=f"C-{n}", accounted_on=world.on
                )
            )
        await world.tell(*facts, world.item(f"D-{day}", 500, due_on=DUE_ON, account_id="C-1"))
        world.on += timedelta(days=1)
    return world


async def items(world: Living) -> list[dict[str, Any]]:
    return await world.rows("select * from item order by company, item_id")


@pytest.mark.parametrize("service", sorted(COPIES))
async def test_a_copy_that_is_rebuilt_equals_the_live_one_and_takes_its_place(live: Live, service: str) -> None:
    world = await lived(live, service)
    before = await items(world)
    outbox = await world.rows("select count(*) as rows from outbox")
    (table,) = await world.rows("select 'item'::regclass::oid as oid")
    report = await world.rebuild(COPIES[service]).run()
    assert report.swapped and report.rows == {"item": 33} and report.differences == []
    assert await items(world) == before
    assert await world.rows("select 'item'::regclass::oid as oid") != [table]
    assert await world.rows("select count(*) as rows from outbox") == outbox
    await world.tell(world.item("R-1", 10_001, due_on=DUE_ON, remaining=7, account_id="C-1"))
    (changed,) = await world.rows("select remaining_minor from item where number = 'R-1'")
    assert changed == {"remaining_minor": 7}
    assert (await world.rebuild(COPIES[service]).run()).differences == []


@pytest.mark.parametrize("service", sorted(COPIES))
async def test_a_copy_that_went_wrong_is_told_and_mended(live: Live, service: str) -> None:
    world = await lived(live, service)
    async with world.pool.acquire() as db:
        await db.execute("update item set remaining_minor = 3 where number = 'R-2'")
        await db.execute("delete from item where number = 'R-4'")
    with pytest.raises(Differs) as stopped:
        await world.rebuild(COPIES[service]).run()
    assert [(d.only_live, d.only_rebuilt) for d in stopped.value.differences] == [(1, 2)]
    await world.rebuild(COPIES[service], accept_differences=True).run()
    (mended,) = await world.rows("select remaining_minor from item where number = 'R-2'")
    assert mended == {"remaining_minor": 10_002 // 2}
    assert await world.rows("select 1 as one from item where number = 'R-4'") == [{"one": 1}]


async def test_how_far_an_item_was_dunned_is_taken_over(live: Live) -> None:
    world = await lived(live, "collections")
    async with world.pool.acquire() as db:
        await db.execute(
            "update item set level = 2, level_on = '2026-03-25', warned_on = '2026-03-26' where number = 'R-3'"
        )
    assert (await world.rebuild(OF_COLLECTIONS).run()).differences == []
    (kept,) = await world.rows("select level, level_on, warned_on from item where number = 'R-3'")
    assert kept == {"level": 2, "level_on": date(2026, 3, 25), "warned_on": date(2026, 3, 26)}
    forgetful = Projection(OF_COLLECTIONS.tables, OF_COLLECTIONS.topics, OF_COLLECTIONS.facts)
    with pytest.raises(Differs):
        await world.rebuild(forgetful).run()
