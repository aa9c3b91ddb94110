"""Drives the handler of collections through the runtime's transaction: tell it facts, give commands, close days.

`expect` names what was published since the last look, in order; anything else published fails the test.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import yaml
from pydantic import BaseModel

from services.collections.handlers import CollectionsHandler
from shared.auth import Principal
from shared.events import accounts, collections, ledger, notifications
from shared.events.control import BankAccount, CompanyConfigured
from shared.events.facts import Fact
from shared.ids import derive, item_id
from shared.runtime.effects import DayWork, Effects, Moment, Policy
from shared.runtime.transaction import Unit, apply_alone
from tests.builders import event

POLICIES = Path(__file__).resolve().parents[3] / "deploy" / "policies"
COMPANY, ACCOUNT = "acme", "C-1"
MONDAY = date(2026, 1, 5)


def policy(name: str, **changes: Any) -> Policy:
    content = yaml.safe_load((POLICIES / f"{name}.yaml").read_text()) | changes
    return Policy(COMPANY, name, "1", "0" * 64, date(2025, 1, 1), content)


def at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=UTC)


@dataclass
class World:
    pool: asyncpg.Pool
    on: date = MONDAY
    hour: int = 9
    handler: CollectionsHandler = field(default_factory=CollectionsHandler)
    policies: tuple[Policy, ...] = field(default_factory=lambda: (policy("dunning"), policy("holds")))
    published: list[Fact] = field(default_factory=list)
    versions: dict[Any, int] = field(default_factory=dict)
    banks: tuple[str, ...] = ("EUR-1",)
    numbers: int = 0

    def __post_init__(self) -> None:
        self.unit = Unit("collections", self.handler)

    def moment(self) -> Moment:
        configured = CompanyConfigured(
            company=COMPANY,
            base_currency="EUR",
            time_zone="Europe/Berlin",
            calendar="XECB",
            bank_accounts=[BankAccount(id=bank, currency="EUR") for bank in self.banks],
        )
        return Moment(now=at(self.on, self.hour), companies={COMPANY: configured}, policies=self.policies)

    async def run(self, *data: BaseModel, actor: str = "feed:test", hour: int | None = None, **more: Any) -> Effects:
        known_at = at(self.on, hour or self.hour)
        events = [event(d, company=COMPANY, on=self.on, known_at=known_at, actor=actor, **more) for d in data]
        effects = await apply_alone(self.pool, self.unit, events, self.moment())
        self.published += [emission.data for emission in effects.emissions]
        return effects

    async def tell(self, *facts: Fact) -> list[Fact]:
        """Facts of other services, in one batch; returns what followed."""
        effects = await self.run(*facts)
        return [emission.data for emission in effects.emissions]

    async def command(self, body: BaseModel, actor: str = "user:ana", **claims: Any) -> Any:
        """A command of a person, or of who else `kind` says; `claims` as in the token."""
        facts = {"kind": "person", "companies": frozenset({COMPANY}), "roles": frozenset()} | claims
        principal = Principal(actor.partition(":")[2], **facts)
        return (await self.run(body, principal=principal)).reply

    async def close(self, complete: date | None | str = "today") -> list[Fact]:
        """Close the business day in all parts, then move to the next weekday."""
        reach = self.on if complete == "today" else complete
        found: list[Fact] = []
        for part in range(self.handler.day_parts):
            work = DayWork(
                company=COMPANY,
                date=self.on,
                number=self.on.toordinal(),
                phase=1,
                part=part,
                parts=self.handler.day_parts,
                bank_accounts=dict.fromkeys(self.banks, reach),
            )
            effects = await self.run(work, actor="service:collections", hour=18)
            found += [emission.data for emission in effects.emissions]
        self.on += timedelta(days=1 if self.on.weekday() < 4 else 7 - self.on.weekday())
        return found

    async def close_until(self, day: date) -> list[Fact]:
        """Close every business day before `day`."""
        found: list[Fact] = []
        while self.on < day:
            found += await self.close()
        return found

    def expect(self, *types: str) -> list[Fact]:
        """What was published since the last look must be exactly this; returns it."""
        found, self.published = self.published, []
        assert [fact.TYPE for fact in found] == list(types)
        return found

    def version(self, key: Any) -> int:
        self.versions[key] = self.versions.get(key, 0) + 1
        return self.versions[key]

    def account(self, account_id: str = ACCOUNT, **changes: Any) -> accounts.AccountRegistered:
        values: dict[str, Any] = {
            "company": COMPANY,
            "account_id": account_id,
            "name": "Debtor Ltd",
            "debtor_kind": "organisation",
            "country": "DE",
            "currency": "EUR",
            "time_zone": "Europe/Berlin",
            "collector": "ana",
            "sales_owner": "sam",
            "access_targets": [f"room-{account_id}"],
        }
        return accounts.AccountRegistered(**values | changes)

    def contact(self, account_id: str = ACCOUNT, contact_id: str = "k1", **changes: Any) -> accounts.ContactUpdated:
        values: dict[str, Any] = {
            "company": COMPANY,
            "account_id": account_id,
            "contact_id": contact_id,
            "roles": ["payer"],
            "email": "ap@debtor.example",
            "channels": ["email"],
        }
        return accounts.ContactUpdated(**values | changes)

    def item(
        self,
        name: str = "A",
        *,
        due_on: date,
        amount: int = 200_000,
        remaining: int | None = None,
        account_id: str = ACCOUNT,
        kind: str = "invoice",
        relief: dict[str, int] | None = None,
        currency: str = "EUR",
    ) -> ledger.ItemState:
        """State of an item; by its remaining it is opened, changed, settled or reopened."""
        remaining = amount if remaining is None else remaining
        version = self.version(("item", account_id, name))
        model = ledger.ItemOpened if version == 1 else ledger.ItemChanged if remaining else ledger.ItemSettled
        return model(
            company=COMPANY,
            item_id=self.item_id(name, account_id),
            document_id=derive("document", account_id, name),
            line="001",
            number=f"INV-{name}",
            kind=kind,
            side="credit" if kind == "credit_memo" else "debit",
            account_id=account_id,
            version=version,
            currency=currency,
            original_minor=amount,
            remaining_minor=remaining,
            relief=ledger.Relief(**(relief or {"cash": amount - remaining})),
            document_on=due_on - timedelta(days=30),
            due_on=due_on,
            valued_on=self.on,
        )

    def item_id(self, name: str = "A", account_id: str = ACCOUNT) -> UUID:
        return item_id(derive("document", account_id, name))

    def cash(self, unapplied: int, *, on_account: int = 0, account_id: str = ACCOUNT) -> ledger.CashChanged:
        return ledger.CashChanged(
            company=COMPANY,
            account_id=account_id,
            currency="EUR",
            version=self.version(("cash", account_id)),
            unapplied_minor=unapplied,
            on_account_minor=on_account,
        )

    def payment(
        self,
        name: str,
        amount: int,
        *,
        valued_on: date,
        applied: dict[str, int] | None = None,
        returned: int = 0,
        account_id: str = ACCOUNT,
    ) -> ledger.PaymentState:
        """A payment on the account: applied to items by name, or identified and left unapplied, or returned."""
        on_items = sum((applied or {}).values())
        common: dict[str, Any] = {
            "company": COMPANY,
            "payment_id": derive("payment", name),
            "payment_version": self.version(("payment", name)),
            "bank_account": "EUR-1",
            "currency": "EUR",
            "amount_minor": amount,
            "valued_on": valued_on,
            "account_id": account_id,
            "returned_minor": returned,
        }
        left = amount - on_items - returned
        split = ledger.SplitPart(account_id=account_id, applied_minor=on_items, unapplied_minor=left)
        common["split"] = [] if returned == amount else [split]
        posting = derive("posting", name)
        if returned:
            return ledger.PaymentUnapplied(
                **common,
                posting_id=derive("posting", name, "back"),
                reverses_posting_id=posting,
                reason_code="RETURNED",
            )
        if applied:
            parts = [ledger.Application(item_id=self.item_id(i, account_id), cash_minor=m) for i, m in applied.items()]
            return ledger.PaymentApplied(
                **common, posting_id=posting, applications=parts, left_minor=left, rule="test", automatic=True
            )
        return ledger.PaymentIdentified(**common, rule="test")

    def sent(self, asked: collections.NoticeRequested, **changes: Any) -> notifications.NoticeSent:
        values: dict[str, Any] = {
            "company": COMPANY,
            "notice_id": asked.notice_id,
            "account_id": asked.account_id,
            "contact_id": asked.contact_id,
            "level": asked.level,
            "kind": asked.kind,
            "message_id": "<m@recoup>",
            "sent_at": at(self.on, self.hour),
            "items": asked.items,
        }
        return notifications.NoticeSent(**values | changes)

    def withheld(
        self, asked: collections.NoticeRequested, code: str = "CASH_CANDIDATE"
    ) -> notifications.NoticeWithheld:
        return notifications.NoticeWithheld(
            company=COMPANY,
            notice_id=asked.notice_id,
            account_id=asked.account_id,
            reasons=[notifications.Reason(code=code)],
        )

    async def rows(self, statement: str) -> list[dict[str, Any]]:
        async with self.pool.acquire() as db:
            return [dict(row) for row in await db.fetch(statement)]
