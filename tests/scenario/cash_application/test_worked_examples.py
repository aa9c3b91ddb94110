"""Worked examples of the journal rules and cases of open-source peers that concern the subledger, entry by entry."""

from collections import defaultdict

from services.cash_application.domain import commands
from shared.events.ledger import PaymentApplied
from tests.scenario.cash_application.desk import (
    Desk,
    bank_debit,
    credit,
    customer,
    date,
    invoice,
    item,
    only,
    pay_id,
    payment,
    returned,
)

NUMBER = "INV-2026-00017"
STRANGER = {"payer": "Somebody Else Ltd", "iban": "GB33BUKB20201555555555"}


async def balances(desk: Desk) -> dict[str, int]:
    """Balance per journal account; debit positive, accounts at zero left out."""
    rows = await desk.rows("select ledger, sum(amount_minor)::bigint as minor from journal_line group by ledger")
    return {row["ledger"]: row["minor"] for row in rows if row["minor"]}


async def entry(desk: Desk, kind: str) -> dict[str, int]:
    """Lines of the last entry of a kind, per journal account."""
    rows = await desk.rows(
        "select ledger, amount_minor from journal_line where posting_id ="
        " (select posting_id from posting where kind = $1 order by xid desc limit 1)",
        kind,
    )
    found: dict[str, int] = defaultdict(int)
    for row in rows:
        found[row["ledger"]] += row["amount_minor"]
    return dict(found)


async def test_f1_an_invoice_mirrors_the_erp(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 120_000))
    assert await entry(desk, "document") == {"AR": 120_000, "ERP_CONTROL": -120_000}
    assert (await desk.row("select origin from posting"))["origin"] == "feed"


async def test_f2_a_receipt_of_a_known_customer_waits_unapplied(desk: Desk):
    await desk.feed(customer(), payment("p1", 50_000, "x"))
    assert await entry(desk, "receipt") == {"BANK": 50_000, "UNAPP": -50_000}


async def test_f3_a_receipt_of_nobody_is_identified_later(desk: Desk):
    await desk.feed(customer(), payment("p1", 30_000, "x", **STRANGER))
    assert await entry(desk, "receipt") == {"BANK": 30_000, "UNID": -30_000}
    await desk.command(commands.Identify(payment_id=pay_id("p1"), account_id="C1"))
    assert await entry(desk, "cash_move") == {"UNID": 30_000, "UNAPP": -30_000}


async def test_f4_cash_that_waits_is_applied_by_hand(desk: Desk):
    await desk.feed(customer(), payment("p1", 50_000, "x"), invoice(NUMBER, 90_000))
    line = commands.ApplyLine(item_id=item(NUMBER), cash_minor=50_000)
    await desk.command(commands.Apply(payment_id=pay_id("p1"), currency="EUR", lines=[line]))
    assert await entry(desk, "application") == {"UNAPP": 50_000, "AR": -50_000}


async def test_f5_a_receipt_that_is_matched_goes_straight_to_the_item(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 120_000), payment("p1", 120_000, NUMBER))
    assert await entry(desk, "receipt") == {"BANK": 120_000, "AR": -120_000}


async def test_f6_and_f16_a_discount_is_granted_and_taken_back(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 120_000, discounts=[(date(2026, 1, 15), 2_400)]))
    await desk.feed(payment("p1", 117_600, NUMBER))
    assert await entry(desk, "receipt") == {"BANK": 117_600, "DISC": 2_400, "AR": -120_000}
    await desk.feed(returned("r1", 117_600, of="p1"))
    assert await entry(desk, "return") == {"AR": 120_000, "BANK": -117_600, "DISC": -2_400}


async def test_f9_a_small_gain(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 100_000), payment("p1", 100_030, NUMBER))
    await desk.close()
    assert await balances(desk) == {"BANK": 100_030, "SMALL": -30, "ERP_CONTROL": -100_000}


async def test_f10_and_f11_a_deduction_is_granted_by_a_credit(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 1_000_000), payment("p1", 940_000, "x", **STRANGER))
    line = commands.ApplyLine(item_id=item(NUMBER), cash_minor=940_000, deduction_minor=60_000)
    await desk.command(commands.Apply(payment_id=pay_id("p1"), currency="EUR", lines=[line]))
    assert await entry(desk, "application") == {"UNID": 940_000, "AR_DED": 60_000, "AR": -1_000_000}


async def test_f12_a_credit_memo_is_an_open_credit(desk: Desk):
    await desk.feed(customer(), credit("CM-77001", 24_000))
    assert await entry(desk, "document") == {"ERP_CONTROL": 24_000, "AR": -24_000}


async def test_f14_a_refund(desk: Desk):
    await desk.feed(customer(), payment("p1", 50_000, "x"))
    ask = commands.RequestRefund(payment_id=pay_id("p1"), account_id="C1", amount_minor=50_000, currency="EUR")
    await desk.command(ask)
    approve = commands.ApproveRefund(
        payment_id=pay_id("p1"),
        refund_id=desk.reply["refund_id"],
        shown_amount_minor=50_000,
    )
    await desk.command(approve, actor="user:bob", limits={"refund": {"EUR": 50_000}})
    assert await entry(desk, "refund_approved") == {"UNAPP": 50_000, "REFUND": -50_000}
    await desk.feed(bank_debit("b1", 50_000, "refund"))
    assert await entry(desk, "refund_paid") == {"REFUND": 50_000, "BANK": -50_000}
    assert await balances(desk) == {}


