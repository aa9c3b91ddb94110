"""λ and the search of sets, against counting by hand."""

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cash_application.domain.matching.combinations import (
    chance,
    count_in_window,
    grid,
    roundness,
    search,
    window,
)

AMOUNTS = st.lists(st.integers(1, 40), max_size=9)


@pytest.mark.parametrize(
    ("amount", "step"),
    [(1, 1), (7, 1), (12345, 5), (12344, 2), (12340, 20), (11900, 100), (100000, 100000), (125000, 5000), (25, 5)],
)
def test_roundness_is_the_largest_1_2_or_5_times_a_power_of_ten_that_divides(amount, step):
    assert roundness(amount) == step


@given(st.integers(1, 10**12))
def test_roundness_divides_and_nothing_rounder_does(amount):
    steps = [s * 10**k for k in range(14) for s in (1, 2, 5) if amount % (s * 10**k) == 0]
    assert roundness(amount) == max(steps)


def test_the_common_divisor_counts_over_at_least_three_distinct_amounts():
    assert grid(4900, [9800]) == 100
    assert grid(4900, [9800, 14700]) == 4900
    assert grid(4900, [4900, 4900, 9800]) == 100


def test_chance_is_sets_in_the_window_times_grid_over_window_and_grid():
    assert chance(123457, [123457], 1) == Fraction(1) / (Fraction(123457, 10) + 1)
    assert chance(100000, [100000], 1) == Fraction(100000, 110000)
    assert window(100000) == (95000, 105000)


@given(st.integers(1, 10**9), st.integers(1, 1000))
def test_chance_grows_with_every_set_that_was_searched(amount, subsets):
    assert 0 < chance(amount, [amount], subsets) < chance(amount, [amount], subsets + 1)


@given(AMOUNTS, st.integers(1, 120), st.integers(1, 4))
def test_the_search_finds_exactly_the_sets_that_add_up(amounts, target, items_max):
    by_hand = [
        hit
        for size in range(1, items_max + 1)
        for hit in combinations(range(len(amounts)), size)
        if sum(amounts[i] for i in hit) == target
    ]
    found = search(amounts, target, items_max, 10**6)
    assert sorted(found) == sorted(by_hand)
    assert [len(hit) for hit in found] == sorted(len(hit) for hit in found)
    assert search(amounts, target, items_max, 2) == found[:2]


@given(AMOUNTS, st.integers(1, 120), st.integers(0, 40), st.integers(1, 4))
def test_sets_in_a_window_are_counted_without_listing_them(amounts, low, width, items_max):
    by_hand = sum(
        1
        for size in range(1, items_max + 1)
        for chosen in combinations(amounts, size)
        if low <= sum(chosen) <= low + width
    )
    assert count_in_window(amounts, low, low + width, items_max) == by_hand


def test_the_search_refuses_sets_it_does_not_cover():
    with pytest.raises(ValueError, match="covers 1 to 4"):
        search([1, 2], 3, 5, 2)
