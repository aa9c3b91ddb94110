"""Which format a file is, by its content and never by its name, and the reader that streams it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.ingest.formats import camt, erp_csv, erp_json
from services.ingest.formats.records import FormatError, RawRecord, Reader
from services.ingest.formats.text import check_utf8, start_of

BINARY_STARTS = {
    b"PK": "a ZIP or spreadsheet",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
    b"\xd0\xcf": "a spreadsheet",
}


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    reader: Reader

    def records(self, path: Path) -> Iterator[RawRecord]:
        return self.reader(path)


CAMT = Format("camt.053", camt.read)
ERP_JSON = Format("erp.json", erp_json.read)
ERP_CSV = Format("erp.csv", erp_csv.read)


def detect(path: Path) -> Format:
    """Format of the file. Raises FormatError for an empty, binary or non-UTF-8 file."""
    start = start_of(path)
    if not start:
        raise FormatError("empty", "line 1", "the file is empty")
    for begin, what in BINARY_STARTS.items():
        if start.startswith(begin):
            raise FormatError("binary", "line 1", f"the file is {what}; send camt.053 XML, CSV or JSON")
    check_utf8(path)
    if start.startswith(b"<"):
        return CAMT
    return ERP_JSON if start[:1] in (b"{", b"[") else ERP_CSV
