"""Delays, bounds, and which version of a hold goes out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.notifications.domain import holds
from services.notifications.domain.commands import Answered
from services.notifications.domain.deliveries import (
    REFUSED_DELAYS_S,
    WEBHOOK_SLOW_DELAY_S,
    refused_again_s,
    webhook_again_s,
    webhook_until,
)
from services.notifications.domain.rows import EffectRow
from shared.events.collections import HoldLifted, HoldOrdered, HoldRenewed
from shared.ids import derive

AT = datetime(2026, 1, 19, 9, tzinfo=UTC)


def hold(version: int, kind: type = HoldOrdered, grade: str = "restrict"):
    return kind(
        company="acme", hold_id=derive("h"), version=version, account_id="A", grade=grade, targets=["room"],
        cause="overdue", policy="holds@1", from_at=AT, lease_s=3_600, overdue_minor=5, currency="EUR",
    )  # fmt: skip


def effect(version: int, kind: type = HoldOrdered, grade: str = "restrict", **changes) -> EffectRow:
    made = holds.new_effect(hold(version, kind, grade), [], {}, 1, 3)
    assert made is not None
    return replace(made, **changes)


def test_a_temporary_refusal_is_tried_again_a_bounded_number_of_times() -> None:
    assert [refused_again_s(n) for n in range(1, 6)] == [*REFUSED_DELAYS_S, None]


def test_a_webhook_is_tried_faster_at_first_and_slowly_then() -> None:
    delays = [webhook_again_s(n) for n in range(1, 13)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (1, WEBHOOK_SLOW_DELAY_S)


def test_an_order_is_tried_until_its_lease_would_have_ended_and_a_lift_for_a_week() -> None:
    assert webhook_until(AT, "ordered", 60) == AT + timedelta(seconds=60)
    assert webhook_until(AT, "lifted", 0) == AT + timedelta(days=7)


def test_an_older_or_known_version_makes_no_delivery() -> None:
    assert holds.new_effect(hold(2), [effect(2)], {}, 1, 3) is None
    assert holds.new_effect(hold(1), [effect(2)], {}, 1, 3) is None


def test_a_newer_version_replaces_the_unsent_and_leaves_the_confirmed() -> None:
    earlier = [effect(1, status="confirmed", attempts=1), effect(2, HoldRenewed)]
    assert holds.new_effect(hold(3, HoldLifted), earlier, {}, 1, 3).version == 3
    assert [e.status for e in earlier] == ["confirmed", "superseded"]


@pytest.mark.parametrize(
    ("earlier", "new", "gated"),
    [
        ([], hold(1), True),
        ([effect(1, status="confirmed", attempts=1)], hold(2, HoldRenewed), False),
        ([effect(1, attempts=1)], hold(2, HoldRenewed), False),
        ([effect(1, attempts=2, code="ReadTimeout")], hold(2, HoldRenewed), False),
        ([effect(1, attempts=1, code="ConnectError")], hold(2, HoldRenewed), True),
        ([effect(1, attempts=1, code="HTTP_503")], hold(2, HoldRenewed), True),
        ([effect(1, attempts=1, code="HTTP_422", status="failed")], hold(2, HoldRenewed), True),
        ([effect(1)], hold(2, HoldRenewed), True),
        ([effect(1, status="withheld")], hold(2, HoldRenewed), True),
        ([effect(1, status="confirmed", attempts=1)], hold(2, HoldRenewed, "deny"), True),
        ([effect(1, grade="deny", status="confirmed", attempts=1)], hold(2, HoldOrdered, "warn"), False),
        ([effect(1, status="confirmed", attempts=1), effect(2, HoldLifted, status="confirmed")], hold(3), True),
        ([effect(1, status="confirmed", attempts=1)], hold(2, HoldLifted), False),
    ],
)
def test_orders_and_higher_grades_pass_the_gate_renewals_and_lifts_do_not(earlier, new, gated: bool) -> None:
    assert holds.new_effect(new, earlier, {}, 1, 3).gated is gated


def answer(**changes) -> Answered:
    told = Answered("acme", derive("e"), "A", 1, confirmed=False, final=False, code="HTTP_500", at=AT)
    return replace(told, **changes)


def test_what_is_not_confirmed_by_the_end_of_its_lease_has_failed() -> None:
    row = effect(1, attempts=3, first_try_at=AT)
    assert holds.answered(row, answer(), AT) == []
    assert (row.status, row.next_try_at) == ("due", AT + timedelta(seconds=4))
    (failed,) = holds.answered(row, answer(at=AT + timedelta(hours=1)), AT)
    assert (row.status, failed.code) == ("failed", "HTTP_500")


def test_an_answer_to_a_replaced_version_is_told_but_changes_nothing() -> None:
    row = effect(1, attempts=1, status="superseded")
    (confirmed,) = holds.answered(row, answer(confirmed=True, code=""), AT)
    assert (confirmed.version, row.status) == (1, "superseded")
    assert holds.answered(row, answer(), AT) == []
