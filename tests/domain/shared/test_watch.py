"""The watchdog's memory: ages of lag and time without progress, from ends and cursors alone."""

from hypothesis import given
from hypothesis import strategies as st

from shared.bus.port import Partition
from shared.runtime.watch import SAMPLES_MAX, Watch

LANE, OTHER = Partition("ar.accounts", 0), Partition("ar.accounts", 1)


def look(watch: Watch, at_s: float, end: int, cursor: int) -> tuple[float, float]:
    watch.ends, watch.cursors = {LANE: end}, {LANE: cursor}
    watch.look(at_s)
    return watch.age_s(LANE, at_s), watch.stalled_s(at_s)


def test_the_age_is_that_of_the_oldest_record_that_is_left() -> None:
    watch = Watch()
    assert look(watch, 0, 10, 10) == (0, 0)
    assert look(watch, 5, 20, 10) == (0, 5)
    assert look(watch, 10, 30, 10) == (5, 10)
    assert look(watch, 15, 30, 15) == (10, 0), "it moved, but records of the look at 5 s are left"
    assert look(watch, 20, 40, 25) == (10, 0), "those of the look at 10 s"
    assert look(watch, 25, 40, 40) == (0, 0)


def test_a_cursor_that_stands_still_at_the_end_is_no_stand_still() -> None:
    watch = Watch()
    look(watch, 0, 10, 10)
    assert look(watch, 1_000, 10, 10) == (0, 0)
    assert look(watch, 1_005, 11, 10) == (0, 5)


def test_a_partition_that_went_elsewhere_is_forgotten_and_one_that_comes_begins_anew() -> None:
    watch = Watch()
    look(watch, 0, 10, 0)
    watch.ends, watch.cursors = {OTHER: 5}, {LANE: 0, OTHER: 0}
    watch.look(100)
    assert (list(watch.lanes), watch.stalled_s(100)) == ([OTHER], 0)


def test_a_lane_whose_cursor_is_not_known_yet_says_nothing() -> None:
    watch = Watch(ends={LANE: 10})
    watch.look(50)
    assert (watch.lanes, watch.stalled_s(50)) == ({}, 0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=60))
def test_ages_are_never_negative_nor_longer_than_was_watched(moves: list[tuple[int, int]]) -> None:
    watch, end, cursor = Watch(), 0, 0
    for step, (came, taken) in enumerate(moves):
        end += came
        cursor = min(end, cursor + taken)
        age, stalled = look(watch, float(step), end, cursor)
        assert 0 <= age <= step and 0 <= stalled <= step
        assert (age == 0 and stalled == 0) or end > cursor


def test_what_is_remembered_is_bounded_while_nothing_is_taken() -> None:
    watch = Watch()
    for step in range(5 * SAMPLES_MAX):
        age, _ = look(watch, float(step), step + 1, 0)
    assert len(watch.lanes[LANE].ends) <= SAMPLES_MAX
    assert age == 5 * SAMPLES_MAX - 1, "thinning keeps the oldest"
