"""An item and cash of its amount in two transactions at once: the second waits for the first and connects them."""

import asyncio
from typing import Any

import pytest

from shared.events.payments import HeldCredit, StatementReleased
from shared.runtime.transaction import apply, apply_alone
from tests.builders import event
from tests.scenario.cash_application.desk import Desk, customer, invoice, payment
from tests.scenario.cash_application.test_candidates import STATEMENT, held

INVOICE, CASH = invoice("INV-2026-00017", 12_000), payment("p1", 12_000, "x", payer="", iban="")
HELD = held(HeldCredit(amount_minor=12_000))
TIMEOUT_S = 10.0


@pytest.mark.parametrize(("first", "second"), [(INVOICE, CASH), (CASH, INVOICE), (INVOICE, HELD), (HELD, INVOICE)])
async def test_neither_overlooks_the_other(desk: Desk, first: Any, second: Any):
    await desk.feed(customer())
    async with desk.pool.acquire() as db, db.transaction():
        await apply(db, desk.unit, [event(first)], desk.moment)
        other = asyncio.create_task(apply_alone(desk.pool, desk.unit, [event(second)], desk.moment))
        done, _ = await asyncio.wait([other], timeout=1.0)
        assert not done, "the second transaction did not wait"
    told = await asyncio.wait_for(other, TIMEOUT_S)
    assert [e.data.TYPE for e in told.emissions].count("cash.candidate") == 1


async def test_a_release_waits_for_the_item_that_is_being_connected_and_clears_it(desk: Desk):
    await desk.feed(customer(), HELD)
    async with desk.pool.acquire() as db, db.transaction():
        await apply(db, desk.unit, [event(INVOICE)], desk.moment)
        release = event(StatementReleased(**STATEMENT, outcome="booked"))
        other = asyncio.create_task(apply_alone(desk.pool, desk.unit, [release], desk.moment))
        done, _ = await asyncio.wait([other], timeout=1.0)
        assert not done, "the release did not wait"
    told = await asyncio.wait_for(other, TIMEOUT_S)
    assert [e.data.TYPE for e in told.emissions] == ["cash.candidate_cleared"]
    assert await desk.rows("select * from candidate where open") == []


async def test_items_of_one_amount_do_not_wait_for_each_other(desk: Desk):
    await desk.feed(customer(), customer("C2", "Suedstern AG", "DE02120300000000202051"))
    async with desk.pool.acquire() as db, db.transaction():
        await apply(db, desk.unit, [event(INVOICE)], desk.moment)
        same = invoice("INV-2026-00018", 12_000, "C2")
        await asyncio.wait_for(apply_alone(desk.pool, desk.unit, [event(same)], desk.moment), TIMEOUT_S)
