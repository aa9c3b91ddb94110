"""A check that breaks off is a finding; the others still speak, and the report stands, for programs too."""

import json
import sys
from typing import Any

import pytest

from audit import __main__ as program
from audit.findings import Findings
from audit.ledger_log import check_unreadable
from audit.log_reader import REQUIRED, LogUnreadable, decode
from audit.sources import Sources
from tests.domain.audit.said import log_of, notice, said


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_log_equation(*_: Any) -> None:
        raise ArithmeticError("ConversionSyntax")

    monkeypatch.setattr(program, "check_log_equation", check_log_equation)


def test_the_other_checks_still_speak(broken: None):
    findings = Findings()
    program.run_checks({}, log_of(notice()), Sources(kafka="memory"), findings)
    assert any("check_log_equation could not be made: ArithmeticError: ConversionSyntax" in t for t in findings.texts)
    assert any("was sent and never requested" in text for text in findings.texts)


def test_a_record_that_is_no_event_is_a_finding_until_it_was_left_out():
    findings, log = Findings(), log_of()
    log.unreadable = {("ar.invoices", 6, at): f"ar.invoices/6 at {at}: the record has no ce_id header" for at in (8, 9)}
    place = {"topic": "ar.invoices", "partition": 6, "offset": 8}
    log.add(said("event.skipped", "ar.control", service="reporting", **place))
    moved = {"topic": "ar.control", "partition": 1, "from_offset": 5, "to_offset": 7}
    log.unreadable["ar.control", 1, 6] = "ar.control/1 at 6: the record has no ce_id header"
    log.add(said("partition.moved", "ar.control", service="collections", **moved))
    check_unreadable(log, findings)
    assert findings.texts == ["ar.invoices/6 at 9: the record has no ce_id header; no event says that it was left out"]
    assert findings.notes == [
        "ar.control/1 at 6: the record has no ce_id header; left out in collections",
        "ar.invoices/6 at 8: the record has no ce_id header; left out in reporting",
    ]


@pytest.mark.parametrize("value", [None, b"", b"[1]", b"\xff", b"{"])
def test_whatever_is_no_object_cannot_be_read(value: bytes):
    instants = dict.fromkeys(("ce_time", "ce_businessdate", "ce_knownat"), b"2026-01-05")
    headers = [(name, instants.get(name, b"1")) for name in REQUIRED]
    assert decode("ar.invoices", 6, 8, b"k", headers, b"{}").data == {}
    with pytest.raises(LogUnreadable, match=r"^ar\.invoices/6 at 8"):
        decode("ar.invoices", 6, 8, b"k", headers, value)
    with pytest.raises(LogUnreadable, match="no ce_source"):
        decode("ar.invoices", 6, 8, None, [("ce_id", None)], value)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_the_program_ends_with_one_and_a_report(
    broken: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
):
    async def gather(*_: Any) -> tuple[dict, Any]:
        return {}, log_of()

    monkeypatch.setattr(program, "gather", gather)
    monkeypatch.setattr(sys, "argv", ["audit", "--kafka", "memory:1", *arguments])
    assert program.main() == 1
    told = capsys.readouterr().out
    assert "check_log_equation could not be made" in told
    if arguments:
        report = json.loads(told)
        assert not report["passed"] and "wrongful_notices" in report
    else:
        assert "FAILED with 1 findings" in told
