"""A bank takes money back: every consequence is reversed and the items are open as before, with their due dates."""

import pytest

from services.cash_application.domain import commands
from shared.events.ledger import (
    CashChanged,
    ChargePosted,
    ItemChanged,
    ItemOpened,
    ItemReopened,
    PaymentApplied,
    PaymentUnapplied,
    PaymentUnidentified,
)
from tests.scenario.cash_application.desk import (
    Desk,
    customer,
    date,
    invoice,
    item,
    only,
    pay_id,
    payment,
    returned,
    types,
)


async def paid(desk: Desk, **options) -> None:
    await desk.feed(customer(), invoice("INV-2026-00017", 120_000, discounts=[(date(2026, 1, 15), 2_400)]))
    await desk.feed(payment("p1", 117_600, "INV-2026-00017", **options))
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 0


async def test_a_return_reopens_the_item_with_discount_and_due_date(desk: Desk):
    """F16: the return of a payment that took a discount restores the whole invoice."""
    await paid(desk)
    told = await desk.feed(returned("r1", 117_600, of="p1"), on=date(2026, 1, 8))
    assert types(told) == ["payment.unapplied", "item.reopened"]
    reopened = only(told, ItemReopened)
    assert (reopened.remaining_minor, reopened.due_on, reopened.relief.total()) == (120_000, date(2026, 2, 4), 0)
    unapplied = only(told, PaymentUnapplied)
    assert (unapplied.returned_minor, unapplied.reason_code, unapplied.payment_version) == (117_600, "RETURNED", 2)


async def test_the_fee_of_a_return_is_a_bank_charge(desk: Desk):
    """F15: return of 1,200 with a fee of 15: the bank debits 1,215."""
    await desk.feed(customer(), invoice("INV-2026-00017", 120_000), payment("p1", 120_000, "INV-2026-00017"))
    await desk.feed(returned("r1", 120_000, of="p1", fee=1_500))
    terms = (await desk.prove())["bank_accounts"]["EUR-1"]
    assert (terms["debits_minor"], terms["bank_charges_minor"], terms["applied_minor"]) == (121_500, 1_500, 0)


@pytest.mark.parametrize("reference", ["end_to_end", "bank"])
async def test_a_return_finds_its_payment_by_reference(desk: Desk, reference: str):
    await paid(desk, **{reference: "E2E-4711"})
    told = await desk.feed(returned("r1", 117_600, **{reference: "E2E-4711"}))
    assert only(told, ItemReopened).item_id == item("INV-2026-00017")


async def test_a_reference_that_two_payers_used_is_not_enough(desk: Desk):
    await desk.feed(customer(), customer("C2", "Suedstern AG", "DE02120300000000202051"))
    await desk.feed(invoice("INV-2026-00017", 5_000), invoice("INV-2026-00018", 5_000, "C2"))
    await desk.feed(
        payment("p1", 5_000, "INV-2026-00017", end_to_end="RENT"),
        payment("p2", 5_000, "INV-2026-00018", payer="Suedstern AG", iban="DE02120300000000202051", end_to_end="RENT"),
    )
    assert await desk.feed(returned("r1", 5_000, end_to_end="RENT")) == []
    assert (await desk.prove())["bank_accounts"]["EUR-1"]["not_explained_minor"] == 5_000
    told = await desk.feed(returned("r2", 5_000, end_to_end="RENT", iban="DE02120300000000202051"))
    assert only(told, ItemReopened).item_id == item("INV-2026-00018")


async def test_a_return_before_its_payment_waits_and_is_explained_by_it(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 5_000))
    assert await desk.feed(returned("r1", 5_000, of="p1")) == []
    assert (await desk.prove())["bank_accounts"]["EUR-1"]["not_explained_minor"] == 5_000
    told = await desk.feed(payment("p1", 5_000, "INV-2026-00017"))
    assert types(told) == ["payment.unidentified"]
    assert only(told, PaymentUnidentified).returned_minor == 5_000
    terms = (await desk.prove())["bank_accounts"]["EUR-1"]
    assert (terms["not_explained_minor"], terms["applied_minor"], terms["unidentified_minor"]) == (0, 0, 0)
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 5_000
    assert await desk.close() == []


