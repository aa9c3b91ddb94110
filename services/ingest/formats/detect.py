"""Which format a file is, by its content and never by its name, and the reader that streams it.

What the sender says it is decides nothing; where the content is something else, the refusal says so.
"""

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


def detect(path: Path, content_type: str = "") -> Format:
    """Format of the file. Raises FormatError for an empty, binary or non-UTF-8 file.

    Text that is neither XML nor JSON is taken for CSV.
    """
    start = start_of(path)
    if not start:
        raise FormatError("empty", "line 1", "the file is empty")
    for begin, what in BINARY_STARTS.items():
        if start.startswith(begin):
            raise FormatError("binary", "line 1", f"the file is {what}; send camt.053 XML, CSV or JSON")
    check_utf8(path)
    if start.startswith(b"<"):
        return CAMT
    if start[:1] in (b"{", b"["):
        return ERP_JSON
    _check_claim(start, content_type)
    return ERP_CSV


def _check_claim(start: bytes, content_type: str) -> None:
    """Refuses what a sender calls XML or JSON and is neither of them, nor a CSV feed under a wrong name."""
    header = [name.strip(' "\r') for name in start.split(b"\n")[0].decode(errors="replace").split(",")]
    claimed = next((kind for kind in ("xml", "json") if kind in content_type.lower()), "")
    if claimed and erp_csv.record_type_of(header) is None:
        begin = "<" if claimed == "xml" else "{"
        reason = (
            f"the sender says {content_type[:60]!r}, but the file is no {claimed.upper()}: it begins without {begin!r}"
        )
        raise FormatError(f"{claimed}_not_valid", "line 1", reason)
