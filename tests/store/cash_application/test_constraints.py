"""What the database itself refuses, whatever the code does."""

import asyncpg
import pytest

from tests.scenario.cash_application.desk import Desk, customer, invoice, payment

ENTRY = """
insert into journal_line (posting_id, company, ledger, currency, amount_minor, base_minor, account_id, side,
  bank_account, funding, accounted_on)
select gen_random_uuid(), 'acme', 'BANK', 'EUR', amount, base, '', '', 'EUR-1', '', '2026-01-05'
from unnest($1::bigint[], $2::bigint[]) as line(amount, base)
"""


@pytest.fixture
async def books(desk: Desk) -> Desk:
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), payment("p1", 4_000, "INV-2026-00017"))
    return desk


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("update open_item set remaining_minor = -1", asyncpg.CheckViolationError),
        ("update open_item set remaining_minor = original_minor + 1", asyncpg.CheckViolationError),
        ("update open_item set remaining_minor = remaining_minor - 1", asyncpg.CheckViolationError),
        ("update open_item set relief_cash = relief_cash + 1", asyncpg.CheckViolationError),
        ("update receipt set unidentified_minor = -1", asyncpg.CheckViolationError),
        ("update receipt_part set unapplied_minor = -1", asyncpg.CheckViolationError),
        ("update journal_line set amount_minor = amount_minor + 1", asyncpg.RaiseError),
        ("delete from journal_line", asyncpg.RaiseError),
        ("update posting set actor = 'user:mallory'", asyncpg.RaiseError),
        ("delete from posting", asyncpg.RaiseError),
    ],
)
async def test_the_database_refuses(books: Desk, statement: str, error: type[Exception]):
    with pytest.raises(error):
        await books.rows(statement)
    await books.prove()


async def test_an_entry_that_does_not_balance_is_refused(books: Desk):
    with pytest.raises(asyncpg.RaiseError, match="does not balance"):
        await books.rows(ENTRY, [100], [100])
    with pytest.raises(asyncpg.RaiseError, match="does not balance"):
        await books.rows(
            ENTRY.replace("gen_random_uuid()", "'00000000-0000-0000-0000-000000000001'"), [100, -100], [99, -98]
        )


async def test_a_certificate_stands_with_its_snapshot_and_stays_small(books: Desk):
    row = await books.row(
        "select octet_length(content::text) as size, snapshot::text as snapshot, posting_id from certificate"
    )
    assert row["size"] <= 5_120
    assert row["posting_id"] is not None
    assert row["snapshot"].count(":") == 2