async def test_a_return_that_missed_its_payment_is_explained_at_the_close(desk: Desk):
    """Return and payment taken in at the same instant by two replicas do not see each other."""
    await paid(desk, end_to_end="E2E-4711")
    keys = await desk.rows("delete from receipt_key returning *")
    assert await desk.feed(returned("r1", 117_600, end_to_end="E2E-4711")) == []
    await desk.rows("insert into receipt_key values ($1, $2, $3)", *keys[0].values())
    told = await desk.close()
    assert types(told) == ["payment.unapplied", "item.reopened"]
    assert (await desk.prove())["bank_accounts"]["EUR-1"]["not_explained_minor"] == 0


async def test_payment_and_return_in_one_batch(desk: Desk):
    told = await desk.feed(
        customer(),
        invoice("INV-2026-00017", 5_000),
        payment("p1", 5_000, "INV-2026-00017"),
        returned("r1", 5_000, of="p1"),
    )
    assert types(told)[-2:] == ["payment.unapplied", "item.reopened"]


async def test_a_partial_return_takes_what_waits_before_what_is_applied(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), payment("p1", 13_000, "INV-2026-00017"))
    told = await desk.feed(returned("r1", 5_000, of="p1"))
    assert only(told, ItemReopened).remaining_minor == 2_000
    assert only(told, CashChanged).unapplied_minor == 0
    receipt = await desk.receipt("p1")
    assert (receipt["returned_minor"], receipt["open_minor"]) == (5_000, 0)
    assert (await desk.item("INV-2026-00017"))["relief_cash"] == 8_000


async def test_of_two_partial_payments_only_the_returned_one_reopens(desk: Desk):
    """PC-11: 200 with 55 and 35 applied; the 55 is taken back: 165 open."""
    await desk.feed(customer(), invoice("INV-2026-00017", 20_000))
    await desk.feed(payment("p1", 5_500, "INV-2026-00017"), payment("p2", 3_500, "INV-2026-00017"))
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 11_000
    told = await desk.feed(returned("r1", 5_500, of="p1"))
    assert only(told, ItemChanged).remaining_minor == 16_500


@pytest.mark.parametrize("amount", [100_030, 99_800])
async def test_small_differences_either_way_are_taken_back_with_the_cash(desk: Desk, amount: int):
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000), payment("p1", amount, "INV-2026-00017"))
    await desk.close()
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 0
    told = await desk.feed(returned("r1", amount, of="p1"), on=date(2026, 1, 6))
    assert only(told, ItemReopened).relief.total() == 0
    terms = (await desk.prove(date(2026, 1, 6)))["bank_accounts"]["EUR-1"]
    assert (terms["small_gains_minor"], terms["applied_minor"]) == (0, 0)
    assert await desk.rows("select 1 from journal_line where ledger = 'SMALL' having sum(amount_minor) <> 0") == []


@pytest.mark.parametrize("amount", [100_030, 99_800])
async def test_small_differences_either_way_come_back_by_unapplying(desk: Desk, amount: int):
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000), payment("p1", amount, "INV-2026-00017"))
    applied = only(await desk.close(), PaymentApplied)
    undo = commands.Unapply(payment_id=pay_id("p1"), posting_id=applied.posting_id, reason_code="OTHER")
    told = await desk.command(undo)
    assert only(told, CashChanged).unapplied_minor == amount
    assert only(told, ItemReopened).remaining_minor == 100_000


async def test_the_same_return_twice_takes_once(desk: Desk):
    await paid(desk)
    await desk.feed(returned("r1", 117_600, of="p1"))
    assert await desk.feed(returned("r1", 117_600, of="p1")) == []


async def test_a_return_of_refunded_cash_is_charged_to_the_account(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), payment("p1", 13_000, "INV-2026-00017"))
    ask = commands.RequestRefund(payment_id=pay_id("p1"), account_id="C1", amount_minor=3_000, currency="EUR")
    await desk.command(ask)
    approve = commands.ApproveRefund(
        payment_id=pay_id("p1"),
        refund_id=desk.reply["refund_id"],
        shown_amount_minor=3_000,
    )
    await desk.command(approve, actor="user:bob", limits={"refund": {"EUR": 100_000}})
    told = await desk.feed(returned("r1", 13_000, of="p1"))
    assert only(told, ChargePosted).amount_minor == 3_000
    assert only(told, ItemOpened).kind == "charge"
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 10_000
