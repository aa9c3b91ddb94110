"""The ladder, rung by rung: what posts by itself, what waits for the day's close, what only suggests."""

from datetime import timedelta

import pytest

from services.cash_application.domain.matching.model import (
    CREDIT,
    AccountView,
    LeftTo,
    Outcome,
    Reason,
    ReceiptView,
    RemittanceLine,
)
from services.cash_application.domain.matching.policy import Policy, Tolerance
from tests.domain.cash_application.matching.builders import (
    ACME,
    ACME_BANK,
    BETA,
    BETA_BANK,
    OWN,
    TODAY,
    cash,
    cents,
    decide,
    discount,
    item,
    pay,
    tolerance,
)


def test_an_own_reference_decides_alone_whoever_pays_and_whatever_amount():
    decision = decide(pay("40.00", OWN, payer_account=BETA_BANK), item("INV-1234", "100.00", payment_reference=OWN))
    assert (decision.outcome, cash(decision), decision.rule) == (
        Outcome.POSTED,
        {"INV-1234": 4000},
        "own_reference/partial",
    )


def test_an_own_reference_wins_over_another_number_that_does_not_explain_the_amount():
    items = (item("INV-1234", "100.00", payment_reference=OWN), item("INV-5678", "70.00", "C-10002"))
    decision = decide(pay("100.00", f"{OWN} INV-5678"), *items)
    assert cash(decision) == {"INV-1234": 10000}


def test_an_own_reference_and_a_number_are_taken_together_when_together_they_are_the_amount():
    items = (item("INV-1234", "100.00", payment_reference=OWN), item("INV-5678", "70.00"))
    assert cash(decide(pay("170.00", f"{OWN} INV-5678"), *items)) == {"INV-1234": 10000, "INV-5678": 7000}


def test_an_own_reference_posts_before_the_days_close():
    decision = decide(pay("100.00", OWN), item("INV-1234", "100.00", payment_reference=OWN), closing=False)
    assert decision.outcome is Outcome.POSTED


def test_a_document_number_of_a_payer_known_by_bank_account_posts_and_partly_too():
    decision = decide(pay("40.00", "INV-1234", payer_account=ACME_BANK), item("INV-1234", "100.00"))
    assert (cash(decision), decision.flags) == ({"INV-1234": 4000}, ("SHORT",))


def test_a_document_number_of_a_payer_known_by_the_accounts_name_posts():
    decision = decide(pay("40.00", "INV-1234", payer_name="ACME Maschinenbau"), item("INV-1234", "100.00"))
    assert cash(decision) == {"INV-1234": 4000}


def test_a_name_is_no_witness_when_the_policy_says_so():
    payment = pay("40.00", "INV-1234", payer_name="ACME Maschinenbau")
    assert decide(payment, item("INV-1234", "100.00"), policy=Policy(name_is_witness=False)).applications == ()


def test_a_document_number_of_a_stranger_posts_only_if_the_amount_is_the_open_sum():
    assert decide(pay("100.00", "INV-1234"), item("INV-1234", "100.00")).outcome is Outcome.POSTED
    short = decide(pay("40.00", "INV-1234"), item("INV-1234", "100.00"))
    assert (short.outcome, short.reason) == (Outcome.SUGGESTED, Reason.CITATION_WITHOUT_WITNESS)


def test_the_open_sum_after_earned_discount_is_a_witness_but_not_after_a_lapsed_one():
    earned = decide(pay("98.00", "INV-1234"), item("INV-1234", "100.00", discounts=discount("2.00")))
    assert [(a.cash_minor, a.discount_minor) for a in earned.applications] == [(9800, 200)]
    lapsed = decide(pay("98.00", "INV-1234"), item("INV-1234", "100.00", discounts=discount("2.00", days=-1)))
    assert lapsed.applications == ()


