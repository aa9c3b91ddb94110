"""Candidate cash: announced, held, quarantined and waiting money is known to the gate until it is applied or gone."""

import pytest

from shared.events.ledger import CashCandidate, CashCandidateCleared
from shared.events.payments import (
    HeldCredit,
    Payer,
    PaymentAnnounced,
    RecordQuarantined,
    RecordReleased,
    StatementHeld,
    StatementReleased,
)
from shared.ids import derive
from tests.scenario.cash_application.desk import ACME, DAY, Desk, customer, invoice, only, pay_id, payment, types

STATEMENT = {"company": ACME, "statement_id": "S-7", "bank_account": "EUR-1"}


def held(*credits: HeldCredit) -> StatementHeld:
    return StatementHeld(
        **STATEMENT,
        currency="EUR",
        from_on=DAY,
        to_on=DAY,
        opening_minor=0,
        closing_minor=1,
        reason="UNBALANCED",
        credits=list(credits),
    )


@pytest.mark.parametrize(
    ("credit", "evidence"),
    [
        (HeldCredit(amount_minor=12_345, references=["INV-2026-00017"]), ["reference"]),
        (HeldCredit(amount_minor=999, payer_hint="Nordwind Handels GmbH"), ["name"]),
        (HeldCredit(amount_minor=999, payer_account="DE89370400440532013000"), ["bank_account"]),
        (HeldCredit(amount_minor=12_345), ["exact_amount"]),
    ],
)
async def test_credits_of_a_held_statement_are_candidates_until_its_release(desk: Desk, credit, evidence):
    await desk.feed(customer(), invoice("INV-2026-00017", 12_345))
    told = await desk.feed(held(credit))
    candidate = only(told, CashCandidate)
    assert (candidate.account_id, candidate.source, candidate.amount_minor) == ("C1", "held", credit.amount_minor)
    assert candidate.evidence == evidence
    told = await desk.feed(StatementReleased(**STATEMENT, outcome="booked"))
    assert only(told, CashCandidateCleared).candidate_id == candidate.candidate_id


async def test_an_amount_that_fits_too_many_accounts_is_no_evidence(desk: Desk):
    facts = [customer(f"C{n}", f"Kunde {n:03d}", "") for n in range(21)]
    await desk.feed(*facts, *(invoice(f"INV-2026-{n:05d}", 12_345, f"C{n}") for n in range(21)))
    assert await desk.feed(held(HeldCredit(amount_minor=12_345))) == []
    await desk.feed(payment("p1", 12_345, "INV-2026-00020", payer="", iban=""))
    assert (
        types(await desk.feed(held(HeldCredit(amount_minor=12_345)).model_copy(update={"statement_id": "S-8"})))
        == ["cash.candidate"] * 20
    )


def announced(name: str, amount: int = 12_345) -> PaymentAnnounced:
    return PaymentAnnounced(
        company=ACME,
        payment_id=pay_id(name),
        bank_account="EUR-1",
        document_on=DAY,
        valued_on=DAY,
        accounted_on=DAY,
        amount_minor=amount,
        currency="EUR",
        payer=Payer(name="Nordwind Handels GmbH", account="DE89 3704 0044 0532 0130 00"),
    )


@pytest.mark.parametrize("booked_as", ["a1", "other"])
async def test_the_booking_closes_the_announcement(desk: Desk, booked_as: str):
    await desk.feed(customer(), invoice("INV-2026-00017", 12_345))
    told = await desk.feed(announced("a1"))
    assert types(told) == ["cash.candidate"]
    assert only(told, CashCandidate).source == "announced"
    told = await desk.feed(payment(booked_as, 12_345, "INV-2026-00017"))
    assert sorted(types(told)) == ["cash.candidate_cleared", "item.settled", "payment.applied"]
    assert await desk.feed(announced("a1")) == []


def quarantined(kind: type, account_id: str | None = "C1"):
    return kind(
        company=ACME,
        record_id=derive("record", "q1"),
        kind="payment",
        account_id=account_id,
        amount_minor=5_000,
        currency="EUR",
        reason="UNKNOWN_CURRENCY",
    )


async def test_a_quarantined_payment_is_a_candidate_until_its_release(desk: Desk):
    await desk.feed(customer())
    told = await desk.feed(quarantined(RecordQuarantined))
    assert only(told, CashCandidate).source == "quarantined"
    assert types(await desk.feed(quarantined(RecordReleased))) == ["cash.candidate_cleared"]


@pytest.mark.parametrize(
    ("hints", "evidence"),
    [
        (["N-1", "Nordwind Handels GmbH"], ["name"]),
        (["N-1", "DE89 3704 0044 0532 0130 00"], ["bank_account"]),
        (["payment of INV-2026-00017"], ["reference"]),
        (["RF18 5390 0754 7034"], ["reference"]),
    ],
)
async def test_hints_of_a_quarantined_payment_find_its_account(desk: Desk, hints: list[str], evidence: list[str]):
    await desk.feed(customer(), invoice("INV-2026-00017", 12_345, reference="RF18539007547034"))
    told = await desk.feed(quarantined(RecordQuarantined, None).model_copy(update={"hints": hints}))
    candidate = only(told, CashCandidate)
    assert (candidate.account_id, candidate.evidence) == ("C1", evidence)


async def test_a_quarantined_invoice_is_no_cash(desk: Desk):
    await desk.feed(customer())
    assert await desk.feed(quarantined(RecordQuarantined).model_copy(update={"kind": "invoice"})) == []


async def test_a_candidate_that_does_not_change_is_told_once(desk: Desk):
    await desk.feed(customer(), payment("p1", 5_000, "thanks"))
    assert await desk.close() == []
    assert len(await desk.rows("select * from candidate")) == 1


async def test_applying_the_cash_clears_the_candidates_of_everybody(desk: Desk):
    await desk.feed(customer(), customer("C2", "Suedstern AG", "DE02120300000000202051"))
    await desk.feed(invoice("INV-2026-00017", 12_345), invoice("INV-2026-00018", 12_345, "C2"))
    told = await desk.feed(payment("p1", 12_345, "hello", payer="", iban=""))
    assert types(told).count("cash.candidate") == 2
    from services.cash_application.domain import commands
    from tests.scenario.cash_application.desk import item

    line = commands.ApplyLine(item_id=item("INV-2026-00017"), cash_minor=12_345)
    told = await desk.command(commands.Apply(payment_id=pay_id("p1"), currency="EUR", lines=[line]))
    assert types(told).count("cash.candidate_cleared") == 2
