"""The README's commands as they stand there, run by a shell against a stack that was fed the sample.

Nothing is written down twice: a command that is changed in the README is changed here. Only the addresses are put in
that this stack chose, as the README tells its reader to.
"""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

from deploy.local import feed
from deploy.local.paths import REPOSITORY
from deploy.local.processes import wait_for
from deploy.local.state import StackInfo
from tests.system.quarter import DAYS, SEED

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
SECTION = "## Push your own invoice and bank file"
PORTS = {8601: "ingest", 8602: "cash_application"}
SHELL_TIMEOUT_S, APPLIED_WITHIN_S = 60, 20


def blocks() -> list[str]:
    """The fenced commands of the section, in order."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = text.split(f"\n{SECTION}\n")[1].split("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)


def addressed(commands: str, info: StackInfo) -> str:
    """The commands with the addresses of this stack; all else as it is printed."""
    addresses = {port: info.services[service] for port, service in PORTS.items()} | {8610: info.issuer_url}
    for port, address in addresses.items():
        commands = commands.replace(f"http://127.0.0.1:{port}", address)
    left = re.findall(r"http://127\.0\.0\.1:86\d\d", commands)
    assert left == [], f"the README names addresses that this test does not know: {left}"
    return commands


def shell(commands: str, folder: Path) -> list[str]:
    """Lines that bash prints; every command must succeed."""
    done = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", commands],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SHELL_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return [line for line in done.stdout.splitlines() if line.strip()]


@pytest.fixture
def checkout(tmp_path: Path, undisturbed: tuple[StackInfo, list[str]]) -> Path:
    """What the commands look at of a checkout in which the stack runs; what they write stays out of ours."""
    (tmp_path / "docs").symlink_to(REPOSITORY / "docs")
    (tmp_path / ".local").symlink_to(undisturbed[0].local_dir)
    return tmp_path


def test_the_readmes_commands_push_an_invoice_and_its_payment_is_applied(
    undisturbed: tuple[StackInfo, list[str]], checkout: Path, capsys: pytest.CaptureFixture, monkeypatch
) -> None:
    info, _ = undisturbed
    push, ask = (addressed(block, info) for block in blocks())
    answers = [json.loads(line) for line in shell(push, checkout)]
    assert [answer["state"] for answer in answers] == ["done"] * 4
    assert [answer["counts"]["written"] for answer in answers[:3]] == [1, 1, 2], "a statement and its line"
    assert [answer["known"] for answer in answers] == [False, False, False, True]
    assert answers[3]["submission_id"] == answers[2]["submission_id"]

    def applied() -> bool:
        found = shell(ask, checkout)
        return '"outcome":"posted"' in found[-1] and '"rule":"own_reference"' in found[-1]

    assert wait_for(applied, APPLIED_WITHIN_S, 0.5), shell(ask, checkout)
    (payment,) = json.loads(shell(ask, checkout)[-1])["items"]
    assert (payment["amount_minor"], payment["currency"]) == (119_000, "EUR")

    monkeypatch.setenv("RECOUP_SAMPLE_DAYS", str(DAYS))
    monkeypatch.setenv("RECOUP_SAMPLE_SEED", str(SEED))
    passed = asyncio.run(feed.run_feed(info))
    summary = capsys.readouterr().out
    assert passed, summary
    assert re.search(r"not of the sample, so not judged +1 +1,190\.00 EUR", summary), summary
