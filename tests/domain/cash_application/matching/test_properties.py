"""What holds for every payment and every set of candidates, however odd."""

from dataclasses import replace
from datetime import timedelta
from json import dumps

from hypothesis import given, settings
from hypothesis import strategies as st

from services.cash_application.domain.matching.case import build_case
from services.cash_application.domain.matching.ladder import match
from services.cash_application.domain.matching.model import (
    CREDIT,
    DEBIT,
    AccountView,
    Candidates,
    Discount,
    ItemView,
    LeftTo,
    Outcome,
    PaymentView,
    RemittanceLine,
)
from services.cash_application.domain.matching.policy import Policy, Tolerance
from tests.domain.cash_application.matching.builders import ACME_BANK, BETA_BANK, OWN, TODAY
from tests.domain.cash_application.matching.oracle import verify

NUMBERS = ("INV-10001", "INV-10002", "INV-10020", "CM-90001", "INV-777")
AMOUNTS = st.sampled_from([1, 500, 1000, 1999, 10000, 12345, 20000, 123457, 12344, 3])
WORDS = st.sampled_from(
    [*NUMBERS, OWN, "INV-99999", "10001", "thanks", "C-10001", "and", "RF18 5390 0754 7043", "12.03.2026"]
)
ACCOUNTS = (
    AccountView("C-10001", "Acme GmbH", (ACME_BANK,), pays_for=("C-10002",)),
    AccountView("C-10002", "Beta SA", (BETA_BANK,)),
    AccountView("C-10003", "Gamma Ltd", parked=True),
)


