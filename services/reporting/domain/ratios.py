"""Ratios of promises, notices and automatic application. None where nothing was counted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

MATURED = ("kept", "partly_kept", "broken")


@dataclass(frozen=True, slots=True)
class PromiseOutcome:
    status: str
    amount_minor: int
    received_minor: int = 0


@dataclass(frozen=True, slots=True)
class PromisesKept:
    """`by_count` and `by_value` are parts of one; open, superseded and cancelled promises are left out."""

    kept: int
    partly_kept: int
    broken: int
    by_count: Fraction | None
    by_value: Fraction | None


def promises_kept(outcomes: Iterable[PromiseOutcome]) -> PromisesKept:
    """By count: kept / matured. By value: what came, at most what was promised / promised."""
    matured = [outcome for outcome in outcomes if outcome.status in MATURED]
    count = {status: sum(o.status == status for o in matured) for status in MATURED}
    promised = sum(o.amount_minor for o in matured)
    received = sum(min(o.received_minor, o.amount_minor) for o in matured)
    return PromisesKept(
        count["kept"],
        count["partly_kept"],
        count["broken"],
        Fraction(count["kept"], len(matured)) if matured else None,
        Fraction(received, promised) if promised else None,
    )


@dataclass(frozen=True, slots=True)
class WithheldCount:
    """How many notices name a reason, and how many name it alone."""

    code: str
    notices: int
    alone: int


def withheld_by_reason(notices: Iterable[Sequence[Mapping[str, str]]]) -> list[WithheldCount]:
    """Most frequent first. A notice with two reasons counts for each, once."""
    named: dict[str, list[int]] = {}
    for reasons in notices:
        codes = sorted({reason["code"] for reason in reasons})
        for code in codes:
            count = named.setdefault(code, [0, 0])
            count[0] += 1
            count[1] += len(codes) == 1
    rows = [WithheldCount(code, total, alone) for code, (total, alone) in named.items()]
    return sorted(rows, key=lambda row: (-row.notices, row.code))


def share(part: int, whole: int) -> Fraction | None:
    """Part of one."""
    return Fraction(part, whole) if whole > 0 else None
