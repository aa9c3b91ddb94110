"""The scorer of the sample: what counts as right, right in part, wrong, held back; and what the verdict hangs on.

Events are made by hand; amounts are in minor units of one currency.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from deploy.local.endings import endings
from deploy.local.scoring import (
    BY_MISTAKE,
    BY_PERSON,
    HELD_BACK,
    IN_PART,
    NEVER_RECEIVED,
    RIGHT,
    SUGGESTED_OTHER,
    SUGGESTED_RIGHT,
    WRONG,
    Items,
    Score,
    judge,
)
from deploy.local.summary import failures, hold_figures
from deploy.local.truth import place_key, truths
from shared.events.codec import Event
from shared.events.collections import HoldLifted, HoldOrdered, HoldRenewed, HoldState
from shared.events.facts import Fact
from shared.events.ledger import (
    Application,
    DeductionRaised,
    ItemOpened,
    ItemSettled,
    PaymentApplied,
    PaymentSuggested,
    PaymentUnapplied,
    Relief,
    SuggestedItem,
    SuggestionWithdrawn,
)
from shared.events.notifications import EffectConfirmed
from shared.events.payments import PaymentReceived, PaymentReferences
from shared.ids import derive, document_id, item_id
from tests.builders import event

COMPANY, SYSTEM, DAY = "c", "erp", date(2026, 1, 5)
FAMILY = {"A": "invoice", "B": "invoice", "X": "invoice", "M": "credit_memo"}
PAYMENT = derive("payment", COMPANY, "p1")
GOOD_AUDIT = {"passed": True, "wrongful_notices": 0}


def item(source_id: str, line: str = "001") -> UUID:
    return item_id(document_id(COMPANY, SYSTEM, FAMILY[source_id], source_id), line)


def paid(
    source_id: str, cash: int, *, line: str = "001", discount: int = 0, kept: int = 0, fee: int = 0
) -> dict[str, Any]:
    figures = {"cash_minor": cash, "discount_minor": discount, "deduction_minor": kept, "fee_minor": fee}
    return {"source_document_id": source_id, "line": line, **figures}


def payment_truth(
    amount: int,
    parts: list[dict[str, Any]],
    named: list[tuple[str, int | None]] | None = None,
    *,
    ref: str = "P1",
    mistaken: bool = False,
    repeats: str | None = None,
) -> dict[str, Any]:
    documents = [{"source_document_id": source_id, "amount_minor": minor} for source_id, minor in named or []]
    return {
        "ref": ref,
        "bank_account": "EUR-1",
        "entry_reference": ref,
        "detail_index": 1,
        "currency": "EUR",
        "amount_minor": amount,
        "paid": parts,
        "designation": {"documents": documents, "mistaken": mistaken} if named else None,
        "repeats": repeats,
    }


def log(*facts: Fact) -> list[Event]:
    made = [event(fact) for fact in facts]
    return [one._replace(envelope=one.envelope.with_sequence(number)) for number, one in enumerate(made, start=1)]


def state_of_item(source_id: str, line: str) -> dict[str, Any]:
    document = document_id(COMPANY, SYSTEM, FAMILY[source_id], source_id)
    credit = source_id == "M"
    return {
        "company": COMPANY,
        "item_id": item_id(document, line),
        "document_id": document,
        "line": line,
        "number": source_id,
        "kind": "credit_memo" if credit else "invoice",
        "side": "credit" if credit else "debit",
        "account_id": "acct",
        "version": 1,
        "currency": "EUR",
        "original_minor": 100_000,
        "remaining_minor": 100_000,
        "document_on": DAY,
        "due_on": DAY,
    }


def opened() -> list[Fact]:
    return [ItemOpened(**state_of_item(source_id, line)) for source_id in FAMILY for line in ("001", "002")]


def received(amount: int) -> PaymentReceived:
    return PaymentReceived(
        company=COMPANY,
        payment_id=PAYMENT,
        bank_account="EUR-1",
        document_on=DAY,
        valued_on=DAY,
        accounted_on=DAY,
        amount_minor=amount,
        currency="EUR",
        references=PaymentReferences(bank="P1"),
    )


def state_of_payment(version: int) -> dict[str, Any]:
    return {
        "company": COMPANY,
        "payment_id": PAYMENT,
        "payment_version": version,
        "bank_account": "EUR-1",
        "currency": "EUR",
        "amount_minor": 1,
    }


def put(target: UUID, cash: int, **relief: int) -> Application:
    return Application(item_id=target, cash_minor=cash, **relief)


def applied(
    *parts: Application, version: int = 1, posting: str = "a", account: str = "acct", automatic: bool = True
) -> PaymentApplied:
    return PaymentApplied(
        **state_of_payment(version),
        posting_id=derive("posting", posting),
        account_id=account,
        applications=list(parts),
        left_minor=0,
        rule="own_reference" if automatic else "manual",
        automatic=automatic,
    )


def unapplied(reason_code: str, *, version: int = 2, posting: str = "a", by: str = "undo") -> PaymentUnapplied:
    return PaymentUnapplied(
        **state_of_payment(version),
        posting_id=derive("posting", by),
        reverses_posting_id=derive("posting", posting),
        account_id="acct",
        reason_code=reason_code,
    )


def suggested(*found: tuple[UUID, int], rank: int = 1, account: str = "acct") -> PaymentSuggested:
    return PaymentSuggested(
        company=COMPANY,
        payment_id=PAYMENT,
        account_id=account,
        amount_minor=1,
        currency="EUR",
        items=[SuggestedItem(item_id=target, amount_minor=minor) for target, minor in found],
        rank=rank,
    )


def withdrawn(rank: int = 1, account: str = "acct") -> SuggestionWithdrawn:
    return SuggestionWithdrawn(company=COMPANY, payment_id=PAYMENT, account_id=account, rank=rank)


def scored(amount: int, truth: dict[str, Any] | list[dict[str, Any]] | None, *facts: Fact) -> Score:
    """Score of the one payment whose truth is the last given."""
    given = [] if truth is None else truth if isinstance(truth, list) else [truth]
    known = truths(COMPANY, given, {source_id: (SYSTEM, family) for source_id, family in FAMILY.items()})
    events = log(*opened(), received(amount), *facts)
    score = Score()
    own = known.get(place_key("EUR-1", given[-1]["ref"], 1)) if given else None
    judge(endings(events)[PAYMENT], own, Items.of(events), score, Decimal(1))
    return score


def ending(score: Score) -> str:
    assert score.payments == 1
    return next(iter(score.count))


A_AND_B = [paid("A", 600), paid("B", 400)]
BOTH_NAMED: list[tuple[str, int | None]] = [("A", None), ("B", None)]
NETTED = [paid("A", 1_500), paid("M", -500)]

CASES: dict[str, tuple[int, dict[str, Any], list[Application], str]] = {
    "the one named document, whole": (
        1_000, payment_truth(1_000, [paid("A", 1_000)], [("A", None)]), [put(item("A"), 1_000)], RIGHT,
    ),
    "one cent of it": (1_000, payment_truth(1_000, [paid("A", 1_000)], [("A", None)]), [put(item("A"), 1)], IN_PART),
    "one cent too much": (
        1_001, payment_truth(1_001, [paid("A", 1_000)], [("A", None)]), [put(item("A"), 1_001)], WRONG,
    ),
    "another document than named": (
        1_000, payment_truth(1_000, [paid("A", 1_000)], [("A", None)]), [put(item("B"), 1_000)], WRONG,
    ),
    "another document beside the named one, without any cash": (
        1_000,
        payment_truth(1_000, [paid("A", 1_000)], [("A", None)]),
        [put(item("A"), 1_000), put(item("B"), 0, small_difference_minor=3)],
        WRONG,
    ),
    "an item that nobody opened": (
        1_000, payment_truth(1_000, [paid("A", 1_000)], [("A", None)]), [put(derive("item", "?"), 1_000)], WRONG,
    ),
    "another instalment of the named document": (
        1_000, payment_truth(1_000, [paid("A", 1_000)], [("A", None)]), [put(item("A", "002"), 1_000)], RIGHT,
    ),
    "the truth where nothing was named": (1_000, payment_truth(1_000, A_AND_B), [put(item("A"), 600)], IN_PART),
    "another instalment than paid where nothing was named": (
        600, payment_truth(600, [paid("A", 600)]), [put(item("A", "002"), 600)], WRONG,
    ),
    "several named without amounts, the sum right but not its parts": (
        1_000, payment_truth(1_000, A_AND_B, BOTH_NAMED), [put(item("A"), 1_000)], WRONG,
    ),
    "several named without amounts, each as it was paid": (
        1_000, payment_truth(1_000, A_AND_B, BOTH_NAMED), [put(item("A"), 600), put(item("B"), 400)], RIGHT,
    ),
    "more than the named amount": (
        1_000, payment_truth(1_000, A_AND_B, [("A", 600), ("B", 400)]), [put(item("A"), 601)], WRONG,
    ),
    "a document named twice, for two instalments": (
        1_000,
        payment_truth(1_000, [paid("A", 600), paid("A", 400, line="002")], [("A", 600), ("A", 400)]),
        [put(item("A"), 1_000)],
        RIGHT,
    ),
    "surplus left unapplied": (
        1_500, payment_truth(1_500, [paid("A", 1_000)], [("A", None)]), [put(item("A"), 1_000)], RIGHT,
    ),
    "deduction left open": (
        900, payment_truth(900, [paid("A", 900, kept=100)], [("A", None)]), [put(item("A"), 900)], RIGHT,
    ),
    "deduction granted as a discount": (
        900,
        payment_truth(900, [paid("A", 900, kept=100)], [("A", None)]),
        [put(item("A"), 900, discount_minor=100)],
        WRONG,
    ),
    "deduction given away as a small difference": (
        900,
        payment_truth(900, [paid("A", 900, kept=100)], [("A", None)]),
        [put(item("A"), 900, small_difference_minor=100)],
        WRONG,
    ),
    "deduction given away where nothing was named": (
        900, payment_truth(900, [paid("A", 900, kept=100)]), [put(item("A"), 900, small_difference_minor=100)], WRONG,
    ),
    "a small difference where nothing was kept back": (
        998,
        payment_truth(998, [paid("A", 998)], [("A", None)]),
        [put(item("A"), 998, small_difference_minor=2)],
        RIGHT,
    ),
    "the named document, the one paid beside it held back": (
        1_000, payment_truth(1_000, A_AND_B, [("A", None)]), [put(item("A"), 600)], IN_PART,
    ),
    "earned discount granted beside the named amount": (
        980,
        payment_truth(980, [paid("A", 980, discount=20)], [("A", 980)]),
        [put(item("A"), 980, discount_minor=20)],
        RIGHT,
    ),
    "earned discount not granted": (
        980, payment_truth(980, [paid("A", 980, discount=20)], [("A", 980)]), [put(item("A"), 980)], IN_PART,
    ),
    "fee on another of the settled documents": (
        990,
        payment_truth(990, [paid("A", 590, fee=10), paid("B", 400)], BOTH_NAMED),
        [put(item("A"), 600), put(item("B"), 390, bank_charge_minor=10)],
        RIGHT,
    ),
    "credit memo netted": (
        1_000, payment_truth(1_000, NETTED, [("A", 1_500), ("M", -500)]), [put(item("A"), 1_500), put(item("M"), 500)],
        RIGHT,
    ),
    "money put on the credit memo": (
        1_000, payment_truth(1_000, NETTED, [("A", 1_500), ("M", -500)]), [put(item("A"), 1_500), put(item("M"), -500)],
        WRONG,
    ),
    "money taken out of an invoice": (
        1_000, payment_truth(1_000, [paid("A", 1_000)], [("A", None)]), [put(item("A"), -1_000)], WRONG,
    ),
    "wrong signs that add up on the document": (
        1_000,
        payment_truth(1_000, [paid("A", 1_000)], [("A", None)]),
        [put(item("A"), 1_500), put(item("A", "002"), -500)],
        WRONG,
    ),
    "a credit memo named as if it had been paid": (
        1_000, payment_truth(1_000, [paid("A", 1_000)], [("A", None), ("M", 500)]), [put(item("M"), 500)], WRONG,
    ),
    "a named document that this payment did not pay": (
        1_000, payment_truth(1_000, [paid("A", 1_000)], BOTH_NAMED), [put(item("B"), 1)], WRONG,
    ),
    "somebody else's document, named by mistake": (
        1_000, payment_truth(1_000, [paid("A", 1_000)], [("X", None)], mistaken=True), [put(item("X"), 1_000)],
        BY_MISTAKE,
    ),
    "a third document, another one named by mistake": (
        1_000, payment_truth(1_000, [paid("A", 1_000)], [("X", None)], mistaken=True), [put(item("B"), 1_000)], WRONG,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_automatic_posting_is_held_against_designation_or_truth(name: str) -> None:
    amount, truth, parts, expected = CASES[name]
    assert ending(scored(amount, truth, applied(*parts))) == expected


def test_the_second_of_two_equal_payments_may_go_where_the_first_belonged_and_no_further() -> None:
    first = payment_truth(1_000, [paid("A", 1_000)], [("A", None)], ref="P0")
    second = payment_truth(1_500, [], [("A", None)], repeats="P0")
    assert ending(scored(1_500, [first, second], applied(put(item("A"), 1_000)))) == RIGHT
    assert ending(scored(1_500, [first, second], applied(put(item("A"), 1_500)))) == WRONG
    assert ending(scored(1_500, second | {"repeats": None}, applied(put(item("A"), 1)))) == WRONG


def test_value_is_what_was_applied_and_the_rest_is_told_apart() -> None:
    score = scored(1_000, payment_truth(1_000, [paid("A", 1_000)], [("A", None)]), applied(put(item("A"), 1)))
    assert (score.value[IN_PART], score.left, score.worth) == (1, 999, 1_000)
    netted = scored(1_000, payment_truth(1_000, NETTED), applied(put(item("A"), 700), put(item("M"), 200)))
    assert (netted.value[IN_PART], netted.left) == (500, 500)


def test_an_automatic_posting_without_a_truth_is_wrong_and_a_held_payment_without_one_is_counted() -> None:
    posted = scored(1_000, None, applied(put(item("A"), 1_000)))
    assert (ending(posted), posted.missing, posted.wrong) == (WRONG, 1, ["no truth by own_reference"])
    assert ending(scored(1_000, None)) == HELD_BACK


ONE = payment_truth(1_000, [paid("A", 1_000)], [("A", None)])


def test_what_a_person_takes_back_as_misapplied_stays_wrong_even_when_repaired() -> None:
    posting, undo = applied(put(item("A"), 1_000)), unapplied("MISAPPLIED")
    assert ending(scored(1_000, ONE, posting, undo)) == WRONG
    by_hand = applied(put(item("A"), 1_000), version=3, posting="b", automatic=False)
    repaired = scored(1_000, ONE, posting, undo, by_hand)
    assert (ending(repaired), repaired.value[WRONG]) == (WRONG, 1_000)


def test_a_persons_own_mistake_is_no_wrong_of_the_machine() -> None:
    by_hand = applied(put(item("B"), 1_000), automatic=False)
    assert ending(scored(1_000, ONE, by_hand)) == BY_PERSON
    assert ending(scored(1_000, ONE, by_hand, unapplied("MISAPPLIED"))) == HELD_BACK


def test_what_is_taken_back_for_another_reason_no_longer_counts_unless_it_was_wrong() -> None:
    undo = unapplied("CUSTOMER_REQUEST")
    assert ending(scored(1_000, ONE, applied(put(item("A"), 1_000)), undo)) == HELD_BACK
    assert ending(scored(1_000, ONE, applied(put(item("B"), 1_000)), undo)) == WRONG


def test_a_cancelled_document_takes_only_its_own_part_of_an_entry() -> None:
    truth = payment_truth(1_000, A_AND_B, BOTH_NAMED)
    cancelled = ItemSettled(**state_of_item("B", "001") | {"relief": Relief(cancelled=400)})
    posting = applied(put(item("A"), 600), put(item("B"), 400))
    score = scored(1_000, truth, posting, cancelled, unapplied("DOCUMENT_CANCELLED"))
    assert (ending(score), score.value[IN_PART]) == (IN_PART, 600)


def test_an_entry_over_two_accounts_is_judged_whole() -> None:
    truth = payment_truth(1_000, A_AND_B, BOTH_NAMED)
    one, other = applied(put(item("A"), 600)), applied(put(item("B"), 400), version=2, account="other")
    assert ending(scored(1_000, truth, one, other)) == RIGHT
    astray = applied(put(item("X"), 400), account="other")
    assert ending(scored(1_000, truth, astray, applied(put(item("A"), 600), version=2))) == WRONG


def test_a_return_takes_nothing_from_the_decision_nor_counts_what_stays_twice() -> None:
    posting, undo = applied(put(item("A"), 1_000)), unapplied("RETURNED", by="return")
    score = scored(1_000, ONE, posting, undo, applied(put(item("A"), 400), version=3, posting="return"))
    assert (ending(score), score.returned, score.value[RIGHT]) == (RIGHT, 1, 1_000)


def test_a_deduction_item_stands_for_the_item_that_it_came_from() -> None:
    split = derive("deduction", "d")
    raised = DeductionRaised(
        company=COMPANY, item_id=split, from_item_id=item("A"), account_id="acct", amount_minor=100, currency="EUR",
        reason_code="?",
    )  # fmt: skip
    assert ending(scored(100, payment_truth(100, [paid("A", 100)]), raised, applied(put(split, 100)))) == RIGHT


def test_a_payment_with_an_automatic_part_counts_by_that_part() -> None:
    truth = payment_truth(1_000, A_AND_B, BOTH_NAMED)
    facts = (applied(put(item("A"), 600)), suggested((item("B"), 400)))
    assert ending(scored(1_000, truth, *facts)) == IN_PART


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([suggested((item("A"), 1_000))], SUGGESTED_RIGHT),
        ([suggested((item("B"), 1_000))], SUGGESTED_OTHER),
        ([suggested((item("A"), 1_001))], SUGGESTED_OTHER),
        ([suggested((item("A"), 1_000), rank=2)], SUGGESTED_OTHER),
        ([suggested((item("A"), 1_000)), withdrawn()], HELD_BACK),
        ([suggested((item("A"), 1_000)), withdrawn(), suggested((item("A"), 1_000))], SUGGESTED_RIGHT),
        ([suggested((item("B"), 1_000)), suggested((item("A"), 1_000), account="new"), withdrawn()], SUGGESTED_RIGHT),
    ],
)
def test_suggestions_count_as_they_stand_at_the_end(facts: list[Fact], expected: str) -> None:
    assert ending(scored(1_000, ONE, *facts)) == expected


NAMES = {"right": RIGHT, "part": IN_PART, "mistake": BY_MISTAKE, "held": HELD_BACK, "wrong": WRONG}


def of_endings(**counts: int) -> Score:
    score = Score()
    for name, count in counts.items():
        for _ in range(count):
            score.add(NAMES[name], 10)
    return score


def test_shares_leave_out_what_was_named_by_mistake_and_count_what_never_came() -> None:
    score = of_endings(right=4, part=2, mistake=2, held=1)
    score.add(NEVER_RECEIVED, 10)
    assert score.share(RIGHT, IN_PART) == (Decimal("0.6"), Decimal("0.6"))
    assert score.share(RIGHT) == (Decimal("0.4"), Decimal("0.4"))


@pytest.mark.parametrize(
    ("score", "audit", "count"),
    [
        (of_endings(right=100, part=20, held=80), GOOD_AUDIT, 0),
        (of_endings(right=100, part=19, held=81), GOOD_AUDIT, 1),
        (of_endings(right=100, mistake=20, held=80), GOOD_AUDIT, 1),
        (of_endings(right=1, held=198), GOOD_AUDIT, 0),
        (of_endings(right=300, wrong=1), GOOD_AUDIT, 1),
        (of_endings(right=300), GOOD_AUDIT | {"wrongful_notices": 1}, 1),
        (of_endings(right=300), {"passed": True}, 1),
        (of_endings(right=300), GOOD_AUDIT | {"passed": False}, 1),
    ],
)
def test_the_verdict_hangs_on_wrong_wrongful_audit_and_share(score: Score, audit: dict[str, Any], count: int) -> None:
    assert len(failures(score, audit)) == count


def test_lost_payments_and_totals_that_differ_fail_the_verdict() -> None:
    score = of_endings(right=300)
    assert failures(score, GOOD_AUDIT) == []
    assert failures(score, GOOD_AUDIT, 2) == ["2 control totals differ from the reports"]
    score.add(NEVER_RECEIVED, 10)
    score.missing += 1
    assert failures(score, GOOD_AUDIT) == [
        "1 payments of the sample never came",
        "1 payments of the sample have no truth",
    ]


def hold(model: type[HoldState], name: str, version: int) -> HoldState:
    return model(
        company=COMPANY, hold_id=derive("hold", name), version=version, account_id="acct", grade="restrict",
        cause="overdue", policy="p@1", from_at=datetime(2026, 1, 5, tzinfo=UTC), lease_s=60,
    )  # fmt: skip


def confirmed(name: str, version: int, state: str) -> EffectConfirmed:
    return EffectConfirmed(
        company=COMPANY, effect_id=derive("effect", name, version), of="hold", subject_id=derive("hold", name),
        account_id="acct", version=version, target="access_system", attempts=1, state=state,
    )  # fmt: skip


def holds(facts: Iterable[Fact]) -> tuple[int, int, int]:
    figures = hold_figures(log(*facts))
    return figures["ordered"], figures["in force now"], figures["lifted"]


def test_a_hold_is_in_force_when_its_order_was_confirmed_and_not_lifted_since() -> None:
    order, lift = hold(HoldOrdered, "h", 1), hold(HoldLifted, "h", 2)
    assert holds([order]) == (1, 0, 0)
    assert holds([order, confirmed("h", 1, "ordered")]) == (1, 1, 0)
    assert holds([confirmed("h", 2, "renewed"), hold(HoldRenewed, "h", 2), order]) == (1, 1, 0)
    assert holds([lift, order, confirmed("h", 1, "ordered")]) == (1, 0, 1)
    assert holds([order, lift, confirmed("h", 2, "lifted")]) == (1, 0, 1)
    assert holds([order, confirmed("h", 2, "lifted")]) == (1, 0, 0)
    assert holds([order, lift, hold(HoldOrdered, "h", 3), confirmed("h", 1, "ordered")]) == (1, 0, 1)
