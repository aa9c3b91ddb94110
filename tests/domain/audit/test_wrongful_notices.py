"""A notice is wrongful if what was known more than 60 s before it left stood against it; one that nothing stood against
is not."""

from datetime import timedelta

import pytest

from audit.findings import Findings
from audit.log_reader import Event
from audit.notices import judge_notices
from tests.domain.audit.said import (
    BEFORE,
    SENT_AT,
    TOO_LATE,
    UPSTREAM,
    account,
    closed,
    configured,
    contact,
    identity,
    item_state,
    log_of,
    notice,
    payment,
    placed,
    policy,
    requested,
    said,
    statement,
    ticks,
)

IBAN = "DE89370400440532013000"
OWED = item_state()
SCENE = (
    configured(), account(), account("C2", "Alster AG", "DE02"), OWED, contact(), policy(), requested(OWED),
    *(event for source in UPSTREAM for event in (*ticks(source), closed(source))), statement(),
)  # fmt: skip


def wrongful(*facts: Event, scene=SCENE, sent: Event | None = None) -> list[str]:
    """Evidence against the one notice of a log."""
    findings = Findings()
    judged, count = judge_notices(log_of(*scene, *facts, sent or notice(OWED)), findings)
    assert judged == 1 and count == bool(findings.texts)
    return findings.texts


def promise(known_at=BEFORE, kind="promise.made", version=1, items=(OWED.data["item_id"],)) -> Event:
    return said(
        kind, "ar.collections", known_at, promise_id=identity("p"), version=version, account_id="C1", currency="EUR",
        amount_minor=50_000, items=list(items),
    )  # fmt: skip


def dispute(known_at=BEFORE, status="open", version=1, amount=50_000) -> Event:
    return said(
        "dispute.opened", "ar.collections", known_at, dispute_id=identity("d"), version=version, account_id="C1",
        item_id=OWED.data["item_id"], disputed_minor=amount, currency="EUR", status=status,
    )  # fmt: skip


def credit_memo(known_at=BEFORE, **more) -> Event:
    return item_state("CN-2026-00001", 50_000, side="credit", kind="credit_memo", known_at=known_at, **more)


def quarantined(**more) -> Event:
    return said(
        "record.quarantined", "ar.payments", record_id=identity("r"), **{"kind": "invoice", "hints": [], **more}
    )


def held(**credit) -> Event:
    credits = [{"amount_minor": 123, "references": [], **credit}]
    return said(
        "statement.held", "ar.payments", statement_id="held", bank_account="EUR-1", currency="EUR", credits=credits
    )


def test_a_notice_that_nothing_stood_against_is_right():
    assert wrongful() == []


AGAINST = {
    "settled": (item_state(remaining=0, version=2),),
    "smaller": (item_state(remaining=49_999, version=2),),
    "disputed in the ledger": (item_state(version=2, disputed_minor=1),),
    "not yet due": (item_state(version=2, due_on="2026-02-01"),),
    "promised": (promise(),),
    "promised for the account": (promise(items=()),),
    "disputed": (dispute(),),
    "disputed in part": (dispute(amount=1),),
    "covered by a credit": (credit_memo(),),
    "covered by cash on account": (
        said("cash.changed", "ar.ledger", account_id="C1", currency="EUR", version=1, unapplied_minor=0,
             on_account_minor=50_000),
    ),
    "cash of its bank account": (payment(777, iban=IBAN), placed(777, unidentified_minor=777)),
    "cash that the subledger never decided": (payment(777, iban=IBAN),),
    "cash of its name": (payment(777, name="NORDWIND  Gmbh"), placed(777, unidentified_minor=777)),
    "cash that cites its document": (payment(777, text="RG INV 2026 00001 dank"), placed(777, unidentified_minor=777)),
    "cash of its exact amount": (payment(50_000), placed(50_000, unidentified_minor=50_000)),
    "cash that waits on the account": (
        payment(777), placed(777, split=[{"account_id": "C1", "applied_minor": 0, "unapplied_minor": 777,
                                          "on_account_minor": 0}]),
    ),
    "a credit in a held statement": (held(payer_account=IBAN),),
    "a quarantined record of its own": (quarantined(account_id="C1"),),
    "a quarantined bank line that could be anybody's": (quarantined(kind="bank_line"),),
    "a quarantined payment of its name": (
        quarantined(kind="payment", amount_minor=5, currency="EUR", hints=["Nordwind"]),
    ),
    "a cancelled document": (
        said("invoice.cancelled", "ar.invoices", account_id="C1", document_id=OWED.data["document_id"]),
    ),
    "a credit memo that was never booked": (
        said("credit_memo.issued", "ar.invoices", account_id="C1", document_id="cm", number="1", total_minor=1),
    ),
    "an invalid contact": (said("contact.updated", "ar.accounts", account_id="C1", contact_id="K1", valid=False),),
}  # fmt: skip


