"""A short run of the service tier, in processes of its own, since its bus has fewer partitions than ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.service import bugs
from tests.sim.service.rows import PAGE, SEEDS_MAX, on_page

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 300
pytestmark = [pytest.mark.sim, pytest.mark.timeout(TIMEOUT_S + 20)]


def ran(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def test_the_five_services_keep_their_promises_under_faults_and_a_seed_gives_one_log() -> None:
    run = ran("tests.sim.service", "--seeds", "4", "--first", "1", "--twice", "--keep-going")
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]


def test_the_page_names_every_planted_bug_as_caught_or_not() -> None:
    said = on_page(PAGE.read_text(encoding="utf-8"))
    assert set(said) == set(bugs.BUGS)
    assert all(found.invariant and found.seed <= SEEDS_MAX for found in said.values() if found.seed is not None)


def test_planted_bugs_are_seen_at_the_seeds_that_the_page_names() -> None:
    run = ran("tests.sim.service.hunt", "--check")
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
