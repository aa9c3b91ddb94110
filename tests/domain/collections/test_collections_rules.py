"""Policies, calendars, chance, disputes and holds as pure rules."""

from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collections.domain import holds, worklist
from services.collections.domain.chance import not_by_itself_permille
from services.collections.domain.local_time import instant, zone_or
from services.collections.domain.policy import DunningPolicy, HoldPolicy, PolicyInvalid, read_policy
from tests.domain.collections.cases import (
    DAY,
    candidate,
    case,
    dunning_policy,
    hold_policy,
    item,
    promise,
    rules,
)
from tests.domain.collections.cases import instant as at

HISTORIES = st.lists(st.integers(0, 50), min_size=6, max_size=6)


def test_the_policies_in_deploy_are_valid() -> None:
    assert [step.kind for step in dunning_policy().levels] == ["reminder", "reminder", "hold_warning"]
    assert dunning_policy().promise.tolerance == Decimal("0.005")
    assert not hold_policy().auto_hold


@pytest.mark.parametrize(
    ("model", "content", "place"),
    [
        (DunningPolicy, {"levels": []}, "levels"),
        (DunningPolicy, {"levels": [{"level": 2, "days_past_due": 3, "template": "t"}]}, "numbered"),
        (DunningPolicy, {"levels": [{"level": 1, "days_past_due": 3, "template": "t"}], "spacing": 7}, "spacing"),
        (
            DunningPolicy,
            {"levels": [{"level": n, "days_past_due": 9 - n, "template": "t"} for n in (1, 2)]},
            "rise in days_past_due",
        ),
        (
            DunningPolicy,
            {
                "levels": [{"level": 1, "days_past_due": 3, "template": "t"}],
                "window": {"start": "17:00", "end": "09:00"},
            },
            "window",
        ),
        (HoldPolicy, {"threshold_minor": {"EUR": -1}, "lease_s": 86_400, "renew_before_s": 0}, "threshold_minor"),
        (HoldPolicy, {"threshold_minor": {}, "lease_s": 86_400, "renew_before_s": 86_400}, "renew_before_s"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_place(model, content, place) -> None:
    with pytest.raises(PolicyInvalid, match=place):
        read_policy(model, content)


@given(st.integers(0, 200))
def test_levels_are_those_whose_days_are_reached(days: int) -> None:
    assert dunning_policy().level_at(days) == sum(days >= bound for bound in (4, 14, 28))


def test_windows_follow_the_clock_of_the_zone() -> None:
    assert instant(date(2026, 3, 27), time(9), "Europe/Berlin").hour == 8
    assert instant(date(2026, 3, 30), time(9), "Europe/Berlin").hour == 7
    assert zone_or("Mars/Base", "Europe/Berlin") == "Europe/Berlin"


@given(HISTORIES, st.integers(1, 200))
def test_the_chance_is_a_share(history: list[int], days: int) -> None:
    assert 0 <= not_by_itself_permille(history, days) <= 1000


@given(HISTORIES, st.integers(1, 120))
def test_later_payers_are_less_likely_to_pay_by_themselves(history: list[int], days: int) -> None:
    worse = [*history[:5], history[5] + 10]
    better = [count + (10 if place == 1 else 0) for place, count in enumerate(history)]
    if days <= 30:
        assert not_by_itself_permille(better, days) <= not_by_itself_permille(history, days)
    assert not_by_itself_permille(worse, days) >= not_by_itself_permille(history, days)


def test_without_a_record_the_prior_stands() -> None:
    assert [not_by_itself_permille([0] * 6, days) for days in (1, 31, 61, 91, 121)] == [150, 350, 550, 750, 900]


def warned_case(**changes):
    found = case()
    values = {"level": 3, "warned_on": date(2026, 3, 10)} | changes
    found.add(item("A", 45, 200_000, on=date(2026, 3, 25), **values))
    return found


def test_cure_days_are_full_business_days_EX_H11() -> None:
    policy = hold_policy(cure_days=10)
    for day, due in ((date(2026, 3, 20), False), (date(2026, 3, 24), False), (date(2026, 3, 25), True)):
        assert bool(holds.propose(warned_case(), rules(day, holds=policy), at(day))) == due


def test_gates_of_a_hold_each_stop_it() -> None:
    day = date(2026, 3, 25)

    def proposed(found) -> bool:
        return holds.propose(found, rules(day), at(day)) is not None

    assert proposed(warned_case())
    assert not proposed(warned_case(warned_on=None))
    assert not proposed(warned_case(warned_on=day - timedelta(days=181)))
    with_promise = warned_case()
    with_promise.add(promise("p", 1, day, day))
    assert not proposed(with_promise)
    with_candidate = warned_case()
    with_candidate.add(candidate(200_000, since_on=day))
    assert not proposed(with_candidate)
    assert not proposed(_changed_account(access_targets=[]))
    assert not proposed(_changed_account(status="insolvent"))
    assert not proposed(_changed_account(known=False))


def test_cash_that_may_be_the_customers_keeps_a_hold_away_for_the_business_days_of_the_policy() -> None:
    day = date(2026, 3, 25)
    for candidate_days, since_on, kept_away in (
        (10, date(2026, 3, 12), True),
        (10, date(2026, 3, 11), False),
        (3, date(2026, 3, 20), False),
        (4, date(2026, 3, 20), True),
    ):
        found = warned_case()
        found.add(candidate(200_000, since_on=since_on))
        policy = rules(day, holds=hold_policy(candidate_days=candidate_days))
        assert (holds.propose(found, policy, at(day)) is None) == kept_away


def _changed_account(**changes):
    found = warned_case()
    for name, value in changes.items():
        setattr(found.account, name, value)
    return found


def test_auto_hold_orders_in_the_policys_name() -> None:
    day = date(2026, 3, 25)
    found = warned_case()
    _, facts = holds.propose(found, rules(day, holds=hold_policy(auto_hold=True)), at(day))
    assert [fact.TYPE for fact in facts] == ["hold.proposed", "hold.ordered"]
    assert facts[1].approved_by == "policy:holds@1"


def test_the_worklist_ranks_value_at_risk_in_base_currency() -> None:
    dollars = rules(rate=lambda pair: {"EUR/USD": "1.25"}.get(pair))
    found = case()
    found.add(item("A", 45, 125_000, currency="USD"))
    row = worklist.build(found, dollars)
    assert (row.overdue_minor, row.chance_permille, row.score_minor) == (100_000, 350, 35_000)


def test_money_ranks_before_the_matter_and_a_promise_broken_today_before_all() -> None:
    rich, poor, broken = case(), case(), case()
    rich.add(item("A", 45, 900_000, level=1))
    poor.add(item("B", 45, 1_000, level=1))
    poor.add(candidate(1_000))
    broken.add(item("C", 45, 500, level=1))
    broken.add(promise("p", 500, DAY - timedelta(days=1), DAY, status="broken", status_on=DAY))
    rows = {name: worklist.build(found, rules()) for name, found in (("r", rich), ("p", poor), ("b", broken))}
    assert [rows[name].cause for name in "rpb"] == ["overdue", "candidate_cash", "promise_broken"]
    assert sorted(rows, key=lambda name: (rows[name].priority, -rows[name].score_minor)) == ["b", "r", "p"]


def test_an_account_with_nothing_to_do_is_not_listed() -> None:
    found = case()
    found.add(item("A", -10))
    assert worklist.build(found, rules()) is None
