"""The runbook against the code: a chapter for every alarm, an answer for every broken record, commands that exist."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
CHAPTERS = dict(part.split("\n", 1) for part in PAGE.split("\n## ")[1:])


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alarm_has_a_chapter_that_says_more_than_its_name() -> None:
    assert [rule["alert"] for rule in rules() if len(CHAPTERS.get(rule["alert"], "")) < 150] == []


def test_every_code_of_a_broken_record_has_its_answer() -> None:
    text = "".join(
        (ROOT / "shared" / name).read_text(encoding="utf-8")
        for name in ("events/codec.py", "events/envelope.py", "runtime/outbox.py")
    )
    codes = set(re.findall(r'Broken\(\s*"([a-z_]+)"', text)) | {"too_large_out", "poison"}
    assert len(codes) >= 8
    assert {code for code in codes if f"`{code}`" not in CHAPTERS["Broken records"]} == set()


def test_every_command_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", PAGE))
    assert {"parked", "redrive", "skip", "step-over"} <= named <= targets
