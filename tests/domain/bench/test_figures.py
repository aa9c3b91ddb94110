"""The arithmetic of the bench: percentiles, paired ratios, and what counts as reached."""

import pytest

from tests.bench.figures import interleaved_ratio, judged, percentile, plain, rate_behind_first, table


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert percentile(values, 0.99) == 99.0
    assert percentile(values, 0.5) == 50.0
    assert percentile(values, 1.0) == 100.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    with pytest.raises(ValueError, match="no event"):
        percentile([], 0.99)


def test_a_ratio_is_taken_pair_by_pair_so_that_a_slow_minute_does_not_count() -> None:
    assert interleaved_ratio([2.0, 20.0, 2.2], [1.0, 10.0, 1.1]) == pytest.approx(2.0)
    assert interleaved_ratio([1.0, 1.0, 9.0], [1.0, 1.0, 1.0]) == 1.0
    with pytest.raises(ValueError, match="pairs"):
        interleaved_ratio([1.0], [])


def test_a_rate_of_lumps_leaves_out_the_first_whose_beginning_nobody_saw() -> None:
    lumps = [at for at in (1.0, 2.0, 3.0) for _ in range(500)]
    assert rate_behind_first(lumps) == 500.0
    with pytest.raises(ValueError, match="one lump"):
        rate_behind_first([1.0, 1.0])


def test_a_target_is_reached_at_its_bound_and_missed_beside_it() -> None:
    assert judged("rate", 20_000, "at least", 20_000).reached is True
    assert judged("rate", 19_999, "at least", 20_000).reached is False
    assert judged("p99", 250, "at most", 250, "ms").reached is True
    assert judged("p99", 251, "at most", 250, "ms").reached is False
    assert plain("beside", 3).reached is None


def test_the_table_names_what_was_missed() -> None:
    text = table([judged("rate", 9, "at least", 10), plain("processor time", [58, 19], "us")])
    assert "NO" in text and ">= 10" in text and "58 / 19 us" in text
