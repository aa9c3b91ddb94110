"""What the subledger vouches for at a day's close, and the proof that it may.

Invariant: the money equation holds for the day and for all lines ever posted, and the journal says the same of items
and cash as the rows of items and receipts themselves.
"""

from collections.abc import Mapping
from typing import Any

from services.cash_application.domain.equation import difference, terms

Key = tuple[str, str]


class NotBalanced(AssertionError):
    """The books do not balance; nothing may vouch for them."""


def vouch(sums: Mapping[str, Any]) -> dict[str, Any]:
    """Totals for the marker from sums of the store. Raises NotBalanced with what differs."""
    day, ever = terms(sums["bank"]), terms(sums["bank_ever"])
    for found in (day, ever):
        for (bank_account, currency), term in found.items():
            if wrong := difference(term):
                raise NotBalanced(
                    f"the money equation of {bank_account} differs by {wrong} {currency} minor units: {term}"
                )
    _same_items(sums["items_ever"], sums["items_stored"])
    _same_cash(ever, sums["cash_stored"])
    return {"items": _items(sums["items"]), "bank_accounts": _bank_accounts(day)}


def _items(balances: Mapping[Key, int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (currency, side), balance in sorted(balances.items()):
        open_minor = found.setdefault(currency, {"debit_minor": 0, "credit_minor": 0})
        open_minor[f"{side}_minor"] = balance if side == "debit" else -balance
    return found


def _bank_accounts(day: Mapping[Key, dict[str, int]]) -> dict[str, dict[str, Any]]:
    return {bank_account: {"currency": currency, **term} for (bank_account, currency), term in sorted(day.items())}


def _same_items(journal: Mapping[Key, int], stored: Mapping[Key, int]) -> None:
    for key in sorted(set(journal) | set(stored)):
        sign = 1 if key[1] == "debit" else -1
        if sign * journal.get(key, 0) != stored.get(key, 0):
            raise NotBalanced(
                f"open items {key}: the journal says {sign * journal.get(key, 0)}, the items {stored.get(key, 0)}"
            )


def _same_cash(ever: Mapping[Key, dict[str, int]], stored: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
    for key in sorted(set(ever) | set(stored)):
        term, rows = ever.get(key, {}), stored.get(key, {})
        for name in ("unapplied_minor", "on_account_minor", "unidentified_minor"):
            if term.get(name, 0) != rows.get(name, 0):
                raise NotBalanced(
                    f"{name} of {key}: the journal says {term.get(name, 0)}, receipts {rows.get(name, 0)}"
                )
