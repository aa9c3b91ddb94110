"""The auditor pairs bookings with announcements one to one; announced cash stands against a notice until booked."""

from datetime import date, timedelta
from typing import Any

from audit.announcements import KEPT_DAYS_MAX, booked_at
from audit.knowledge import Knowledge
from audit.log_reader import Event
from audit.obstacles_of_cash import CashObstacles
from tests.domain.audit.said import BEFORE, SENT_AT, account, identity, log_of, notice, said

TODAY = BEFORE.date()


def money(
    type_: str, name: str, days: int = 0, /, reference: str = "", valued_on: date | None = None, **more: Any
) -> Event:
    known_at = BEFORE + timedelta(days=days)
    data = {
        "payment_id": identity(name), "amount_minor": 12_345, "currency": "EUR",
        "remittance_text": [], "remittance": [], "valued_on": (valued_on or known_at.date()).isoformat(),
        "payer": {"name": "Nordwind GmbH", "account": "DE89370400440532013000"},
        "references": {"end_to_end": reference},
    }  # fmt: skip
    return said(type_, "ar.payments", known_at, **{**data, **more})


def announced(name: str, days: int = 0, **more: Any) -> Event:
    return money("payment.announced", name, days, **more)


def received(name: str, days: int = 0, **more: Any) -> Event:
    return money("payment.received", name, days, **more)


def against(*events: Event, days: int = 0) -> list[str]:
    obstacles = CashObstacles(Knowledge(log_of(account(), *events)))
    at = SENT_AT + timedelta(days=days)
    mail = notice(account_id="C1", decided_at=at)
    return [found for found in obstacles.against(mail, at.date(), "XECB", 60) if "announced" in found]


def test_a_booking_of_last_month_does_not_end_the_announcement_of_this_month() -> None:
    assert len(against(received("b1", -31), announced("a1", -1))) == 1


def test_an_announcement_stands_against_a_notice_until_its_booking() -> None:
    assert len(against(announced("a1", -2))) == 1
    assert against(announced("a1", -2), received("b1", -1)) == []


def test_one_booking_ends_one_announcement_the_oldest() -> None:
    first, second = announced("a1", -3), announced("a2", -2)
    assert set(booked_at([second, first], [received("b1", -1)])) == {first.id}
    assert set(booked_at([second, first], [received("b1", -1), received("b2", 0)])) == {first.id, second.id}


def test_the_same_payment_then_the_same_reference_come_before_the_oldest() -> None:
    first, second = announced("a1", -3), announced("a2", -2, reference="E2E-7")
    assert set(booked_at([first, second], [received("a2", -1)])) == {second.id}
    assert set(booked_at([first, second], [received("b1", -1, reference="E2E-7")])) == {second.id}
    assert set(booked_at([second], [received("b1", -1)])) == {second.id}


def test_the_same_name_with_another_account_is_another_payer() -> None:
    other = {"name": "Nordwind GmbH", "account": "DE02120300000000202051"}
    assert booked_at([announced("a1", -3)], [received("b1", -1, payer=other)]) == {}


def test_an_announcement_that_comes_days_after_its_booking_is_ended_by_it() -> None:
    late = announced("a1", -1, valued_on=TODAY - timedelta(3))
    assert set(booked_at([late], [received("b1", -3)])) == {late.id}


def test_an_announcement_that_is_never_booked_ends() -> None:
    last = KEPT_DAYS_MAX - 1
    assert len(against(announced("a1"), days=last)) == 1
    assert against(announced("a1"), days=last + 1) == []
