"""Two transactions at once on the same account or payment: one waits for the other, nothing is applied twice."""

import asyncio

from services.cash_application.domain import commands
from shared.errors import Rejected, Transient
from tests.scenario.cash_application.desk import Desk, customer, invoice, pay_id, payment, returned

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
    answers = await asyncio.gather(*(desk.command(body) for body in asked), return_exceptions=True)
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
