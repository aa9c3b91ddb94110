"""Payments come in: expect these events and no others, with the books proven after each batch."""

from shared.events.ledger import (
    CashCandidate,
    CashChanged,
    ItemChanged,
    ItemOpened,
    ItemSettled,
    PaymentApplied,
    PaymentIdentified,
    PaymentUnidentified,
)
from tests.scenario.cash_application.desk import Desk, customer, invoice, item, only, pay_id, payment, types


async def test_an_invoice_opens_an_item_and_its_reference_settles_it(desk: Desk):
    assert await desk.told(customer(), invoice("INV-2026-00017", 120_000)) == ["item.opened"]
    told = await desk.feed(payment("p1", 120_000, "Invoice INV-2026-00017"))
    assert types(told) == ["payment.applied", "item.settled"]
    applied = only(told, PaymentApplied)
    assert applied.account_id == "C1"
    assert [(a.item_id, a.cash_minor) for a in applied.applications] == [(item("INV-2026-00017"), 120_000)]
    assert (applied.payment_version, applied.left_minor, applied.automatic) == (1, 0, True)
    assert applied.split[0].applied_minor == 120_000
    settled = only(told, ItemSettled)
    assert (settled.version, settled.remaining_minor, settled.relief.cash) == (2, 0, 120_000)


async def test_fact_and_payment_in_one_batch_find_each_other(desk: Desk):
    told = await desk.feed(customer(), invoice("INV-2026-00017", 5_000), payment("p1", 5_000, "INV-2026-00017"))
    assert types(told) == ["item.opened", "payment.applied", "item.settled"]


async def test_two_payments_of_one_batch_never_apply_more_than_is_open(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 5_000))
    told = await desk.feed(payment("p1", 5_000, "INV-2026-00017"), payment("p2", 5_000, "INV-2026-00017"))
    assert types(told)[:2] == ["payment.applied", "item.settled"]
    assert only(told, PaymentIdentified).payment_id == pay_id("p2")
    assert only(told, CashChanged).unapplied_minor == 5_000
    assert only(told, CashCandidate).source == "unapplied"
    assert (await desk.receipt("p2"))["reason_code"] in ("DUPLICATE", "ALREADY_SETTLED")


async def test_a_partial_payment_leaves_the_rest_open(desk: Desk):
    """PC-07: 40 of 100 by reference: applied, 60 stay open, nothing is left."""
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000))
    told = await desk.feed(payment("p1", 4_000, "INV-2026-00017"))
    assert types(told) == ["payment.applied", "item.changed"]
    assert only(told, ItemChanged).remaining_minor == 6_000
    assert only(told, PaymentApplied).left_minor == 0


async def test_an_overpayment_stays_unapplied_as_a_candidate(desk: Desk):
    """PC-01: the excess stays as money of the account."""
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000))
    told = await desk.feed(payment("p1", 101_000, "INV-2026-00017"))
    assert types(told) == ["payment.applied", "cash.candidate", "item.settled", "cash.changed"]
    assert only(told, PaymentApplied).left_minor == 1_000
    assert only(told, CashChanged).unapplied_minor == 1_000


async def test_a_payment_of_nobody_is_unidentified_and_its_equal_amount_is_evidence(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 123_457))
    told = await desk.feed(payment("p1", 123_457, "thanks", payer="Somebody Else Ltd", iban="GB33BUKB20201555555555"))
    assert types(told) == ["payment.unidentified", "payment.suggested", "cash.candidate"]
    assert only(told, PaymentUnidentified).unidentified_minor == 123_457
    candidate = only(told, CashCandidate)
    assert (candidate.account_id, candidate.evidence, candidate.source) == ("C1", ["exact_amount"], "suggested")


async def test_an_amount_alone_waits_for_the_close_and_posts_there(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 123_457))
    told = await desk.feed(payment("p1", 123_457, "thanks"))
    assert types(told) == ["payment.identified", "cash.candidate", "cash.changed"]
    assert (await desk.receipt("p1"))["reason_code"] == "WAITS_FOR_CLOSE"
    closed = await desk.close()
    assert types(closed) == ["payment.applied", "cash.candidate_cleared", "item.settled", "cash.changed"]
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 0
    assert await desk.close() == []


