"""Documents in instalments: which instalment a payment means, and when only a person can say it."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cash_application.domain.matching.instalments import oldest_of_each
from services.cash_application.domain.matching.ladder import match
from services.cash_application.domain.matching.model import (
    Candidates,
    Decision,
    Discount,
    ItemView,
    LeftTo,
    Outcome,
    Reason,
    ReceiptView,
    RemittanceLine,
)
from services.cash_application.domain.matching.policy import Policy
from tests.domain.cash_application.matching.builders import (
    ACME,
    ACME_BANK,
    OWN,
    TODAY,
    cents,
    decide,
    item,
    pay,
)
from tests.domain.cash_application.matching.oracle import check_amount_alone, check_due_order, verify

OTHER = "RF712348231"


def parts(number: str, *amounts: str, reference: str | None = None, **changes) -> list[ItemView]:
    """Instalments of one document, the first due today, the others a month apart."""
    return [
        item(
            number,
            amount,
            line=f"{n:03d}",
            due_on=TODAY + timedelta(days=30 * (n - 1)),
            payment_reference=reference,
            **changes,
        )
        for n, amount in enumerate(amounts, 1)
    ]


def lines_paid(decision: Decision) -> list[tuple[str, str, int]]:
    """Document, line and cash of every application."""
    return [(*a.item_id.split("/C-10001/"), a.cash_minor) for a in decision.applications]


def known(amount: str, *text: str, **changes):
    return pay(amount, *text, payer_account=ACME_BANK, **changes)


@pytest.mark.parametrize(
    ("amounts", "paid"),
    [
        (("3866.67", "3866.67", "3866.66"), "3866.67"),
        (("2580.84", "2580.83", "2580.83"), "2580.83"),
        (("3866.66", "3866.67"), "3866.67"),
    ],
)
def test_instalments_of_one_amount_are_suggested_oldest_first_and_never_posted_by_amount(amounts, paid):
    decision = decide(known(paid), *parts("INV-1234", *amounts))
    assert (decision.outcome, decision.reason) == (Outcome.SUGGESTED, Reason.AMOUNT_NOT_UNIQUE)
    exact = [s.items[0].item_id[-3:] for s in decision.suggestions if s.rule == "exact_amount"]
    assert exact[:2] == sorted(exact[:2])


def test_the_oldest_of_instalments_that_differ_by_rounding_is_the_first_suggestion():
    decision = decide(known("3866.67"), *parts("INV-1234", "3866.66", "3866.67"))
    assert [s.items[0].item_id[-3:] for s in decision.suggestions[:2]] == ["001", "002"]


def test_an_equal_item_that_is_disputed_makes_an_amount_ambiguous_too():
    first, second = parts("INV-1234", "3866.67", "3866.67")
    disputed = replace(first, disputed_minor=first.remaining_minor)
    assert decide(known("3866.67"), disputed, second).applications == ()
    assert decide(known("3866.67"), item("INV-9", "3866.67", disputed_minor=1), second).applications == ()


def test_an_instalment_of_an_amount_of_its_own_posts_by_amount():
    decision = decide(known("1234.57"), *parts("INV-1234", "5000.11", "1234.57"))
    assert lines_paid(decision) == [("INV-1234", "002", 123457)]


def both(paid: str, *b: str, **changes) -> Decision:
    items = parts("A-1234", "1919.64", "1919.64", "1919.63", reference=OWN) + parts("B-5678", *b, reference=OTHER)
    return decide(pay(paid, f"{OWN} {OTHER}", **changes), *items)


def test_every_cited_document_is_served_by_its_oldest_instalments():
    decision = both("3347.64", "1428.00")
    assert decision.rule == "own_reference/instalment"
    assert lines_paid(decision) == [("A-1234", "001", 191964), ("B-5678", "001", 142800)]
    assert lines_paid(both("5267.28", "1428.00"))[:2] == [("A-1234", "001", 191964), ("A-1234", "002", 191964)]


def test_a_kept_back_charge_is_found_for_several_documents_in_instalments():
    decision = both("3347.14", "1428.00", charges_minor=50)
    assert [(a.cash_minor, a.bank_charge_minor) for a in decision.applications] == [(191914, 50), (142800, 0)]


def test_an_earned_discount_is_found_for_several_documents_in_instalments():
    first, second = parts("A-1234", "100.00", "100.00", discounts=(Discount(TODAY, 200),))
    decision = decide(known("148.00", "A-1234 B-5678"), first, second, item("B-5678", "50.00"))
    assert [(a.cash_minor, a.discount_minor) for a in decision.applications] == [(9800, 200), (5000, 0)]


@pytest.mark.parametrize("paid", ["3000.00", "3347.63", "5000.00", "9999.00"])
def test_several_documents_in_instalments_without_an_exact_assignment_are_suggested(paid):
    decision = both(paid, "1428.00")
    assert (decision.outcome, decision.applications) == (Outcome.SUGGESTED, ())


def test_several_assignments_to_instalments_are_suggested():
    items = parts("A-1234", "100.00", "100.00") + parts("B-5678", "100.00", "100.00")
    decision = decide(known("300.00", "A-1234 B-5678"), *items)
    assert (decision.outcome, decision.reason) == (Outcome.SUGGESTED, Reason.AMOUNT_NOT_UNIQUE)
    assert lines_paid(decide(known("200.00", "A-1234 B-5678"), *items)) == [
        ("A-1234", "001", 10000),
        ("B-5678", "001", 10000),
    ]


def test_the_sum_of_five_first_instalments_goes_to_the_five_first_instalments():
    amounts = (("2469.06", "2469.05", "2469.05"), ("810.10", "810.10"), ("77.77", "77.76"), ("500.00",), ("31.00",))
    items = [i for n, split in enumerate(amounts) for i in parts(f"INV-{n}0001", *split)]
    payment = known("3887.93", " ".join(f"INV-{n}0001" for n in range(5)))
    assert [(line, minor) for _, line, minor in lines_paid(decide(payment, *items))] == [
        ("001", cents(split[0])) for split in amounts
    ]


def test_within_a_document_a_cent_less_than_the_oldest_instalment_stays_on_the_oldest():
    decision = decide(known("1919.63", "A-1234"), *parts("A-1234", "1919.64", "1919.64", "1919.63"))
    assert lines_paid(decision) == [("A-1234", "001", 191963)]


def test_a_cent_too_much_does_not_run_into_an_instalment_that_is_not_due():
    decision = decide(known("2469.06", "A-1234"), *parts("A-1234", "2469.05", "2469.05", "2469.05"))
    assert (lines_paid(decision), decision.left_minor) == ([("A-1234", "001", 246905)], 1)
    assert (decision.left_to, decision.reason) == (LeftTo.UNAPPLIED, Reason.OVERPAID)


@pytest.mark.parametrize(
    ("paid", "whole", "left_minor"), [("5890.30", 1, 100), ("6389.30", 1, 50000), ("11779.60", 2, 100)]
)
def test_more_than_whole_instalments_begins_no_other_though_all_are_due(paid: str, whole: int, left_minor: int):
    overdue = [
        replace(part, due_on=TODAY - timedelta(days=90 - 30 * n))
        for n, part in enumerate(parts("INV-1234", "5889.30", "5889.30", "5889.30", reference=OWN))
    ]
    decision = decide(known(paid, f"FACT {OWN}"), *overdue)
    assert lines_paid(decision) == [("INV-1234", f"{n:03d}", 588930) for n in range(1, whole + 1)]
    assert (decision.outcome, decision.left_minor, decision.left_to) == (Outcome.POSTED, left_minor, LeftTo.UNAPPLIED)
    assert (decision.reason, decision.flags) == (Reason.SHORT_UNALLOCATED, ("SHORT",))
    less = decide(known("5000.00", f"FACT {OWN}"), *overdue)
    assert lines_paid(less) == [("INV-1234", "001", 500000)]
    asked = decide(known(paid, f"FACT {OWN}"), *overdue, policy=Policy(short="suggest"))
    assert (asked.applications, asked.reason) == ((), Reason.SHORT_UNALLOCATED)


def test_what_is_left_beside_whole_instalments_begins_no_other_at_the_close_either():
    first, second = (
        replace(part, due_on=TODAY - timedelta(days=60))
        for part in parts("INV-1234", "500.00", "500.00", reference=OWN)
    )
    paid = replace(first, remaining_minor=0)
    again = decide(known("990.00", f"FACT {OWN}", available_minor=cents("490.00")), paid, second, closing=True)
    assert again.applications == ()


def test_what_is_left_of_a_payment_does_not_run_into_the_next_instalment_later():
    first, second = parts("A-1234", "100.00", "100.00")
    rest = known("130.00", "A-1234", available_minor=3000)
    decision = decide(rest, replace(first, remaining_minor=0), second)
    assert (decision.applications, decision.reason) == ((), Reason.OVERPAID)


def test_more_than_a_whole_document_goes_to_what_is_due_and_the_rest_waits():
    first, second = parts("A-1234", "100.00", "100.00")
    early = decide(known("250.00", "A-1234"), first, second)
    assert (lines_paid(early), early.left_minor) == ([("A-1234", "001", 10000)], 15000)
    late = decide(known("250.00", "A-1234"), first, replace(second, due_on=TODAY))
    assert (len(late.applications), late.left_minor) == (2, 5000)


@pytest.mark.parametrize("text", ["2025039059 10/2026", "2025039059, 83", "2025039059 / 83 / 84", "83 2025039059"])
@pytest.mark.parametrize(("paid", "posted"), [("150.00", 0), ("99.00", 0), ("250.00", 0), ("100.00", 1), ("200.00", 2)])
def test_beside_digits_that_nobody_explains_only_an_exact_amount_posts(text, paid, posted):
    decision = decide(known(paid, text), *parts("2025039059", "100.00", "100.00"))
    assert len(decision.applications) == posted
    if not posted:
        assert (decision.outcome, decision.reason) == (Outcome.SUGGESTED, Reason.CITATION_UNRESOLVED)


@pytest.mark.parametrize(
    "text", ["INV-1234 12.03.2026", "INV-1234 March 2026", "INV-1234 EUR 40,00", "INV-1234 C-10001"]
)
def test_dates_amounts_and_the_customer_number_beside_a_document_leave_a_part_payment_alone(text):
    assert len(decide(known("40.00", text), item("INV-1234", "100.00")).applications) == 1


def test_an_own_reference_beside_an_unread_number_posts_only_an_exact_amount():
    invoice = item("INV-1234", "100.00", payment_reference=OWN)
    assert decide(pay("40.00", f"{OWN} INV-9999"), invoice).applications == ()
    assert decide(pay("140.00", f"{OWN} INV-9999"), invoice).applications == ()
    assert len(decide(pay("100.00", f"{OWN} INV-9999"), invoice).applications) == 1


def test_an_own_reference_beside_another_document_of_the_debtor_never_takes_a_part_for_itself():
    items = (item("INV-1234", "100.00", payment_reference=OWN), item("INV-5678", "70.00"))
    for paid in ("40.00", "150.00", "300.00"):
        decision = decide(pay(paid, f"{OWN} INV-5678"), *items)
        assert (decision.outcome, decision.applications) == (Outcome.SUGGESTED, ())


def structured(amount: str, *paid: str, **line) -> Decision:
    named = tuple(RemittanceLine("INV-1234", paid_minor=cents(p), **line) for p in paid)
    discounted = parts("INV-1234", "2469.05", "2469.05", "2469.06", discounts=(Discount(TODAY, 4938),))
    return decide(known(amount, remittance=named), *discounted)


def test_two_lines_of_one_document_mean_two_instalments():
    decision = structured("4938.10", "2469.05", "2469.05")
    assert lines_paid(decision) == [("INV-1234", "001", 246905), ("INV-1234", "002", 246905)]


def test_a_line_of_one_instalments_amount_goes_to_the_oldest():
    assert lines_paid(structured("2469.05", "2469.05")) == [("INV-1234", "001", 246905)]
    over = structured("2469.06", "2469.06")
    assert (lines_paid(over), over.left_minor) == ([("INV-1234", "001", 246905)], 1)


def test_discount_and_deduction_of_a_line_stand_on_the_instalment_that_is_paid():
    decision = structured("2419.67", "2419.67", discount_minor=4938)
    assert [(a.item_id[-3:], a.cash_minor, a.discount_minor) for a in decision.applications] == [("001", 241967, 4938)]
    decision = structured("2400.00", "2400.00", deduction_minor=6905, reason="DAMAGED")
    assert [(a.item_id[-3:], a.cash_minor, a.deduction_minor) for a in decision.applications] == [("001", 240000, 6905)]


def test_the_verifier_finds_an_instalment_paid_out_of_order_and_an_equal_amount():
    first, second = parts("INV-1234", "3866.67", "3866.67")
    candidates, payment = Candidates((first, second), (ACME,)), known("3866.67")
    posted = match(payment, Candidates((second,), (ACME,)), Policy(), closing=True, on=TODAY)
    assert len(posted.applications) == 1
    assert any("older" in problem for problem in check_due_order(candidates, posted))
    assert any("same amount" in problem for problem in check_amount_alone(payment, candidates, Policy(), posted))


SPLITS = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(SPLITS, st.integers(1, 40))
def test_the_search_finds_what_trying_every_assignment_finds(amounts, target):
    every = [
        counts
        for counts in product(*(range(1, len(group) + 1) for group in amounts))
        if sum(sum(group[:count]) for group, count in zip(amounts, counts, strict=True)) == target
    ]
    found = oldest_of_each(amounts, target)
    assert len(found) == min(2, len(every))
    assert set(found) <= set(every)


def test_a_search_that_grows_too_large_is_never_taken_for_unique():
    amounts = [[2**n * 1000 + k for k in range(3)] for n in range(12)]
    assert len(oldest_of_each(amounts, sum(group[0] + group[1] for group in amounts))) == 2


@st.composite
def documents(draw) -> tuple[ItemView, ...]:
    made: list[ItemView] = []
    for n in range(draw(st.integers(1, 3))):
        reference = draw(st.sampled_from([None, (OWN, OTHER, None)[n]]))
        for i in parts(f"INV-{n}0001", *["1.00"] * draw(st.integers(1, 4)), reference=reference):
            original = draw(st.sampled_from([100, 101, 200, 300, 12345]))
            remaining = draw(st.sampled_from([original, original, original, original - 1, 0]))
            earned = draw(st.sampled_from([(), (), (Discount(TODAY, max(1, original // 50)),)]))
            due_on = i.due_on - timedelta(days=draw(st.sampled_from([0, 0, 40])))
            changes = {"original_minor": original, "remaining_minor": remaining, "discounts": earned}
            made.append(replace(i, due_on=due_on, disputed_minor=draw(st.sampled_from([0, 0, remaining])), **changes))
    return tuple(made)


@st.composite
def citing(draw, opened: tuple[ItemView, ...], cite: bool):
    cited = sorted({i.document_id: i.payment_reference or i.number for i in opened}.items()) if cite else []
    cited = [entry for entry in cited if draw(st.booleans())]
    chosen = [i.remaining_minor for i in opened if draw(st.booleans())]
    amount = max(1, sum(chosen) + draw(st.sampled_from([0, 0, 0, -1, 1, -2, 50])))
    words = " ".join(text for _, text in cited)
    charges = draw(st.sampled_from([0, 0, 2]))
    payment = known("1.00", words, charges_minor=charges)
    return replace(payment, amount_minor=amount), {document for document, _ in cited}


@settings(max_examples=150, deadline=None)
@given(st.data(), st.booleans())
def test_each_cited_open_document_is_served_or_nothing_is_posted(data, closing):
    opened = data.draw(documents())
    payment, cited = data.draw(citing(opened, True))
    decision = match(payment, Candidates(opened, (ACME,)), Policy(), closing=closing, on=TODAY)
    alone = {i.document_id for i in opened if i.payment_reference} & cited
    if decision.applications and cited:
        served = {a.document_id for a in decision.applications}
        still_open = {i.document_id for i in opened if i.remaining_minor and i.document_id in cited}
        exact = decision.left_minor == 0 and "partial" not in decision.rule and served == still_open & alone
        assert served == still_open or exact
    assert all(a.cash_minor or a.discount_minor or a.deduction_minor for a in decision.applications)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.booleans())
def test_instalments_are_relieved_in_due_order_except_where_an_exact_amount_decides(data, cite):
    opened = data.draw(documents())
    payment, _ = data.draw(citing(opened, cite))
    candidates = Candidates(opened, (ACME,))
    decision = match(payment, candidates, Policy(), closing=True, on=TODAY)
    assert verify(payment, candidates, Policy(), decision, closing=True, on=TODAY) == []
    for document in {a.document_id for a in decision.applications}:
        relief = {a.item_id: a.relief_minor for a in decision.applications if a.document_id == document}
        rows = sorted((i for i in opened if i.document_id == document and i.remaining_minor), key=lambda i: i.due_on)
        full = [relief.get(i.item_id, 0) == i.remaining_minor for i in rows]
        touched = [i.item_id in relief for i in rows]
        in_order = all(all(full[:n]) for n, paid in enumerate(touched) if paid and rows[n].due_on > rows[0].due_on)
        assert in_order or (len(relief) == 1 and set(relief.values()) <= {i.remaining_minor for i in rows})


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_equal_amounts_are_never_posted_by_amount_alone(data):
    opened = data.draw(documents())
    payment, _ = data.draw(citing(opened, False))
    policy = Policy(lambda_max=1000 * Policy().lambda_max - Policy().lambda_max)
    decision = match(payment, Candidates(opened, (ACME,)), policy, closing=True, on=TODAY)
    equal = [i for i in opened if i.remaining_minor == payment.amount_minor]
    assert len(equal) < 2 or decision.applications == ()


def test_a_payment_short_of_several_references_in_structured_blocks_is_not_posted_by_the_first_alone() -> None:
    items = [item("INV-1001", "4760.00", payment_reference=OWN), item("INV-1002", "4760.00", payment_reference=OTHER)]
    payment = known(
        "9352.45",
        creditor_reference=OWN,
        remittance=(RemittanceLine(document=OWN), RemittanceLine(document=OTHER)),
    )
    decision = decide(payment, *items)
    assert decision.outcome is Outcome.SUGGESTED
    assert decision.applications == ()


def test_an_amount_that_was_ambiguous_does_not_become_unique_when_its_twin_is_settled_later() -> None:
    one, two, three = parts("INV-1001", "2424.42", "2424.42", "2424.41")
    payment = known("2424.42")
    first = match(payment, Candidates((one, two, three), (ACME,)), Policy(), closing=True, on=TODAY)
    assert first.outcome is Outcome.SUGGESTED
    settled = replace(one, remaining_minor=2001)
    payment = replace(payment, late=True)
    later = match(
        payment, Candidates((settled, two, three), (ACME,)), Policy(), closing=True, on=TODAY + timedelta(days=40)
    )
    assert later.outcome is Outcome.SUGGESTED
    assert later.reason is Reason.AMOUNT_LATE


def test_an_amount_posts_at_the_close_of_its_own_day() -> None:
    payment = known("2424.43")
    decision = match(payment, Candidates((item("INV-1001", "2424.43"),), (ACME,)), Policy(), closing=True, on=TODAY)
    assert decision.rule == "exact_amount"


def test_an_amount_does_not_post_while_an_equal_earlier_payment_of_the_same_payer_waits() -> None:
    payment = known("2424.43")
    waiting = ReceiptView("pay-0", "EUR", 242443, TODAY - timedelta(days=2), ACME_BANK, None, (), 242443)
    candidates = Candidates((item("INV-1001", "2424.43"),), (ACME,), (waiting,))
    decision = match(payment, candidates, Policy(), closing=True, on=TODAY)
    assert (decision.outcome, decision.reason) == (Outcome.SUGGESTED, Reason.AMOUNT_NOT_UNIQUE)


def test_a_small_difference_is_not_granted_on_top_of_a_discount() -> None:
    invoice = item("INV-1001", "2400.00", discounts=(Discount(TODAY + timedelta(days=3), cents("48.00")),))
    payment = known("2351.76", "INV-1001")
    decision = match(payment, Candidates((invoice,), (ACME,)), Policy(), closing=True, on=TODAY)
    assert decision.rule == "document_number/partial"
    assert [(a.cash_minor, a.discount_minor, a.small_difference_minor) for a in decision.applications] == [
        (cents("2351.76"), 0, 0)
    ]


@pytest.mark.parametrize(
    "waiting",
    [
        ReceiptView("pay-0", "EUR", 242443, TODAY - timedelta(days=20), ACME_BANK, None, open_minor=242443),
        ReceiptView("pay-0", "EUR", 242443, TODAY - timedelta(days=20), "GB1", None, (), 242443, "C-10001"),
        ReceiptView("pay-0", "EUR", 300000, TODAY - timedelta(days=2), ACME_BANK, None, ("D-7",), 242443),
    ],
)
def test_what_waits_of_the_payer_or_on_its_account_is_an_equal_payment_however_old(waiting: ReceiptView) -> None:
    candidates = Candidates((item("INV-1001", "2424.43"),), (ACME,), (waiting,))
    decision = match(known("2424.43"), candidates, Policy(), closing=True, on=TODAY)
    assert (decision.outcome, decision.reason) == (Outcome.SUGGESTED, Reason.AMOUNT_NOT_UNIQUE)


def test_an_equal_payment_that_was_applied_is_no_twin_that_waits() -> None:
    paid = ReceiptView("pay-0", "EUR", 242443, TODAY - timedelta(days=20), ACME_BANK, None, ("D-7",))
    decision = match(
        known("2424.43"), Candidates((item("INV-1001", "2424.43"),), (ACME,), (paid,)), Policy(), closing=True, on=TODAY
    )
    assert decision.rule == "exact_amount"
