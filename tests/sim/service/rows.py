"""The rows of the page of planted bugs, written by `hunt` and read by the test that holds the page against the code."""

import re
from dataclasses import dataclass
from pathlib import Path

SEEDS_MAX = 200
PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulation_services.md"
ROW = re.compile(r"^\| (\w+) \| ([^|]+) \| (\d+|not caught) \| ([^|]*) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Caught:
    """`seed` is the first that shows the bug, None when none of SEEDS_MAX did."""

    name: str
    seed: int | None
    invariant: str = ""


def on_page(text: str) -> dict[str, Caught]:
    """What the page says of each bug."""
    rows = ROW.findall(text)
    return {n: Caught(n, int(seed) if seed.isdigit() else None, seen.strip()) for n, _, seed, seen in rows}
