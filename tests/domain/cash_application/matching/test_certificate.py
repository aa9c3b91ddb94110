"""Certificates and the verifier: what holds is found to hold, what was tampered with is found."""

from dataclasses import replace
from json import dumps

import pytest

from services.cash_application.domain.matching.ladder import match
from services.cash_application.domain.matching.model import Candidates, LeftTo, Reason
from services.cash_application.domain.matching.policy import Policy, PolicyInvalid, read_policy
from tests.domain.cash_application.matching.builders import ACME, ACME_BANK, OWN, TODAY, cents, item, pay
from tests.domain.cash_application.matching.oracle import verify

PAYMENT = pay("1234.57", "thank you", payer_account=ACME_BANK)
CANDIDATES = Candidates((item("INV-1234", "1234.57"), item("INV-5678", "80.10")), (ACME,))


def problems(decision, candidates=CANDIDATES, payment=PAYMENT, policy=None, closing=True):
    return verify(payment, candidates, policy or Policy(), decision, closing=closing, on=TODAY)


def decided():
    return match(PAYMENT, CANDIDATES, Policy(), closing=True, on=TODAY)


def test_a_certificate_names_rungs_chosen_items_candidates_chance_and_policy():
    certificate = decided().certificate
    assert [rung["rung"] for rung in certificate["rungs"]][-1] == "exact_amount"
    assert certificate["rungs"][-1]["lambda"] == "0.000080994"
    assert certificate["rungs"][-1]["subsets"] == 1
    assert certificate["chosen"] == [["INV-1234/C-10001/001", 1, "", 123457]]
    assert (certificate["candidates"], certificate["policy"], certificate["snapshot"]) == (2, "matching@1", None)


def test_evidence_in_a_certificate_is_the_span_of_the_citation():
    payment = pay("1234.57", "pays INV-1234")
    certificate = match(payment, CANDIDATES, Policy(), closing=False, on=TODAY).certificate
    rung = next(rung for rung in certificate["rungs"] if rung["rung"] == "document_number")
    assert rung["evidence"] == [["text", 5, 13, "full"]]
    assert rung["witness"] == "amount"


def test_the_verifier_agrees_and_does_not_mind_the_snapshot():
    decision = decided()
    filled = replace(decision, certificate={**decision.certificate, "snapshot": "100:105:"})
    assert problems(filled) == []


@pytest.mark.parametrize("key", sorted(set(decided().certificate) - {"snapshot"}))
def test_every_tampered_field_of_a_certificate_is_found(key):
    decision = decided()
    tampered = replace(decision, certificate={**decision.certificate, key: "tampered"})
    assert any(key in problem for problem in problems(tampered))


def test_a_removed_field_of_a_certificate_is_found():
    decision = decided()
    certificate = {k: v for k, v in decision.certificate.items() if k != "rungs"}
    assert problems(replace(decision, certificate=certificate))


@pytest.mark.parametrize(
    "change",
    [
        {"item_id": "INV-5678/C-10001/001"},
        {"cash_minor": cents("1234.56")},
        {"cash_minor": cents("1234.58")},
        {"version": 2},
        {"posting_hash": "00"},
        {"account_id": "C-10002"},
        {"discount_minor": 1},
    ],
)
def test_a_moved_cent_another_item_or_another_state_is_found(change):
    decision = decided()
    moved = (replace(decision.applications[0], **change),)
    assert problems(replace(decision, applications=moved))


@pytest.mark.parametrize(
    "change", [{"left_minor": 1}, {"gain_minor": 1}, {"left_to": LeftTo.UNAPPLIED}, {"reason": Reason.OVERPAID}]
)
def test_a_decision_whose_sums_or_words_were_changed_is_found(change):
    assert problems(replace(decided(), **change))


def test_a_decision_taken_under_other_conditions_is_found():
    decision = decided()
    more = replace(CANDIDATES, items=(*CANDIDATES.items, item("INV-9", "1234.57")))
    assert problems(decision, candidates=more)
    assert problems(decision, closing=False)
    assert problems(decision, policy=read_policy({"lambda_max": "0.00001"}, "2"))
    assert problems(decision, payment=replace(PAYMENT, payer_account=None))


def test_the_verifier_recounts_chance_by_itself():
    payment = pay("1000.00", payer_account=ACME_BANK)
    candidates = Candidates((item("INV-1234", "1000.00"),), (ACME,))
    lax = Policy(lambda_max=Policy().lambda_max * 999)
    decision = match(payment, candidates, lax, closing=True, on=TODAY)
    assert decision.applications
    found = verify(payment, candidates, Policy(), decision, closing=True, on=TODAY)
    assert any("λ is at least" in problem for problem in found)


def test_a_certificate_over_a_hundred_items_still_fits():
    items = tuple(item(f"INV-{n:05d}", "10.00", payment_reference=OWN, document_id="d") for n in range(100))
    payment, candidates = pay("1000.00", OWN), Candidates(items, (ACME,))
    decision = match(payment, candidates, Policy(), closing=False, on=TODAY)
    assert (len(decision.applications), decision.certificate["chosen_count"]) == (100, 100)
    assert len(dumps(decision.certificate).encode()) <= 4096
    assert verify(payment, candidates, Policy(), decision, closing=False, on=TODAY) == []


def test_a_payment_with_nothing_available_is_refused():
    with pytest.raises(ValueError, match="needs more than 0"):
        match(pay("10.00", available_minor=0), CANDIDATES, Policy(), closing=False, on=TODAY)


def test_a_policy_is_read_from_its_activated_content():
    content = {"tolerance": {"EUR": {"absolute_minor": 500, "per_mille": 5}}, "lambda_max": "0.002", "short": "suggest"}
    policy = read_policy(content, "2026-01", "ab")
    assert (policy.label, policy.sha256, policy.short) == ("matching@2026-01", "ab", "suggest")
    assert policy.tolerance_for("EUR").absolute_minor == 500
    assert not policy.tolerance_for("USD").covers(1, 100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"tolerence": {}}, "unknown field 'tolerence'"),
        ({"short": "never"}, "short is 'never', it must be one of partial, suggest"),
        ({"lambda_max": 0.001}, "lambda_max is 0.001"),
        ({"lambda_max": "1.5"}, "below 1"),
        ({"duplicate_days": -1}, "duplicate_days is -1"),
        ({"tolerance": {"EUR": {"absolute_minor": 5}}}, "tolerance.EUR"),
    ],
)
def test_a_policy_with_a_mistake_is_refused_with_field_and_value(content, message):
    with pytest.raises(PolicyInvalid, match=message):
        read_policy(content, "1")
