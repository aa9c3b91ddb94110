"""The neutral form between formats and domain: one record, where it stood, and its fields as text.

Amounts stay decimal text and dates ISO text until the domain reads them, so that a reader never judges a value.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

ROW_BYTES_MAX = 1_000_000
JSON_BYTES_MAX = 16_000_000
JSON_RECORDS_MAX = 50_000
DETAILS_PER_ENTRY_MAX = 50_000
ELEMENTS_PER_ENTRY_MAX = 200_000
TEXT_LINES_MAX = 100
REMITTANCE_LINES_MAX = 1_000

DOCUMENT_KINDS = ("invoice", "debit_memo", "credit_memo", "cancellation", "rebill")
MASTER_KINDS = ("customer", "contact", "link")
RECORD_KINDS = (*MASTER_KINDS, *DOCUMENT_KINDS, "payment", "bank_reach")
BANK_KINDS = ("statement", "bank_line")


@dataclass(frozen=True, slots=True)
class RawRecord:
    """`place` tells a person where the record stands: `line 12`, or a path. `group` numbers the statement of a file."""

    kind: str
    place: str
    body: dict[str, Any] = field(default_factory=dict)
    group: int = 0


class FormatError(Exception):
    """The file as a whole cannot be taken; nothing of it is. `code` is stable, `place` a line or path."""

    def __init__(self, code: str, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.code, self.place, self.message = code, place, message


class Reader(Protocol):
    """Streams the records of one file. Raises FormatError at the first thing that makes the file unusable."""

    def __call__(self, path: Path) -> Iterator[RawRecord]: ...
