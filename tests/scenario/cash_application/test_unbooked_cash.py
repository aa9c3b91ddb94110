"""Cash that is known but not booked, and an item of its number or amount that opens later: connected when it opens."""

from datetime import timedelta
from typing import Any

import pytest

from audit.knowledge import Knowledge
from audit.log_reader import Log
from audit.obstacles_of_cash import CashObstacles
from shared.events.catalogue import EVENTS
from shared.events.ledger import CashCandidate, CashCandidateCleared
from shared.events.payments import (
    HeldCredit,
    PaymentAnnounced,
    RecordQuarantined,
    RecordReleased,
    StatementReleased,
)
from shared.ids import derive
from tests.domain.audit.said import SENT_AT, log_of, notice, said
from tests.scenario.cash_application.desk import (
    ACME,
    DAY,
    Desk,
    customer,
    invoice,
    only,
    pay_id,
    payment,
    types,
)
from tests.scenario.cash_application.test_candidates import STATEMENT, held

NEXT = DAY + timedelta(1)
OTHER = customer("C2", "Suedstern AG", "DE02120300000000202051")
RF = "RF18539007547034"


def announced(name: str = "a1", minor: int = 12_345, text: str = "", **more: Any) -> PaymentAnnounced:
    body = payment(name, minor, text, payer="", iban="", **more).model_dump(exclude={"source"})
    return PaymentAnnounced(**body)


def quarantined(kind: type = RecordQuarantined, what: str = "payment", text: str = "") -> Any:
    hints = [text] if text else []
    return kind(
        company=ACME, record_id=derive("record", "q1"), kind=what, amount_minor=12_345, currency="EUR", hints=hints,
        reason="UNKNOWN_ACCOUNT",
    )  # fmt: skip


def cash(source: str, text: str) -> Any:
    if source == "announced":
        return announced(text=text)
    if source == "held":
        return held(HeldCredit(amount_minor=12_345, references=[text] if text else []))
    return quarantined(text=text)


SOURCES = ["announced", "held", "quarantined"]
GONE = {
    "announced": announced("a1").model_copy(),
    "held": StatementReleased(**STATEMENT, outcome="booked"),
    "quarantined": quarantined(RecordReleased),
}


async def standing(desk: Desk) -> dict[str, tuple[str, ...]]:
    rows = await desk.rows("select account_id, evidence from candidate where open")
    return {row["account_id"]: tuple(row["evidence"]) for row in rows}


@pytest.mark.parametrize("source", SOURCES)
async def test_an_item_of_its_amount_that_opens_later_is_connected_when_it_opens(desk: Desk, source: str):
    await desk.feed(customer(), OTHER)
    assert types(await desk.feed(cash(source, ""))) == []
    told = await desk.feed(invoice("INV-2026-00017", 12_345), invoice("INV-2026-00018", 777, "C2"), on=NEXT)
    found = only(told, CashCandidate)
    assert (found.account_id, found.source, found.evidence) == ("C1", source, ["exact_amount"])
    assert (found.amount_minor, found.since_on) == (12_345, DAY)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("text", "reference"), [("INV-2026-00017", ""), ("Rechnung 00017 danke", ""), (RF, RF)])
async def test_an_item_that_it_cites_and_that_opens_later_is_connected_when_it_opens(
    desk: Desk, source: str, text: str, reference: str
):
    await desk.feed(customer(), OTHER)
    assert types(await desk.feed(cash(source, text))) == []
    strange = invoice("INV-2026-00018", 99_999, "C2")
    told = await desk.feed(strange, invoice("INV-2026-00017", 55_555, reference=reference), on=NEXT)
    found = only(told, CashCandidate)
    assert (found.account_id, found.source, found.evidence) == ("C1", source, ["reference"])


async def test_a_number_that_only_ends_alike_is_no_evidence(desk: Desk):
    await desk.feed(customer(), cash("held", "PO-1234500017"))
    assert types(await desk.feed(invoice("INV-2026-00017", 55_555), on=NEXT)) == ["item.opened"]


