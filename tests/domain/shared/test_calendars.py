"""The one business-day calendar of all services."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calendars import (
    SEARCH_DAYS_MAX,
    CalendarUnknown,
    add_business_days,
    business_days_between,
    check_calendar,
    holidays_of,
    is_business_day,
    is_calendar,
    last_business_day,
    next_business_day,
    through_days_off,
)

DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))
CALENDARS = st.sampled_from(["XECB", "XFED", "XLON", "DE", "DE-BY", "GB-ENG", "GB", "CH-ZH", "AE"])


def test_calendars_of_centres_countries_and_parts_of_countries_are_known() -> None:
    assert not is_business_day(date(2026, 4, 3), "XECB") and not is_business_day(date(2026, 4, 6), "XECB")
    assert not is_business_day(date(2026, 5, 1), "XECB") and is_business_day(date(2026, 5, 1), "XNYS")
    assert not is_business_day(date(2026, 12, 28), "GB-ENG")
    assert not is_business_day(date(2026, 1, 6), "DE-BY")
    assert is_business_day(date(2026, 1, 6), "DE-BE") and is_business_day(date(2026, 1, 6), "DE")


def test_data_through_a_day_reach_over_the_days_off_behind_it() -> None:
    assert through_days_off(date(2026, 4, 2), "XECB") == date(2026, 4, 6)
    assert through_days_off(date(2026, 3, 31), "XECB") == date(2026, 3, 31)


@pytest.mark.parametrize("name", ["NOWHERE", "ZZ", "DE-", "DE-ZZ", "xecb", "", "XECB-1"])
def test_a_name_that_is_no_calendar_is_refused_by_every_function_alike(name: str) -> None:
    assert not is_calendar(name)
    for ask in (lambda: check_calendar(name), lambda: is_business_day(date(2026, 1, 5), name)):
        with pytest.raises(CalendarUnknown, match="use one such as XECB"):
            ask()
    with pytest.raises(CalendarUnknown):
        holidays_of(name, 2026)


@given(DAYS, st.integers(0, 20), CALENDARS)
def test_business_days_add_and_count_alike(day: date, count: int, calendar: str) -> None:
    end = add_business_days(day, count, calendar)
    assert is_business_day(end, calendar)
    if count:
        assert business_days_between(day, end, calendar) == count
        assert business_days_between(day, end, calendar, limit=count - 1) == count
    assert next_business_day(day, calendar) == add_business_days(day, 1, calendar)


@given(DAYS, CALENDARS)
def test_the_next_and_the_last_business_day_enclose_days_off_only(day: date, calendar: str) -> None:
    before, after = last_business_day(day, calendar), next_business_day(day, calendar)
    assert before < day < after and (after - before).days <= 2 * SEARCH_DAYS_MAX
    between = [before + timedelta(days=n) for n in range(1, (after - before).days)]
    assert [d for d in between if is_business_day(d, calendar)] == [day] * is_business_day(day, calendar)
    assert business_days_between(before, after, calendar) == 1 + is_business_day(day, calendar)


@given(DAYS, DAYS, st.integers(0, 40))
def test_counting_stops_one_above_its_limit(start: date, end: date, limit: int) -> None:
    whole = business_days_between(start, end, "XECB")
    assert business_days_between(start, end, "XECB", limit) == min(whole, limit + 1)
    assert (whole == 0) or start < end
