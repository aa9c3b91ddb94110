"""Cash and an open item of exactly its amount are connected in the transaction in which the later of the two comes."""

from datetime import timedelta
from typing import Any

import pytest

from services.cash_application.domain import commands
from shared.events.collections import DisputeOpened, DisputeResolved
from shared.events.ledger import CashCandidate, CashCandidateCleared
from shared.events.payments import PaymentAnnounced
from shared.ids import derive
from tests.scenario.cash_application.desk import (
    ACME,
    DAY,
    Desk,
    cancelled,
    credit,
    customer,
    invoice,
    item,
    only,
    pay_id,
    payment,
    types,
)

STRANGER: dict[str, Any] = {"payer": "Somebody Else Ltd", "iban": "GB33BUKB20201555555555"}
NOBODY: dict[str, Any] = {"payer": "", "iban": ""}
OTHER = customer("C2", "Suedstern AG", "DE02120300000000202051")


def candidate_events(facts: list) -> list[tuple[str, str]]:
    return [(f.TYPE, f.account_id) for f in facts if isinstance(f, CashCandidate | CashCandidateCleared)]


async def standing(desk: Desk) -> set[tuple[str, tuple[str, ...]]]:
    rows = await desk.rows("select account_id, evidence from candidate where open")
    return {(row["account_id"], tuple(row["evidence"])) for row in rows}


async def test_an_item_that_comes_after_its_cash_is_connected_at_once(desk: Desk):
    await desk.feed(customer(), OTHER)
    assert candidate_events(await desk.feed(payment("p1", 250_000, "hello", **NOBODY))) == []
    told = await desk.feed(invoice("INV-2026-00017", 250_000), on=DAY + timedelta(1))
    found = only(told, CashCandidate)
    assert (found.account_id, found.payment_id, found.amount_minor) == ("C1", pay_id("p1"), 250_000)
    assert (found.evidence, found.source, found.since_on) == (["exact_amount"], "unidentified", DAY + timedelta(1))
    told = await desk.feed(invoice("INV-2026-00018", 250_000, "C2"), invoice("INV-2026-00019", 250_000, "C2"))
    assert candidate_events(told) == [("cash.candidate", "C2")]


async def test_item_and_cash_of_one_batch_are_connected_whichever_comes_first(desk: Desk):
    told = await desk.feed(customer(), payment("p1", 5_000, "x", **NOBODY), invoice("INV-2026-00017", 5_000))
    assert candidate_events(told) == [("cash.candidate", "C1")]
    told = await desk.feed(invoice("INV-2026-00018", 6_000), payment("p2", 6_000, "x", **NOBODY))
    assert candidate_events(told) == [("cash.candidate", "C1")]


async def test_cash_that_cites_somebody_is_still_connected_with_whoever_owes_its_amount(desk: Desk):
    await desk.feed(customer(), OTHER, invoice("INV-2026-00017", 12_345), invoice("INV-2026-00018", 99_900, "C2"))
    told = await desk.feed(payment("p1", 12_345, "INV-2026-00018", **STRANGER))
    assert sorted(candidate_events(told)) == [("cash.candidate", "C1"), ("cash.candidate", "C2")]
    assert ("C1", ("exact_amount",)) in await standing(desk)


async def _partly_paid(desk: Desk) -> list:
    return await desk.feed(payment("part", 5_000, "INV-2026-00017"))


async def _credited(desk: Desk) -> list:
    return await desk.feed(credit("CM-00001", 5_000, on={"INV-2026-00017": 5_000}))


async def _disputed(desk: Desk) -> list:
    return await desk.feed(_dispute(DisputeOpened, 5_000))


def _dispute(kind: type, minor: int, version: int = 1):
    status = "open" if kind is DisputeOpened else "resolved"
    return kind(
        company=ACME, dispute_id=derive("dispute", "d"), version=version, account_id="C1",
        item_id=item("INV-2026-00017"),
        disputed_minor=minor, currency="EUR", reason_code="QUALITY", opened_on=DAY, status=status,
    )  # fmt: skip


@pytest.mark.parametrize("change", [_partly_paid, _credited, _disputed])
async def test_an_item_that_changes_to_the_amount_of_waiting_cash_is_connected(desk: Desk, change):
    await desk.feed(customer(), invoice("INV-2026-00017", 17_000), payment("p1", 12_000, "x", **NOBODY))
    assert await standing(desk) == set()
    told = await change(desk)
    assert candidate_events(told) == [("cash.candidate", "C1")]
    assert only(told, CashCandidate).payment_id == pay_id("p1")
    assert not [f for f in await desk.close() if isinstance(f, CashCandidateCleared)]
    assert await desk.close() == []


async def test_an_item_that_opens_again_is_connected_until_it_is_settled_again(desk: Desk):
    await desk.feed(customer(), OTHER, invoice("INV-2026-00017", 12_000), payment("p1", 12_000, "INV-2026-00017"))
    await desk.feed(payment("p2", 12_000, "x", **NOBODY))
    assert await standing(desk) == set()
    posting = (await desk.row("select posting_id from application where reversed_by is null"))["posting_id"]
    told = await desk.command(commands.Unapply(payment_id=pay_id("p1"), posting_id=posting, reason_code="MISAPPLIED"))
    assert any(f.payment_id == pay_id("p2") for f in told if isinstance(f, CashCandidate))
    told = await desk.feed(cancelled("INV-2026-00017"))
    assert any(f.payment_id == pay_id("p2") for f in told if isinstance(f, CashCandidateCleared))


