"""What the store promises: a constant number of statements, locks in order, versions that only rise."""

import asyncio
from datetime import date, timedelta

import pytest

from services.collections.domain.commands import MakePromise
from shared.db.pool import create_pool
from shared.runtime.transaction import apply_alone
from tests.builders import event
from tests.scenario.collections.world import ACCOUNT, COMPANY, MONDAY, World

DUE = MONDAY - timedelta(days=10)
STATEMENTS_MAX = {"facts": 25, "day": 25}


@pytest.fixture
async def world(make_database):
    pool = await create_pool(await make_database("collections"), size=4)
    yield World(pool)
    await pool.close()


class Counted:
    """Counts the statements that one transaction sends, those left out by which asyncpg learns about types."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def run(self, *facts) -> list[str]:
        seen: list[str] = []

        def note(query) -> None:
            seen.append(query.query)

        async with self.world.pool.acquire() as db:
            db.add_query_logger(note)
            events = [event(f, company=COMPANY, on=self.world.on) for f in facts]
            async with db.transaction():
                state = await self.world.handler.load(db, events, self.world.moment())
                effects = self.world.handler.decide(state, events, self.world.moment())
                await self.world.handler.save(db, effects)
            db.remove_query_logger(note)
        hidden = ("BEGIN", "COMMIT", "select set_config", "with recursive typeinfo_tree", "select current_setting")
        return [
            query for query in seen if not " ".join(query.split()).lower().startswith(tuple(map(str.lower, hidden)))
        ]


def debtors(world: World, count: int) -> list:
    facts = []
    for number in range(count):
        name = f"C-{number}"
        facts += [
            world.account(name),
            world.contact(name),
            world.item("A", due_on=DUE, account_id=name),
            world.cash(0, account_id=name),
            world.payment(f"{name}-P", 100, valued_on=MONDAY, account_id=name),
        ]
    return facts


async def test_statements_of_a_batch_do_not_grow_with_it(world: World) -> None:
    counted = Counted(world)
    small = await counted.run(*debtors(world, 1))
    large = await counted.run(*debtors(world, 60))
    assert len(small) == len(large) <= STATEMENTS_MAX["facts"]


async def test_statements_of_a_day_do_not_grow_with_its_accounts(world: World) -> None:
    from shared.runtime.effects import DayWork

    counted = Counted(world)
    sizes = []
    for count in (4, 80):
        await counted.run(*debtors(world, count))
        work = DayWork(company=COMPANY, date=world.on, number=1, phase=1, part=0, parts=1)
        sizes.append(len(await counted.run(work)))
        world.on += timedelta(days=1)
    assert sizes[0] == sizes[1] <= STATEMENTS_MAX["day"]


async def test_an_older_version_of_an_item_changes_nothing(world: World) -> None:
    opened = world.item(due_on=DUE)
    partly = world.item(due_on=DUE, remaining=50_000)
    await world.tell(world.account(), partly)
    await world.tell(opened)
    (row,) = await world.rows("select version, remaining_minor from item")
    assert row == {"version": 2, "remaining_minor": 50_000}


async def test_what_a_payment_leaves_is_taken_from_the_account_it_leaves(world: World) -> None:
    first = world.payment("P", 100, valued_on=MONDAY)
    moved = world.payment("P", 100, valued_on=MONDAY, account_id="C-2")
    await world.tell(world.account(), world.account("C-2"), first)
    await world.tell(moved)
    rows = await world.rows("select account_id, amount_minor from receipt order by 1")
    assert rows == [{"account_id": "C-1", "amount_minor": 0}, {"account_id": "C-2", "amount_minor": 100}]


async def test_items_may_come_before_their_account(world: World) -> None:
    await world.tell(world.item(due_on=DUE))
    assert await world.close() == [], "an account that is not known is not written to"
    await world.tell(world.account(), world.contact())
    assert [fact.TYPE for fact in await world.close()] == ["notice.requested"]


async def test_two_commands_at_once_on_one_account_promise_the_debt_once(world: World) -> None:
    await world.tell(world.account(), world.item(due_on=DUE))
    asked = [MakePromise(account_id=ACCOUNT, currency="EUR", due_on=MONDAY + timedelta(days=n)) for n in (3, 4)]
    events = [event(body, company=COMPANY, on=MONDAY, actor="user:ana") for body in asked]
    await asyncio.gather(*(apply_alone(world.pool, world.unit, [e], world.moment()) for e in events))
    rows = await world.rows("select status, standing from promise order by standing")
    assert rows == [{"status": "superseded", "standing": 1}, {"status": "open", "standing": 2}]


async def test_two_batches_that_cross_wait_for_each_other_and_never_deadlock(world: World) -> None:
    await world.tell(world.account("C-1"), world.account("C-2"))

    def batch(first: str, second: str) -> list:
        facts = [world.item(n, due_on=DUE, account_id=a) for a in (first, second) for n in "ABC"]
        return [event(f, company=COMPANY, on=MONDAY) for f in facts]

    batches = [batch("C-1", "C-2"), batch("C-2", "C-1")] * 4
    async with asyncio.timeout(20):
        await asyncio.gather(*(apply_alone(world.pool, world.unit, b, world.moment()) for b in batches))
    (row,) = await world.rows("select count(*) as items from item")
    assert row["items"] == 6


async def test_totals_say_what_is_under_way(world: World) -> None:
    await world.tell(world.account(), world.contact(), world.item(due_on=DUE))
    await world.command(MakePromise(account_id=ACCOUNT, currency="EUR", due_on=date(2026, 1, 9)))
    async with world.pool.acquire() as db:
        found = await world.handler.totals(db, _Closed())
    assert found == {
        "promises_open": 1,
        "disputes_open": 0,
        "holds_proposed": 0,
        "holds_ordered": 0,
        "notices_pending": 0,
    }


class _Closed:
    company = COMPANY