def test_a_lapsed_discount_taken_by_a_known_payer_stays_open_with_its_reason():
    invoice = item("INV-1234", "1200.00", discounts=discount("24.00", days=-1))
    decision = decide(pay("1176.00", "INV-1234", payer_account=ACME_BANK), invoice)
    assert (cash(decision), decision.flags) == ({"INV-1234": 117600}, ("SHORT", "DISC_UNEARNED"))


def test_a_number_of_somebody_elses_document_never_posts_on_its_amount_for_a_known_payer():
    items = (item("INV-1234", "500.00", "C-10002"), item("INV-1243", "500.00"))
    decision = decide(pay("500.00", "INV-1234", payer_account=ACME_BANK), *items)
    assert (decision.applications, decision.reason) == ((), Reason.PAYER_CONTRADICTS)
    assert {c.account_id for c in decision.candidates} == {"C-10001", "C-10002"}
    assert decision.account_id is None


def test_who_pays_for_another_account_is_known_for_it():
    parent = AccountView("C-10001", "Acme Maschinenbau GmbH", (ACME_BANK,), pays_for=("C-10002",))
    payment = pay("40.00", "INV-1234", payer_account=ACME_BANK)
    decision = decide(payment, item("INV-1234", "100.00", "C-10002"), accounts=(parent, BETA))
    assert cash(decision) == {"INV-1234": 4000}


def test_several_cited_documents_post_together_when_they_are_the_amount():
    items = (item("INV-1234", "40.00"), item("INV-5678", "60.00"))
    decision = decide(pay("100.00", "paying invoices INV-1234 & INV-5678"), *items)
    assert cash(decision) == {"INV-1234": 4000, "INV-5678": 6000}


def test_several_cited_documents_that_come_short_are_only_suggested():
    items = (item("INV-1234", "40.00"), item("INV-5678", "60.00"))
    decision = decide(pay("90.00", "INV-1234 INV-5678", payer_account=ACME_BANK), *items)
    assert (decision.outcome, decision.reason) == (Outcome.SUGGESTED, Reason.SHORT_UNALLOCATED)


def test_several_documents_that_come_short_go_oldest_first_at_the_close_where_policy_allows():
    items = (item("INV-1234", "40.00", due_on=TODAY - timedelta(days=9)), item("INV-5678", "60.00"))
    payment, policy = (
        pay("90.00", "INV-1234 INV-5678", payer_account=ACME_BANK),
        Policy(short_several="oldest_first"),
    )
    assert decide(payment, *items, policy=policy, closing=False).reason is Reason.WAITS_FOR_CLOSE
    assert cash(decide(payment, *items, policy=policy)) == {"INV-1234": 4000, "INV-5678": 5000}


def test_a_credit_is_used_only_when_it_is_named():
    items = (item("INV-1234", "100.00"), item("CM-5678", "30.00", side=CREDIT, kind="credit_memo"))
    named = decide(pay("70.00", "INV-1234 less CM-5678"), *items)
    assert cash(named) == {"INV-1234": 10000, "CM-5678": 3000}
    assert named.applied_minor == 7000
    unnamed = decide(pay("70.00", "INV-1234", payer_account=ACME_BANK), *items)
    assert cash(unnamed) == {"INV-1234": 7000}


def test_a_short_payment_with_an_unread_citation_beside_it_is_not_posted():
    decision = decide(pay("80.00", "INV-1234 and INV-9999", payer_account=ACME_BANK), item("INV-1234", "100.00"))
    assert (decision.applications, decision.reason) == ((), Reason.CITATION_UNRESOLVED)


def test_a_payment_for_an_invoice_that_is_not_here_yet_waits_whole_and_posts_when_it_came():
    payment = pay("300.00", "INV-1234 and INV-9999", payer_account=ACME_BANK)
    early = decide(payment, item("INV-1234", "100.00"))
    assert (early.applications, early.reason, early.left_to) == ((), Reason.CITATION_UNRESOLVED, LeftTo.UNAPPLIED)
    later = decide(payment, item("INV-1234", "100.00"), item("INV-9999", "200.00"), closing=False)
    assert cash(later) == {"INV-1234": 10000, "INV-9999": 20000}


