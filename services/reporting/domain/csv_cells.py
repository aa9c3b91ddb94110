"""CSV that is neutral in spreadsheets: what would count as a formula gets an apostrophe in front."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def neutral(value: Any) -> str:
    """Text of a cell. Numbers stay as they are, also negative ones; None is empty."""
    if value is None:
        return ""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """RFC 4180 text with a header row and CRLF."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow([neutral(column) for column in columns])
    writer.writerows([neutral(row.get(column)) for column in columns] for row in rows)
    return target.getvalue()
