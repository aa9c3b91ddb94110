"""Trace contexts: taken over when well formed, derived otherwise, continued without chance."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import tracing
from shared.ids import derive

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
IDS = st.uuids(version=4).map(lambda u: derive("any", u))


def test_a_context_of_the_caller_is_taken_over_within_the_request_and_nowhere_else() -> None:
    own = derive("submission", 1)
    with tracing.within(GIVEN):
        assert (tracing.of_request(), tracing.at_the_door(own)) == (GIVEN, GIVEN)
    assert (tracing.of_request(), tracing.at_the_door(own)) == ("", tracing.root(own))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        GIVEN.upper(),
        GIVEN + "-more",
        "ff" + GIVEN[2:],
        "00-" + "0" * 32 + GIVEN[35:],
        GIVEN[:36] + "0" * 16 + "-01",
        GIVEN + "\r\nX-Other: 1",
        "name=Ann",
    ],
)
def test_what_is_malformed_starts_a_trace_of_our_own(header: str) -> None:
    with tracing.within(header):
        assert tracing.of_request() == ""


@given(IDS, IDS, IDS)
def test_a_trace_stays_while_each_event_is_a_span_of_its_own(first: UUID, second: UUID, third: UUID) -> None:
    begun = tracing.root(first)
    next_, last = (tracing.continued(begun, first, e) for e in (second, third))
    assert all(FORM.fullmatch(t) for t in (begun, next_, last))
    assert {tracing.trace_id(t) for t in (begun, next_, last)} == {first.hex}
    assert (next_ == last) == (second == third)
    assert tracing.continued(begun, first, second) == next_, "nothing is drawn"


def test_the_callers_flags_and_trace_go_on() -> None:
    event = derive("event", 1)
    assert tracing.continued(GIVEN, derive("c", 1), event) == f"{GIVEN[:36]}{event.hex[16:]}-00"


def test_a_row_of_before_has_the_trace_of_its_correlation() -> None:
    correlation = derive("correlation", 1)
    body = {"correlation_id": str(correlation)}
    assert tracing.of_row(body) == tracing.continued("", correlation, correlation) == tracing.root(correlation)
    assert tracing.of_row({**body, "traceparent": GIVEN}) == GIVEN
