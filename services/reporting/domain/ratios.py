"""Shares of a whole, and notices by the reasons that withheld them. None where nothing was counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class WithheldCount:
    """How many notices name a reason, and how many name it alone."""

    code: str
    notices: int
    alone: int


def withheld_by_reason(notices: Iterable[tuple[Sequence[str], int]]) -> list[WithheldCount]:
    """Most frequent first. `notices`: codes of the reasons, and how many notices have them; each code counts once."""
    named: dict[str, list[int]] = {}
    for reasons, notices_alike in notices:
        codes = sorted(set(reasons))
        for code in codes:
            count = named.setdefault(code, [0, 0])
            count[0] += notices_alike
            count[1] += notices_alike if len(codes) == 1 else 0
    rows = [WithheldCount(code, total, alone) for code, (total, alone) in named.items()]
    return sorted(rows, key=lambda row: (-row.notices, row.code))


def share(part: int, whole: int) -> Fraction | None:
    """Part of one."""
    return Fraction(part, whole) if whole > 0 else None
