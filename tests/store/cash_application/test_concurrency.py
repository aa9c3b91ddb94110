"""Two transactions at once on the same account or payment: one waits for the other, nothing is applied twice."""

import asyncio
import contextlib
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID

from services.cash_application.domain import commands
from services.cash_application.domain.cash import Place
from services.cash_application.handlers import CashApplicationHandler
from shared.errors import Rejected, Transient
from tests.scenario.cash_application.desk import (
    Desk,
    bank_debit,
    credit,
    customer,
    invoice,
    item,
    pay_id,
    payment,
    returned,
)

STRANGER = {"payer": "Somebody Else Ltd", "iban": "GB33BUKB20201555555555"}


async def patiently(desk: Desk, fact: object) -> None:
    """As the runtime does: what another transaction changed meanwhile is tried again."""
    for _ in range(5):
        try:
            await desk.feed(fact)
        except Transient:
            continue
        return
    raise AssertionError("still not taken after five tries")


async def asked_patiently(desk: Desk, body: Any) -> Any:
    """As a person does who is told to try again."""
    for _ in range(5):
        try:
            return await desk.command(body)
        except Transient:
            continue
    raise AssertionError("still not taken after five tries")


async def test_payments_of_one_account_in_parallel_never_apply_more_than_is_open(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000))
    await asyncio.gather(*(patiently(desk, payment(f"p{n}", 4_000 + n, "INV-2026-00017")) for n in range(3)))
    row = await desk.item("INV-2026-00017")
    assert (row["remaining_minor"], row["relief_cash"]) == (0, 10_000)
    assert row["version"] == 4
    waiting = await desk.row("select sum(open_minor)::bigint as minor from receipt")
    assert waiting["minor"] == 12_003 - 10_000
    await desk.prove()


async def test_of_two_persons_who_identify_one_payment_one_is_refused(desk: Desk):
    await desk.feed(customer(), customer("C2", "Suedstern AG", "DE02120300000000202051"))
    await desk.feed(payment("p1", 5_000, "x", **STRANGER))
    asked = [commands.Identify(payment_id=pay_id("p1"), account_id=account) for account in ("C1", "C2")]
    answers = await asyncio.gather(*(asked_patiently(desk, body) for body in asked), return_exceptions=True)
    assert [type(answer) for answer in answers].count(Rejected) == 1
    await desk.prove()


async def test_a_payment_and_its_return_in_parallel_leave_the_item_open(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 4_000))
    facts = [payment("p1", 4_000, "INV-2026-00017"), returned("r1", 4_000, of="p1")]
    await asyncio.gather(*(patiently(desk, fact) for fact in facts))
    row = await desk.receipt("p1")
    debit = await desk.row("select left_minor from open_debit")
    if debit["left_minor"]:
        await desk.command(commands.ExplainDebit(payment_id=pay_id("p1"), debit_id=(await _debit(desk))))
    row = await desk.receipt("p1")
    assert (row["returned_minor"], row["open_minor"]) == (4_000, 0)
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 4_000


async def _debit(desk: Desk):
    return (await desk.row("select debit_id from open_debit"))["debit_id"]


class Together(CashApplicationHandler):
    """Decides only once another transaction has read too, or waits for the locks of this one."""

    def __init__(self) -> None:
        self._read, self._both = 0, asyncio.Event()

    async def load(self, db: Any, events: Any, at: Any) -> Any:
        state = await super().load(db, events, at)
        self._read += 1
        if self._read == 2:
            self._both.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._both.wait(), 0.5)
        return state


async def at_once(desk: Desk, *facts: object) -> None:
    """Facts by transactions that overlap, each tried again as the runtime does."""
    handler, prove = desk.unit.handler, desk.prove
    desk.unit.handler, desk.prove = Together(), AsyncMock()  # the books are proven alone, as at a day's close
    await asyncio.gather(*(patiently(desk, fact) for fact in facts))
    desk.unit.handler, desk.prove = handler, prove
    await desk.prove()