def test_an_unread_citation_beside_a_document_allows_only_the_exact_amount():
    for amount, posted in (("100.00", {"INV-1234": 10000}), ("101.00", {}), ("99.00", {})):
        payment = pay(amount, "INV-1234 and INV-9999", payer_account=ACME_BANK)
        assert cash(decide(payment, item("INV-1234", "100.00"))) == posted


@pytest.mark.parametrize(("policy", "left_to"), [("unapplied", LeftTo.UNAPPLIED), ("on_account", LeftTo.ON_ACCOUNT)])
def test_an_over_payment_settles_the_item_and_leaves_the_rest_by_policy(policy, left_to):
    payment = pay("130.00", "INV-1234", payer_account=ACME_BANK)
    decision = decide(payment, item("INV-1234", "100.00"), policy=Policy(overpayment=policy))
    assert (decision.left_minor, decision.left_to, decision.reason) == (3000, left_to, Reason.OVERPAID)


def test_a_bank_charge_that_the_statement_names_is_relief_of_its_own():
    decision = decide(pay("85.00", "INV-1234", charges_minor=1500), item("INV-1234", "100.00"))
    assert [(a.cash_minor, a.bank_charge_minor) for a in decision.applications] == [(8500, 1500)]


def test_a_small_difference_waits_for_the_close_and_is_then_booked_within_both_bounds():
    payment, invoice = pay("999.00", "INV-1234", payer_account=ACME_BANK), item("INV-1234", "999.50")
    assert decide(payment, invoice, policy=tolerance("5.00", 5), closing=False).reason is Reason.WAITS_FOR_CLOSE
    decision = decide(payment, invoice, policy=tolerance("5.00", 5))
    assert [(a.cash_minor, a.small_difference_minor) for a in decision.applications] == [(99900, 50)]
    assert cash(decide(payment, invoice, policy=tolerance("0.49", 5))) == {"INV-1234": 99900}


def test_both_bounds_of_a_small_difference_are_inclusive():
    payment, invoice = pay("999.00", OWN), item("INV-1234", "999.50", payment_reference=OWN)
    assert decide(payment, invoice, policy=tolerance("0.50", 5)).applications[0].small_difference_minor == 50
    payment, invoice = pay("995.00", OWN), item("INV-1234", "1000.00", payment_reference=OWN)
    assert decide(payment, invoice, policy=tolerance("9.00", 5)).applications[0].small_difference_minor == 500


def test_an_over_payment_within_the_policys_own_tolerance_is_a_small_gain_at_the_close():
    payment, invoice = pay("1000.30", OWN), item("INV-1234", "1000.00", payment_reference=OWN)
    policy = Policy(over_tolerance={"EUR": Tolerance(500, 5)})
    assert decide(payment, invoice, policy=policy, closing=False).reason is Reason.WAITS_FOR_CLOSE
    decision = decide(payment, invoice, policy=policy)
    assert (cash(decision), decision.gain_minor, decision.left_minor) == ({"INV-1234": 100000}, 30, 0)


def test_a_discount_taken_in_structured_remittance_after_its_day_stays_open():
    lines = (RemittanceLine("INV-1234", discount_minor=200, paid_minor=9800),)
    invoice = item("INV-1234", "100.00", discounts=discount("2.00", days=-1))
    decision = decide(pay("98.00", payer_account=ACME_BANK, remittance=lines), invoice)
    assert [(a.cash_minor, a.discount_minor) for a in decision.applications] == [(9800, 0)]
    assert decision.flags == ("DISC_UNEARNED",)


