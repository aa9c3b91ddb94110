"""A notice against which nothing stands, to which each test adds its obstacle."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from services.notifications.domain.model import (
    Account,
    Asked,
    AskedHold,
    BankReach,
    Candidate,
    Contact,
    Cover,
    Item,
    Known,
    Reached,
)
from services.notifications.domain.policy import ContactPolicy, read_policy
from shared.events.collections import NoticeItem
from shared.ids import derive

FILE = Path(__file__).parents[3] / "deploy" / "policies" / "contact.yaml"
NOW = datetime(2026, 1, 20, 9, 0, tzinfo=UTC)  # a Tuesday, 10:00 in Berlin
TODAY, MONDAY, FRIDAY = date(2026, 1, 20), date(2026, 1, 19), date(2026, 1, 16)


def rules(**changes: Any) -> ContactPolicy:
    read = read_policy(yaml.safe_load(FILE.read_text(encoding="utf-8")) | changes)
    assert isinstance(read, ContactPolicy), read
    return read


def item_id(number: int) -> UUID:
    return derive("item", number)


def noted(
    number: int = 1, remaining: int = 100_000, disputed: int = 0, version: int = 1, currency: str = "EUR"
) -> NoticeItem:
    return NoticeItem(
        item_id=item_id(number), version=version, number=f"R-{number}", remaining_minor=remaining, currency=currency,
        due_on=date(2025, 12, 31), days_past_due=20, disputed_minor=disputed,
    )  # fmt: skip


def open_item(number: int = 1, remaining: int = 100_000, **changes: Any) -> Item:
    item = Item(item_id(number), 1, "debit", f"R-{number}", "EUR", remaining, 0, date(2025, 12, 31))
    return replace(item, **changes)


def asked(*items: NoticeItem, **changes: Any) -> Asked:
    request = Asked(
        notice_id=derive("notice", 1), account_id="A", contact_id="c", channel="email", decided_on=MONDAY,
        not_before_at=NOW - timedelta(hours=1), expires_at=NOW + timedelta(days=2), items=items or (noted(),),
    )  # fmt: skip
    return replace(request, **changes)


def asked_hold(**changes: Any) -> AskedHold:
    order = AskedHold(
        hold_id=derive("hold", 1), version=1, account_id="A", read_at_number=6, from_at=NOW - timedelta(hours=1),
        expires_at=NOW + timedelta(days=3), overdue_minor=100_000, currency="EUR",
    )  # fmt: skip
    return replace(order, **changes)


def account(**changes: Any) -> Account:
    return replace(Account("A", "Debtor Ltd", "organisation", "DE", "de", "Europe/Berlin"), **changes)


def contact(**changes: Any) -> Contact:
    return replace(Contact("c", "Ada", "ada@debtor.example", channels=frozenset({"email"})), **changes)


def known(*items: Item, **changes: Any) -> Known:
    state = Known(
        account_id="A", account=account(), contacts={"c": contact()},
        items={i.item_id: i for i in items or (open_item(),)},
    )  # fmt: skip
    return replace(state, **changes)


def reached(**changes: Any) -> Reached:
    return replace(
        Reached(
            now=NOW,
            tick_at=NOW - timedelta(seconds=10),
            tick_number=7,
            closed_on=MONDAY,
            banks=(BankReach("acme/EUR-1", "XECB", MONDAY),),
            time_zone="Europe/Berlin",
            calendar="XECB",
        ),  # fmt: skip
        **changes,
    )


def candidate(since_on: date = MONDAY, number: int = 1) -> Candidate:
    return Candidate(derive("candidate", number), 5_000, "EUR", "unidentified", since_on)


def promise(*items: UUID, number: int = 1) -> Cover:
    return Cover("promise", derive("promise", number), "EUR", frozenset(items))


def plan(*items: UUID) -> Cover:
    return Cover("plan", derive("plan", 1), "EUR", frozenset(items))


def dispute(item: UUID, disputed: int) -> Cover:
    return Cover("dispute", derive("dispute", item), "EUR", frozenset({item}), disputed)


def codes(outcome: Any) -> list[str]:
    return [reason.code for reason in outcome.reasons]
