"""A check that breaks off is a finding; the others still speak, and the report stands, for programs too."""

import json
import sys
from typing import Any

import pytest

from audit import __main__ as program
from audit.findings import Findings
from audit.sources import Sources
from tests.domain.audit.said import log_of, notice


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