def test_a_document_in_instalments_is_paid_by_the_one_that_is_the_amount_else_the_oldest_first():
    first = item("INV-1234", "50.00", line="001", due_on=TODAY - timedelta(days=20))
    second = item("INV-1234", "30.00", line="002")
    exact = decide(pay("30.00", "INV-1234", payer_account=ACME_BANK), first, second)
    assert [a.item_id for a in exact.applications] == [second.item_id]
    part = decide(pay("60.00", "INV-1234", payer_account=ACME_BANK), first, second)
    assert [(a.item_id, a.cash_minor) for a in part.applications] == [(first.item_id, 5000)]
    assert (part.left_minor, part.left_to) == (1000, LeftTo.UNAPPLIED)


def test_a_named_document_is_paid_in_full_even_while_it_is_disputed():
    disputed = item("INV-1234", "100.00", disputed_minor=6000)
    assert cash(decide(pay("100.00", "INV-1234", payer_account=ACME_BANK), disputed)) == {"INV-1234": 10000}


def test_structured_remittance_says_per_document_what_is_paid_and_what_is_withheld():
    lines = (
        RemittanceLine("INV-1234", cents("10000"), 0, cents("600"), "DAMAGED", cents("9400")),
        RemittanceLine("INV-5678", cents("100"), cents("2"), 0, None, cents("98")),
    )
    items = (item("INV-1234", "10000.00"), item("INV-5678", "100.00", discounts=discount("2.00")))
    decision = decide(pay("9498.00", payer_account=ACME_BANK, remittance=lines), *items)
    relief = {a.document_id: (a.cash_minor, a.discount_minor, a.deduction_minor) for a in decision.applications}
    assert relief == {"INV-1234/C-10001": (940000, 0, 60000), "INV-5678/C-10001": (9800, 200, 0)}
    assert [a.deduction_reason for a in decision.applications] == ["DAMAGED", None]


def test_a_deduction_is_left_open_when_policy_says_residual_or_no_reason_is_given():
    def line(reason):
        return (RemittanceLine("INV-1234", None, 0, cents("10"), reason, cents("90")),)

    for reason, policy in (("DAMAGED", Policy(deduction="residual")), (None, Policy())):
        payment = pay("90.00", payer_account=ACME_BANK, remittance=line(reason))
        decision = decide(payment, item("INV-1234", "100.00"), policy=policy)
        assert [(a.cash_minor, a.deduction_minor) for a in decision.applications] == [(9000, 0)]


def test_a_designation_wins_over_an_item_with_exactly_the_amount():
    lines = (RemittanceLine("INV-1234", paid_minor=cents("80")),)
    items = (item("INV-1234", "100.00"), item("INV-5678", "80.00"))
    assert cash(decide(pay("80.00", payer_account=ACME_BANK, remittance=lines), *items)) == {"INV-1234": 8000}


def test_structured_remittance_of_a_stranger_needs_the_amount_as_second_witness():
    short = decide(pay("80.00", remittance=(RemittanceLine("INV-1234", paid_minor=8000),)), item("INV-1234", "100.00"))
    assert (short.applications, short.reason) == ((), Reason.CITATION_WITHOUT_WITNESS)
    full = decide(pay("100.00", remittance=(RemittanceLine("INV-1234", paid_minor=10000),)), item("INV-1234", "100.00"))
    assert cash(full) == {"INV-1234": 10000}


def test_structured_remittance_by_own_reference_needs_no_other_witness():
    lines = (RemittanceLine(OWN, paid_minor=8000),)
    assert cash(decide(pay("80.00", remittance=lines), item("INV-1234", "100.00", payment_reference=OWN)))


def test_advice_that_adds_up_to_more_than_was_paid_is_not_posted():
    lines = (RemittanceLine("INV-1234", paid_minor=9000),)
    decision = decide(pay("80.00", payer_account=ACME_BANK, remittance=lines), item("INV-1234", "100.00"))
    assert (decision.applications, decision.reason) == ((), Reason.DESIGNATION_INCONSISTENT)


