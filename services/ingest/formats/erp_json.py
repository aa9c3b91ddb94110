"""ERP feed as JSON: `{"records": [{"record_type": …, …}]}`, at most 16 MB and 50,000 records, read whole.

Invariant: a number with a decimal point is never an amount here; the domain refuses floats by field.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from services.ingest.formats.records import JSON_BYTES_MAX, JSON_RECORDS_MAX, RECORD_KINDS, FormatError, RawRecord


def read(path: Path) -> Iterator[RawRecord]:
    """Records of the file in order. Raises FormatError with line or path."""
    size = path.stat().st_size
    if size > JSON_BYTES_MAX:
        raise FormatError("too_large", "", f"a JSON file has at most {JSON_BYTES_MAX} bytes, this has {size}; split it")
    yield from records_of(parsed(path.read_bytes()))


def parsed(content: bytes) -> Any:
    """Value of JSON text. Raises FormatError with the line of the first error."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise FormatError("json_not_valid", place, f"not JSON: {error.msg}; the file may be cut off") from None


def records_of(value: Any) -> Iterator[RawRecord]:
    """Records of a parsed document."""
    records = value.get("records") if isinstance(value, dict) else None
    if not isinstance(records, list):
        raise FormatError("json_shape", "records", 'the document is not of the form {"records": [...]}')
    if len(records) > JSON_RECORDS_MAX:
        raise FormatError("too_many_records", "records", f"at most {JSON_RECORDS_MAX} records in a file; split it")
    for index, body in enumerate(records):
        place = f"records[{index}]"
        if not isinstance(body, dict):
            raise FormatError("json_shape", place, "a record is an object")
        yield one_record(body, place)


def one_record(body: dict[str, Any], place: str) -> RawRecord:
    """One record; its type is `record_type`, or `document_type` for documents."""
    kind = body.get("record_type") or body.get("document_type")
    return RawRecord(kind if kind in RECORD_KINDS else "unknown", place, body)
