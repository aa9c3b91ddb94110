"""What the marker carries, and that it is refused when the books do not balance."""

import pytest

from deploy.local import databases
from shared.errors import Stop
from tests.scenario.cash_application.desk import DAY, Desk, bank_debit, credit, customer, date, invoice, payment

BROKEN = [
    "update receipt_part set unapplied_minor = unapplied_minor + 1 where unapplied_minor > 0",
    "update open_item set remaining_minor = remaining_minor - 1, relief_cash = relief_cash + 1"
    " where remaining_minor > 9",
    "delete from journal_line where ledger = 'UNAPP'",
    "update journal_line set amount_minor = amount_minor + 1 where ledger = 'BANK' and amount_minor > 0",
    "update journal_line set bank_account = 'EUR-2' where ledger = 'UNAPP'",
]


async def filled(desk: Desk) -> None:
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), credit("CM-77001", 700))
    await desk.feed(payment("p1", 4_000, "INV-2026-00017"), payment("p2", 800, "x"), bank_debit("b1", 25, "charge"))
    await desk.feed(payment("p3", 900, "y", payer="", iban=""))


async def test_totals_name_open_items_and_every_term(desk: Desk):
    await filled(desk)
    totals = await desk.prove(DAY)
    assert totals["items"] == {"EUR": {"debit_minor": 6_000, "credit_minor": 700}}
    assert totals["bank_accounts"] == {
        "EUR-1": {
            "currency": "EUR",
            "opening_minor": 0,
            "credits_minor": 5_700,
            "debits_minor": 25,
            "applied_minor": 4_000,
            "on_account_minor": 0,
            "unapplied_minor": 800,
            "unidentified_minor": 900,
            "refunds_payable_minor": 0,
            "non_ar_minor": 0,
            "transferred_out_minor": 0,
            "small_gains_minor": 0,
            "transferred_in_minor": 0,
            "bank_charges_minor": 25,
            "not_explained_minor": 0,
        }
    }


async def test_totals_of_a_day_leave_out_what_is_accounted_later(desk: Desk):
    await filled(desk)
    later = date(2026, 1, 6)
    await desk.feed(payment("p4", 6_000, "INV-2026-00017", valued_on=later), on=later)
    assert (await desk.prove(DAY))["items"]["EUR"]["debit_minor"] == 6_000
    assert (await desk.prove(later))["items"]["EUR"]["debit_minor"] == 0
    assert (await desk.prove(later))["bank_accounts"]["EUR-1"]["applied_minor"] == 10_000


@pytest.mark.parametrize("broken", BROKEN)
async def test_books_that_do_not_balance_are_never_vouched_for(
    desk: Desk, ledger_database: databases.DatabaseAddress, broken: str
):
    async def spoil() -> None:
        owner = await databases.connect(ledger_database.owner_dsn)
        await owner.execute("truncate day_total, day_total_reach")
        await owner.execute("alter table journal_line disable trigger user")
        try:
            assert await owner.execute(broken) != "UPDATE 0"
        finally:
            await owner.execute("alter table journal_line enable trigger user")
            await owner.close()

    await filled(desk)
    await spoil()
    with pytest.raises(Stop, match="run audit/"):
        await desk.prove()
