"""Projections on PostgreSQL: versions, duplicates, deltas, and a constant number of statements."""

from datetime import date, timedelta

from shared.events import collections
from shared.ids import derive
from tests.builders import event
from tests.store.reporting.world import World, at

DUE = date(2026, 2, 20)

SUMS = """
select i.remaining_minor, i.disputed_minor, sum(p.remaining_delta_minor)::bigint as remaining_sum,
    sum(p.disputed_delta_minor)::bigint as disputed_sum
from item i join item_posting p using (company, item_id) group by i.company, i.item_id
"""


async def test_deltas_of_an_item_sum_to_its_state(world: World) -> None:
    await world.tell(world.item("A", 1000, due_on=DUE), world.item("A", 1000, due_on=DUE, remaining=400))
    await world.tell(world.item("A", 1000, due_on=DUE, remaining=400, disputed=150))
    assert await world.rows(SUMS) == [
        {"remaining_minor": 400, "disputed_minor": 150, "remaining_sum": 400, "disputed_sum": 150}
    ]


async def test_an_older_version_that_comes_late_changes_nothing(world: World) -> None:
    first, second, third = (world.item("A", 1000, due_on=DUE, remaining=minor) for minor in (1000, 700, 300))
    await world.tell(first)
    await world.tell(third)
    await world.tell(second)
    await world.tell(third)
    (row,) = await world.rows(SUMS)
    assert (row["remaining_minor"], row["remaining_sum"]) == (300, 300)
    assert len(await world.rows("select 1 from item_posting")) == 2


async def test_a_payment_is_folded_by_version_and_its_places_sum_to_its_split(world: World) -> None:
    waiting = world.state("P", 900, unidentified=900)
    known = world.state("P", 900, unapplied=900)
    applied = world.state("P", 900, applied={"A": 600}, on_account=300)
    await world.tell(world.received("P", 900), waiting)
    await world.tell(applied)
    await world.tell(known)
    rows = await world.rows(
        "select place, account_id, sum(delta_minor)::bigint as minor from payment_posting "
        "group by 1, 2 having sum(delta_minor) <> 0 order by 1, 2"
    )
    assert [(r["place"], r["account_id"], r["minor"]) for r in rows] == [
        ("applied", "C-1", 600),
        ("on_account", "C-1", 300),
    ]
    (part,) = await world.rows("select applied_minor, unapplied_minor, on_account_minor from payment_part")
    assert part == {"applied_minor": 600, "unapplied_minor": 0, "on_account_minor": 300}


async def test_a_share_that_is_gone_becomes_zero(world: World) -> None:
    await world.tell(world.state("P", 900, unapplied=900, account_id="C-1"))
    await world.tell(world.state("P", 900, unapplied=900, account_id="C-2"))
    rows = await world.rows("select account_id, unapplied_minor from payment_part order by 1")
    assert [(r["account_id"], r["unapplied_minor"]) for r in rows] == [("C-1", 0), ("C-2", 900)]


async def test_request_and_outcome_of_a_notice_may_come_in_any_order(world: World) -> None:
    asked = world.asked("N", "A", 500)
    await world.tell(world.outcome(asked, "CASH_CANDIDATE"))
    await world.tell(asked)
    (row,) = await world.rows("select status, template, reasons from notice")
    assert (row["status"], row["template"], row["reasons"][0]["code"]) == ("withheld", "reminder", "CASH_CANDIDATE")


async def test_a_hold_in_its_higher_version_stands(world: World) -> None:
    ordered = world.hold("H")
    lifted = world.hold("H", collections.HoldLifted)
    await world.tell(lifted)
    await world.tell(ordered)
    assert await world.rows("select status, version from hold") == [{"status": "lifted", "version": 2}]


async def test_two_companies_do_not_meet(world: World) -> None:
    await world.tell(world.account(), world.item("A", 1000, due_on=DUE))
    other = World(world.pool, company="other")
    await other.tell(other.account(name="Other"), other.item("A", 5, due_on=DUE))
    names = await world.rows("select company, name from account order by 1")
    assert [r["company"] for r in names] == ["acme", "other"]
    assert len(await world.rows("select 1 from item")) == 2


async def test_statements_per_batch_are_constant(world: World) -> None:
    async def count(size: int, name: str) -> int:
        facts = [world.item(f"{name}{n}", 100, due_on=DUE) for n in range(size)]
        facts += [world.state(f"{name}{n}", 100, unapplied=100) for n in range(size)]
        seen: list[str] = []
        async with world.pool.acquire() as db, db.transaction():
            db.add_query_logger(lambda record: seen.append(record.query))
            known = await world.handler.load(db, [event(f) for f in facts], world.moment())
            await world.handler.save(db, world.handler.decide(known, [event(f) for f in facts], world.moment()))
        return len(seen)

    await count(1, "the driver learns the types")
    assert await count(2, "a") == await count(60, "b")


async def test_applications_and_their_reversal_are_kept(world: World) -> None:
    await world.tell(world.state("P", 900, applied={"A": 600, "B": 300}))
    rows = await world.rows("select posting_id, cash_minor from application order by cash_minor")
    assert [r["cash_minor"] for r in rows] == [300, 600]
    assert {r["posting_id"] for r in rows} == {derive("posting", "P", 1)}


async def test_known_at_and_business_date_of_the_door_are_kept(world: World) -> None:
    await world.tell(world.item("A", 100, due_on=DUE), known_at=at(world.on - timedelta(days=2)))
    (row,) = await world.rows("select known_at, business_date from item_posting")
    assert row == {"known_at": at(world.on - timedelta(days=2)), "business_date": world.on}