@pytest.mark.parametrize("source", ["held", "quarantined"])
async def test_what_was_connected_later_is_cleared_with_its_release(desk: Desk, source: str):
    await desk.feed(customer(), OTHER, cash(source, "INV-2026-00017"))
    await desk.feed(invoice("INV-2026-00017", 55_555), invoice("INV-2026-00018", 12_345, "C2"), on=NEXT)
    assert await standing(desk) == {"C1": ("reference",), "C2": ("exact_amount",)}
    assert types(await desk.feed(GONE[source], on=NEXT)) == ["cash.candidate_cleared"] * 2
    assert await standing(desk) == {}
    await desk.feed(invoice("INV-2026-00019", 12_345), on=NEXT)
    assert await standing(desk) == {}


@pytest.mark.parametrize("booked_as", ["a1", "other"])
async def test_the_booking_of_an_announcement_that_nothing_connected_ends_it(desk: Desk, booked_as: str):
    await desk.feed(customer(), announced(end_to_end="E2E-7"))
    await desk.feed(payment(booked_as, 12_345, "x", end_to_end="E2E-7", payer="", iban=""))
    assert await desk.rows("select * from unbooked_cash") == []
    told = await desk.feed(invoice("INV-2026-00017", 12_345), on=NEXT)
    assert only(told, CashCandidate).payment_id == pay_id(booked_as)


async def test_the_amount_alone_is_no_evidence_any_more_when_a_further_account_owes_it(desk: Desk):
    facts = [customer(f"C{n}", f"Kunde {n:03d}", "") for n in range(21)]
    await desk.feed(*facts, held(HeldCredit(amount_minor=12_345)))
    await desk.feed(*(invoice(f"INV-2026-{n:05d}", 12_345, f"C{n}") for n in range(20)), on=NEXT)
    assert len(await standing(desk)) == 20
    told = await desk.feed(invoice("INV-2026-00020", 12_345, "C20"), on=NEXT)
    assert [fact for fact in told if isinstance(fact, CashCandidateCleared)] and await standing(desk) == {}


async def test_evidence_of_the_number_is_kept_when_the_amount_is_gone(desk: Desk):
    await desk.feed(customer(), held(HeldCredit(amount_minor=12_345, references=["INV-2026-00017"])))
    await desk.feed(invoice("INV-2026-00017", 55_555), invoice("INV-2026-00018", 12_345), on=NEXT)
    await desk.feed(payment("p1", 12_345, "INV-2026-00018", payer="", iban=""), on=NEXT)
    assert (await standing(desk))["C1"] == ("reference",)


async def test_item_and_cash_of_the_same_instant_are_connected_at_the_close(desk: Desk):
    """Neither transaction saw the other: told by taking the candidate away, as if it had not been raised."""
    await desk.feed(customer(), held(HeldCredit(amount_minor=12_345, references=["INV-2026-00017"])))
    await desk.feed(invoice("INV-2026-00017", 55_555))
    async with desk.pool.acquire() as db:
        await db.execute("delete from candidate")
    assert only(await desk.close(), CashCandidate).evidence == ["reference"]
    assert types(await desk.close(NEXT)) == []


async def test_a_quarantined_bank_line_is_cash(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 12_345))
    told = await desk.feed(quarantined(what="bank_line", text="INV-2026-00017"))
    assert only(told, CashCandidate).source == "quarantined"


def _log(facts: list[Any]) -> Log:
    """The facts as the auditor reads them, all known a day before its notice."""
    return log_of(*(said(fact.TYPE, EVENTS[fact.TYPE].topic, **_body(fact)) for fact in facts))


def _body(fact: Any) -> dict[str, Any]:
    return {name: value for name, value in fact.model_dump(mode="json").items() if name != "company"}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("text", ["", "INV-2026-00017", "danke INV-2026-00018", RF])
async def test_what_the_auditor_would_hold_against_a_notice_is_a_candidate_before_any_close(
    desk: Desk, source: str, text: str
):
    facts = [customer(), OTHER, customer("C3", "Alster AG", "DE75512108001245126199"), cash(source, text)]
    facts += [invoice("INV-2026-00017", 55_555, reference=RF), invoice("INV-2026-00018", 12_345, "C2")]
    told = [fact for number, one in enumerate(facts) for fact in await desk.feed(one, on=DAY + timedelta(number))]
    obstacles = CashObstacles(Knowledge(_log([*facts, *told])))
    against = {
        account_id
        for account_id in ("C1", "C2", "C3")
        if list(obstacles.against(notice(account_id=account_id), SENT_AT.date(), "XECB", 10))
    }
    assert against == set(await standing(desk)) != set()
