"""Facts become copies: the highest version of a batch stays, covers live and end with their process."""

from datetime import UTC, date, datetime

from services.notifications.domain.copies import copy_fact
from services.notifications.domain.rows import Rows
from shared.events.accounts import AccountRegistered, AccountUpdated
from shared.events.collections import (
    DisputeOpened,
    DisputeResolved,
    PlanAgreed,
    PlanDefaulted,
    PlanInstalment,
    PromiseBroken,
    PromiseMade,
)
from shared.events.ledger import CashCandidate, CashCandidateCleared, CashChanged, ItemChanged, ItemOpened, ItemSettled
from shared.ids import derive

DAY = date(2026, 1, 19)


def noted(*facts) -> Rows:
    rows = Rows()
    for fact in facts:
        copy_fact(rows, fact, DAY)
    return rows


def item(kind, version: int, remaining: int):
    return kind(
        company="acme", item_id=derive("i"), document_id=derive("d"), line="001", number="R-1", kind="invoice",
        side="debit", account_id="A", version=version, currency="EUR", original_minor=100, remaining_minor=remaining,
        document_on=DAY, due_on=DAY,
    )  # fmt: skip


def candidate(kind, **changes):
    facts = {"company": "acme", "candidate_id": derive("c"), "account_id": "A"} | changes
    return kind(**facts)


def test_the_highest_version_of_an_item_stays_in_whatever_order() -> None:
    facts = [item(ItemSettled, 3, 0), item(ItemOpened, 1, 100), item(ItemChanged, 2, 50)]
    (kept,) = noted(*facts).items.values()
    assert (kept.version, kept.remaining_minor) == (3, 0)


def test_the_highest_version_of_a_balance_stays() -> None:
    def balance(version: int) -> CashChanged:
        return CashChanged(
            company="acme", account_id="A", currency="EUR", version=version, unapplied_minor=version, on_account_minor=0
        )

    (kept,) = noted(balance(2), balance(1)).balances.values()
    assert kept.version == 2


def test_the_last_word_on_an_account_stays() -> None:
    first = AccountRegistered(company="acme", account_id="A", name="Old", country="DE", currency="EUR")
    second = AccountUpdated(company="acme", account_id="A", name="New", country="DE", currency="EUR")
    (kept,) = noted(first, second).accounts.values()
    assert kept.name == "New"


def test_a_candidate_stands_until_it_is_cleared_and_may_come_back() -> None:
    stands = candidate(CashCandidate, amount_minor=5, currency="EUR", source="held")
    cleared = candidate(CashCandidateCleared)
    rows = noted(stands)
    assert [(c.live, c.since_on) for c in rows.candidates.values()] == [(True, DAY)]
    assert [c.live for c in noted(stands, cleared).candidates.values()] == [False]
    assert [c.live for c in noted(cleared, stands).candidates.values()] == [True]
    assert noted(cleared, stands).cleared == set()
    assert noted(cleared).cleared == {("acme", derive("c"), "A")}


def test_clearing_for_one_account_leaves_the_candidate_of_another() -> None:
    moved = candidate(CashCandidate, account_id="B", amount_minor=5, currency="EUR", source="held", since_on=DAY)
    assert [c.live for c in noted(moved, candidate(CashCandidateCleared)).candidates.values()] == [True]


def promise(kind, version: int):
    return kind(
        company="acme", promise_id=derive("p"), version=version, account_id="A", amount_minor=5, currency="EUR",
        taken_at=datetime(2026, 1, 19, tzinfo=UTC), taken_on=DAY, due_on=DAY, grace_days=3, items=[derive("i")],
    )  # fmt: skip


def test_a_promise_covers_until_it_is_judged() -> None:
    (cover,) = noted(promise(PromiseMade, 1)).covers.values()
    assert (cover.live, cover.items) == (True, (derive("i"),))
    assert [c.live for c in noted(promise(PromiseMade, 1), promise(PromiseBroken, 2)).covers.values()] == [False]
    assert [c.live for c in noted(promise(PromiseBroken, 2), promise(PromiseMade, 1)).covers.values()] == [False]


def test_a_plan_covers_while_it_is_agreed() -> None:
    def plan(kind):
        instalments = [PlanInstalment(due_on=DAY, amount_minor=5)]
        return kind(company="acme", plan_id=derive("pl"), account_id="A", currency="EUR", instalments=instalments)

    assert [c.live for c in noted(plan(PlanAgreed)).covers.values()] == [True]
    assert [c.live for c in noted(plan(PlanAgreed), plan(PlanDefaulted)).covers.values()] == [False]


def test_a_dispute_covers_its_part_while_it_is_open() -> None:
    def dispute(kind, version: int, status: str):
        return kind(
            company="acme", dispute_id=derive("x"), version=version, account_id="A", item_id=derive("i"),
            disputed_minor=30, currency="EUR", reason_code="quality", opened_on=DAY, status=status,
        )  # fmt: skip

    (cover,) = noted(dispute(DisputeOpened, 1, "open")).covers.values()
    assert (cover.live, cover.disputed_minor) == (True, 30)
    (cover,) = noted(dispute(DisputeOpened, 1, "open"), dispute(DisputeResolved, 2, "resolved")).covers.values()
    assert (cover.live, cover.disputed_minor) == (False, 0)