async def test_a_return_that_waits_takes_only_one_of_two_payments_back(desk: Desk):
    await desk.feed(returned("r1", 5_000, end_to_end="E2E-1"))
    await at_once(desk, *(payment(name, 5_000, "x", end_to_end="E2E-1", **STRANGER) for name in ("p1", "p2")))
    receipts = await desk.rows("select returned_minor from receipt order by 1")
    assert [row["returned_minor"] for row in receipts] == [0, 5_000]
    assert (await desk.row("select left_minor from open_debit"))["left_minor"] == 0


async def test_of_two_debits_only_one_pays_a_refund(desk: Desk):
    await desk.feed(customer(), payment("p1", 5_000, "x"))
    ask = commands.RequestRefund(
        payment_id=pay_id("p1"), account_id="C1", amount_minor=5_000, currency="EUR", place=Place.UNAPPLIED
    )
    await desk.command(ask)
    refund_id = UUID(desk.reply["refund_id"])
    approve = commands.ApproveRefund(payment_id=pay_id("p1"), refund_id=refund_id, shown_amount_minor=5_000)
    await desk.command(approve, actor="user:bob", limits={"refund": {"EUR": 5_000}})
    await at_once(desk, *(bank_debit(name, 5_000, "refund") for name in ("b1", "b2")))
    left = await desk.rows("select left_minor from open_debit order by 1")
    assert [row["left_minor"] for row in left] == [0, 5_000]
    assert (await desk.prove())["bank_accounts"]["EUR-1"]["refunds_payable_minor"] == 0


async def test_a_return_sees_what_a_person_applied_just_before_it(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 4_000), payment("p1", 4_000, "x", **STRANGER))
    line = commands.ApplyLine(item_id=item("INV-2026-00017"), cash_minor=4_000)
    apply = commands.Apply(payment_id=pay_id("p1"), currency="EUR", lines=[line])
    handler, started = desk.unit.handler, asyncio.Event()

    class Slow(CashApplicationHandler):
        async def save(self, db: Any, effects: Any) -> None:
            started.set()
            await asyncio.sleep(0.5)
            await super().save(db, effects)

    desk.unit.handler = Slow()
    applying = asyncio.create_task(desk.command(apply))
    await started.wait()
    desk.unit.handler = handler
    await patiently(desk, returned("r1", 4_000, of="p1"))
    await applying
    assert (await desk.receipt("p1"))["returned_minor"] == 4_000
    assert (await desk.row("select left_minor from open_debit"))["left_minor"] == 0
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 4_000


async def test_a_return_waits_for_the_account_to_which_a_person_moves_the_cash(desk: Desk):
    """C2 has cash of its own on account: what the return writes there must build on it."""
    await desk.feed(customer(), customer("C2", "Suedstern AG", "DE02120300000000202051"))
    await desk.feed(payment("p1", 4_000, "x"), payment("p2", 7_000, "x", **STRANGER))
    await desk.command(_on_account("p2", 7_000))
    handler, started = desk.unit.handler, asyncio.Event()

    class Slow(CashApplicationHandler):
        async def save(self, db: Any, effects: Any) -> None:
            started.set()
            await asyncio.sleep(0.5)
            await super().save(db, effects)

    desk.unit.handler = Slow()
    moving = asyncio.create_task(desk.command(_on_account("p1", 4_000)))
    await started.wait()
    desk.unit.handler = handler
    await patiently(desk, returned("r1", 4_000, of="p1"))
    await moving
    assert (await desk.receipt("p1"))["returned_minor"] == 4_000
    cash = await desk.rows("select account_id, unapplied_minor, on_account_minor, version from account_cash order by 1")
    assert [tuple(row) for row in cash] == [("C1", 0, 0, 2), ("C2", 0, 7_000, 3)]


def _on_account(name: str, minor: int) -> commands.PutOnAccount:
    return commands.PutOnAccount(payment_id=pay_id(name), account_id="C2", amount_minor=minor, currency="EUR")


async def test_a_credit_and_its_invoice_of_another_account_at_once_meet_at_the_close(desk: Desk):
    await desk.feed(customer(), customer("C2", "Suedstern AG", "DE02120300000000202051"))
    await at_once(desk, invoice("INV-1", 10_000), credit("CM-1", 4_000, "C2", on={"INV-1": 4_000}))
    await desk.close()
    assert (await desk.item("INV-1"))["remaining_minor"] == 6_000
    assert await desk.rows("select * from document_wait") == []
