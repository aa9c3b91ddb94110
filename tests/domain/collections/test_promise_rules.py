"""The lifecycle of promises: a machine that walks the table of states, and the rules one by one."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.collections.domain import promises
from services.collections.domain.promises import TRANSITIONS, advance, enough_minor, fact_of, judge
from shared.calendars import add_business_days
from shared.ids import derive
from tests.domain.collections.cases import DAY, case, instant, promise, receipt

DAYS = st.integers(0, 12)
AMOUNTS = st.integers(1, 1_000)


class PromiseMachine(RuleBasedStateMachine):
    """Promises are taken, money comes, is known late, goes back; days close with and without bank data."""

    def __init__(self) -> None:
        super().__init__()
        self.case = case()
        self.on = DAY
        self.complete: date | None = None
        self.before: dict = {}
        self.returned: set = set()
        self.number = 0

    @rule(amount=AMOUNTS, due=DAYS)
    def take(self, amount: int, due: int) -> None:
        self.number += 1
        due_on = self.on + timedelta(days=due)
        judged = add_business_days(due_on, 3, "XECB")
        taken = promise(f"p{self.number}", amount, due_on, judged, taken_on=self.on, taken_at=instant(self.on, 10))
        self.case.put(taken)
        self.before[taken.promise_id] = taken

    @rule(amount=AMOUNTS, back=st.integers(0, 5))
    def receive(self, amount: int, back: int) -> None:
        self.number += 1
        valued_on = self.on - timedelta(days=back)
        self.case.put(receipt(f"r{self.number}", amount, valued_on, since=instant(self.on, 12)))

    @precondition(lambda self: any(not r.returned for r in self.case.receipts.values()))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        standing = sorted((r for r in self.case.receipts.values() if not r.returned), key=lambda r: str(r.payment_id))
        chosen = data.draw(st.sampled_from(standing))
        self.case.put(replace(chosen, returned=True, amount_minor=0, payment_version=chosen.payment_version + 1))
        self.returned.add(chosen.payment_id)

    @precondition(lambda self: self.case.live_promises())
    @rule(status=st.sampled_from(["cancelled", "superseded"]))
    def end(self, status: str) -> None:
        ended = promises.end(self.case.live_promises()[0], status, self.on)
        self.case.put(ended)
        self.before[ended.promise_id] = ended

    @rule(complete=st.booleans())
    def close(self, complete: bool) -> None:
        if complete:
            self.complete = self.on
        facts = judge(self.case, self.on, self.complete)
        for fact in facts:
            self._follows_the_table(fact)
        for promise_id, now in self.case.promises.items():
            if promise_id not in {fact.promise_id for fact in facts}:
                assert now == self.before[promise_id], "a promise changed without saying so"
        assert judge(self.case, self.on, self.complete) == [], "judging twice says nothing twice"
        self.on += timedelta(days=1)

    def _follows_the_table(self, fact: promises.PromiseState) -> None:
        old, new = self.before[fact.promise_id], self.case.promises[fact.promise_id]
        assert new.status in TRANSITIONS[old.status] or (old.status, new.status) == ("kept", "kept")
        assert new.version == old.version + 1
        lost = any(promises.UUID(e["payment_id"]) in self.returned for e in old.received)
        if old.status == "kept":
            assert lost, "only the return of a counted receipt touches a kept promise"
        total = sum(e["amount_minor"] for e in new.received)
        assert (new.status == "kept") == (total >= enough_minor(new))
        if new.status in ("partly_kept", "broken") and old.status == "open":
            assert self.complete is not None
            assert min(self.complete, self.on) >= new.judged_from_on
            assert (new.status == "partly_kept") == (total > 0)
        assert new.corrected == (new.status == "kept" and old.status != "open")
        self.before[fact.promise_id] = new

    @invariant()
    def money_counts_once(self) -> None:
        counted: dict = {}
        for found in self.case.promises.values():
            assert sum(e["amount_minor"] for e in found.received) <= found.amount_minor
            for entry in found.received:
                counted[entry["payment_id"]] = counted.get(entry["payment_id"], 0) + entry["amount_minor"]
        for payment_id, amount in counted.items():
            row = self.case.receipts[promises.UUID(payment_id)]
            assert row.returned or amount <= row.amount_minor

    @invariant()
    def counted_money_was_valued_in_time(self) -> None:
        for found in self.case.promises.values():
            for entry in found.received:
                valued_on = date.fromisoformat(entry["valued_on"])
                assert found.taken_on <= valued_on <= found.judged_from_on


TestPromiseMachine = PromiseMachine.TestCase


@given(amount=st.integers(1, 10**9), got=st.integers(0, 10**9))
def test_a_promise_is_kept_exactly_within_its_tolerance(amount: int, got: int) -> None:
    kept = enough_minor(promise("p", amount, DAY, DAY)) <= got
    assert kept == (got * 1000 >= amount * 995)


@pytest.mark.parametrize("status", sorted(TRANSITIONS))
def test_nothing_leaves_the_table(status: str) -> None:
    old = replace(promise("p", 100, DAY, DAY), status=status)
    for target in TRANSITIONS:
        allowed = target in TRANSITIONS[status] or target == status == "kept"
        if allowed:
            assert fact_of(promises._changed(old, target, [], DAY, corrected=False)).version == 2  # noqa: SLF001
        else:
            with pytest.raises(AssertionError):
                promises._changed(old, target, [], DAY, corrected=False)  # noqa: SLF001


def test_each_status_has_its_event() -> None:
    names = {status: fact_of(replace(promise("p", 1, DAY, DAY), status=status)).TYPE for status in TRANSITIONS}
    assert names == {status: "promise.made" if status == "open" else f"promise.{status}" for status in TRANSITIONS}


def test_a_kept_promise_is_topped_up_from_other_money_when_a_receipt_goes_back() -> None:
    found = case()
    found.put(promise("p", 100, DAY, DAY + timedelta(days=3)))
    found.put(receipt("a", 100, DAY, since=instant(DAY, 11)))
    assert [f.TYPE for f in judge(found, DAY, None)] == ["promise.kept"]
    found.put(receipt("a", 0, DAY, returned=True, payment_version=2))
    found.put(receipt("b", 100, DAY + timedelta(days=1)))
    (again,) = judge(found, DAY + timedelta(days=1), None)
    assert (again.TYPE, again.corrected, [r.payment_id for r in again.received]) == (
        "promise.kept",
        True,
        [derive("payment", "b")],
    )


def test_two_orders_of_the_same_money_give_the_same_outcome() -> None:
    first, second = receipt("x", 700, DAY + timedelta(days=1)), receipt("y", 500, DAY + timedelta(days=2))
    outcomes = []
    for order in ([first, second], [second, first]):
        found = case()
        found.put(promise("a", 500, DAY + timedelta(days=3), DAY + timedelta(days=6)))
        found.put(promise("b", 500, DAY + timedelta(days=5), DAY + timedelta(days=8)))
        for money in order:
            found.put(money)
        judge(found, DAY + timedelta(days=2), None)
        outcomes.append([(p.status, p.received) for p in sorted(found.promises.values(), key=lambda p: p.due_on)])
    assert outcomes[0] == outcomes[1]


def test_money_in_another_currency_does_not_count() -> None:
    other = receipt("a", 100, DAY, since=instant(DAY, 11), currency="USD")
    assert not promises.counts(other, promise("p", 100, DAY, DAY))


def test_an_unchanged_promise_is_the_same_object() -> None:
    waiting = promise("p", 100, DAY, DAY + timedelta(days=3))
    assert advance(waiting, [], judged=False, on=DAY) is waiting