async def test_f15_a_return_with_a_fee_of_the_bank(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 120_000), payment("p1", 120_000, NUMBER))
    await desk.feed(returned("r1", 120_000, of="p1", fee=1_500))
    assert await balances(desk) == {"AR": 120_000, "BANKFEE": 1_500, "BANK": -1_500, "ERP_CONTROL": -120_000}


async def test_a_fee_that_a_bank_kept_back_closes_the_item_as_bank_charge(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 120_000), payment("p1", 119_000, NUMBER, charges=1_000))
    assert await entry(desk, "receipt") == {"BANK": 119_000, "BANKFEE": 1_000, "AR": -120_000}


async def test_f21_settlement_at_another_rate_realises_the_difference(desk: Desk):
    """10,000 USD booked at 1.25 = 8,000 EUR, settled at 1.20 = 8,333.33 EUR: a gain of 333.33."""
    await desk.feed(customer(), invoice(NUMBER, 1_000_000, currency="USD"))
    on = date(2026, 1, 21)
    await desk.feed(payment("p1", 1_000_000, NUMBER, currency="USD", bank_account="USD-1", valued_on=on), on=on)
    rows = await desk.rows("select ledger, sum(base_minor)::bigint as base from journal_line group by ledger")
    base = {row["ledger"]: row["base"] for row in rows if row["base"]}
    assert base == {"BANK": 833_333, "FXR": -33_333, "ERP_CONTROL": -800_000}


async def test_pc_13_a_loss_of_exchange(desk: Desk):
    """PC-13 in shape: the later rate is lower for us; nothing stays open in the currency."""
    on, later = date(2026, 1, 20), date(2026, 1, 22)
    await desk.feed(customer(), invoice(NUMBER, 10_000, currency="USD"), on=on)
    await desk.feed(payment("p1", 10_000, NUMBER, currency="USD", bank_account="USD-1", valued_on=later), on=later)
    assert (await desk.item(NUMBER))["remaining_minor"] == 0


async def test_f31_a_second_payment_of_the_same_thing_is_flagged_and_waits(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 10_000), payment("p1", 10_000, NUMBER))
    await desk.feed(payment("p2", 10_000, NUMBER, valued_on=date(2026, 1, 7)))
    row = await desk.receipt("p2")
    assert (row["outcome"], row["flags"]) == ("unapplied", ["DUPLICATE"])
    assert "payment.applied" not in [fact.TYPE for fact in await desk.close(date(2026, 1, 8))]


async def test_pc_08_of_two_equal_payments_the_first_pays(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 5_000))
    told = await desk.feed(payment("p1", 5_000, NUMBER), payment("p2", 5_000, NUMBER))
    assert only(told, PaymentApplied).payment_id == pay_id("p1")
    assert (await desk.receipt("p2"))["open_minor"] == 5_000


async def test_pc_10_one_payment_is_used_over_time(desk: Desk):
    """It waits until the second invoice that it names is there (ours: nothing posts while a citation is unread); then
    both are paid from it and 50 of the second stay open."""
    await desk.feed(customer(), invoice("INV-2026-00017", 5_000))
    await desk.feed(payment("p1", 50_000, "INV-2026-00017 INV-2026-00018"))
    assert (await desk.receipt("p1"))["reason_code"] == "CITATION_UNRESOLVED"
    await desk.feed(invoice("INV-2026-00018", 50_000))
    await desk.close()
    await desk.command(commands.ApplySuggestion(payment_id=pay_id("p1"), rank=1))
    rows = [await desk.item("INV-2026-00017"), await desk.item("INV-2026-00018")]
    assert sum(row["remaining_minor"] for row in rows) == 5_000
    assert (await desk.receipt("p1"))["open_minor"] == 0


async def test_pc_15_picked_items_are_paid_in_their_order_until_the_money_is_used_up(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), invoice("INV-2026-00018", 15_000))
    await desk.feed(payment("p1", 18_000, "x"))
    lines = [
        commands.ApplyLine(item_id=item("INV-2026-00017"), cash_minor=10_000),
        commands.ApplyLine(item_id=item("INV-2026-00018"), cash_minor=8_000),
    ]
    await desk.command(commands.Apply(payment_id=pay_id("p1"), currency="EUR", lines=lines))
    assert (await desk.item("INV-2026-00018"))["remaining_minor"] == 7_000
    assert (await desk.receipt("p1"))["open_minor"] == 0


async def test_pc_30_a_credit_on_its_own_account_leaves_the_invoice_open(desk: Desk):
    await desk.feed(customer(), invoice(NUMBER, 10_000), credit("CM-77001", 10_000))
    await desk.close()
    assert (await desk.item(NUMBER))["remaining_minor"] == 10_000
