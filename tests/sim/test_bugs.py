"""The simulation can fail: every planted bug is seen, and the page says after how many seeds."""

import re

import pytest

from tests.sim.bughunt import PAGE, SEEDS_MAX
from tests.sim.bugs import BUGS, planted
from tests.sim.driver import play, prepared
from tests.sim.statements import make_store

pytestmark = pytest.mark.sim


def rows() -> dict[str, tuple[int, str]]:
    """What the page says: bug -> seeds needed, invariant."""
    found = re.findall(r"^\| ([^|]+) \| [^|]+ \| (\d+) \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: (int(seeds), invariant) for name, seeds, invariant in found}


def not_caught() -> set[str]:
    """What the page admits: bugs that none of the seeds tried has shown."""
    return set(re.findall(r"^\| ([^|]+) \| [^|]+ \| not caught \|", PAGE.read_text(), re.MULTILINE))


def test_the_page_names_every_planted_bug_as_caught_or_not() -> None:
    assert set(rows()) | not_caught() == set(BUGS)
    assert len(rows()) >= 15
    assert all(seeds <= SEEDS_MAX for seeds, _ in rows().values())


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
