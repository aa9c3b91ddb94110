"""The simulation can fail: every planted bug is seen, and the page says after how many seeds."""

import re

import pytest

from tests.sim.bughunt import COVERAGE_SEEDS, PAGE, SEEDS_MAX
from tests.sim.bugs import BUGS, planted
from tests.sim.driver import play, prepared
from tests.sim.profiles import STRIKES
from tests.sim.statements import make_store

pytestmark = pytest.mark.sim

STEPS = ("deliver", "relay", "timers", "command")


def rows() -> dict[str, tuple[int, str]]:
    """What the page says: bug -> seeds needed, invariant."""
    found = re.findall(r"^\| ([^|]+) \| [^|]+ \| (\d+) \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: (int(seeds), invariant) for name, seeds, invariant in found}


def pairs() -> dict[tuple[str, str], int]:
    """What the page says: fault, step -> how often they met."""
    text = PAGE.read_text().partition("## Pairs of fault and step")[2]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    steps = lines[0][1:]
    return {(line[0], step): int(n or 0) for line in lines[2:] for step, n in zip(steps, line[1:], strict=True)}


def test_the_page_names_every_planted_bug_and_each_is_caught() -> None:
    assert set(rows()) == set(BUGS)
    assert len(rows()) >= 15
    assert all(seeds <= SEEDS_MAX for seeds, _ in rows().values())


def test_the_page_counts_pairs_over_enough_seeds_and_every_step_meets_every_strike() -> None:
    assert f"came up in {COVERAGE_SEEDS} seeds" in PAGE.read_text() and COVERAGE_SEEDS >= 1_000
    met = pairs()
    missing = {(fault, step) for fault in STRIKES for step in STEPS if not met.get((fault, step))}
    assert missing == set()


@pytest.mark.parametrize("name", sorted(rows()))
async def test_a_planted_bug_is_seen_at_the_seed_that_the_page_names(name: str) -> None:
    needed, invariant = rows()[name]
    async with prepared():
        with planted(name):
            result = await play(needed - 1, make_store())
            again = await play(needed - 1, make_store())
    seen = result.violation or ("same seed, same log" if again.digest != result.digest else "nothing")
    assert seen == invariant


async def test_a_bug_that_is_taken_back_leaves_nothing_behind() -> None:
    async with prepared():
        before = await play(7, make_store())
        for name in BUGS:
            with planted(name):
                pass
        after = await play(7, make_store())
    assert (after.violation, after.digest) == ("", before.digest)
