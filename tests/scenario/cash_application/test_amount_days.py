"""An amount posts at the close of its own day, as that day left it, and not beside an equal payment that waits."""

from datetime import timedelta

from services.cash_application.store.load_sql import KEY_ROWS_MAX
from shared.events.invoices import InvoiceIssued
from shared.runtime.start_statements import BEYOND_BACKUP
from tests.scenario.cash_application.desk import ACME, DAY, Desk, customer, invoice, pay_id, payment

NEXT = DAY + timedelta(1)


async def test_what_was_paid_on_a_later_day_does_not_make_an_amount_unique_at_the_close(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 123_451), invoice("INV-2026-00018", 123_451))
    await desk.feed(payment("p1", 123_451))
    await desk.feed(payment("p2", 123_451, "INV-2026-00017", valued_on=NEXT), on=NEXT)
    await desk.close(DAY)
    receipt = await desk.receipt("p1")
    assert (receipt["open_minor"], receipt["outcome"]) == (123_451, "suggested")


async def test_the_close_posts_an_amount_while_nothing_of_a_later_day_is_there(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 123_451), payment("p1", 123_451))
    await desk.close(DAY)
    assert (await desk.receipt("p1"))["rule"] == "exact_amount"


async def test_the_close_leaves_a_frozen_payment_alone(desk: Desk):
    """When it is released its own day is over: an amount is then a person's to apply."""
    await desk.feed(customer(), invoice("INV-2026-00017", 123_451), payment("p1", 123_451))
    freeze = "insert into parked_key (key, company, code, error) values ($1, $2, $3, 'lost outputs') returning key"
    await desk.row(freeze, f"{ACME}/{pay_id('p1')}", ACME, BEYOND_BACKUP)
    await desk.close(DAY)
    assert (await desk.receipt("p1"))["open_minor"] == 123_451
    await desk.row("delete from parked_key returning key")
    await desk.close(NEXT)
    assert (await desk.receipt("p1"))["open_minor"] == 123_451


async def test_an_equal_payment_that_waits_is_seen_behind_any_number_of_other_payers(desk: Desk):
    """p1 waits since two items had its amount; one of them is paid by its number; p9 must not take the other."""
    await desk.feed(customer(), invoice("INV-2026-00017", 123_451), invoice("INV-2026-00018", 123_451))
    await desk.feed(payment("p1", 123_451))
    await desk.close(DAY)
    strangers = [payment(f"s{n}", 123_451, "x", payer=f"Fremder {n} AG", iban="", valued_on=NEXT) for n in range(8)]
    await desk.feed(payment("p2", 123_451, "INV-2026-00017", valued_on=NEXT), *strangers, on=NEXT)
    await desk.close(NEXT)
    late = DAY + timedelta(20)
    await desk.feed(payment("p9", 123_451, valued_on=late), on=late)
    await desk.close(late)
    assert (await desk.item("INV-2026-00018"))["remaining_minor"] == 123_451
    assert (await desk.receipt("p9"))["reason_code"] == "AMOUNT_NOT_UNIQUE"


async def test_the_first_of_two_equal_payments_of_a_day_takes_the_item(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 123_451))
    await desk.feed(payment("p1", 123_451), payment("p2", 123_451))
    await desk.close(DAY)
    paid = await desk.rows("select open_minor from receipt order by 1")
    assert [row["open_minor"] for row in paid] == [0, 123_451]
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 0


async def test_an_item_whose_account_is_not_locked_is_never_posted_on_and_the_day_closes(desk: Desk):
    """More items carry the number than a key may bring; the one that has the amount was loaded for its amount only."""
    accounts = [f"C{n:03d}" for n in range(KEY_ROWS_MAX + 40)]
    await desk.feed(*(customer(account, f"Kunde {account}", "") for account in accounts))
    bills = [_numbered(account, 10_000 + 7 * n) for n, account in enumerate(accounts)]
    await desk.feed(*bills)
    paid = [payment(f"p{n}", 10_000 + 7 * n, "Rechnung 17", payer="", iban="") for n in range(len(accounts))]
    await desk.feed(*paid)
    await desk.close(DAY)
    standing = await desk.row("select count(*) from candidate where open")
    applied = await desk.row("select count(*) from application")
    assert standing["count"] + applied["count"] >= len(accounts)


def _numbered(account_id: str, minor: int) -> InvoiceIssued:
    """Every account has an invoice number 17."""
    return invoice(f"INV-{account_id}", minor, account_id).model_copy(update={"number": "17"})
