"""What open-source receivables systems assert, restated; where they are wrong, the answer that must hold here.

A reference that the peer compares for equality is our own reference with check digits; free text is text.
"""

from datetime import timedelta

import pytest

from services.cash_application.domain.matching.closing import closing_order
from services.cash_application.domain.matching.model import AccountView, Candidates, Outcome, Reason
from services.cash_application.domain.matching.payer import recognise
from services.cash_application.domain.matching.policy import Policy, Tolerance
from tests.domain.cash_application.matching.builders import (
    ACME_BANK,
    OWN,
    TODAY,
    cash,
    cents,
    decide,
    item,
    pay,
    tolerance,
)


@pytest.mark.parametrize(
    ("invoice", "paid", "left"),
    [("1000.00", "1000.00", 0), ("1000.00", "1010.00", 1000), ("990.00", "1000.00", 1000)],
)
def test_an_over_payment_never_fails_the_tolerance_and_its_excess_stays(invoice, paid, left):
    decision = decide(pay(paid, "INV-1234", payer_account=ACME_BANK), item("INV-1234", invoice))
    assert (cash(decision), decision.left_minor) == ({"INV-1234": cents(invoice)}, left)


@pytest.mark.parametrize(
    ("invoice", "paid", "per_mille", "booked_small", "left"),
    [
        ("1000.00", "990.00", 0, 0, 0),
        ("1000.00", "990.00", 5, 0, 0),
        ("1000.00", "1010.00", 5, 0, 1000),
        ("1210.00", "1185.80", 20, 2420, 0),
        ("1210.00", "1234.20", 20, 0, 2420),
        ("1000.00", "990.00", 10, 1000, 0),
        ("100.00", "95.00", 100, 500, 0),
    ],
)
def test_the_bound_of_the_tolerance_is_inclusive_and_outside_it_the_payment_is_a_part_never_dropped(
    invoice, paid, per_mille, booked_small, left
):
    payment, policy = pay(paid, OWN), tolerance("1000.00", per_mille)
    decision = decide(payment, item("INV-1234", invoice, payment_reference=OWN), policy=policy)
    assert decision.outcome is Outcome.POSTED
    assert sum(a.small_difference_minor for a in decision.applications) == booked_small
    assert decision.left_minor == left


@pytest.mark.parametrize(
    ("paid", "share_per_mille", "within"),
    [("100.00", 0, False), ("99.99", 0, False), ("50.00", 500, True), ("49.99", 500, False), ("99.00", 10, True)],
)
def test_drift_is_a_share_of_the_expected_amount_and_inclusive(paid, share_per_mille, within):
    assert Tolerance(10**9, share_per_mille).covers(cents("100.00") - cents(paid), cents("100.00")) is within


def test_a_number_in_the_text_of_an_unknown_payer_with_ten_times_the_amount_is_only_proposed():
    decision = decide(pay("1000.00", "1234"), item("1234", "100.00"), accounts=())
    assert (decision.outcome, decision.suggestions[0].items[0].amount_minor) == (Outcome.SUGGESTED, 10000)


TWO_NAMED = "paying invoices 1234 & 5678"


def test_two_references_in_one_text_propose_both():
    items = (item("INV/1234", "40.00"), item("INV/5678", "60.00"))
    assert cash(decide(pay("100.00", TWO_NAMED), *items)) == {"INV/1234": 4000, "INV/5678": 6000}
    other = decide(pay("95.00", TWO_NAMED), *items)
    assert {i.item_id for i in other.suggestions[0].items} == {i.item_id for i in items}


@pytest.mark.parametrize(
    ("paid", "posted"),
    [("40.00", {"C-10001": 4000}), ("100.00", {"C-10001": 4000, "C-10002": 6000}), ("70.00", {})],
)
def test_one_number_on_two_invoices_is_booked_only_if_the_amount_is_one_of_them_or_their_sum(paid, posted):
    items = (item("INV/1234", "40.00"), item("INV/1234", "60.00", "C-10002"))
    decision = decide(pay(paid, "invoice 1234"), *items)
    assert {a.account_id: a.cash_minor for a in decision.applications} == posted
    if not posted:
        assert (decision.outcome, decision.reason) == (Outcome.SUGGESTED, Reason.CITATION_AMBIGUOUS)


