"""What is read from camt entries: both party forms, structured remittance, batches, returns, charges, pages."""

import os
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from services.ingest.formats import camt
from services.ingest.formats.records import FormatError, RawRecord

FIXTURES = Path(__file__).parents[2] / "fixtures" / "ingest"
CORPUS = Path(os.environ.get("RECOUP_SHARED", Path(__file__).parents[3].parent / "shared")) / "data"
with_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the sample corpus is not on this machine")


def lines(name: str) -> list[dict]:
    return [record.body for record in camt.read(FIXTURES / name) if record.kind == "bank_line"]


def head(name: str) -> dict:
    return next(record.body for record in camt.read(FIXTURES / name) if record.kind == "statement")


def test_old_and_new_party_forms_give_the_same_payer() -> None:
    old, new = lines("structured.02.xml")[0], lines("structured.08.xml")[0]
    assert old["debtor"] == new["debtor"]
    assert (
        old["debtor"]["name"] == "Quellental Maschinenbau AG" and old["debtor"]["account"] == "DE02120300000000202051"
    )
    assert new["references"]["uetr"] == "97ed4827-7b6f-4491-a06f-b548d5a7512d"


def test_structured_remittance_keeps_documents_discounts_and_deductions() -> None:
    line = lines("structured.02.xml")[0]
    assert line["references"]["creditor_reference"] == "RF18539007547034"
    first, second, credit = line["remittance"]
    assert first["document"] == "R-1001" and (first["gross"], first["discount"], first["paid"]) == (
        "500.00",
        "10.00",
        "490.00",
    )
    assert second["deductions"] == ["25.00"] and second["reason"] == "SHORT"
    assert credit["credit"] and credit["document"] == "G-7"


def test_a_batch_gives_one_line_per_detail_when_the_sums_agree() -> None:
    batch = [line for line in lines("batch.04.xml") if line["entry_reference"] == "B1"]
    assert [line["amount"] for line in batch] == ["40.00", "60.00"]
    assert [line["debtor"]["name"] for line in batch] == ["Erste GmbH", "Zweite GmbH"]
    assert [line["detail"] for line in batch] == [1, 2]


def test_a_batch_booked_net_of_its_charges_gives_net_lines() -> None:
    batch = [line for line in lines("batch.04.xml") if line["entry_reference"] == "B2"]
    assert [(line["amount"], line["charges"]) for line in batch] == [("99.50", "0.50"), ("199.00", "1.00")]


def test_a_batch_whose_details_do_not_add_up_stays_one_line_of_the_booked_amount() -> None:
    (line,) = [line for line in lines("batch.04.xml") if line["entry_reference"] == "B3"]
    assert line["amount"] == "100.00" and line["details_differ"] and line["debtor"] == {}
    assert "first part" in line["text"] and "second part" in line["text"]


def test_returns_carry_reason_and_references() -> None:
    line = lines("batch.04.xml")[-1]
    assert line["reversal"] and line["return"]["code"] == "AC04" and line["references"]["end_to_end"] == "E2E-9"


def test_head_and_lines_agree_with_the_balances() -> None:
    found = head("batch.04.xml")
    moved = Decimal(found["credits"]) - Decimal(found["debits"])
    assert Decimal(found["opening"]["amount"]) + moved == Decimal(found["closing"]["amount"])
    assert found["number"] == "17" and found["lines"] == len(lines("batch.04.xml"))


@with_corpus
def test_the_corpus_is_read_with_the_sums_that_were_counted_from_it() -> None:
    facts = orjson.loads((CORPUS / "facts.json").read_bytes())
    read = 0
    for name, entry in facts.items():
        if not name.startswith("bank_camt/") or "camt.053" not in entry["facts"]["namespace"]:
            continue
        statements = entry["facts"]["statements"]
        if not statements:
            with pytest.raises(FormatError):
                list(camt.read(CORPUS / name))
            continue
        records = list(camt.read(CORPUS / name))
        heads = [record for record in records if record.kind == "statement"]
        assert len(heads) == len(statements)
        for found, wanted in zip(heads, statements, strict=True):
            _compare(found, wanted, records)
        read += 1
    assert read >= 12


def _compare(found: RawRecord, wanted: dict, records: list[RawRecord]) -> None:
    body = found.body
    assert body["id"] == wanted["id"] and body["entries"] == wanted["entries"]
    own = [r.body for r in records if r.kind == "bank_line" and r.group == found.group]
    for direction, name in (("CRDT", "credits"), ("DBIT", "debits")):
        for currency, total in wanted[name].items():
            amounts = [Decimal(r["amount"]) for r in own if (r["direction"], r["currency"]) == (direction, currency)]
            assert sum(amounts) == Decimal(total)
    if wanted.get("opening_plus_entries_equals_closing"):
        moved = Decimal(body["credits"]) - Decimal(body["debits"])
        assert Decimal(body["opening"]["amount"]) + moved == Decimal(body["closing"]["amount"])
