"""An announcement and its booking: one ends one, whatever it was announced with; one that is never booked ends too."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.cash_application.domain.candidates import ANNOUNCED_DAYS_MAX
from shared.events.ledger import CashCandidate, CashCandidateCleared
from shared.events.payments import PaymentAnnounced
from tests.scenario.cash_application.desk import DAY, Desk, customer, invoice, only, pay_id, payment, types
from tests.scenario.cash_application.test_unbooked_cash import NEXT, OTHER, standing

IBAN = "DE89370400440532013000"
END = DAY + timedelta(ANNOUNCED_DAYS_MAX)


def announced(name: str, **more: Any) -> PaymentAnnounced:
    body = payment(name, 12_345, "", payer="", iban=IBAN, **more).model_dump(exclude={"source"})
    return PaymentAnnounced(**body)


def booked(name: str, text: str = "", **more: Any) -> Any:
    return payment(name, 12_345, text, payer="", iban=IBAN, **more)


async def waiting(desk: Desk) -> set[Any]:
    return {row["payment_id"] for row in await desk.rows("select payment_id from unbooked_cash")}


async def test_one_booking_ends_one_of_two_equal_announcements(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 12_345), invoice("INV-2026-00018", 12_345))
    await desk.feed(announced("a1"), announced("a2"))
    await desk.feed(booked("a2", "INV-2026-00017"))
    assert await waiting(desk) == {pay_id("a1")} and "C1" in await standing(desk)


async def test_a_booking_of_another_id_ends_the_oldest_and_the_next_one_the_other(desk: Desk):
    await desk.feed(customer(), announced("young", valued_on=NEXT), announced("old"))
    await desk.feed(booked("b1"), on=NEXT)
    assert await waiting(desk) == {pay_id("young")}
    await desk.feed(booked("b2", valued_on=NEXT), on=NEXT)
    assert await waiting(desk) == set()


async def test_two_bookings_of_one_batch_end_two_announcements(desk: Desk):
    await desk.feed(customer(), *(announced(f"a{n}") for n in range(3)))
    await desk.feed(booked("b1"), booked("b2"))
    assert len(await waiting(desk)) == 1


@pytest.mark.parametrize("reference", ["", "E2E-8"])
async def test_announced_with_a_reference_and_booked_without_it_is_ended(desk: Desk, reference: str):
    await desk.feed(customer(), OTHER, announced("a1", end_to_end="E2E-7"))
    await desk.feed(booked("b1", end_to_end=reference), on=NEXT)
    assert await waiting(desk) == set()


async def test_the_reference_tells_which_of_two_announcements_is_booked(desk: Desk):
    await desk.feed(
        customer(), announced("a1", end_to_end="E2E-7"), announced("a2", end_to_end="E2E-8", valued_on=NEXT)
    )
    await desk.feed(booked("b1", end_to_end="E2E-8", valued_on=NEXT), on=NEXT)
    assert await waiting(desk) == {pay_id("a1")}


async def test_a_booking_of_an_earlier_month_does_not_end_an_announcement(desk: Desk):
    await desk.feed(customer(), announced("a1", valued_on=DAY + timedelta(20)))
    await desk.feed(booked("b1"))
    assert await waiting(desk) == {pay_id("a1")}


async def test_the_days_of_a_candidate_run_from_the_announcement_whenever_the_item_opens(desk: Desk):
    await desk.feed(customer(name="Kunde"), OTHER, announced("a1"))
    told = await desk.feed(invoice("INV-2026-00018", 12_345, "C2"), on=NEXT)
    assert only(told, CashCandidate).since_on == DAY


async def test_an_announcement_that_is_never_booked_ends_with_its_candidates(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 12_345), announced("a1"), announced("a2", valued_on=NEXT))
    await desk.close(END)
    assert len(await waiting(desk)) == 2
    told = await desk.close(END + timedelta(1))
    assert only(told, CashCandidateCleared).payment_id == pay_id("a1")
    assert await waiting(desk) == {pay_id("a2")}
    assert types(await desk.close(END + timedelta(2))).count("cash.candidate_cleared") == 1
    assert await standing(desk) == {} and await waiting(desk) == set()


async def test_an_item_that_opens_long_after_is_not_held_by_an_announcement_that_was_never_booked(desk: Desk):
    later: date = DAY + timedelta(90)
    await desk.feed(customer(), OTHER, announced("a1"))
    await desk.close(later)
    assert types(await desk.feed(invoice("INV-2026-00018", 12_345, "C2"), on=later)) == ["item.opened"]
