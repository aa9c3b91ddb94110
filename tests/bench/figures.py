"""What a figure is: a number, what it is measured against, and whether it was reached; percentiles and ratios.

Pure. A row without a target is there to explain the one above it.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

LUMP_S = 0.002
WIDTHS = (68, 22, 14)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `reached` is None where there is no target."""

    what: str
    figure: str
    target: str = ""
    reached: bool | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all are not above (nearest rank). Raises ValueError for none."""
    if not values:
        raise ValueError("there is no percentile of nothing; no event was measured")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def rate_behind_first(at: Sequence[float]) -> float:
    """Per second, from instants of things that come in lumps: what came behind the first lump, in the time from it."""
    first, last = min(at), max(at)
    behind = sum(each > first + LUMP_S for each in at)
    if not behind:
        raise ValueError("all came at once; there is no rate in one lump")
    return behind / (last - first)


def interleaved_ratio(large: Sequence[float], small: Sequence[float]) -> float:
    """How many times as much a pass at the large size cost as the pass beside it at the small one: the median of the
    pairs, so that what disturbs the machine for a while disturbs both sides of a pair."""
    if not large or len(large) != len(small):
        raise ValueError(f"passes come in pairs, these are {len(large)} and {len(small)}")
    return median(b / a for a, b in zip(small, large, strict=True))


def told(value: float | str | Sequence[float]) -> str:
    """A number as people read it: thousands apart, no more digits than count."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return " / ".join(told(each) for each in value)
    if isinstance(value, int) or abs(value) >= 100:
        return f"{round(value):,}"
    return f"{value:.3g}"


def plain(what: str, value: float | str | Sequence[float], unit: str = "") -> Row:
    return Row(f"  {what}", _with_unit(value, unit))


def judged(
    what: str, value: float, bound: Literal["at least", "at most"], target: float, unit: str = "", *, also: str = ""
) -> Row:
    """A row with a target; `also` is shown behind the figure."""
    reached = value >= target if bound == "at least" else value <= target
    sign = ">=" if bound == "at least" else "<="
    return Row(what, _with_unit(value, unit) + also, f"{sign} {_with_unit(target, unit)}", reached)


def _with_unit(value: float | str | Sequence[float], unit: str) -> str:
    return f"{told(value)}{'' if unit in ('', '%') else ' '}{unit}"


def table(rows: Sequence[Row]) -> str:
    """The rows under their heads, as text."""
    lines = [_line("what", "figure", "target", "reached"), "-" * (sum(WIDTHS) + 10)]
    words = {True: "yes", False: "NO", None: ""}
    lines += [_line(row.what, row.figure, row.target, words[row.reached]) for row in rows]
    return "\n".join(lines)


def _line(*cells: str) -> str:
    padded = [cells[0].ljust(WIDTHS[0]), cells[1].rjust(WIDTHS[1]), cells[2].rjust(WIDTHS[2])]
    return f"{''.join(padded)}  {cells[3]}".rstrip()