def test_a_credit_deducted_in_structured_remittance_is_used_up():
    lines = (RemittanceLine("INV-1234", paid_minor=10000), RemittanceLine("CM-5678", paid_minor=-3000))
    items = (item("INV-1234", "100.00"), item("CM-5678", "30.00", side=CREDIT))
    assert cash(decide(pay("70.00", remittance=lines), *items)) == {"INV-1234": 10000, "CM-5678": 3000}


def test_the_exact_amount_of_one_item_of_a_known_payer_posts_at_the_close_only():
    payment, items = (
        pay("1234.57", "thank you", payer_account=ACME_BANK),
        (item("INV-1234", "1234.57"), item("INV-5", "80.10")),
    )
    before = decide(payment, *items, closing=False)
    assert (before.outcome, before.reason, before.suggestions) == (Outcome.UNAPPLIED, Reason.WAITS_FOR_CLOSE, ())
    assert cash(decide(payment, *items)) == {"INV-1234": 123457}


def test_name_and_customer_number_make_a_payer_known_but_a_name_alone_does_not():
    def by(text):
        return pay("1234.57", text, payer_name="Acme Maschinenbau GmbH")

    assert cash(decide(by("customer no C-10001"), item("INV-1234", "1234.57"))) == {"INV-1234": 123457}
    alone = decide(by("thank you"), item("INV-1234", "1234.57"))
    assert (alone.outcome, alone.account_id) == (Outcome.SUGGESTED, None)


def test_a_round_amount_is_only_suggested_with_its_chance():
    decision = decide(pay("1000.00", payer_account=ACME_BANK), item("INV-1234", "1000.00"))
    assert (decision.outcome, decision.reason) == (Outcome.SUGGESTED, Reason.CHANCE_TOO_HIGH)
    assert decision.suggestions[0].chance > decision.suggestions[0].chance.__class__(1, 1000)


def test_two_items_of_the_amount_are_two_suggestions():
    decision = decide(pay("1234.57", payer_account=ACME_BANK), item("INV-1", "1234.57"), item("INV-2", "1234.57"))
    assert (decision.reason, len(decision.suggestions)) == (Reason.AMOUNT_NOT_UNIQUE, 2)


def test_an_item_and_a_set_of_items_of_the_same_sum_are_not_unique():
    items = (item("INV-1", "1234.57"), item("INV-2", "1000.00"), item("INV-3", "234.57"))
    assert decide(pay("1234.57", payer_account=ACME_BANK), *items).reason is Reason.AMOUNT_NOT_UNIQUE


def test_a_set_of_items_is_suggested_never_posted():
    items = (item("INV-1", "1000.03"), item("INV-2", "234.54"))
    decision = decide(pay("1234.57", payer_account=ACME_BANK), *items)
    assert (decision.outcome, len(decision.suggestions[0].items)) == (Outcome.SUGGESTED, 2)


@pytest.mark.parametrize("text", ["INV-9999", "Rechnung 4711", "RF18 5390 0754 7043", "0815471142", "PO 45001234"])
def test_a_citation_that_leads_nowhere_blocks_amounts(text):
    decision = decide(pay("1234.57", text, payer_account=ACME_BANK), item("INV-1234", "1234.57"))
    assert (decision.applications, decision.reason) == ((), Reason.CITATION_UNRESOLVED)


def test_an_amount_never_reaches_beyond_the_undisputed_rest():
    items = (item("INV-1234", "1234.57", disputed_minor=cents("234.57")),)
    assert decide(pay("1234.57", payer_account=ACME_BANK), *items).applications == ()


def test_the_second_payment_of_a_settled_document_is_flagged_as_duplicate():
    settled = item("INV-1234", "100.00", remaining_minor=0)
    twin = ReceiptView("pay-0", "EUR", 10000, TODAY - timedelta(days=5), ACME_BANK, None, (settled.document_id,))
    payment = pay("100.00", "INV-1234", payer_account=ACME_BANK)
    decision = decide(payment, settled, receipts=(twin,))
    assert (decision.outcome, decision.reason, decision.flags) == (
        Outcome.UNAPPLIED,
        Reason.DUPLICATE,
        ("DUPLICATE",),
    )
    assert decide(payment, settled).reason is Reason.ALREADY_SETTLED


