"""What pages and lists claim is so: one cut-off, holds that bite, promises whose cash waits, refusals that stand."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from services.reporting.queries import lists
from services.reporting.queries.lists import Window
from shared.db.pool import create_engine
from shared.events import payments
from shared.events.collections import HoldRenewed
from shared.events.ledger import CashCandidate
from shared.ids import derive
from shared.runtime import statements as sql
from tests.store.reporting.test_pages import get
from tests.store.reporting.world import World, at


@pytest.fixture
async def db(dsn: str):
    engine = create_engine(dsn)
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def outcome(db: Any) -> dict[str, int]:
    return {row["status"]: row["cash_waits"] for row in await lists.promise_outcomes(db, "acme", Window())}


async def broken(world: World, **changes: Any) -> None:
    await world.tell(world.promise("p", 1000, world.on - timedelta(days=3), "broken", **changes))


async def test_a_broken_promise_is_marked_while_cash_of_the_account_is_unapplied(world: World, db: Any) -> None:
    await broken(world)
    assert await outcome(db) == {"broken": 0}
    await world.tell(world.received("P", 600), world.state("P", 600, unapplied=600))
    assert await outcome(db) == {"broken": 1}
    (row,) = await lists.promises(db, "acme", Window(), None, 10)
    assert row["cash_waits"] is True
    await world.tell(world.state("P", 600, applied={"A": 600}))
    assert await outcome(db) == {"broken": 0}


@pytest.mark.parametrize(("currency", "account_id", "days"), [("USD", "C-1", 0), ("EUR", "C-2", 0), ("EUR", "C-1", -9)])
async def test_other_money_does_not_mark_it(world: World, db: Any, currency: str, account_id: str, days: int) -> None:
    await broken(world)
    valued_on = world.on + timedelta(days=days)
    await world.tell(
        world.state("P", 600, unapplied=600, currency=currency, account_id=account_id, accounted_on=valued_on)
    )
    assert await outcome(db) == {"broken": 0}


async def test_cash_that_may_be_the_debtors_marks_it_until_cleared(world: World, db: Any) -> None:
    await broken(world)
    candidate = CashCandidate(
        company="acme",
        candidate_id=derive("candidate", 1),
        account_id="C-1",
        payment_id=world.payment_id("P"),
        amount_minor=600,
        currency="EUR",
        source="unidentified",
    )
    await world.tell(candidate)
    assert await outcome(db) == {"broken": 1}


async def tick(world: World, day: date) -> None:
    async with world.pool.acquire() as db:
        await db.execute(sql.SET_CLOCK, at(day, 17), 90 + day.day, {})


async def test_a_hold_is_in_force_only_while_its_lease_runs_by_the_last_tick(world: World, db: Any) -> None:
    ordered = world.hold("H")
    await world.tell(ordered, world.confirmed(ordered))
    began = world.on
    await tick(world, began + timedelta(days=6))
    (row,) = await lists.holds(db, "acme", Window(), None, 10)
    assert (row["in_force"], row["lapsed"]) == (True, False)
    await world.tell(world.hold("H", HoldRenewed))
    await tick(world, began + timedelta(days=8))
    (row,) = await lists.holds(db, "acme", Window(), None, 10)
    assert (row["in_force"], row["lapsed"], row["unconfirmed"]) == (False, True, True)


def refused(released: bool = False, times: int = 1) -> payments.QuarantineState:
    model = payments.RecordReleased if released else payments.RecordQuarantined
    values = {"company": "acme", "record_id": derive("record", 1), "kind": "invoice", "reason": f"refused, {times}"}
    fact = model(**values)
    return fact.model_copy(update={"times": times}) if times > 1 else fact


async def test_a_record_refused_again_after_its_release_waits_again(world: World, db: Any) -> None:
    await world.tell(refused(), refused(released=True))
    assert await lists.quarantined(db, "acme", 10) == []
    await world.tell(refused(times=2))
    assert [row["reason"] for row in await lists.quarantined(db, "acme", 10)] == ["refused, 2"]
    await world.tell(refused(released=True))
    assert len(await lists.quarantined(db, "acme", 10)) == 1
    await world.tell(refused(released=True, times=2))
    assert await lists.quarantined(db, "acme", 10) == []


def held(world: World, times: int) -> payments.StatementHeld:
    return payments.StatementHeld(
        company="acme",
        statement_id="S-1",
        bank_account="EUR-1",
        currency="EUR",
        from_on=world.on,
        to_on=world.on,
        opening_minor=0,
        closing_minor=700,
        reason="unbalanced",
        credits=[payments.HeldCredit(amount_minor=700)],
        times=times,
    )


async def test_a_statement_held_again_after_it_was_refused_is_held_until_it_is_booked(world: World, db: Any) -> None:
    released = {"company": "acme", "statement_id": "S-1", "bank_account": "EUR-1"}
    await world.tell(held(world, 1), payments.StatementReleased(**released, outcome="refused", times=1))
    assert await lists.held_statements(db, "acme", 10) == []
    await world.tell(held(world, 2))
    assert len(await lists.held_statements(db, "acme", 10)) == 1
    await world.tell(payments.StatementReleased(**released, outcome="booked", times=2), held(world, 1))
    assert await lists.held_statements(db, "acme", 10) == []


async def test_the_overview_shows_cash_of_the_last_complete_bank_day_only(
    browser: httpx.AsyncClient, world: World
) -> None:
    await world.tell(world.received("P", 60_000))
    bank_day = world.on
    await world.close()
    reached = {"acme": {"bank_accounts": dict.fromkeys(world.banks, bank_day.isoformat())}}
    closed = world.on
    await world.close()
    async with world.pool.acquire() as db:
        await db.execute("update day_snapshot set bank_accounts = $1", reached["acme"]["bank_accounts"])
    await world.tell(world.received("Q", 7_700, on=closed), world.received("R", 5_500, on=bank_day))
    text = (await get(browser, "/")).text
    assert "Cash in, 2\N{NO-BREAK SPACE}Mar\N{NO-BREAK SPACE}2026" in text and ">600" in text
    assert "677.00" not in text and "655.00" not in text and "732.00" not in text
    assert "600.00" in text


async def test_promises_due_next_come_from_all_open_ones(world: World, db: Any) -> None:
    await world.tell(*(world.promise(f"p{n}", 10, world.on + timedelta(days=n)) for n in range(1, 5)))
    await world.tell(world.promise("late", 10, world.on - timedelta(days=1)))
    rows = await lists.promises_due_next(db, "acme", 2)
    assert [(row["due_on"] - world.on).days for row in rows] == [-1, 1]
