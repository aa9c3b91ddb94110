"""Files that are refused whole, row by row of the table of bad input: with line or path, and memory bounded."""

import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

from services.ingest.formats.detect import detect
from services.ingest.formats.records import FormatError
from tests.fixtures.ingest.files import CUSTOMERS, Line, camt, documents, invoice, statement

GOOD = camt(statement("0.00", [Line("10.00", "A"), Line("5.00", "B")]))
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "0123456789"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>'
    b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">&d;&d;&d;&d;</Document>'
)
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>&x;</BkToCstmrStmt></Document>'
)


def refusal(content: bytes, folder: Path, content_type: str = "") -> FormatError:
    path = folder / "file"
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        deque(detect(path, content_type).records(path), maxlen=0)
    return caught.value


@pytest.mark.parametrize(
    ("content_type", "code", "said"),
    [
        ("application/xml", "xml_not_valid", "is no XML"),
        ("text/xml; charset=utf-8", "xml_not_valid", "is no XML"),
        ("application/json", "json_not_valid", "is no JSON"),
        ("text/csv", "header_unknown", "names no record type"),
        ("application/x-www-form-urlencoded", "header_unknown", "names no record type"),
    ],
)
def test_text_that_is_not_what_its_sender_says_is_told_so(
    content_type: str, code: str, said: str, tmp_path: Path
) -> None:
    error = refusal(b"the statement follows by mail\n", tmp_path, content_type)
    assert (error.code, error.place) == (code, "line 1") and said in error.message


def test_content_counts_and_not_the_name_that_its_sender_gives_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CUSTOMERS)
    assert detect(tmp_path / "file", "application/xml").name == "erp.csv"


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"", "empty", "line 1"),
        (b"  \n \n", "empty", "line 1"),
        (CUSTOMERS + b"vdr-eu,C-3,P,M\xfcller,organisation,DE,EUR,,\n", "not_utf8", "line 4"),
        (GOOD.replace(b"Nordlicht", b"N\xf6rdlicht"), "not_utf8", "line 1"),
        ("company".encode("utf-16"), "not_utf8", "line 1"),
        (b"PK\x03\x04rest of a spreadsheet", "binary", "line 1"),
        (b"%PDF-1.7 rest", "binary", "line 1"),
        (b"<not closed", "xml_not_valid", "line 1"),
        (b"<?xml version='1.0'?>\n<html><body>Hi</body></html>", "xml_root", "/html"),
        (GOOD.replace(b"camt.053.001.02", b"camt.054.001.02"), "xml_root", "/Document"),
        (GOOD.replace(b"urn:iso:std:iso:20022:tech:xsd:", b"urn:other:"), "xml_root", "/Document"),
        (camt(), "xml_shape", "/Document"),
        (BOMB, "xml_doctype", "line 1"),
        (OUTSIDE, "xml_doctype", "line 1"),
        (GOOD[: len(GOOD) // 2], "xml_not_valid", "line 1"),
        (GOOD.replace(b"'>10.00<", b"'>ten<"), "amount_not_valid", "/Document/BkToCstmrStmt/Stmt[1]/Ntry[1]/Amt"),
        (CUSTOMERS[:-30], "csv_not_valid", "line 3"),
        (documents(invoice("1"), invoice("2"))[:-30], "row_length", "line 3"),
        (CUSTOMERS + b'vdr-eu,C-3,P-3,"open quote', "csv_not_valid", "line 4"),
        (CUSTOMERS.replace(b"party_id", b"partyid", 1), "column_unknown", "line 1"),
        (CUSTOMERS.replace(b"account_id", b"acct", 1), "header_unknown", "line 1"),
        (CUSTOMERS.replace(b"party_id", b"name", 1), "header_repeats", "line 1"),
        (CUSTOMERS + b"a\0b,,,,,,,,\n", "not_text", "line 4"),
        (CUSTOMERS + b"x" * 1_000_001 + b"\n", "line_too_long", "line 4"),
        (b'{"records": [{"a": 1}', "json_not_valid", "line 1 column 22"),
        (b"[1, 2]", "json_shape", "records"),
        (b'{"records": [1]}', "json_shape", "records[0]"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(
    content: bytes, code: str, place: str, tmp_path: Path
) -> None:
    found = refusal(content, tmp_path)
    assert (found.code, found.place) == (code, place), str(found)
    assert str(found).startswith(place)


def test_what_a_file_is_called_does_not_matter(tmp_path: Path) -> None:
    for name, content, wanted in (
        ("a.xml", CUSTOMERS, "erp.csv"),
        ("b.csv", GOOD, "camt.053"),
        ("c", b'\xef\xbb\xbf {"records": []}', "erp.json"),
        ("d.json", b"\xef\xbb\xbf" + documents(invoice("1")), "erp.csv"),
    ):
        (tmp_path / name).write_bytes(content)
        assert detect(tmp_path / name).name == wanted


READ = """
import resource, sys
from pathlib import Path
from services.ingest.formats.detect import detect
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
path = Path(sys.argv[1])
print(sum(1 for _ in detect(path).records(path)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_statement_is_read_in_bounded_memory(tmp_path: Path) -> None:
    one = statement("0.00", [Line(f"{n}.00", "text " * 40) for n in range(1, 301)])
    path = tmp_path / "large"
    path.write_bytes(camt(*([one] * 100)))
    assert path.stat().st_size > 14_000_000
    answer = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, check=True, text=True)
    records, grown_kb = map(int, answer.stdout.split())
    assert records == 30_100 and grown_kb < 12_000, f"{grown_kb} kB for a file of 14 MB"


def test_an_entry_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    filler = b"<X/>" * 200_010
    found = refusal(GOOD.replace(b"<Ntry>", b"<Ntry>" + filler, 1), tmp_path)
    assert found.code == "xml_too_large" and found.place.endswith("Stmt[1]/Ntry[1]")
