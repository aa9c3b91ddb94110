"""Geometry of the charts that the templates draw as SVG. A chart never stands without its table.

Coordinates are whole units of the view box; heights are proportional to amounts, zero at the base line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, TOP, BOTTOM = 640, 220, 24, 34
GAP_PART = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One column; `inner` is the height of the part that is drawn over it (disputed)."""

    x: int
    y: int
    width: int
    height: int
    inner: int
    label: str
    value: str
    middle: int
    label_shown: bool
    tone: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    width: int
    height: int
    base_line: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """What to draw: amounts are zero or more."""

    label: str
    amount: int
    value: str
    inner: int = 0


def columns(given: Sequence[Column], labels_max: int = 12, width: int = WIDTH) -> Columns:
    """Columns side by side; of many labels every second, third and so on is shown."""
    base_line, room = HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM
    largest = max((column.amount for column in given), default=0)
    slot = width // max(len(given), 1)
    every = -(-len(given) // labels_max) or 1
    gap = max(2, slot // GAP_PART)
    bars = []
    for number, column in enumerate(given):
        height = column.amount * room // largest if largest and column.amount > 0 else 0
        inner = min(height, column.inner * room // largest) if largest and column.inner > 0 else 0
        x = number * slot + gap // 2
        last = len(given) - 1
        bars.append(
            Bar(
                x,
                base_line - height,
                slot - gap,
                height,
                inner,
                column.label,
                column.value,
                x + (slot - gap) // 2,
                (last - number) % every == 0,
                number,
            )
        )
    return Columns(width, HEIGHT, base_line, tuple(bars))


def line(values: Sequence[int | None], width: int = 220, height: int = 44) -> str:
    """Points of a sparkline as SVG path data; gaps where there is no value. Empty without two values."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1
    step = width / (len(values) - 1)
    parts, move = [], True
    for number, value in enumerate(values):
        if value is None:
            move = True
            continue
        y = 3 + (height - 6) * (1 - (value - low) / span)
        parts.append(f"{'M' if move else 'L'}{number * step:.1f} {y:.1f}")
        move = False
    return " ".join(parts)
