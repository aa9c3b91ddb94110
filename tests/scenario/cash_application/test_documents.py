"""Credits, cancellations, rebills, debit memos and disputes on items."""

import pytest

from shared.events.collections import DisputeOpened, DisputeResolved
from shared.events.ledger import (
    CashCandidate,
    CashChanged,
    ItemChanged,
    ItemOpened,
    ItemReopened,
    ItemSettled,
    PaymentApplied,
    PaymentUnapplied,
)
from shared.events.payments import RemittanceLine
from shared.ids import derive
from shared.runtime.effects import PoisonEvent
from tests.scenario.cash_application.desk import (
    ACME,
    DAY,
    Desk,
    cancelled,
    credit,
    customer,
    date,
    debit_memo,
    invoice,
    item,
    only,
    payment,
    rebilled,
    returned,
    types,
)


async def test_a_credit_memo_opens_a_credit_item(desk: Desk):
    """F12: the open credit stands on the other side."""
    told = await desk.feed(customer(), credit("CM-77001", 24_000))
    opened = only(told, ItemOpened)
    assert (opened.kind, opened.side, opened.remaining_minor) == ("credit_memo", "credit", 24_000)
    assert (await desk.prove())["items"]["EUR"] == {"debit_minor": 0, "credit_minor": 24_000}


async def test_a_credit_memo_goes_on_the_invoice_that_it_names(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000))
    told = await desk.feed(credit("CM-77001", 24_000, on={"INV-2026-00017": 24_000}))
    assert types(told) == ["item.opened", "item.changed"]
    assert only(told, ItemChanged).relief.credit == 24_000
    assert only(told, ItemOpened).remaining_minor == 0


async def test_a_credit_that_came_before_its_invoice_is_set_when_it_comes(desk: Desk):
    await desk.feed(customer(), credit("CM-77001", 24_000, on={"INV-2026-00017": 24_000}))
    told = await desk.feed(invoice("INV-2026-00017", 100_000))
    assert types(told) == ["item.opened", "item.settled"]
    assert only(told, ItemOpened).remaining_minor == 76_000
    assert only(told, ItemSettled).side == "credit"
    assert await desk.rows("select * from document_wait") == []


async def test_a_credit_over_what_is_open_keeps_its_rest(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000))
    await desk.feed(credit("CM-77001", 24_000, on={"INV-2026-00017": 24_000}))
    assert (await desk.item("CM-77001", kind="credit_memo"))["remaining_minor"] == 14_000


async def test_a_payer_may_deduct_a_credit_in_the_remittance(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000), credit("CM-77001", 24_000))
    lines = [
        RemittanceLine(document="INV-2026-00017", paid_minor=100_000),
        RemittanceLine(document="CM-77001", paid_minor=-24_000),
    ]
    told = await desk.feed(payment("p1", 76_000, remittance=lines))
    assert types(told) == ["payment.applied", "item.settled", "item.settled"]
    applied = only(told, PaymentApplied)
    assert sorted(a.cash_minor for a in applied.applications) == [24_000, 100_000]
    assert applied.split[0].applied_minor == 76_000
    assert (await desk.prove())["bank_accounts"]["EUR-1"]["applied_minor"] == 76_000
    told = await desk.feed(returned("r1", 76_000, of="p1"))
    assert types(told) == ["payment.unapplied", "item.reopened", "item.reopened"]


async def test_a_cancelled_invoice_gives_its_cash_back_first(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000), payment("p1", 40_000, "INV-2026-00017"))
    told = await desk.feed(cancelled("INV-2026-00017"))
    assert types(told) == ["payment.unapplied", "cash.candidate", "item.settled", "cash.changed"]
    settled = only(told, ItemSettled)
    assert (settled.relief.cancelled, settled.relief.cash) == (100_000, 0)
    assert only(told, PaymentUnapplied).reason_code == "DOCUMENT_CANCELLED"
    assert only(told, CashChanged).unapplied_minor == 40_000
    assert await desk.feed(cancelled("INV-2026-00017")) == []


async def test_a_cancelled_invoice_gives_its_credit_back(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000))
    await desk.feed(credit("CM-77001", 24_000, on={"INV-2026-00017": 24_000}))
    told = await desk.feed(cancelled("INV-2026-00017"))
    assert only(told, ItemReopened).remaining_minor == 24_000
    assert only(told, ItemSettled).relief.cancelled == 100_000


async def test_a_cancellation_before_its_invoice_takes_effect_when_it_comes(desk: Desk):
    await desk.feed(customer())
    assert await desk.feed(cancelled("INV-2026-00017")) == []
    told = await desk.feed(invoice("INV-2026-00017", 100_000))
    assert only(told, ItemOpened).remaining_minor == 0


