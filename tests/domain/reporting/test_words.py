"""Codes on pages are told in words that say what is the matter."""

import pytest

from services.reporting.pages import words


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("bank_account", "The bank account tells whose it is, but not for which items"),
        ("own_reference/overpaid", "Paid more than was open"),
        ("", "–"),
    ],
)
def test_cash_of_a_known_account_says_why_it_waits(rule: str, told: str) -> None:
    assert words.waits(rule) == told
