"""A short run of the service tier. It runs in a process of its own, since its bus has fewer partitions than ours."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 300
pytestmark = [pytest.mark.sim, pytest.mark.timeout(TIMEOUT_S + 20)]


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.sim.service", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def test_the_five_services_keep_their_promises_to_each_other_under_faults() -> None:
    ran = simulate("--seeds", "3", "--first", "1")
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]


def test_the_same_seed_gives_the_same_log() -> None:
    ran = simulate("--seeds", "1", "--first", "3", "--twice")
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]


def test_a_planted_bug_is_caught() -> None:
    ran = simulate("--seeds", "1", "--first", "2", "--bug", "cent_lost_in_return")
    assert ran.returncode == 1, ran.stdout[-4000:] + ran.stderr[-4000:]
    assert "[money]" in ran.stdout
