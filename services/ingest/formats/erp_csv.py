"""ERP feed as CSV: UTF-8, comma, RFC 4180 quotes, one header row that decides the type of the records.

A broken structure (header, quotes, number of cells) refuses the file with its line; cells are not judged here.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from services.ingest.formats.records import DOCUMENT_KINDS, ROW_BYTES_MAX, FormatError, RawRecord
from services.ingest.formats.text import lines_of

COLUMNS: dict[str, tuple[str, ...]] = {
    "customer": (
        "company", "account_id", "party_id", "name", "debtor_kind", "country", "region", "subdivision", "industry",
        "segment", "language", "currency", "time_zone", "tax_ids", "terms", "credit_limit", "collector", "sales_owner",
        "customer_since_on", "bank_accounts", "access_targets", "confidentiality", "status", "external_ids",
    ),
    "contact": (
        "company", "account_id", "contact_id", "name", "roles", "email", "phone", "address", "language", "time_zone",
        "channels", "consents", "valid",
    ),
    "link": ("company", "from_account_id", "to_account_id", "kind", "from_on", "to_on"),
    "document": (
        "company", "source_system", "document_type", "source_document_id", "number", "account_id", "document_on",
        "service_from_on", "service_to_on", "terms", "due_on", "currency", "net", "tax", "total", "prepaid",
        "instalments", "discounts", "purchase_order", "contract", "project", "payment_reference", "buyer",
        "reason_code", "applies_to", "replaces_document_id", "keeps_due_date", "lines",
    ),
}  # fmt: skip
REQUIRED: dict[str, frozenset[str]] = {
    "customer": frozenset({"company", "account_id", "name", "country", "currency"}),
    "contact": frozenset({"company", "account_id", "contact_id"}),
    "link": frozenset({"company", "from_account_id", "to_account_id", "kind"}),
    "document": frozenset({"company", "source_system", "document_type", "source_document_id"}),
}
_BY_MOST_TELLING = ("document", "link", "contact", "customer")


def record_type_of(header: list[str]) -> str | None:
    """The type whose required columns are all in the header, None for no ERP feed."""
    names = set(header)
    return next((kind for kind in _BY_MOST_TELLING if REQUIRED[kind] <= names), None)


def read(path: Path) -> Iterator[RawRecord]:
    """Records of the file in order; blank rows are skipped."""
    csv.field_size_limit(ROW_BYTES_MAX)
    with path.open("rb") as file:
        rows = csv.reader(lines_of(file), strict=True)
        header = _header(rows)
        record_type = _checked_type(header)
        yield from _records(rows, header, record_type)


def _header(rows: "csv._reader") -> list[str]:
    try:
        return [name.strip() for name in next(rows)]
    except StopIteration:
        raise FormatError("empty", "line 1", "the file has no header row") from None
    except csv.Error as error:
        raise FormatError("csv_not_valid", "line 1", f"the header row cannot be read: {error}") from None


def _checked_type(header: list[str]) -> str:
    record_type = record_type_of(header)
    if record_type is None:
        wanted = "; ".join(f"{kind}: {', '.join(sorted(names))}" for kind, names in REQUIRED.items())
        raise FormatError("header_unknown", "line 1", f"the header names no record type; it needs one of {wanted}")
    if len(set(header)) != len(header):
        raise FormatError("header_repeats", "line 1", "a column name stands twice in the header")
    unknown = sorted(set(header) - set(COLUMNS[record_type]))
    if unknown:
        raise FormatError("column_unknown", "line 1", f"column {unknown[0]!r} is not known for {record_type} records")
    return record_type


def _records(rows: "csv._reader", header: list[str], record_type: str) -> Iterator[RawRecord]:
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise FormatError("csv_not_valid", f"line {line}", f"{error}; the file may be cut off") from None
        if not cells:
            continue
        if len(cells) != len(header):
            raise FormatError(
                "row_length",
                f"line {line}",
                f"the row has {len(cells)} cells where the header has {len(header)}; the file may be cut off",
            )
        body = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        yield RawRecord(_kind(record_type, body), f"line {line}", body)


def _kind(record_type: str, body: dict[str, str]) -> str:
    if record_type != "document":
        return record_type
    return body["document_type"] if body["document_type"] in DOCUMENT_KINDS else "unknown"
