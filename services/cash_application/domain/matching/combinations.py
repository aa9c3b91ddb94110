"""Which sets of amounts add up to a payment, and how many would do so by chance (λ).

λ = (subsets searched, the hit included, whose sum lies in a window of 10 % of the amount around it) × grid ÷ (window
width + grid). A match by amount alone may post only if it is unique *and* λ is at most the policy's bound.
Invariant: `search` returns every exact set up to its limit, smallest first, whatever the order of the amounts.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from math import gcd

import numpy as np

WINDOW_DIVISOR = 10
GRID_AMOUNTS_MIN = 3


def roundness(amount_minor: int) -> int:
    """Largest 1, 2 or 5 × 10^k that divides the amount (which is above 0): 1,200.00 -> 20,000 minor units."""
    power = 1
    while amount_minor % (power * 10) == 0:
        power *= 10
    return next(step * power for step in (5, 2, 1) if amount_minor % (step * power) == 0)


def grid(amount_minor: int, open_minor: Sequence[int]) -> int:
    """Step in which amounts come: the payment's roundness, or the common divisor of it and the open amounts.

    The divisor counts only over at least three distinct amounts; fewer say nothing about a price list.
    """
    distinct = set(open_minor) | {amount_minor}
    common = gcd(*distinct) if len(distinct) >= GRID_AMOUNTS_MIN else 1
    return max(roundness(amount_minor), common)


def window(amount_minor: int) -> tuple[int, int]:
    """Lowest and highest sum of the window, both inclusive: 5 % to either side."""
    half = amount_minor // (2 * WINDOW_DIVISOR)
    return amount_minor - half, amount_minor + half


def chance(amount_minor: int, open_minor: Sequence[int], subsets_in_window: int) -> Fraction:
    """λ: expected number of sets that hit the amount although none is meant."""
    step = grid(amount_minor, open_minor)
    return Fraction(subsets_in_window * step * WINDOW_DIVISOR, amount_minor + step * WINDOW_DIVISOR)


def search(amounts: Sequence[int], target: int, items_max: int, limit: int) -> list[tuple[int, ...]]:
    """Up to `limit` index sets of at most `items_max` (<= 4) positive amounts that add up to the target exactly.

    Smaller sets first, then by index, so the answer depends on the order of the amounts only through the indices.
    """
    if not 1 <= items_max <= 4:
        raise ValueError(f"items_max is {items_max}, the pair search covers 1 to 4 items")
    finders = (_singles, _pairs, _triples, _fours)[:items_max]
    return list(islice((hit for find in finders for hit in find(amounts, target)), limit))


def _singles(amounts: Sequence[int], target: int) -> Iterator[tuple[int, ...]]:
    return ((i,) for i, amount in enumerate(amounts) if amount == target)


def _pairs(amounts: Sequence[int], target: int) -> Iterator[tuple[int, ...]]:
    places = _places(amounts)
    return ((i, j) for i, amount in enumerate(amounts) for j in places.get(target - amount, ()) if j > i)


def _triples(amounts: Sequence[int], target: int) -> Iterator[tuple[int, ...]]:
    places = _places(amounts)
    count = len(amounts)
    for i in range(count):
        for j in range(i + 1, count):
            yield from ((i, j, k) for k in places.get(target - amounts[i] - amounts[j], ()) if k > j)


def _fours(amounts: Sequence[int], target: int) -> Iterator[tuple[int, ...]]:
    count = len(amounts)
    later: dict[int, list[tuple[int, int]]] = {}
    for k in range(count):
        for m in range(k + 1, count):
            if amounts[k] + amounts[m] < target:
                later.setdefault(amounts[k] + amounts[m], []).append((k, m))
    for i in range(count):
        for j in range(i + 1, count):
            for k, m in later.get(target - amounts[i] - amounts[j], ()):
                if k > j:
                    yield (i, j, k, m)


def _places(amounts: Sequence[int]) -> dict[int, list[int]]:
    places: dict[int, list[int]] = {}
    for i, amount in enumerate(amounts):
        places.setdefault(amount, []).append(i)
    return places


def count_in_window(amounts: Sequence[int], low: int, high: int, items_max: int) -> int:
    """Number of sets of 1 to `items_max` (<= 4) amounts with low <= sum <= high, counted without listing them.

    Triples and fours come from the sorted sums of pairs: all (amount, pair) and (pair, pair) combinations less those
    that use an amount twice, divided by the number of ways in which one set is split.
    """
    values = np.sort(np.asarray(amounts, dtype=np.int64))
    count = len(values)
    total = _between(values, low, high)
    if items_max >= 2 and count >= 2:
        left, right = np.triu_indices(count, 1)
        pairs = np.sort(values[left] + values[right])
        total += _between(pairs, low, high)
        if items_max >= 3:
            total += _triples_between(values, pairs, low, high)
        if items_max >= 4:
            total += _fours_between(values, pairs, low, high)
    return int(total)


def _between(values: np.ndarray, low: int, high: int) -> int:
    return int(np.searchsorted(values, high, "right") - np.searchsorted(values, low, "left"))


def _hits(values: np.ndarray, shifts: np.ndarray, low: int, high: int) -> np.ndarray:
    """For every shift: how many values lie in the window when the shift is added."""
    return np.searchsorted(values, high - shifts, "right") - np.searchsorted(values, low - shifts, "left")


def _inside(sums: np.ndarray, low: int, high: int) -> np.ndarray:
    return (sums >= low) & (sums <= high)


def _triples_between(values: np.ndarray, pairs: np.ndarray, low: int, high: int) -> int:
    """(i, {j, k}) over all i, less those with i in the pair (2i + k, k != i), three splits per set."""
    every = int(_hits(pairs, values, low, high).sum())
    twice = int(_hits(values, 2 * values, low, high).sum()) - int(_inside(3 * values, low, high).sum())
    return (every - twice) // 3


def _fours_between(values: np.ndarray, pairs: np.ndarray, low: int, high: int) -> int:
    """({i, j}, {k, m}) of two different pairs, less those that share one amount, three splits per set.

    Sharing i: 2i + (a pair without i) = all pairs shifted by 2i, less pairs with i (3i + k, k != i).
    """
    ordered = int(_hits(pairs, pairs, low, high).sum()) - int(_inside(2 * pairs, low, high).sum())
    with_self = int(_hits(values, 3 * values, low, high).sum()) - int(_inside(4 * values, low, high).sum())
    sharing = int(_hits(pairs, 2 * values, low, high).sum()) - with_self
    return (ordered // 2 - sharing) // 3