@pytest.mark.parametrize(("keeps", "due_on"), [(True, date(2026, 1, 20)), (False, date(2026, 2, 4))])
async def test_a_rebill_cancels_the_old_and_keeps_or_changes_the_due_date(desk: Desk, keeps: bool, due_on: date):
    """F13: 1,200 becomes 1,080."""
    await desk.feed(customer(), invoice("INV-2026-00017", 120_000, due_on=date(2026, 1, 20)))
    await desk.feed(invoice("INV-2026-00018", 108_000), rebilled("INV-2026-00018", "INV-2026-00017", keeps))
    assert (await desk.item("INV-2026-00017"))["relief_cancelled"] == 120_000
    assert (await desk.item("INV-2026-00018"))["due_on"] == due_on


async def test_a_rebill_before_its_invoice_waits_for_it(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 120_000, due_on=date(2026, 1, 20)))
    assert await desk.feed(rebilled("INV-2026-00018", "INV-2026-00017", True)) == []
    await desk.feed(invoice("INV-2026-00018", 108_000))
    assert (await desk.item("INV-2026-00017"))["relief_cancelled"] == 120_000
    assert (await desk.item("INV-2026-00018"))["due_on"] == date(2026, 1, 20)


async def test_a_debit_memo_is_an_item_like_an_invoice(desk: Desk):
    told = await desk.feed(customer(), debit_memo("DM-900123", 5_000), payment("p1", 5_000, "DM-900123"))
    assert types(told) == ["item.opened", "payment.applied", "item.settled"]


async def test_the_same_document_with_another_amount_is_poison(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 5_000))
    assert await desk.feed(invoice("INV-2026-00017", 5_000)) == []
    with pytest.raises(PoisonEvent, match="came again with 6000"):
        await desk.feed(invoice("INV-2026-00017", 6_000))


async def test_a_currency_without_any_rate_is_poison_that_says_what_to_do(desk: Desk):
    with pytest.raises(PoisonEvent, match="publish one and what waits is run again"):
        await desk.feed(customer(), invoice("INV-2026-00017", 5_000, currency="GBP"))


async def test_base_amounts_stand_on_every_line_and_the_difference_is_realised(desk: Desk):
    """F21 in shape: booked at 1.25, settled at 1.20; the last relief takes the rest."""
    usd = {"currency": "USD", "bank_account": "USD-1"}
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000, currency="USD"))
    paid_on = date(2026, 1, 22)
    await desk.feed(payment("p1", 33_333, "INV-2026-00017", valued_on=paid_on, **usd), on=paid_on)
    await desk.feed(payment("p2", 66_667, "INV-2026-00017", valued_on=paid_on, **usd), on=paid_on)
    rows = await desk.rows(
        "select ledger, sum(base_minor)::bigint as base from journal_line group by ledger order by 1"
    )
    base = {row["ledger"]: row["base"] for row in rows}
    assert base["AR"] == 0
    assert base["ERP_CONTROL"] == -80_000
    assert base["BANK"] == 27_778 + 55_556
    assert base["FXR"] == 80_000 - (27_778 + 55_556)


def dispute(kind, version: int, minor: int, status: str = "open"):
    return kind(
        company=ACME,
        dispute_id=derive("dispute", "d1"),
        version=version,
        account_id="C1",
        item_id=item("INV-2026-00017"),
        disputed_minor=minor,
        currency="EUR",
        reason_code="QUALITY",
        opened_on=DAY,
        status=status,
    )


async def test_a_dispute_marks_its_part_of_the_item_until_it_is_resolved(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000))
    told = await desk.feed(dispute(DisputeOpened, 1, 4_000))
    assert only(told, ItemChanged).disputed_minor == 4_000
    told = await desk.feed(dispute(DisputeResolved, 2, 4_000, "resolved"))
    assert only(told, ItemChanged).disputed_minor == 0
    assert await desk.feed(dispute(DisputeOpened, 1, 4_000)) == []


async def test_a_deduction_becomes_an_item_of_its_own(desk: Desk):
    """F10: 10,000 invoiced, 9,400 paid, claim 600."""
    await desk.feed(customer(), invoice("INV-2026-00017", 1_000_000))
    line = RemittanceLine(
        document="INV-2026-00017", gross_minor=1_000_000, deduction_minor=60_000, reason="DAMAGE", paid_minor=940_000
    )
    told = await desk.feed(payment("p1", 940_000, remittance=[line]))
    assert types(told) == ["deduction.raised", "payment.applied", "item.settled", "item.opened"]
    opened = only(told, ItemOpened)
    assert (opened.kind, opened.original_minor) == ("deduction", 60_000)
    assert only(told, ItemSettled).relief.moved == 60_000
    told = await desk.feed(returned("r1", 940_000, of="p1"))
    assert only(told, ItemReopened).remaining_minor == 1_000_000
    assert only(told, ItemSettled).kind == "deduction"


async def test_cash_of_a_cancelled_invoice_is_a_candidate_of_its_account(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000), payment("p1", 40_000, "INV-2026-00017"))
    told = await desk.feed(cancelled("INV-2026-00017"))
    assert only(told, CashCandidate).account_id == "C1"