async def test_what_is_left_of_a_payment_is_connected_by_its_amount(desk: Desk):
    await desk.feed(customer(), OTHER, invoice("INV-2026-00017", 10_000), invoice("INV-2026-00018", 2_000, "C2"))
    told = await desk.feed(payment("p1", 12_000, "INV-2026-00017"))
    assert (await desk.receipt("p1"))["open_minor"] == 2_000
    assert ("cash.candidate", "C2") in candidate_events(told)
    assert ("C2", ("exact_amount",)) in await standing(desk)


async def test_the_amount_alone_no_longer_counts_when_the_item_is_settled_or_changed(desk: Desk):
    await desk.feed(customer(), OTHER, payment("p1", 12_000, "x", **NOBODY))
    await desk.feed(invoice("INV-2026-00017", 12_000), invoice("INV-2026-00018", 12_000, "C2"))
    told = await desk.feed(payment("p2", 12_000, "INV-2026-00017"))
    assert candidate_events(told) == [("cash.candidate_cleared", "C1")]
    told = await desk.feed(credit("CM-00001", 1_000, "C2", on={"INV-2026-00018": 1_000}))
    assert candidate_events(told) == [("cash.candidate_cleared", "C2")]
    assert await standing(desk) == set()


async def test_the_end_of_a_dispute_ends_the_evidence_of_the_undisputed_amount(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 17_000), payment("p1", 12_000, "x", **NOBODY))
    assert candidate_events(await desk.feed(_dispute(DisputeOpened, 5_000))) == [("cash.candidate", "C1")]
    assert await desk.close() == []
    told = await desk.feed(_dispute(DisputeResolved, 5_000, 2))
    assert candidate_events(told) == [("cash.candidate_cleared", "C1")]


async def test_an_amount_is_no_evidence_while_more_than_twenty_accounts_owe_it(desk: Desk):
    await desk.feed(*(customer(f"C{n}", f"Kunde {n:03d}", "") for n in range(21)))
    await desk.feed(payment("p1", 12_345, "x", **NOBODY))
    told = await desk.feed(*(invoice(f"INV-2026-{n:05d}", 12_345, f"C{n}") for n in range(20)))
    assert [kind for kind, _ in candidate_events(told)] == ["cash.candidate"] * 20
    told = await desk.feed(invoice("INV-2026-00020", 12_345, "C20"))
    assert [kind for kind, _ in candidate_events(told)] == ["cash.candidate_cleared"] * 20
    assert await standing(desk) == set()
    assert types(await desk.close()) == []
    told = await desk.feed(cancelled("INV-2026-00000", "C0"))
    assert candidate_events(told) == [("cash.candidate", f"C{n}") for n in sorted(map(str, range(1, 21)))]


async def test_a_candidate_of_better_evidence_stays_when_the_amount_goes(desk: Desk):
    await desk.feed(customer(), payment("p1", 12_000, "x"), invoice("INV-2026-00017", 12_000))
    before = await standing(desk)
    assert {account for account, _ in before} == {"C1"}
    told = await desk.feed(payment("p2", 12_000, "INV-2026-00017"))
    assert ("cash.candidate_cleared", "C1") not in [
        (f.TYPE, f.account_id) for f in told if isinstance(f, CashCandidateCleared) and f.payment_id == pay_id("p1")
    ]


async def test_what_a_person_decided_is_not_connected_by_amount(desk: Desk):
    await desk.feed(customer(), OTHER, payment("p1", 12_000, "x", **NOBODY))
    await desk.command(commands.Identify(payment_id=pay_id("p1"), account_id="C2"))
    told = await desk.feed(invoice("INV-2026-00017", 12_000))
    assert candidate_events(told) == []


async def test_the_close_tells_nothing_of_evidence_that_stands(desk: Desk):
    await desk.feed(customer(), OTHER, payment("p1", 12_000, "x", **NOBODY))
    await desk.feed(invoice("INV-2026-00017", 12_000), invoice("INV-2026-00018", 12_000, "C2"))
    told = await desk.close()
    assert [f.source for f in told if isinstance(f, CashCandidate)] == ["suggested"] * 2
    for day in range(1, 4):
        assert candidate_events(await desk.close(DAY + timedelta(day))) == []
    assert await standing(desk) == {("C1", ("exact_amount",)), ("C2", ("exact_amount",))}


async def test_an_announcement_that_cites_somebody_is_connected_with_whoever_owes_its_amount(desk: Desk):
    await desk.feed(customer(), OTHER, invoice("INV-2026-00017", 12_345), invoice("INV-2026-00018", 99_900, "C2"))
    booked = payment("p1", 12_345, "INV-2026-00018", **STRANGER).model_dump(exclude={"batch_id"})
    told = await desk.feed(PaymentAnnounced(**booked))
    assert sorted(candidate_events(told)) == [("cash.candidate", "C1"), ("cash.candidate", "C2")]


async def test_another_currency_or_a_credit_of_the_amount_is_no_evidence(desk: Desk):
    await desk.feed(customer(), payment("p1", 12_000, "x", **NOBODY))
    told = await desk.feed(invoice("INV-2026-00017", 12_000, currency="USD"), credit("CM-00001", 12_000))
    assert candidate_events(told) == []
