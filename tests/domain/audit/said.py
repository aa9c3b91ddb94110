"""Events of a made-up log, with as little as the auditor needs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from audit.log_reader import Event, Log

SPACE = UUID("6f1d2f0e-8c61-5b0e-9a53-2f6f7e8a4c12")
ACME = "acme"
SENT_AT = datetime(2026, 1, 14, 8, 5, tzinfo=UTC)
BEFORE = SENT_AT - timedelta(days=1)
TOO_LATE = SENT_AT - timedelta(seconds=59)
_numbers = count(1)
RELIEF = {name: 0 for name in ("cash", "credit", "discount", "small_difference", "bank_charge", "moved", "cancelled")}


def identity(name: str) -> str:
    return str(uuid5(SPACE, name))


def said(type_: str, topic: str, known_at: datetime = BEFORE, /, *, actor: str = "service:test", **data: Any) -> Event:
    """One event; its business date is the day on which it was known."""
    number = next(_numbers)
    return Event(
        id=identity(f"event {number}"), source="test", type=type_, subject="", time=known_at, company=ACME, actor=actor,
        business_date=known_at.date(), known_at=known_at, sequence=number, policy="", causation="", topic=topic,
        partition=0, offset=number, key=f"{ACME}/{data.get('account_id', '')}", data={"company": ACME, **data},
    )  # fmt: skip


def log_of(*events: Event) -> Log:
    log = Log()
    for event in events:
        log.add(event)
    return log


def configured() -> Event:
    accounts = [{"id": "EUR-1", "iban": "DE00", "currency": "EUR", "calendar": "XECB", "serves": []}]
    return said("company.configured", "ar.control", time_zone="Europe/Berlin", calendar="XECB", bank_accounts=accounts)


def account(
    account_id: str = "C1", name: str = "Nordwind GmbH", iban: str = "DE89370400440532013000", **more: Any
) -> Event:
    data = {
        "account_id": account_id, "name": name, "bank_accounts": [{"iban": iban, "name": name}], "country": "DE",
        "debtor_kind": "organisation", "time_zone": "Europe/Berlin", "status": "active",
    }  # fmt: skip
    return said("account.registered", "ar.accounts", **{**data, **more})


def contact(known_at: datetime = BEFORE, **more: Any) -> Event:
    data = {"account_id": "C1", "contact_id": "K1", "email": "buyer@nordwind.example", "valid": True}
    return said("contact.updated", "ar.accounts", known_at, **{**data, **more})


BUSINESS = {
    "name": "BUSINESS",
    "debtor_kinds": ["organisation", "sole_trader"],
    "channels": ["email"],
    "cap": {"n": 3, "days": 7},
}


def policy(
    profile: dict[str, Any] | None = None, known_at: datetime = BEFORE, version: str = "1", **more: Any
) -> Event:
    """The contact policy with one profile."""
    content = {"name": "contact", "profiles": [{**BUSINESS, **(profile or {})}], **more}
    return said(
        "policy.activated", "ar.control", known_at, name="contact", version=version, sha256="0", content=content,
        effective_on="2025-01-01",
    )  # fmt: skip


def source_of(event: Event, source: str) -> Event:
    """The same event, told by a service."""
    return replace(event, source=source)


UPSTREAM = ("ingest", "cash_application", "collections")


def tick(number: int, at: datetime, source: str = "ingest", **reach: Any) -> Event:
    company = {"bank_accounts": {"EUR-1": "2026-01-13"}, "parked": [], "parked_more": False, **reach}
    body = {"number": number, "at": at.isoformat(), "companies": {ACME: company}}
    return source_of(said("clock.ticked", "ar.control", at, **body), source)


def ticks(source: str, **reach: Any) -> tuple[Event, Event]:
    """A tick before the margin and one right before the decision."""
    return (
        tick(1, SENT_AT - timedelta(minutes=2), source, **reach),
        tick(2, SENT_AT - timedelta(seconds=10), source, **reach),
    )


def closed(source: str, on: str = "2026-01-13") -> Event:
    return source_of(said("day.closed", "ar.control", date=on, totals={}), source)


def requested(*items: Event, **more: Any) -> Event:
    stated = [{**made.data} for made in items]
    data = {
        "notice_id": identity("notice"), "account_id": "C1", "decided_on": "2026-01-13", "items": stated,
        "not_before_at": SENT_AT.isoformat(), "expires_at": (SENT_AT + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    return said("notice.requested", "ar.collections", **{**data, **more})


def item_state(
    number: str = "INV-2026-00001", remaining: int = 50_000, version: int = 1, known_at: datetime = BEFORE, **more: Any
) -> Event:
    data = {
        "item_id": identity(number), "document_id": identity(f"document {number}"), "line": "001", "number": number,
        "kind": "invoice", "side": "debit", "account_id": "C1", "version": version, "currency": "EUR",
        "original_minor": 50_000, "remaining_minor": remaining, "disputed_minor": 0,
        "relief": {**RELIEF, "cash": 50_000 - remaining}, "due_on": "2026-01-05", "payment_reference": "",
        "accounted_on": known_at.date().isoformat(),
    }  # fmt: skip
    return said("item.opened" if version == 1 else "item.changed", "ar.ledger", known_at, **{**data, **more})


def statement(known_at: datetime = BEFORE, to_on: str = "2026-01-13") -> Event:
    return said(
        "statement.received", "ar.payments", known_at, statement_id=identity(to_on), bank_account="EUR-1",
        currency="EUR", from_on=to_on, to_on=to_on, opening_minor=0, closing_minor=0, balanced=True,
    )  # fmt: skip


def payment(amount: int = 50_000, name: str = "", iban: str = "", text: str = "", known_at: datetime = BEFORE) -> Event:
    return said(
        "payment.received", "ar.payments", known_at, payment_id=identity(f"payment {amount}"), bank_account="EUR-1",
        currency="EUR", amount_minor=amount, payer={"name": name, "account": iban}, references={},
        remittance_text=[text] if text else [], remittance=[], accounted_on=known_at.date().isoformat(),
        valued_on=known_at.date().isoformat(),
    )  # fmt: skip


def placed(
    amount: int = 50_000, version: int = 1, known_at: datetime = BEFORE, *, actor: str = "service:t", **places: Any
) -> Event:
    body = {"unidentified_minor": 0, "refunded_minor": 0, "non_ar_minor": 0, "returned_minor": 0, "small_gain_minor": 0}
    return said(
        "payment.unidentified", "ar.ledger", known_at, actor=actor, payment_id=identity(f"payment {amount}"),
        payment_version=version, bank_account="EUR-1", currency="EUR", amount_minor=amount,
        **{"split": [], **body, **places},
    )  # fmt: skip


def notice(*items: Event, decided_at: datetime = SENT_AT, account_id: str = "C1", **more: Any) -> Event:
    names = ("item_id", "version", "number", "remaining_minor", "currency", "due_on", "disputed_minor")
    stated = [{name: made.data[name] for name in names} for made in items]
    data = {
        "notice_id": identity("notice"), "account_id": account_id, "contact_id": "K1", "kind": "reminder",
        "channel": "email", "message_id": "<m@x>", "decided_at": decided_at.isoformat(), "items": stated,
    }  # fmt: skip
    return said("notice.sending", "ar.notifications", decided_at, **{**data, **more})
