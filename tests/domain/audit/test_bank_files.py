"""The auditor's own camt reader, and the original files against the log: each line is one event, no more, no less."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

import sample
from audit.bank_files import blob_path, check_bank_files
from audit.camt_reader import read_statements
from audit.findings import Findings
from audit.log_reader import Event
from audit.money import to_minor
from audit.stores import Store
from services.ingest.formats import camt
from tests.domain.audit.said import ACME, identity, log_of, said

IBAN = "DE89370400440532013000"
ENTRY = """
<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-01-05</Dt></BookgDt><ValDt><Dt>2026-01-05</Dt></ValDt><AcctSvcrRef>{ref}</AcctSvcrRef>
<NtryDtls>{details}</NtryDtls></Ntry>"""
DETAIL = """<TxDtls><Refs><EndToEndId>{e2e}</EndToEndId></Refs><Amt Ccy="EUR">{amount}</Amt></TxDtls>"""
FILE = """<?xml version="1.0"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S{number}</Id>
<ElctrncSeqNb>{number}</ElctrncSeqNb><Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{opening}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-01-05</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{closing}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-01-05</Dt></Dt></Bal>{entries}</Stmt></BkToCstmrStmt></Document>"""


def entry(amount: str, ref: str, side: str = "CRDT", details: str = "") -> str:
    return ENTRY.format(amount=amount, side=side, ref=ref, details=details)


BATCH = DETAIL.format(e2e="A", amount="60.00") + DETAIL.format(e2e="NOTPROVIDED", amount="40.00")
ENTRIES = entry("100.00", "B1", details=BATCH) + entry("7.50", "B2") * 2 + entry("12.15", "B3", "DBIT")
WHOLE = {"number": 1, "iban": IBAN, "opening": "10.00", "closing": "112.85", "entries": ENTRIES}


def event(kind: str, name: str, amount: int, bank: str, end_to_end: str = "", **more) -> Event:
    data = {
        "payment_id": identity(name), "bank_account": "EUR-1", "currency": "EUR", "amount_minor": amount,
        "accounted_on": "2026-01-05", "valued_on": "2026-01-05",
        "references": {"bank": bank, "end_to_end": end_to_end},
    }  # fmt: skip
    return said(kind, "ar.payments", **{**data, **more})


CONFIG = said(
    "company.configured", "ar.control", time_zone="Europe/Berlin", calendar="XECB",
    bank_accounts=[{"id": "EUR-1", "iban": IBAN, "currency": "EUR"}, {"id": "EUR-2", "iban": "X", "currency": "EUR"}],
)  # fmt: skip
EVENTS = (
    event("payment.received", "one", 6_000, "B1", "A"),
    event("payment.received", "two", 4_000, "B1"),
    event("payment.received", "three", 750, "B2"),
    event("payment.received", "four", 750, "B2"),
    event("payment.returned", "five", 1_200, "B3", fee_minor=15),
)


def audited(
    folder: Path, *events: Event, files: tuple[dict, ...] = (WHOLE,), quarantined: tuple[dict, ...] = ()
) -> list[str]:
    return looked_at(folder, *events, files=files, quarantined=quarantined).texts


def looked_at(
    folder: Path, *events: Event, files: tuple[dict, ...] = (WHOLE,), quarantined: tuple[dict, ...] = ()
) -> Findings:
    """Findings of a store that booked these files and a log of these events."""
    store = Store("ingest", {"submissions": [], "statements": [], "quarantined": list(quarantined)})
    for number, body in enumerate(files):
        content = body.get("content") or FILE.format(**body).encode()
        digest = hashlib.sha256(content).hexdigest()
        path = blob_path(folder, digest)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        row = {"company": ACME, "sha256": digest, "file_name": f"{number}.xml", "format": "camt.053",
               "submission_id": identity(f"submission {number}")}  # fmt: skip
        store.tables["submissions"].append(row)
        store.tables["statements"].append(
            {"company": ACME, "bank_account": body.get("bank_account", "EUR-1"), "printed_id": f"S{body['number']}",
             "number": str(body["number"]), "statement_id": f"statement {body['number']}",
             "opening_minor": to_minor(body["opening"], "EUR"), "closing_minor": to_minor(body["closing"], "EUR"),
             "state": body.get("state", "booked"), "submission_id": row["submission_id"]}
        )  # fmt: skip
    findings = Findings()
    check_bank_files(store, log_of(CONFIG, *events), folder, None, findings)
    return findings


def test_every_line_is_one_event(tmp_path: Path):
    assert audited(tmp_path, *EVENTS) == []


def test_a_batch_is_one_line_per_detail_and_a_fee_belongs_to_its_return(tmp_path: Path):
    path = tmp_path / "file.xml"
    path.write_text(FILE.format(**WHOLE))
    (found,) = read_statements(path, "file.xml")
    assert [(line.signed_minor, line.end_to_end) for line in found.lines] == [
        (6_000, "A"), (4_000, ""), (750, ""), (750, ""), (-1_215, ""),
    ]  # fmt: skip
    assert (found.opening_minor, found.moved_minor, found.closing_minor) == (1_000, 10_285, 11_285)


WRONG = {
    "a missing line": EVENTS[1:],
    "a doubled line": (*EVENTS, event("payment.received", "again", 750, "B2")),
    "a moved cent": (event("payment.received", "one", 6_001, "B1", "A"), *EVENTS[1:]),
    "another bank account": (event("payment.received", "one", 6_000, "B1", "A", bank_account="EUR-2"), *EVENTS[1:]),
    "another currency": (event("payment.received", "one", 6_000, "B1", "A", currency="USD"), *EVENTS[1:]),
    "another day": (event("payment.received", "one", 6_000, "B1", "A", accounted_on="2026-01-06"), *EVENTS[1:]),
    "another reference": (event("payment.received", "one", 6_000, "B9", "A"), *EVENTS[1:]),
    "a fee counted twice": (*EVENTS[:4], event("payment.returned", "five", 1_215, "B3", fee_minor=15)),
}


@pytest.mark.parametrize("events", WRONG.values(), ids=WRONG.keys())
def test_a_log_that_differs_from_the_file_is_found(tmp_path: Path, events: tuple[Event, ...]):
    assert audited(tmp_path, *events)


def test_a_file_sent_again_and_a_statement_restated_change_nothing(tmp_path: Path):
    longer = {**WHOLE, "closing": "113.85", "entries": ENTRIES + entry("1.00", "B4")}
    more = event("payment.received", "six", 100, "B4")
    assert audited(tmp_path, *EVENTS, files=(WHOLE, WHOLE)) == []
    assert audited(tmp_path, *EVENTS, more, files=(WHOLE, longer)) == []


def test_equal_lines_of_statements_that_continue_each_other_add(tmp_path: Path):
    second = {**WHOLE, "number": 2, "opening": "112.85", "closing": "120.35", "entries": entry("7.50", "B2")}
    assert audited(tmp_path, *EVENTS, files=(WHOLE, second))
    assert audited(tmp_path, *EVENTS, event("payment.received", "5th", 750, "B2"), files=(WHOLE, second)) == []


def test_a_held_statement_has_no_events_and_a_quarantined_line_none_either(tmp_path: Path):
    assert audited(tmp_path, files=({**WHOLE, "state": "held"},)) == []
    refused = {"company": ACME, "kind": "bank_line", "amount_minor": 750, "currency": "EUR", "state": "open"}
    assert audited(tmp_path, *EVENTS[:3], EVENTS[4], quarantined=(refused,)) == []


def test_a_statement_that_does_not_balance_is_found(tmp_path: Path):
    assert "closing balance" in audited(tmp_path, *EVENTS, files=({**WHOLE, "closing": "112.84"},))[0]


def test_a_lost_original_is_found(tmp_path: Path):
    audited(tmp_path, *EVENTS)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.unlink()
    store = Store("ingest", {"submissions": [], "statements": [], "quarantined": []})
    store.tables["submissions"].append({"company": ACME, "sha256": "0" * 64, "file_name": "x", "format": "camt.053"})
    findings = Findings()
    check_bank_files(store, log_of(CONFIG), tmp_path, None, findings)
    assert "not in the blob store" in findings.texts[0]


def test_two_readers_written_apart_read_the_same_lines(tmp_path: Path):
    sample.generate(7, 10, tmp_path)
    files = sorted(tmp_path.glob("days/*/*bank*.xml"))
    assert len(files) >= 20
    for path in files:
        statements = list(read_statements(path, path.name))
        mine = Counter((x.signed_minor, x.booked_on, x.bank_reference) for s in statements for x in s.lines)
        bodies = [r.body for r in camt.read(path) if r.kind == "bank_line" and r.body["status"] == "BOOK"]
        theirs = Counter(
            (to_minor(b["amount"], b["currency"]) * (1 if b["direction"] == "CRDT" else -1), b["booked_on"],
             b["references"]["bank"]) for b in bodies
        )  # fmt: skip
        assert mine == theirs
        assert all(s.opening_minor + s.moved_minor == s.closing_minor for s in statements)


TORN = {
    "no digit": "7x.50", "a comma": "7,50", "nothing": "", "not a number": "NaN", "without end": "Infinity",
    "an exponent": "1E400", "underscores": "1_0.00", "too many decimals": "7.505", "too long": "9" * 60 + ".00",
    "two points": "7.5.0",
}  # fmt: skip


def unreadable(amount: str, state: str, **more) -> dict:
    entries = ENTRIES + entry("7.50", "B9").replace(">7.50<", f">{amount}<")
    row = {"bank_account": "" if state == "unattributed" else "EUR-1"}
    return {**WHOLE, "number": 2, "entries": entries, "state": state, **row, **more}


@pytest.mark.parametrize("amount", TORN.values(), ids=TORN.keys())
def test_an_amount_that_is_none_says_which(amount: str):
    with pytest.raises(ValueError, match="EUR"):
        to_minor(amount, "EUR")


@pytest.mark.parametrize("amount", TORN.values(), ids=TORN.keys())
@pytest.mark.parametrize("state", ["held", "unattributed", "refused"])
def test_what_ingest_keeps_back_and_nobody_can_read_is_a_note(tmp_path: Path, amount: str, state: str):
    found = looked_at(tmp_path, *EVENTS, files=(WHOLE, unreadable(amount, state)))
    assert found.texts == []
    assert any("S2 in 1.xml cannot be read" in note and state in note for note in found.notes)


@pytest.mark.parametrize("amount", TORN.values(), ids=TORN.keys())
def test_what_ingest_booked_and_nobody_can_read_is_a_finding(tmp_path: Path, amount: str):
    assert any("cannot be read" in t for t in audited(tmp_path, *EVENTS, files=(WHOLE, unreadable(amount, "booked"))))


@pytest.mark.parametrize(("state", "finding"), [("unattributed", False), ("held", False), ("booked", True)])
def test_a_file_that_is_no_xml_is_a_finding_only_if_ingest_booked_of_it(tmp_path: Path, state: str, finding: bool):
    found = looked_at(tmp_path, *EVENTS, files=(WHOLE, {**WHOLE, "number": 2, "content": b"<Doc", "state": state}))
    assert bool(found.texts) == finding
    assert any("1.xml" in text for text in found.texts + found.notes)


@pytest.mark.parametrize("state", ["held", "refused"])
def test_a_statement_that_is_kept_back_is_noted_once_with_its_sums(tmp_path: Path, state: str):
    found = looked_at(tmp_path, files=({**WHOLE, "state": state}, {**WHOLE, "state": state}))
    assert found.texts == []
    (note,) = found.notes
    assert "S1" in note and state in note and "115.00 EUR" in note and "12.15 EUR" in note


def test_a_statement_of_an_account_that_was_unknown_then_is_a_note(tmp_path: Path):
    found = looked_at(tmp_path, files=({**WHOLE, "state": "unattributed", "bank_account": ""},))
    assert found.texts == [] and "unattributed" in found.notes[0]


def test_a_line_booked_under_two_statements_is_found(tmp_path: Path):
    """A week over days that are booked: its equal lines are the same lines, whoever released it."""
    week = {**WHOLE, "number": 2, "closing": "999.00", "entries": ENTRIES + entry("1.00", "B4")}
    released = said("statement.released", "ar.payments", statement_id="statement 2", bank_account="EUR-1",
                    outcome="booked")  # fmt: skip
    more = event("payment.received", "six", 100, "B4")
    right = looked_at(tmp_path, *EVENTS, more, released, files=(WHOLE, week))
    assert right.texts == [] and "released by a person" in right.notes[0]
    twice = event("payment.received", "one again", 6_000, "B1", "A")
    assert any("line too many" in t for t in audited(tmp_path, *EVENTS, more, twice, released, files=(WHOLE, week)))


def test_equal_lines_that_a_person_said_to_add_are_two(tmp_path: Path):
    body = {"outcome": "booked", "overlap": "add", "reason": "two tills", "statement_id": "statement 2"}
    command = said("command.accepted", "ar.control", service="ingest", key="k", body=body,
                   route="POST /v1/companies/acme/statements/statement 2/release")  # fmt: skip
    twin = {**WHOLE, "number": 2, "opening": "20.00", "closing": "27.50", "entries": entry("7.50", "B2")}
    third = event("payment.received", "third", 750, "B2")
    assert audited(tmp_path, *EVENTS, command, third, files=(WHOLE, twin)) == []
    assert audited(tmp_path, *EVENTS, third, files=(WHOLE, twin))