@pytest.mark.parametrize("facts", AGAINST.values(), ids=AGAINST.keys())
def test_what_was_known_in_time_makes_it_wrongful(facts: tuple[Event, ...]):
    assert wrongful(*facts)


@pytest.mark.parametrize("facts", AGAINST.values(), ids=AGAINST.keys())
def test_what_came_within_the_last_minute_does_not(facts: tuple[Event, ...]):
    late = [
        type(e)(**{name: getattr(e, name) for name in e.__slots__} | {"known_at": TOO_LATE, "id": f"late {e.id}"})
        for e in facts
    ]
    assert wrongful(*late) == []


TAKEN_AWAY = {
    "a promise that was broken": (promise(), promise(kind="promise.broken", version=2)),
    "a dispute that was resolved": (dispute(), dispute(status="resolved", version=2)),
    "an item that was reopened": (item_state(remaining=0, version=2), item_state(version=3)),
    "a credit that was used": (credit_memo(), credit_memo(version=2, remaining_minor=0)),
    "cash that was applied": (payment(777, iban=IBAN), placed(777, unidentified_minor=777), placed(777, version=2)),
    "a record that was released": (
        quarantined(account_id="C1"), said("record.released", "ar.payments", record_id=identity("r"), kind="invoice"),
    ),
    "cash that a person gave to another": (
        payment(777, iban=IBAN),
        placed(777, actor="user:ana", split=[{"account_id": "C2", "applied_minor": 0, "unapplied_minor": 777,
                                              "on_account_minor": 0}]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("facts", TAKEN_AWAY.values(), ids=TAKEN_AWAY.keys())
def test_what_was_taken_away_again_does_not_stand_against_it(facts: tuple[Event, ...]):
    assert wrongful(*facts) == []


def test_cash_of_nobody_in_particular_does_not_stand_against_it():
    assert wrongful(payment(777, name="Somebody"), placed(777, unidentified_minor=777)) == []


def test_an_amount_that_more_than_twenty_accounts_owe_is_no_evidence():
    crowd = [item_state(f"INV-2026-{n:05}", account_id=f"D{n}") for n in range(100, 120)]
    cash = (payment(50_000), placed(50_000, unidentified_minor=50_000))
    assert wrongful(*crowd[:19], *cash)
    assert wrongful(*crowd, *cash) == []


def test_cash_is_evidence_for_ten_banking_days():
    ago = SENT_AT - timedelta(days=16)
    cash = (payment(777, iban=IBAN, known_at=ago), placed(777, unidentified_minor=777, known_at=ago))
    assert wrongful(*cash) == []
    ago = SENT_AT - timedelta(days=12)
    assert wrongful(payment(777, iban=IBAN, known_at=ago), placed(777, unidentified_minor=777, known_at=ago))


def test_bank_data_must_reach_the_last_banking_day():
    short = (*SCENE[:-1], statement(to_on="2026-01-12"))
    assert "needed 2026-01-13" in wrongful(scene=short)[0]


def test_a_gap_in_the_chain_of_statements_counts_as_incomplete():
    gap = said(
        "statement.received", "ar.payments", statement_id="x", bank_account="EUR-1", currency="EUR",
        from_on="2026-01-13", to_on="2026-01-13", opening_minor=5, closing_minor=5, balanced=True,
    )  # fmt: skip
    assert wrongful(scene=(*SCENE[:-1], statement(to_on="2026-01-12"), gap))
