"""Our own figures of a closed day beside what the subledger vouched for at the same cut.

Invariant: a difference is a row that shows it; nothing is ever plugged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BANK_FIGURES = (
    "credits_minor", "debits_minor", "applied_minor", "unapplied_minor", "on_account_minor", "unidentified_minor",
)  # fmt: skip
ITEM_FIGURES = ("debit_minor", "credit_minor")
ITEMS = "items"
OWN = "cash.changed"

Key = tuple[str, str, str]
"""Scope (`items`, a bank account, or `cash.changed`), figure, currency."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One compared figure in minor units. `expected_minor` None: the subledger named none, which is a difference too.

    `later_minor` is the part of `found_minor` that came with facts of later business days, which the subledger may not
    have had yet when it vouched.
    """

    scope: str
    figure: str
    currency: str
    expected_minor: int | None
    found_minor: int
    later_minor: int = 0

    @property
    def difference_minor(self) -> int | None:
        """Found less expected."""
        return None if self.expected_minor is None else self.found_minor - self.expected_minor

    @property
    def agrees(self) -> bool:
        return self.difference_minor == 0


def expected_of(totals: Mapping[str, Any]) -> dict[Key, int]:
    """What the subledger vouched for, from the `totals` of its marker."""
    found: dict[Key, int] = {}
    for currency, sides in totals.get("items", {}).items():
        for figure in ITEM_FIGURES:
            found[ITEMS, figure, currency] = sides.get(figure, 0)
    for bank_account, terms in totals.get("bank_accounts", {}).items():
        for figure in BANK_FIGURES:
            found[bank_account, figure, terms["currency"]] = terms.get(figure, 0)
    return found


def compare(
    totals: Mapping[str, Any] | None, found: Mapping[Key, tuple[int, int]], own: Iterable[Figure] = ()
) -> list[Figure]:
    """One row per figure that either side names, `own` checks behind. `found`: (amount, of later business days)."""
    expected = expected_of(totals) if totals else {}
    rows = []
    for key in sorted(set(expected) | set(found)):
        amount, later = found.get(key, (0, 0))
        known = expected.get(key, 0 if totals else None)
        rows.append(Figure(*key, expected_minor=known, found_minor=amount, later_minor=later))
    return [*rows, *own]
