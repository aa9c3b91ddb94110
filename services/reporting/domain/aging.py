"""Aging of open items by due date or by document date. Credits stand in their own column, never netted into buckets.

Bounds are inclusive on both sides; instalments are items of their own and age alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Basis = Literal["due", "invoice"]

BUCKETS: Mapping[Basis, tuple[tuple[str, int | None], ...]] = {
    "due": (("current", 0), ("1-30", 30), ("31-60", 60), ("61-90", 90), ("91-120", 120), ("over_120", None)),
    "invoice": (("0-30", 30), ("31-60", 60), ("61-90", 90), ("91-120", 120), ("over_120", None)),
}
"""Per basis the buckets in order: name and the last day that belongs to it (None: no last day)."""


@dataclass(frozen=True, slots=True)
class OpenAmount:
    """Open debit items of one day in one group and currency. `on` is the due date or the document date."""

    group: str
    currency: str
    on: date
    remaining_minor: int
    disputed_minor: int = 0


@dataclass(frozen=True, slots=True)
class OpenCredit:
    """What stands in favour of a group: open credit items, or cash that is on no item (positive minor units)."""

    group: str
    currency: str
    amount_minor: int


@dataclass(slots=True)
class Aging:
    """One row of an aging report, in minor units of one currency. `credits_minor` is zero or negative."""

    group: str
    currency: str
    buckets: dict[str, int]
    disputed: dict[str, int]
    credits_minor: int = 0

    @property
    def gross_minor(self) -> int:
        return sum(self.buckets.values())

    @property
    def net_minor(self) -> int:
        return self.gross_minor + self.credits_minor

    @property
    def disputed_minor(self) -> int:
        return sum(self.disputed.values())

    @property
    def overdue_minor(self) -> int:
        return self.gross_minor - self.buckets.get("current", 0) if "current" in self.buckets else 0


def bucket_of(days: int, basis: Basis = "due") -> str:
    """Bucket of so many days past due, or since the document's date."""
    for name, last in BUCKETS[basis]:
        if last is None or days <= last:
            return name
    raise AssertionError("the last bucket has no last day")


@dataclass(slots=True)
class _Rows:
    basis: Basis
    rows: dict[tuple[str, str], Aging] = field(default_factory=dict)

    def of(self, group: str, currency: str) -> Aging:
        key = (group, currency)
        if key not in self.rows:
            names = [name for name, _ in BUCKETS[self.basis]]
            self.rows[key] = Aging(group, currency, dict.fromkeys(names, 0), dict.fromkeys(names, 0))
        return self.rows[key]


def age(amounts: Iterable[OpenAmount], credits: Iterable[OpenCredit], as_of: date, basis: Basis = "due") -> list[Aging]:
    """Rows by group and currency, sorted. The disputed part of an item is at most what remains of it."""
    found = _Rows(basis)
    for amount in amounts:
        row, bucket = found.of(amount.group, amount.currency), bucket_of((as_of - amount.on).days, basis)
        row.buckets[bucket] += amount.remaining_minor
        row.disputed[bucket] += min(amount.disputed_minor, amount.remaining_minor)
    for credit in credits:
        found.of(credit.group, credit.currency).credits_minor -= credit.amount_minor
    rows = [row for row in found.rows.values() if any(row.buckets.values()) or row.credits_minor]
    return sorted(rows, key=lambda row: (row.group, row.currency))