def test_a_part_is_applied_by_reference():
    decision = decide(pay("40.00", OWN), item("A", "100.00", payment_reference=OWN))
    assert (cash(decision), decision.left_minor) == ({"A": 4000}, 0)


def test_the_rest_of_a_payment_goes_to_a_later_invoice_of_the_same_reference():
    first = item("A", "50.00", payment_reference=OWN)
    payment = pay("500.00", OWN)
    opened = decide(payment, first)
    assert (cash(opened), opened.left_minor) == ({"A": 5000}, 45000)
    settled = item("A", "50.00", payment_reference=OWN, remaining_minor=0, version=2)
    rest = pay("500.00", OWN, available_minor=45000)
    again = decide(rest, settled, item("B", "500.00", payment_reference=OWN))
    assert (cash(again), again.left_minor) == ({"B": 45000}, 0)


def test_picked_items_are_paid_in_their_order_when_policy_lets_them_come_short():
    items = (item("A-1001", "100.00", due_on=TODAY - timedelta(days=2)), item("B-1002", "150.00"))
    payment = pay("180.00", "A-1001 B-1002", payer_account=ACME_BANK)
    decision = decide(payment, *items, policy=Policy(short_several="oldest_first"))
    assert cash(decision) == {"A-1001": 10000, "B-1002": 8000}


def test_an_account_number_in_the_text_that_nobody_has_makes_no_customer_and_no_posting():
    decision = decide(pay("50.00", "Account: 123456"), item("INV-1", "50.00"), accounts=())
    assert (decision.account_id, decision.applications) == (None, ())


@pytest.mark.parametrize(
    ("known", "payer", "expected"),
    [
        (["Jackson Ella W."], "Ella Jackson", "Jackson Ella W."),
        (
            ["Adithya Medical & General Stores", "Adithya Medical & General Suppliers"],
            "Adithya Medical & General",
            None,
        ),
        (["Dixmit", "Dixmit Consulting", "Dixmit Limited Partners"], "Dixmit", "Dixmit"),
    ],
)
def test_a_customer_is_suggested_by_name_only_when_one_name_is_clearly_nearest(known, payer, expected):
    accounts = tuple(AccountView(name, name) for name in known)
    payer_view = recognise(pay("1.00", payer_name=payer), Candidates((), accounts), frozenset())
    assert payer_view.known == {}
    assert (next(iter(payer_view.named), None) or payer_view.alike) == expected


def test_money_of_a_third_party_is_never_spread_over_two_other_customers():
    items = (item("A-1001", "30.00"), item("B-1002", "70.00", "C-10002"))
    decision = decide(pay("100.00", "no reference", payer_name="Zeta Corp"), *items)
    assert (decision.applications, decision.suggestions) == ((), ())


def test_a_text_that_names_another_document_books_nothing_on_the_item_of_its_amount():
    decision = decide(pay("100.00", "INV-9", payer_account=ACME_BANK), item("INV-1", "100.00"))
    assert decision.applications == ()


def test_the_only_set_of_items_is_suggested_and_two_sets_are_suggested_both():
    def due(day, *amounts):
        return tuple(item(f"N-{n}", amount, due_on=TODAY + timedelta(days=day + n)) for n, amount in enumerate(amounts))

    payment = pay("1500.00", payer_account=ACME_BANK)
    unique = decide(payment, *due(0, "1000.00", "500.00", "700.00"))
    assert [i.amount_minor for i in unique.suggestions[0].items] == [100000, 50000]
    assert unique.applications == ()
    double = decide(payment, *due(0, "1000.00", "500.00", "500.00"))
    exact = [s for s in double.suggestions if s.rule == "exact_amount"]
    assert (len(exact), double.applications) == (2, ())


def test_the_closing_run_has_one_order_with_cited_payments_first():
    payments = [
        pay("1.00", payment_id="b"),
        pay("1.00", payment_id="a"),
        pay("1.00", "INV-1", payment_id="c"),
        pay("1.00", payment_id="z", valued_on=TODAY - timedelta(days=1)),
    ]
    assert [p.payment_id for p in closing_order(payments)] == ["c", "z", "a", "b"]
    assert closing_order(payments) == closing_order(reversed(payments))
