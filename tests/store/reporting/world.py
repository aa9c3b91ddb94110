"""Drives the handler of reporting through the runtime's transaction, and builds the facts of the other services."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from services.reporting.handlers import ReportingHandler
from shared.events import accounts, collections, invoices, ledger, notifications, payments
from shared.events.control import BankAccount, CompanyConfigured
from shared.ids import derive, document_id, item_id
from shared.runtime import statements as sql
from shared.runtime.effects import DayWork, Effects, Moment
from shared.runtime.transaction import Unit, apply_alone
from tests.builders import event

COMPANY = "acme"
MONDAY = date(2026, 3, 2)
ZERO = {"debit_minor": 0, "credit_minor": 0}


def at(day: date, hour: int = 9) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=UTC)


@dataclass
class World:
    pool: asyncpg.Pool
    company: str = COMPANY
    on: date = MONDAY
    handler: ReportingHandler = field(default_factory=ReportingHandler)
    versions: dict[Any, int] = field(default_factory=dict)
    banks: tuple[str, ...] = ("EUR-1", "USD-1")
    numbers: int = 0

    def __post_init__(self) -> None:
        self.unit = Unit("reporting", self.handler)

    def configured(self) -> CompanyConfigured:
        return CompanyConfigured(
            company=self.company,
            name=f"{self.company.title()} Data Rooms GmbH",
            base_currency="EUR",
            time_zone="Europe/Berlin",
            calendar="XECB",
            bank_accounts=[BankAccount(id=bank, currency=bank[:3]) for bank in self.banks],
        )

    def moment(self) -> Moment:
        rates = {(self.company, "EUR/USD"): ((date(2026, 1, 1), "1.25"),)}
        return Moment(now=at(self.on), companies={self.company: self.configured()}, rates=rates)

    async def configure(self) -> None:
        """The rows that the runtime itself keeps: configuration, rates, clock."""
        async with self.pool.acquire() as db:
            await db.execute(sql.SAVE_COMPANIES, [self.company], [self.configured().model_dump(mode="json")])
            await db.execute(sql.SAVE_RATES, [self.company], ["EUR/USD"], [date(2026, 1, 1)], ["1.25"])
            await db.execute(sql.SET_CLOCK, at(self.on), 1, {})

    async def tell(self, *facts: BaseModel, known_at: datetime | None = None, **options: Any) -> Effects:
        made = [event(f, on=self.on, known_at=known_at or at(self.on), **options) for f in facts]
        return await apply_alone(self.pool, self.unit, made, self.moment())

    async def close(self, totals: dict[str, Any] | None = None, day: date | None = None) -> None:
        """Close the business day with what the subledger vouched for, then move to the next weekday."""
        day = day or self.on
        self.numbers += 1
        work = DayWork(
            company=self.company,
            date=day,
            number=self.numbers,
            phase=2,
            bank_accounts=dict.fromkeys(self.banks, day),
            bodies={"ar.ledger": {"totals": totals}} if totals is not None else {},
        )
        await apply_alone(self.pool, self.unit, [event(work, company=self.company, on=day)], self.moment())
        async with self.pool.acquire() as db:
            await db.execute(sql.CLOSE_DAYS, [self.company], [day], [self.numbers])
            reach = {self.company: {"bank_accounts": {bank: day.isoformat() for bank in self.banks}}}
            await db.execute(sql.SET_CLOCK, at(day, 17), self.numbers + 1, reach)
        self.on = day + timedelta(days=1 if day.weekday() < 4 else 7 - day.weekday())

    def version(self, key: Any) -> int:
        self.versions[key] = self.versions.get(key, 0) + 1
        return self.versions[key]

    def account(self, account_id: str = "C-1", **changes: Any) -> accounts.AccountRegistered:
        values: dict[str, Any] = {
            "company": self.company,
            "account_id": account_id,
            "name": f"Debtor {account_id} Ltd",
            "country": "DE",
            "currency": "EUR",
            "industry": "legal",
            "collector": "colin",
        }
        return accounts.AccountRegistered(**values | changes)

    def document_id(self, number: str) -> UUID:
        return document_id(self.company, "erp", "invoice", number)

    def item_id(self, number: str) -> UUID:
        return item_id(self.document_id(number))

    def invoice(
        self,
        number: str,
        amount: int,
        *,
        document_on: date,
        due_on: date,
        account_id: str = "C-1",
        currency: str = "EUR",
    ) -> invoices.InvoiceIssued:
        return invoices.InvoiceIssued(
            company=self.company,
            document_id=self.document_id(number),
            source_system="erp",
            document_type="invoice",
            source_document_id=number,
            number=number,
            account_id=account_id,
            document_on=document_on,
            due_on=due_on,
            currency=currency,
            net_minor=amount,
            total_minor=amount,
            instalments=[invoices.Instalment(due_on=due_on, amount_minor=amount)],
            lines=[invoices.DocumentLine(text=f"Data room {number}", net_minor=amount)],
        )

    def item(
        self,
        number: str,
        amount: int,
        *,
        due_on: date,
        remaining: int | None = None,
        disputed: int = 0,
        account_id: str = "C-1",
        currency: str = "EUR",
        side: str = "debit",
        document_on: date | None = None,
        relief: dict[str, int] | None = None,
        accounted_on: date | None = None,
        version: int | None = None,
    ) -> ledger.ItemState:
        remaining = amount if remaining is None else remaining
        version = version or self.version(("item", number))
        model = ledger.ItemOpened if version == 1 else ledger.ItemChanged if remaining else ledger.ItemSettled
        return model(
            company=self.company,
            item_id=self.item_id(number),
            document_id=self.document_id(number),
            line="001",
            number=number,
            kind="invoice" if side == "debit" else "credit_memo",
            side=side,
            account_id=account_id,
            version=version,
            currency=currency,
            original_minor=amount,
            remaining_minor=remaining,
            disputed_minor=disputed,
            relief=ledger.Relief(**(relief or {"cash": amount - remaining})),
            document_on=document_on or due_on - timedelta(days=30),
            due_on=due_on,
            cause="invoice.issued" if version == 1 else "payment.received",
            valued_on=self.on,
            accounted_on=accounted_on or self.on,
        )

    def cash(self, unapplied: int, on_account: int = 0, account_id: str = "C-1", currency: str = "EUR") -> Any:
        return ledger.CashChanged(
            company=self.company,
            account_id=account_id,
            currency=currency,
            version=self.version(("cash", account_id, currency)),
            unapplied_minor=unapplied,
            on_account_minor=on_account,
        )

    def payment_id(self, name: str) -> UUID:
        return derive("payment", self.company, name)

    def received(self, name: str, amount: int, currency: str = "EUR", **changes: Any) -> payments.PaymentReceived:
        day = changes.pop("on", self.on)
        values: dict[str, Any] = {
            "company": self.company,
            "payment_id": self.payment_id(name),
            "bank_account": f"{currency}-1",
            "document_on": day,
            "valued_on": day,
            "accounted_on": day,
            "amount_minor": amount,
            "currency": currency,
            "payer": payments.Payer(name="Debtor Treasury"),
            "remittance_text": [f"Payment {name}"],
        }
        return payments.PaymentReceived(**values | changes)

    def state(
        self,
        name: str,
        amount: int,
        *,
        applied: dict[str, int] | None = None,
        unapplied: int = 0,
        on_account: int = 0,
        unidentified: int = 0,
        account_id: str = "C-1",
        currency: str = "EUR",
        accounted_on: date | None = None,
        version: int | None = None,
        rule: str = "own_reference",
        **changes: Any,
    ) -> ledger.PaymentState:
        """Where a payment stands: applied to items by number, left on the account, or unidentified."""
        on_items = sum((applied or {}).values())
        part = ledger.SplitPart(
            account_id=account_id, applied_minor=on_items, unapplied_minor=unapplied, on_account_minor=on_account
        )
        common: dict[str, Any] = {
            "company": self.company,
            "payment_id": self.payment_id(name),
            "payment_version": version or self.version(("payment", name)),
            "bank_account": f"{currency}-1",
            "currency": currency,
            "amount_minor": amount,
            "valued_on": accounted_on or self.on,
            "accounted_on": accounted_on or self.on,
            "split": [part] if on_items or unapplied or on_account else [],
            "unidentified_minor": unidentified,
        } | changes
        if unidentified:
            return ledger.PaymentUnidentified(**common)
        if applied is None:
            return ledger.PaymentIdentified(**common, account_id=account_id, rule=rule)
        parts = [ledger.Application(item_id=self.item_id(n), cash_minor=m) for n, m in applied.items()]
        return ledger.PaymentApplied(
            **common,
            posting_id=derive("posting", name, common["payment_version"]),
            account_id=account_id,
            applications=parts,
            left_minor=unapplied,
            rule=rule,
            automatic=True,
        )

    def promise(self, name: str, amount: int, due_on: date, status: str = "made", **changes: Any) -> Any:
        model = {
            "made": collections.PromiseMade,
            "kept": collections.PromiseKept,
            "partly_kept": collections.PromisePartlyKept,
            "broken": collections.PromiseBroken,
        }[status]
        received = changes.pop("received", 0)
        values: dict[str, Any] = {
            "company": self.company,
            "promise_id": derive("promise", name),
            "version": self.version(("promise", name)),
            "account_id": "C-1",
            "amount_minor": amount,
            "currency": "EUR",
            "taken_at": at(self.on),
            "taken_on": self.on,
            "due_on": due_on,
            "grace_days": 3,
            "taken_by": "colin",
            "received": [{"payment_id": self.payment_id(name), "amount_minor": received}] if received else [],
        }
        return model(**values | changes)

    def dispute(self, number: str, amount: int, account_id: str = "C-1", **changes: Any) -> collections.DisputeState:
        values: dict[str, Any] = {
            "company": self.company,
            "dispute_id": derive("dispute", number),
            "version": self.version(("dispute", number)),
            "account_id": account_id,
            "item_id": self.item_id(number),
            "disputed_minor": amount,
            "currency": "EUR",
            "reason_code": "PRICE",
            "text": "Rate of the second month differs from the offer",
            "opened_on": self.on,
        }
        return collections.DisputeOpened(**values | changes)

    def hold(self, name: str, model: type = collections.HoldOrdered, **changes: Any) -> collections.HoldState:
        values: dict[str, Any] = {
            "company": self.company,
            "hold_id": derive("hold", name),
            "version": self.version(("hold", name)),
            "account_id": "C-1",
            "grade": "restrict",
            "targets": ["room-1"],
            "cause": "overdue after the warning",
            "policy": "holds@1",
            "approved_by": "sue",
            "from_at": at(self.on),
            "lease_s": 604_800,
            "overdue_minor": 120_000,
            "currency": "EUR",
        }
        return model(**values | changes)

    def confirmed(self, hold: collections.HoldState) -> notifications.EffectConfirmed:
        return notifications.EffectConfirmed(
            company=self.company,
            effect_id=derive("effect", hold.hold_id, hold.version),
            of="hold",
            subject_id=hold.hold_id,
            account_id=hold.account_id,
            version=hold.version,
            target="access_system",
            attempts=1,
            answered_at=at(self.on, 10),
        )

    def asked(self, name: str, number: str, amount: int, account_id: str = "C-1", **changes: Any) -> Any:
        part = {
            "item_id": self.item_id(number), "version": 1, "number": number, "remaining_minor": amount,
            "currency": "EUR", "due_on": self.on - timedelta(days=10), "days_past_due": 10,
        }  # fmt: skip
        values: dict[str, Any] = {
            "company": self.company,
            "notice_id": derive("notice", name),
            "account_id": account_id,
            "contact_id": "k1",
            "level": 1,
            "template": "reminder",
            "policy": "dunning@1",
            "decided_on": self.on,
            "items": [part],
            "totals": [{"currency": "EUR", "amount_minor": amount}],
            "not_before_at": at(self.on),
            "expires_at": at(self.on + timedelta(days=3)),
        }
        return collections.NoticeRequested(**values | changes)

    def outcome(self, asked: collections.NoticeRequested, *codes: str) -> notifications.NoticeState:
        """Sent, or withheld for the reasons given."""
        head: dict[str, Any] = {
            name: getattr(asked, name) for name in ("company", "notice_id", "account_id", "contact_id", "level", "kind")
        }
        if codes:
            reasons = [notifications.Reason(code=code, evidence=f"evidence of {code}") for code in codes]
            return notifications.NoticeWithheld(**head, reasons=reasons)
        return notifications.NoticeSent(
            **head, message_id="<m@recoup>", sent_at=at(self.on, 11), items=asked.items, policy=asked.policy
        )

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        async with self.pool.acquire() as db:
            return [dict(row) for row in await db.fetch(statement, *values)]