def test_a_twin_of_six_days_before_is_no_duplicate():
    settled = item("INV-1234", "100.00", remaining_minor=0)
    twin = ReceiptView("pay-0", "EUR", 10000, TODAY - timedelta(days=6), ACME_BANK, None, (settled.document_id,))
    decision = decide(pay("100.00", "INV-1234", payer_account=ACME_BANK), settled, receipts=(twin,))
    assert decision.reason is Reason.ALREADY_SETTLED


def test_a_document_in_another_currency_is_not_paid():
    decision = decide(pay("10.00", "INV-1001"), item("INV-1001", "10.00", currency="USD"))
    assert (decision.applications, decision.reason) == ((), Reason.CURRENCY_DIFFERS)


def test_evidence_that_leads_to_a_parked_account_leaves_the_money_with_a_candidate():
    parked = AccountView("C-10001", "Acme Maschinenbau GmbH", (ACME_BANK,), parked=True)
    for text in (("INV-1234",), ()):
        payment = pay("1234.57", *text, payer_account=ACME_BANK)
        decision = decide(payment, item("INV-1234", "1234.57"), accounts=(parked,))
        assert (decision.applications, decision.reason) == ((), Reason.ACCOUNT_PARKED)
        assert [c.account_id for c in decision.candidates] == ["C-10001"]


def test_a_payment_without_any_evidence_is_unidentified():
    decision = decide(pay("77.77", payer_name="Somebody"), accounts=())
    assert (decision.outcome, decision.reason, decision.left_to) == (
        Outcome.UNIDENTIFIED,
        Reason.NO_EVIDENCE,
        LeftTo.UNIDENTIFIED,
    )


def test_a_known_payer_whose_money_fits_nothing_is_identified_and_unapplied():
    decision = decide(pay("77.77", payer_account=ACME_BANK), accounts=(ACME,))
    assert (decision.outcome, decision.account_id, decision.identified_by) == (
        Outcome.UNAPPLIED,
        "C-10001",
        "bank_account",
    )


def test_a_bank_account_of_two_customers_identifies_neither_but_connects_both():
    shared = AccountView("C-10002", "Beta Logistique SA", (ACME_BANK,))
    decision = decide(pay("77.77", payer_account=ACME_BANK), accounts=(ACME, shared))
    assert decision.account_id is None
    assert [c.account_id for c in decision.candidates] == ["C-10001", "C-10002"]


def test_open_items_that_make_the_amount_come_before_a_citation_without_a_witness():
    items = (item("INV-1234", "40.00", "C-10002"), item("INV-5678", "90.00"))
    decision = decide(pay("90.00", "INV-1234", payer_account=ACME_BANK), *items)
    assert [s.items[0].item_id[:8] for s in decision.suggestions[:2]] == ["INV-5678", "INV-1234"]


def test_a_transposed_number_with_the_right_amount_is_the_first_suggestion():
    items = (item("INV-20261234", "400.00"), item("INV-20265555", "400.00"))
    decision = decide(pay("400.00", "INV-20261243", payer_account=ACME_BANK), *items)
    assert decision.outcome is Outcome.SUGGESTED
    assert decision.suggestions[0].items[0].item_id.startswith("INV-20261234")
    assert decision.suggestions[0].rule == "near_number"


def test_the_amount_alone_connects_at_most_twenty_accounts():
    few = [item(f"INV-{n}", "77.77", f"C-{n}") for n in range(20)]
    many = [*few, item("INV-20", "77.77", "C-20")]
    assert len(decide(pay("77.77"), *few, accounts=()).candidates) == 20
    assert decide(pay("77.77"), *many, accounts=()).candidates == ()
