"""The write set of a batch: rows by table and key, and the states from which deltas are taken.

Invariant: a row of a versioned table is replaced only by one of a higher version, in memory as in the store.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

Row = dict[str, Any]
Key = tuple[Hashable, ...]
PLACES = ("unidentified", "refunded", "non_ar", "returned", "small_gain")
PART_PLACES = ("applied", "unapplied", "on_account")


@dataclass(slots=True)
class ItemNow:
    """What is known of an item before the next version of it is read; version 0 is nothing."""

    version: int = 0
    remaining_minor: int = 0
    disputed_minor: int = 0
    relief: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class PaymentNow:
    """What is known of a payment: minor units by (place, account), accounts only for the parts."""

    version: int = 0
    places: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(slots=True)
class Known:
    """State loaded for a batch; it evolves while the batch is folded."""

    items: dict[tuple[str, UUID], ItemNow] = field(default_factory=dict)
    payments: dict[tuple[str, UUID], PaymentNow] = field(default_factory=dict)
    day: Any = None


@dataclass(slots=True)
class Rows:
    """Rows to write: table -> key -> columns."""

    tables: dict[str, dict[Key, Row]] = field(default_factory=dict)

    def put(self, table: str, key: Key, row: Row) -> None:
        """The later row of a key stands."""
        self.tables.setdefault(table, {})[key] = row

    def put_version(self, table: str, key: Key, row: Row, version: str = "version") -> None:
        """The row of the higher version stands; of equal ones the earlier."""
        standing = self.tables.setdefault(table, {}).get(key)
        if standing is None or standing[version] < row[version]:
            self.tables[table][key] = row

    def of(self, table: str) -> list[Row]:
        return list(self.tables.get(table, {}).values())
