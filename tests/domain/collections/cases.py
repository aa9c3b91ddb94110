"""Cases of one account for tests of the pure rules."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from services.collections.domain.case import Case
from services.collections.domain.policy import DunningPolicy, HoldPolicy, read_policy
from services.collections.domain.rows import Account, Candidate, Cash, Contact, Item, Promise, Receipt
from services.collections.domain.rules import Rules
from shared.ids import derive

POLICIES = Path(__file__).resolve().parents[3] / "deploy" / "policies"
DAY = date(2026, 3, 2)


def dunning_policy(**changes: Any) -> DunningPolicy:
    return read_policy(DunningPolicy, yaml.safe_load((POLICIES / "dunning.yaml").read_text()) | changes)


def hold_policy(**changes: Any) -> HoldPolicy:
    return read_policy(HoldPolicy, yaml.safe_load((POLICIES / "holds.yaml").read_text()) | changes)


def rules(on: date = DAY, **changes: Any) -> Rules:
    values: dict[str, Any] = {
        "company": "acme",
        "on": on,
        "calendar": "XECB",
        "zone": "Europe/Berlin",
        "base_currency": "EUR",
        "dunning": dunning_policy(),
        "dunning_label": "dunning@1",
        "holds": hold_policy(),
        "holds_label": "holds@1",
    }
    return Rules(**values | changes)


def case(**account: Any) -> Case:
    """A known account with one usable contact."""
    values: dict[str, Any] = {
        "known": True,
        "debtor_kind": "organisation",
        "time_zone": "Europe/Berlin",
        "access_targets": ["room"],
    }
    found = Case(Account("acme", "C-1", **values | account))
    found.add(contact())
    return found


def contact(contact_id: str = "k1", **changes: Any) -> Contact:
    values: dict[str, Any] = {"roles": ["payer"], "email": "ap@debtor.example", "channels": ["email"]}
    return Contact("acme", "C-1", contact_id, **values | changes)


def item(name: str, days_past_due: int, amount: int = 100_000, on: date = DAY, **changes: Any) -> Item:
    due_on = on - timedelta(days=days_past_due)
    values: dict[str, Any] = {
        "company": "acme",
        "account_id": "C-1",
        "item_id": derive("item", name),
        "document_id": derive("document", name),
        "line": "001",
        "number": name,
        "kind": "invoice",
        "side": "debit",
        "version": 1,
        "currency": "EUR",
        "original_minor": amount,
        "remaining_minor": amount,
        "credit_relief_minor": 0,
        "document_on": due_on - timedelta(days=30),
        "due_on": due_on,
        "changed_on": due_on - timedelta(days=30),
    }
    return Item(**values | changes)


def cash(unapplied: int, on_account: int = 0, currency: str = "EUR") -> Cash:
    return Cash("acme", "C-1", currency, 1, unapplied, on_account, DAY)


def candidate(amount: int, since_on: date = DAY) -> Candidate:
    return Candidate("acme", "C-1", derive("candidate", amount), None, amount, "EUR", "unidentified", since_on)


def instant(day: date, hour: int = 9) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def promise(name: str, amount: int, due_on: date, judged_from_on: date, **changes: Any) -> Promise:
    values: dict[str, Any] = {
        "company": "acme",
        "account_id": "C-1",
        "promise_id": derive("promise", name),
        "version": 1,
        "status": "open",
        "scope": "account",
        "contact_id": "",
        "amount_minor": amount,
        "currency": "EUR",
        "taken_at": instant(DAY),
        "taken_on": DAY,
        "due_on": due_on,
        "grace_days": 3,
        "judged_from_on": judged_from_on,
        "tolerance": "0.005",
        "items": [],
    }
    return Promise(**values | changes)


def receipt(name: str, amount: int, valued_on: date, since: datetime | None = None, **changes: Any) -> Receipt:
    values: dict[str, Any] = {
        "company": "acme",
        "account_id": "C-1",
        "payment_id": derive("payment", name),
        "payment_version": 1,
        "currency": "EUR",
        "valued_on": valued_on,
        "amount_minor": amount,
        "since_at": since or instant(valued_on, 12),
    }
    return Receipt(**values | changes)
