"""The send-time gate, letter by letter."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.notifications.domain.gate import judge, judge_hold
from services.notifications.domain.model import BankReach, Pass, Smaller, Stopped, Wait, Withheld
from tests.domain.notifications.builders import (
    FRIDAY,
    MONDAY,
    NOW,
    account,
    asked,
    asked_hold,
    candidate,
    codes,
    dispute,
    item_id,
    known,
    noted,
    open_item,
    plan,
    promise,
    reached,
    rules,
)


def outcome(request=None, state=None, time=None, policy=None):
    return judge(request or asked(), state or known(), time or reached(), policy or rules())


def test_a_notice_against_which_nothing_stands_passes_as_it_was_asked() -> None:
    passed = outcome()
    assert type(passed) is Pass
    assert [(i.remaining_minor, i.version) for i in passed.items] == [(100_000, 1)]


def test_without_an_activated_policy_nothing_leaves() -> None:
    assert codes(judge(asked(), known(), reached(), None)) == ["CONTACT_POLICY_MISSING"]
    assert codes(judge(asked(), known(), reached(), "profiles: missing")) == ["CONTACT_POLICY_INVALID"]


class TestTime:
    def test_the_markers_of_the_notices_day_must_be_in(self) -> None:
        waits = outcome(time=reached(closed_on=FRIDAY))
        assert (type(waits), codes(waits)) == (Wait, ["DAY_NOT_CLOSED"])
        assert type(outcome(time=reached(closed_on=None))) is Wait

    @pytest.mark.parametrize(("age_s", "kind"), [(0, Pass), (44, Pass), (45, Wait), (600, Wait)])
    def test_the_last_complete_tick_must_be_younger_than_45_seconds(self, age_s: int, kind: type) -> None:
        assert type(outcome(time=reached(tick_at=NOW - timedelta(seconds=age_s)))) is kind

    def test_before_the_first_tick_nothing_leaves(self) -> None:
        assert codes(outcome(time=reached(tick_at=None))) == ["TICK_TOO_OLD"]

    def test_nothing_leaves_before_its_time_and_nothing_at_its_end(self) -> None:
        assert codes(outcome(asked(not_before_at=NOW + timedelta(seconds=1)))) == ["TOO_EARLY"]
        assert type(outcome(asked(not_before_at=NOW))) is Pass
        ended = outcome(asked(expires_at=NOW))
        assert (type(ended), codes(ended)) == (Withheld, ["EXPIRED"])

    def test_an_item_version_that_was_not_read_yet_is_waited_for(self) -> None:
        assert codes(outcome(asked(noted(version=2)))) == ["LEDGER_BEHIND"]
        assert codes(outcome(asked(noted(), noted(9)))) == ["LEDGER_BEHIND"]


class TestBankData:
    def test_every_account_must_reach_the_last_banking_day_before_the_send_date(self) -> None:
        behind = (BankReach("acme/EUR-1", "XECB", MONDAY), BankReach("acme/USD-1", "XFED", FRIDAY))
        # Monday 19 January 2026 is a holiday of the Federal Reserve: Friday is its last banking day.
        assert type(outcome(time=reached(banks=behind))) is Pass
        behind = (BankReach("acme/EUR-1", "XECB", FRIDAY),)
        waits = outcome(time=reached(banks=behind))
        assert (type(waits), codes(waits)) == (Wait, ["BANK_DATA_INCOMPLETE"])

    def test_an_account_of_which_nothing_is_known_is_incomplete(self) -> None:
        assert codes(outcome(time=reached(banks=(BankReach("x", "XECB", None),)))) == ["BANK_DATA_INCOMPLETE"]
        assert codes(outcome(time=reached(banks=(BankReach("x", "NOWHERE", MONDAY),)))) == ["BANK_DATA_INCOMPLETE"]

    def test_a_company_without_bank_accounts_sends_only_where_its_policy_accepts_that(self) -> None:
        assert codes(outcome(time=reached(banks=()))) == ["BANK_DATA_INCOMPLETE"]
        assert type(outcome(time=reached(banks=()), policy=rules(no_bank_data="accepted"))) is Pass

    def test_the_send_date_is_the_companys(self) -> None:
        late = NOW.replace(hour=23, minute=30)  # already Wednesday in Berlin
        time = reached(now=late, tick_at=late)
        waits = outcome(asked(expires_at=late + timedelta(days=1)), time=time)
        assert "BANK_DATA_INCOMPLETE" in codes(waits)

    def test_what_waits_is_withheld_when_it_expires(self) -> None:
        ended = outcome(asked(expires_at=NOW), time=reached(closed_on=FRIDAY))
        assert codes(ended) == ["DAY_NOT_CLOSED", "EXPIRED"]


class TestParked:
    @pytest.mark.parametrize(
        ("thing", "stops"),
        [
            (Stopped("payment", "p", "A"), True),
            (Stopped("invoice", "i", "A"), True),
            (Stopped("payment", "p", "B"), False),
            (Stopped("payment", "p", None), True),
            (Stopped("key", "acme/~x", None), True),
            (Stopped("invoice", "i", None), False),
            (Stopped("payment", "p", None, 100_000), True),
            (Stopped("payment", "p", None, 96_000), True),
            (Stopped("payment", "p", None, -100_000), True),
            (Stopped("payment", "p", None, 42_000), False),
        ],
    )
    def test_a_thing_stops_whom_it_could_concern(self, thing: Stopped, stops: bool) -> None:
        result = outcome(state=known(stopped=(thing,)))
        assert (codes(result) == ["PARKED"]) is stops
        assert isinstance(result, Withheld) is stops

    def test_an_amount_is_compared_with_single_items_and_with_sums(self) -> None:
        state = known(open_item(1, 30_000), open_item(2, 70_000), stopped=(Stopped("payment", "p", None, 100_000),))
        assert codes(outcome(asked(noted(1, 30_000)), state)) == ["PARKED"]

    def test_by_policy_an_unassigned_thing_stops_everyone(self) -> None:
        state = known(stopped=(Stopped("payment", "p", None, 42_000),))
        assert codes(outcome(state=state, policy=rules(unassigned="company"))) == ["PARKED"]

    def test_more_than_a_marker_names_stops_everyone(self) -> None:
        assert codes(outcome(state=known(stopped_more=True))) == ["PARKED"]


class TestCandidates:
    def test_cash_that_may_be_the_debtors_stops_the_notice(self) -> None:
        assert codes(outcome(state=known(candidates=(candidate(),)))) == ["CASH_CANDIDATE"]

    @pytest.mark.parametrize(("since", "stops"), [(date(2026, 1, 6), True), (date(2026, 1, 5), False)])
    def test_for_ten_business_days(self, since: date, stops: bool) -> None:
        # From Tuesday 6 January ten business days end on Tuesday 20 January.
        result = outcome(state=known(candidates=(candidate(since),)))
        assert isinstance(result, Withheld) is stops


class TestCovers:
    def test_items_under_a_promise_or_a_plan_are_taken_out(self) -> None:
        request = asked(noted(1), noted(2, 50_000))
        for cover in (promise(item_id(1)), plan(item_id(1))):
            state = known(open_item(1), open_item(2, 50_000), covers=(cover,))
            smaller = outcome(request, state)
            assert type(smaller) is Smaller
            assert [i.number for i in smaller.items] == ["R-2"]
            assert codes(smaller) == [cover.kind.upper()]

    def test_a_promise_without_items_covers_all_of_its_currency(self) -> None:
        assert codes(outcome(state=known(covers=(promise(),)))) == ["PROMISE"]
        usd = replace(promise(), currency="USD")
        assert type(outcome(state=known(covers=(usd,)))) is Pass

    def test_a_disputed_part_is_not_stated_and_a_disputed_whole_not_at_all(self) -> None:
        smaller = outcome(state=known(covers=(dispute(item_id(1), 60_000),)))
        assert type(smaller) is Smaller
        assert [(i.remaining_minor, i.disputed_minor) for i in smaller.items] == [(100_000, 60_000)]
        whole = outcome(state=known(covers=(dispute(item_id(1), 100_000),)))
        assert (type(whole), codes(whole)) == (Withheld, ["DISPUTED"])

    def test_a_dispute_that_collections_knew_of_does_not_make_the_notice_smaller(self) -> None:
        state = known(covers=(dispute(item_id(1), 60_000),))
        assert type(outcome(asked(noted(disputed=60_000)), state)) is Pass

    def test_a_dispute_that_ended_since_does_not_make_the_notice_larger(self) -> None:
        passed = outcome(asked(noted(disputed=60_000)))
        assert (type(passed), passed.items[0].disputed_minor) == (Pass, 60_000)

    def test_a_credit_covers_the_items_that_it_could_pay(self) -> None:
        state = known(open_item(1), open_item(2, 300_000), credits_minor={"EUR": 100_000})
        smaller = outcome(asked(noted(1), noted(2, 300_000)), state)
        assert type(smaller) is Smaller
        assert [i.number for i in smaller.items] == ["R-2"]
        assert smaller.credits_minor == {"EUR": 100_000}
        assert codes(outcome(state=known(credits_minor={"EUR": 100_000}))) == ["CREDIT_COVERS"]
        memo = open_item(2, 100_000, side="credit")
        assert codes(outcome(state=known(open_item(), memo))) == ["CREDIT_COVERS"]

    def test_what_a_credit_leaves_must_still_be_worth_a_notice(self) -> None:
        assert codes(outcome(state=known(credits_minor={"EUR": 99_000}))) == ["BELOW_MINIMUM"]
        assert type(outcome(state=known(credits_minor={"EUR": 97_500}))) is Pass
        assert type(outcome(state=known(credits_minor={"USD": 99_000}))) is Pass


class TestOpenAmounts:
    def test_a_settled_item_is_not_stated(self) -> None:
        settled = open_item(1, 0, version=2)
        assert codes(outcome(state=known(settled))) == ["SETTLED"]
        smaller = outcome(asked(noted(1), noted(2)), known(settled, open_item(2)))
        assert (type(smaller), [i.number for i in smaller.items]) == (Smaller, ["R-2"])

    def test_a_version_that_moved_without_a_change_of_the_amount_passes(self) -> None:
        passed = outcome(state=known(open_item(version=3)))
        assert type(passed) is Pass
        assert passed.items[0].version == 3

    def test_a_lower_amount_makes_the_notice_smaller_down_to_the_minimum(self) -> None:
        smaller = outcome(state=known(open_item(1, 2_500, version=2)))
        assert (type(smaller), smaller.items[0].remaining_minor) == (Smaller, 2_500)
        small = outcome(state=known(open_item(1, 2_499, version=2)))
        assert (type(small), codes(small)) == (Withheld, ["ITEM_CHANGED", "BELOW_MINIMUM"])

    def test_an_amount_that_grew_is_decided_anew_by_collections(self) -> None:
        assert codes(outcome(state=known(open_item(1, 100_001, version=2)))) == ["ITEM_CHANGED"]

    def test_an_item_that_is_no_longer_due_is_not_stated(self) -> None:
        moved = open_item(version=2, due_on=date(2026, 2, 1))
        assert codes(outcome(state=known(moved))) == ["ITEM_CHANGED"]

    def test_what_stands_against_it_for_good_withholds_at_once_even_while_something_is_waited_for(self) -> None:
        result = outcome(state=known(candidates=(candidate(),)), time=reached(closed_on=FRIDAY))
        assert (type(result), codes(result)) == (Withheld, ["CASH_CANDIDATE"])
        settled = outcome(state=known(open_item(1, 0, version=2)), time=reached(closed_on=FRIDAY))
        assert (type(settled), codes(settled)) == (Withheld, ["SETTLED"])


class TestHolds:
    def test_an_order_passes_when_the_overdue_sum_still_stands(self) -> None:
        assert type(judge_hold(asked_hold(), known(), reached(), rules())) is Pass

    @pytest.mark.parametrize(
        "state",
        [
            known(open_item(1, 99_999)),
            known(covers=(promise(),)),
            known(covers=(plan(item_id(1)),)),
            known(covers=(dispute(item_id(1), 1),)),
            known(credits_minor={"EUR": 1}),
            known(open_item(due_on=date(2026, 1, 20))),
        ],
    )
    def test_whatever_lowers_it_withholds_the_order(self, state) -> None:
        result = judge_hold(asked_hold(), state, reached(), rules())
        assert (type(result), codes(result)) == (Withheld, ["ITEM_CHANGED"])

    def test_the_same_letters_bind_it(self) -> None:
        for state, code in [
            (known(candidates=(candidate(),)), "CASH_CANDIDATE"),
            (known(stopped=(Stopped("payment", "p", "A"),)), "PARKED"),
            (known(account=account(status="insolvent")), "HARD_STOP"),
        ]:
            assert codes(judge_hold(asked_hold(), state, reached(), rules())) == [code]
        for time, code in [
            (reached(tick_number=6), "TICK_AWAITED"),
            (reached(tick_at=NOW - timedelta(seconds=45)), "TICK_TOO_OLD"),
            (reached(banks=(BankReach("x", "XECB", FRIDAY),)), "BANK_DATA_INCOMPLETE"),
        ]:
            waits = judge_hold(asked_hold(), known(), time, rules())
            assert (type(waits), codes(waits)) == (Wait, [code])
        assert codes(judge_hold(asked_hold(expires_at=NOW), known(), reached(tick_number=6), rules())) == [
            "TICK_AWAITED",
            "EXPIRED",
        ]
