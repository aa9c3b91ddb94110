"""Dunning: never what is disputed, promised, covered or not overdue; never twice while an answer is missing."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.collections.domain import dunning
from services.collections.domain.case import Case
from services.collections.domain.rows import Dispute, Item
from shared.events.collections import NoticeRequested
from shared.ids import derive
from tests.domain.collections.cases import DAY, case, cash, contact, dunning_policy, item, promise, rules

items = st.builds(
    lambda days, amount, level, currency, kind: (days, amount, level, currency, kind),
    st.integers(-20, 90),
    st.integers(1, 500_000),
    st.integers(0, 3),
    st.sampled_from(["EUR", "USD"]),
    st.sampled_from(["invoice", "debit_memo", "deduction", "charge"]),
)


def dispute(of: Item, amount: int, **changes) -> Dispute:
    values = {"status": "open", "outcome": ""}
    return Dispute(
        "acme", "C-1", derive("dispute", of.item_id, amount), 1, of.item_id, amount, of.currency, "price", "",
        "billing", DAY, DAY + timedelta(days=15), "user:ana", **values | changes,
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    found = case()
    for number, (days, amount, level, currency, kind) in enumerate(draw(st.lists(items, max_size=8))):
        row = item(f"I{number}", days, amount, level=level, currency=currency, kind=kind)
        found.add(row)
        share = draw(st.sampled_from([0, 0, amount // 2, amount]))
        if share:
            found.add(dispute(row, share))
    for currency in ("EUR", "USD"):
        if money := draw(st.sampled_from([0, 0, 0, 30_000, 400_000])):
            found.add(cash(money, currency=currency))
    promised = draw(st.sets(st.sampled_from(sorted(found.items, key=str)))) if found.items else set()
    if promised:
        covered = [str(item_id) for item_id in sorted(promised, key=str)]
        found.add(promise("p", 1_000, DAY + timedelta(days=5), DAY + timedelta(days=8), items=covered, scope="items"))
    return found


@given(cases())
def test_only_what_may_be_asked_for_is_asked_for(found: Case) -> None:
    decided = dunning.decide(found, rules())
    if not isinstance(decided, NoticeRequested):
        return
    promised = found.promised_items()
    by_currency: dict[str, int] = {}
    for named in decided.items:
        row = found.items[named.item_id]
        assert row.due_on < DAY
        assert named.days_past_due >= rules().dunning.levels[0].days_past_due
        assert row.item_id not in promised
        assert row.kind != "deduction"
        assert found.disputed_minor(row, DAY) < row.remaining_minor
        assert named.disputed_minor == found.disputed_minor(row, DAY)
        assert (named.version, named.remaining_minor) == (row.version, row.remaining_minor)
        assert row.level <= decided.level
        by_currency[row.currency] = by_currency.get(row.currency, 0) + row.remaining_minor - named.disputed_minor
    assert {total.currency: total.amount_minor for total in decided.totals} == by_currency
    for currency, amount in by_currency.items():
        assert amount >= rules().dunning.minimum_minor[currency]
    _money_is_laid_on_older_claims(found, decided)


def _money_is_laid_on_older_claims(found: Case, decided: NoticeRequested) -> None:
    """Independent of the code: the undisputed parts up to and including a named item exceed the money by all of it."""
    named = {n.item_id for n in decided.items}
    for currency in ("EUR", "USD"):
        money = found.credit_minor(currency)
        older = 0
        for row in found.open_debits():
            if row.currency != currency:
                continue
            if row.item_id in named:
                assert older >= money, "an item that the money would reach was asked for"
            older += row.remaining_minor - found.disputed_minor(row, DAY)


@given(cases())
def test_a_level_rises_by_one_step_at_a_time(found: Case) -> None:
    decided = dunning.decide(found, rules())
    if isinstance(decided, NoticeRequested):
        levels = [found.items[named.item_id].level for named in decided.items]
        assert decided.level - 1 in levels
        assert all(level <= decided.level for level in levels)


@given(cases(), st.lists(st.sampled_from(["sent", "withheld", "failed", "none"]), min_size=10, max_size=40))
def test_never_two_requests_wait_at_once_and_spacing_holds(found: Case, answers: list[str]) -> None:
    on = DAY
    left_on: list[date] = []
    waiting = None
    for answer in answers:
        if waiting and answer != "none":
            row = found.notices[waiting]
            left = on if answer == "sent" else None
            found.put(replace(row, status=answer, answered_on=on, left_on=left))
            left_on += [on] if left else []
            waiting = None
        decided = dunning.decide(found, rules(on))
        if isinstance(decided, NoticeRequested):
            assert waiting is None
            assert not left_on or (on - left_on[-1]).days >= 7
            assert all(n.answered_on is not None and n.answered_on < on for n in found.notices.values())
            found.put(dunning.row_of(decided))
            waiting = decided.notice_id
        on += timedelta(days=1)


def test_an_answer_of_the_day_itself_does_not_count_yet() -> None:
    at_once = rules(dunning=dunning_policy(spacing_days=0, again_after_withheld_days=0))
    found = case()
    found.add(item("A", 30))
    asked = dunning.decide(found, at_once)
    row = dunning.row_of(asked)
    for status in ("sent", "withheld", "failed"):
        found.put(replace(row, status=status, answered_on=DAY, left_on=DAY if status == "sent" else None))
        assert dunning.decide(found, at_once) == "pending"
        tomorrow = rules(DAY + timedelta(days=1), dunning=at_once.dunning)
        assert isinstance(dunning.decide(found, tomorrow), NoticeRequested)


def test_a_debtor_who_is_a_person_is_never_written_to_by_rule() -> None:
    for kind in ("natural_person", "unknown", "sole_trader", "employee"):
        found = case(debtor_kind=kind)
        found.add(item("A", 30))
        assert dunning.decide(found, rules()) == "by_a_person"
    restricted = case(confidentiality="restricted")
    restricted.add(item("A", 30))
    assert dunning.decide(restricted, rules()) == "by_a_person"


def test_without_an_activated_policy_nothing_is_asked_for() -> None:
    found = case()
    found.add(item("A", 30))
    assert dunning.decide(found, rules(dunning=None)) == "no_policy"


def test_the_days_of_a_level_are_inclusive() -> None:
    for days, quiet in ((3, True), (4, False)):
        found = case()
        found.add(item("A", days))
        assert (dunning.decide(found, rules()) == "nothing_due") == quiet


def test_the_payer_is_written_to_first_and_roles_left_out_never() -> None:
    found = case()
    found.add(item("A", 5))
    found.add(contact("a-exec", roles=["executive"]))
    assert dunning.decide(found, rules()).contact_id == "k1"
    found.add(contact("k1", valid=False))
    assert dunning.decide(found, rules()).contact_id == "a-exec"
    found.add(contact("a-exec", invalid_channels=["email"]))
    found.add(contact("t", roles=["technical"]))
    assert dunning.decide(found, rules()) == "no_contact"


def test_the_window_opens_on_the_next_business_day_of_the_company_in_the_debtors_zone() -> None:
    good_friday_eve = date(2026, 4, 2)
    found = case(time_zone="America/New_York")
    found.add(item("A", 5, on=good_friday_eve))
    decided = dunning.decide(found, rules(good_friday_eve))
    assert decided.not_before_at.isoformat() == "2026-04-07T13:00:00+00:00", "after Easter Monday, 09:00 in New York"
    assert decided.expires_at.isoformat() == "2026-04-10T21:00:00+00:00"


def test_the_highest_level_takes_the_others_along() -> None:
    found = case()
    for row in (item("A", 20, level=1), item("B", 5)):
        found.add(row)
    decided = dunning.decide(found, rules())
    assert (decided.level, sorted(named.number for named in decided.items)) == (2, ["A", "B"])


def test_an_item_at_its_last_level_is_not_repeated_in_a_friendly_reminder() -> None:
    found = case()
    for row in (item("A", 60, level=3), item("B", 5)):
        found.add(row)
    decided = dunning.decide(found, rules())
    assert (decided.level, [named.number for named in decided.items]) == (1, ["B"])


def test_facts_of_a_later_day_wait_for_their_own_run() -> None:
    found = case()
    found.add(item("A", 30, changed_on=DAY + timedelta(days=1)))
    assert dunning.decide(found, rules()) == "nothing_due"
