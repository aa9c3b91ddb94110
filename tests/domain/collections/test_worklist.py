"""The sentence and the next step of an account in the worklist: what is true comes before what is loud."""

from datetime import timedelta
from typing import Any

import pytest

from services.collections.domain import activities, worklist
from services.collections.domain.case import Case
from services.collections.domain.commands import LogActivity
from services.collections.domain.rows import Activity, Promise
from shared.ids import derive
from tests.domain.collections.cases import DAY, candidate, case, cash, item, promise, receipt, rules
from tests.domain.collections.cases import instant as at

YESTERDAY = DAY - timedelta(days=1)
WEEK_AGO = DAY - timedelta(days=7)


def broken(**changes: Any) -> Promise:
    values: dict[str, Any] = {
        "status": "broken",
        "status_on": DAY,
        "scope": "items",
        "items": [str(item("C", 45).item_id)],
        "taken_on": WEEK_AGO,
        "taken_at": at(WEEK_AGO),
    }
    return promise("p", 100_000, YESTERDAY, DAY, **values | changes)


def owing(*rows: Any) -> Case:
    found = case()
    for row in (item("C", 45, 100_000, level=1), *rows):
        found.add(row)
    return found


def step(name: str = "s", **changes: Any) -> Activity:
    values: dict[str, Any] = {
        "company": "acme",
        "account_id": "C-1",
        "activity_id": derive("activity", name),
        "kind": "call",
        "direction": "out",
        "contact_id": "k1",
        "addressee": "",
        "outcome_code": "no_answer",
        "items": [],
        "next_step": "call_again",
        "next_on": DAY,
        "minutes": 0,
        "text": "",
        "done_on": WEEK_AGO,
        "by": "user:carla",
        "logged_at": at(WEEK_AGO),
    }
    return Activity(**values | changes)


def test_a_broken_promise_whose_cash_waits_accuses_nobody() -> None:
    row = worklist.build(owing(broken(), receipt("r", 54_000, YESTERDAY), cash(54_000)), rules())
    assert (row.priority, row.cause, row.next_step) == (2, "promise_cash_waits", "Look at the payment before calling")
    assert row.why == (
        "Promised 1000.00 EUR by 2026-03-01; 540.00 EUR came and is not applied yet; "
        "460.00 EUR overdue for up to 45 days."
    )


def test_a_promise_whose_cash_covers_all_is_still_told_and_never_called_broken() -> None:
    row = worklist.build(owing(broken(), receipt("r", 100_000, YESTERDAY), cash(100_000)), rules())
    assert row.cause == "promise_cash_waits"
    assert "nothing came" not in row.why and "1000.00 EUR came and is not applied yet" in row.why


def test_what_was_counted_and_what_waits_are_told_apart() -> None:
    received = [{"payment_id": str(receipt("r", 1, YESTERDAY).payment_id), "amount_minor": 30_000}]
    partly = broken(status="partly_kept", received=received)
    row = worklist.build(owing(partly, receipt("r", 50_000, YESTERDAY), cash(20_000)), rules())
    assert "only 300.00 EUR was counted, 200.00 EUR came and is not applied yet" in row.why


def test_cash_that_may_be_the_promised_one_is_named() -> None:
    row = worklist.build(owing(broken(), candidate(90_000, YESTERDAY)), rules())
    assert row.cause == "promise_cash_waits"
    assert "900.00 EUR that may be theirs is not applied yet" in row.why


def test_money_for_other_items_is_not_called_nothing() -> None:
    row = worklist.build(owing(broken(), receipt("r", 70_000, YESTERDAY)), rules())
    assert (row.priority, row.cause) == (1, "promise_broken")
    assert "700.00 EUR came for other items" in row.why


@pytest.mark.parametrize(
    "late", [receipt("r", 54_000, WEEK_AGO - timedelta(days=1)), receipt("r", 54_000, YESTERDAY, currency="USD")]
)
def test_money_from_before_the_promise_or_in_another_currency_does_not_excuse_it(late) -> None:
    row = worklist.build(owing(broken(), late), rules())
    assert row.cause == "promise_broken" and ", nothing came;" in row.why


def test_cash_comes_before_steps() -> None:
    assert worklist.build(owing(step(), cash(100)), rules()).cause == "apply_cash_first"
    assert worklist.build(owing(step(), candidate(100)), rules()).cause == "candidate_cash"
    assert worklist.build(owing(step()), rules()).cause == "step_due"


def test_codes_of_steps_are_told_in_words() -> None:
    row = worklist.build(owing(step()), rules())
    assert row.next_step == "Call again"
    assert row.why == "To do on 2026-03-02, noted on 2026-02-23: call again."
    assert worklist.build(owing(step(next_step="Ask for Ms Ünal")), rules()).next_step == "Ask for Ms Ünal"


def test_an_old_step_sinks_below_everything_that_moves_but_is_not_lost() -> None:
    old = step(next_on=DAY - timedelta(days=worklist.STEP_DAYS + 1))
    assert worklist.build(owing(old), rules()).cause == "overdue"
    alone = case()
    alone.add(old)
    assert worklist.build(alone, rules()).cause == "step_due"


def asked(**changes: Any) -> LogActivity:
    return LogActivity(**{"account_id": "C-1", "kind": "call", "direction": "out", "contact_id": "k1"} | changes)


@pytest.mark.parametrize(
    ("older", "later", "ends"),
    [
        ({}, {}, True),
        ({}, {"kind": "email"}, False),
        ({}, {"contact_id": "k2"}, False),
        ({}, {"direction": "in"}, True),
        ({"contact_id": ""}, {"contact_id": ""}, False),
        ({"by": activities.BY_RULE}, {}, False),
        ({"done_on": DAY}, {"done_on": WEEK_AGO}, False),
        ({"next_on": DAY + timedelta(days=20)}, {}, False),
        ({}, {"outcome_code": "no_answer"}, False),
        ({}, {"outcome_code": "no_answer", "next_step": "call_again", "next_on": DAY + timedelta(days=2)}, True),
    ],
)
def test_a_later_activity_of_the_same_kind_and_person_ends_steps_that_were_due(older, later, ends) -> None:
    found = owing(step(**older))
    told = activities.log(found, asked(**later), derive("command", "1"), "user:carla", DAY, at(DAY))
    assert told.ends == ([step().activity_id] if ends else [])
    assert [one.followed for one in found.activities.values() if one.activity_id == step().activity_id] == [ends]


def test_the_step_of_the_later_activity_itself_stays() -> None:
    found = owing(step())
    activities.log(found, asked(next_step="call_again", next_on=DAY), derive("command", "1"), "u", DAY, at(DAY))
    assert [one.done_on for one in found.open_steps()] == [DAY]
