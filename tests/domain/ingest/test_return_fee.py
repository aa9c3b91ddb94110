"""A bank's fee inside the debit of a return stands beside the amount that it takes back: together they are the line."""

from datetime import date
from uuid import UUID

import pytest

from services.ingest.domain.bank_lines import fact_of, signed_minor
from shared.events.control import BankAccount
from shared.events.facts import Source

ACCOUNT = BankAccount(id="EUR-1", iban="DE89370400440532013000", currency="EUR")


@pytest.mark.parametrize(
    ("charges", "amount", "fee"), [("", 121_500, 0), ("15.00", 120_000, 1_500), ("1215.00", 121_500, 0)]
)
def test_the_fee_of_a_return_is_not_part_of_what_it_takes_back(charges: str, amount: int, fee: int):
    body = {
        "status": "BOOK", "direction": "DBIT", "amount": "1215.00", "currency": "EUR", "booked_on": "2026-01-05",
        "valued_on": "2026-01-05", "return": {"code": "AC04"}, "charges": charges,
    }  # fmt: skip
    fact = fact_of("acme", ACCOUNT, UUID(int=1), body, Source(), date(2026, 1, 5))
    assert (fact.amount_minor, fact.fee_minor, signed_minor(fact)) == (amount, fee, -121_500)