@st.composite
def items(draw) -> tuple[ItemView, ...]:
    made = []
    for n in range(draw(st.integers(0, 6))):
        original = draw(AMOUNTS)
        remaining = draw(st.sampled_from([original, original, 0, max(1, original // 2)]))
        made.append(
            ItemView(
                item_id=f"i{n}",
                document_id=draw(st.sampled_from([f"d{n}", "d0"])),
                number=draw(st.sampled_from(NUMBERS)),
                account_id=draw(st.sampled_from(["C-10001", "C-10001", "C-10002", "C-10003"])),
                currency=draw(st.sampled_from(["EUR", "EUR", "EUR", "USD"])),
                original_minor=original,
                remaining_minor=remaining,
                due_on=TODAY + timedelta(days=draw(st.integers(-3, 3))),
                document_on=TODAY,
                line=f"{n:03d}",
                side=draw(st.sampled_from([DEBIT, DEBIT, DEBIT, CREDIT])),
                disputed_minor=draw(st.sampled_from([0, 0, remaining // 2, remaining])),
                payment_reference=draw(st.sampled_from([None, None, OWN])),
                discounts=draw(st.sampled_from([(), (Discount(TODAY, max(1, original // 50)),)])),
            )
        )
    return tuple(made)


@st.composite
def payments(draw) -> PaymentView:
    amount = draw(st.one_of(AMOUNTS, st.integers(1, 250000)))
    line = st.builds(
        RemittanceLine,
        document=st.sampled_from([*NUMBERS, OWN, "INV-99999", ""]),
        discount_minor=st.sampled_from([0, 20, 200]),
        deduction_minor=st.sampled_from([0, 100]),
        reason=st.sampled_from([None, "DAMAGED"]),
        paid_minor=st.one_of(st.none(), AMOUNTS, st.just(-500)),
    )
    return PaymentView(
        payment_id=draw(st.sampled_from(["p1", "p2", "p3"])),
        company="vdr-eu",
        bank_account="EUR-1",
        currency="EUR",
        amount_minor=amount,
        valued_on=TODAY,
        payer_name=draw(st.sampled_from([None, "Acme GmbH", "BETA", "Nobody"])),
        payer_account=draw(st.sampled_from([None, ACME_BANK, BETA_BANK, "DE02100100109307118603"])),
        remittance_text=(" ".join(draw(st.lists(WORDS, max_size=4))),),
        remittance=tuple(draw(st.one_of(st.just([]), st.lists(line, max_size=3)))),
        charges_minor=draw(st.sampled_from([0, 0, 500])),
        available_minor=draw(st.sampled_from([None, None, max(1, amount // 2)])),
    )


POLICIES = st.builds(
    Policy,
    tolerance=st.sampled_from([{}, {"EUR": Tolerance(500, 50)}]),
    over_tolerance=st.sampled_from([{}, {"EUR": Tolerance(100, 50)}]),
    short=st.sampled_from(["partial", "suggest"]),
    short_several=st.sampled_from(["suggest", "oldest_first"]),
    overpayment=st.sampled_from(["unapplied", "on_account"]),
    deduction=st.sampled_from(["deduct", "residual"]),
    amount_witness_against_payer=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(payments(), items(), POLICIES, st.booleans())
def test_money_is_never_lost_nor_made_and_no_item_gets_more_than_is_open(payment, opened, policy, closing):
    candidates = Candidates(opened, ACCOUNTS)
    decision = match(payment, candidates, policy, closing=closing, on=TODAY)
    remaining = {i.item_id: i.remaining_minor for i in opened}
    assert decision.applied_minor + decision.left_minor + decision.gain_minor == payment.open_minor
    assert decision.left_minor >= 0
    assert all(0 < a.relief_minor <= remaining[a.item_id] for a in decision.applications)
    assert (decision.outcome is Outcome.POSTED) == bool(decision.applications)
    assert (decision.left_to is LeftTo.NOTHING) == (decision.left_minor == 0)
    assert verify(payment, candidates, policy, decision, closing=closing, on=TODAY) == []


@settings(max_examples=100, deadline=None)
@given(payments(), items(), POLICIES, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_never_shows(payment, opened, policy, closing, shuffler):
    shuffled, accounts = list(opened), list(ACCOUNTS)
    shuffler.shuffle(shuffled)
    shuffler.shuffle(accounts)
    first = match(payment, Candidates(opened, ACCOUNTS), policy, closing=closing, on=TODAY)
    second = match(payment, Candidates(tuple(shuffled), tuple(accounts)), policy, closing=closing, on=TODAY)
    assert first == second
    assert first.certificate == second.certificate


@settings(max_examples=100, deadline=None)
@given(payments(), items(), POLICIES)
def test_before_the_close_nothing_posts_whose_answer_would_depend_on_arrival(payment, opened, policy):
    decision = match(payment, Candidates(opened, ACCOUNTS), policy, closing=False, on=TODAY)
    assert not decision.rule.startswith("exact_amount")
    assert not decision.rule.endswith(("/small_difference", "/small_gain", "/oldest_first"))


@settings(max_examples=100, deadline=None)
@given(payments(), items(), POLICIES)
def test_an_amount_alone_speaks_only_for_a_known_payer_who_cites_nothing(payment, opened, policy):
    candidates = Candidates(opened, ACCOUNTS)
    decision = match(payment, candidates, policy, closing=True, on=TODAY)
    if decision.rule.startswith("exact_amount") and decision.applications:
        case = build_case(payment, candidates, policy, True, TODAY)
        assert not (case.found.unresolved or case.found.documents or case.found.references)
        assert not any(line.document for line in payment.remittance)
        assert {a.account_id for a in decision.applications} <= set(case.payer.known)
        assert len(decision.applications) == 1


@settings(max_examples=80, deadline=None)
@given(payments(), items(), POLICIES)
def test_a_number_without_check_digits_never_posts_alone(payment, opened, policy):
    stranger = replace(payment, payer_account=None, payer_name=None, charges_minor=0)
    unreferenced = tuple(replace(i, payment_reference=None, discounts=()) for i in opened)
    decision = match(stranger, Candidates(unreferenced, ACCOUNTS), policy, closing=True, on=TODAY)
    if decision.applications:
        assert decision.applied_minor == stranger.open_minor
        assert all(a.relief_minor == a.cash_minor for a in decision.applications)


@settings(max_examples=80, deadline=None)
@given(payments(), items(), POLICIES)
def test_parked_accounts_and_other_currencies_are_never_touched(payment, opened, policy):
    decision = match(payment, Candidates(opened, ACCOUNTS), policy, closing=True, on=TODAY)
    by_id = {i.item_id: i for i in opened}
    assert all(by_id[a.item_id].currency == payment.currency for a in decision.applications)
    assert all(a.account_id != "C-10003" for a in decision.applications)


@settings(max_examples=80, deadline=None)
@given(payments(), items(), POLICIES)
def test_suggestions_stay_within_the_money_and_the_items_and_are_ranked_without_repeats(payment, opened, policy):
    decision = match(payment, Candidates(opened, ACCOUNTS), policy, closing=True, on=TODAY)
    by_id = {i.item_id: i for i in opened}
    assert [s.rank for s in decision.suggestions] == list(range(1, len(decision.suggestions) + 1))
    assert len({frozenset((i.item_id, i.amount_minor) for i in s.items) for s in decision.suggestions}) == len(
        decision.suggestions
    )
    for suggestion in decision.suggestions:
        signed = sum(i.amount_minor if by_id[i.item_id].side == DEBIT else -i.amount_minor for i in suggestion.items)
        assert signed <= payment.open_minor
        assert all(0 < i.amount_minor <= by_id[i.item_id].remaining_minor for i in suggestion.items)


@settings(max_examples=80, deadline=None)
@given(payments(), items(), POLICIES)
def test_a_certificate_is_json_of_at_most_4096_bytes(payment, opened, policy):
    decision = match(payment, Candidates(opened, ACCOUNTS), policy, closing=True, on=TODAY)
    assert len(dumps(decision.certificate).encode()) <= 4096