async def test_an_invoice_fed_after_its_payment_is_paid_at_the_close(desk: Desk):
    await desk.feed(customer())
    told = await desk.feed(payment("p1", 7_700, "INV-2026-00042"))
    assert types(told) == ["payment.identified", "cash.candidate", "cash.changed"]
    await desk.feed(invoice("INV-2026-00042", 7_700))
    closed = await desk.close()
    assert only(closed, PaymentApplied).rule.startswith("document_number")
    assert (await desk.item("INV-2026-00042"))["remaining_minor"] == 0


async def test_the_run_of_a_day_reads_only_facts_up_to_it(desk: Desk):
    from tests.scenario.cash_application.desk import DAY, date

    await desk.feed(customer())
    await desk.feed(payment("p1", 7_700, "INV-2026-00042"))
    later = date(2026, 1, 6)
    await desk.feed(invoice("INV-2026-00042", 7_700), on=later)
    assert types(await desk.close(DAY)) == []
    assert "payment.applied" in types(await desk.close(later))


async def test_money_in_another_currency_stays_unapplied(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000))
    told = await desk.feed(payment("p1", 10_000, "INV-2026-00017", currency="USD", bank_account="USD-1"))
    assert types(told) == ["payment.identified", "cash.candidate", "cash.changed"]
    assert (await desk.receipt("p1"))["reason_code"] == "CURRENCY_DIFFERS"


async def test_a_small_difference_is_booked_at_the_close_within_tolerance(desk: Desk):
    """F8: 999.50 invoiced, 999.00 paid, tolerance min(5.00, 0.5 %)."""
    await desk.feed(customer(), invoice("INV-2026-00017", 99_950))
    await desk.feed(payment("p1", 99_900, "INV-2026-00017"))
    closed = await desk.close()
    assert only(closed, ItemSettled).relief.small_difference == 50
    lines = await desk.rows("select ledger, amount_minor from journal_line where ledger = 'SMALL'")
    assert [(r["ledger"], r["amount_minor"]) for r in lines] == [("SMALL", 50)]


async def test_a_small_gain_is_kept_at_the_close_within_tolerance(desk: Desk):
    """F9: 1,000.00 invoiced, 1,000.30 paid."""
    await desk.feed(customer(), invoice("INV-2026-00017", 100_000))
    await desk.feed(payment("p1", 100_030, "INV-2026-00017"))
    await desk.close()
    totals = await desk.prove()
    assert totals["bank_accounts"]["EUR-1"]["small_gains_minor"] == 30
    assert totals["bank_accounts"]["EUR-1"]["applied_minor"] == 100_000


async def test_an_earned_discount_closes_the_item(desk: Desk):
    """F6 without tax: 1,200 less 2 % in time."""
    from tests.scenario.cash_application.desk import date

    await desk.feed(customer(), invoice("INV-2026-00017", 120_000, discounts=[(date(2026, 1, 15), 2_400)]))
    told = await desk.feed(payment("p1", 117_600, "INV-2026-00017"))
    settled = only(told, ItemSettled)
    assert (settled.relief.cash, settled.relief.discount) == (117_600, 2_400)


async def test_a_late_discount_stays_open(desk: Desk):
    """F7: the same amount too late; 24 stay open."""
    from tests.scenario.cash_application.desk import date

    await desk.feed(customer(), invoice("INV-2026-00017", 120_000, discounts=[(date(2026, 1, 2), 2_400)]))
    told = await desk.feed(payment("p1", 117_600, "INV-2026-00017"))
    assert only(told, ItemChanged).remaining_minor == 2_400
    assert "DISC_UNEARNED" in (await desk.receipt("p1"))["flags"]


async def test_the_same_payment_twice_changes_nothing(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 5_000), payment("p1", 5_000, "INV-2026-00017"))
    assert await desk.feed(payment("p1", 5_000, "INV-2026-00017")) == []


async def test_instalments_open_as_items_of_their_own(desk: Desk):
    from tests.scenario.cash_application.desk import date

    parts = [("001", date(2026, 2, 1), 5_000), ("002", date(2026, 3, 1), 3_000), ("003", date(2026, 4, 1), 2_000)]
    told = await desk.feed(customer(), invoice("INV-2026-00017", 10_000, parts=parts))
    assert [(f.line, f.original_minor, f.due_on) for f in told if isinstance(f, ItemOpened)] == [
        (line, minor, due) for line, due, minor in parts
    ]
