"""A subledger on PostgreSQL as a test sees it: facts and commands in, events out, books proven at each step."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

import asyncpg

from services.cash_application.handlers import CashApplicationHandler
from shared.auth import Principal
from shared.events.accounts import AccountRegistered
from shared.events.control import BankAccount, CompanyConfigured
from shared.events.facts import Fact
from shared.events.invoices import (
    AppliesTo,
    CreditMemoIssued,
    DebitMemoIssued,
    Discount,
    Instalment,
    InvoiceCancelled,
    InvoiceIssued,
    InvoiceRebilled,
    References,
)
from shared.events.payments import (
    BankDebitReceived,
    Payer,
    PaymentReceived,
    PaymentReferences,
    PaymentReturned,
    RemittanceLine,
)
from shared.ids import derive, document_id, item_id
from shared.runtime.effects import DayWork, Effects, Moment, Policy
from shared.runtime.statements import LOCK_EXCLUSIVE
from shared.runtime.transaction import Unit, apply_alone
from tests.builders import event

ACME = "acme"
DAY = date(2026, 1, 5)
CONFIG = CompanyConfigured(
    company=ACME,
    base_currency="EUR",
    time_zone="Europe/Berlin",
    calendar="XECB",
    bank_accounts=[BankAccount(id="EUR-1", currency="EUR"), BankAccount(id="USD-1", currency="USD")],
)
RATES = {(ACME, "EUR/USD"): ((date(2025, 12, 1), "1.25"), (date(2026, 1, 20), "1.20"))}
POLICY = {
    "tolerance": {"EUR": {"absolute_minor": 500, "per_mille": 5}},
    "over_tolerance": {"EUR": {"absolute_minor": 50, "per_mille": 1}},
    "short": "partial",
    "deduction": "deduct",
}


def moment(**policy: Any) -> Moment:
    content = {**POLICY, **policy}
    active = Policy(ACME, "matching", "1", "0" * 64, date(2025, 1, 1), content)
    return Moment(companies={ACME: CONFIG}, policies=(active,), rates=RATES)


def doc(number: str, kind: str = "invoice") -> UUID:
    return document_id(ACME, "erp", kind, number)


def item(number: str, line: str = "001", kind: str = "invoice") -> UUID:
    return item_id(doc(number, kind), line)


def pay_id(name: str) -> UUID:
    return derive("payment", name)


def customer(
    account_id: str = "C1", name: str = "Nordwind Handels GmbH", iban: str = "DE89370400440532013000", **more: Any
):
    banks = [{"iban": iban, "name": name}] if iban else []
    return AccountRegistered(
        company=ACME, account_id=account_id, name=name, country="DE", currency="EUR", bank_accounts=banks, **more
    )


def _head(number: str, total: int, account_id: str, kind: str, currency: str, reference: str) -> dict[str, Any]:
    return {
        "company": ACME,
        "document_id": doc(number, kind),
        "source_system": "erp",
        "document_type": kind,
        "source_document_id": number,
        "number": number,
        "account_id": account_id,
        "document_on": DAY,
        "due_on": date(2026, 2, 4),
        "currency": currency,
        "total_minor": total,
        "references": References(payment_reference=reference),
    }


def invoice(
    number: str,
    total: int,
    account_id: str = "C1",
    *,
    parts: Iterable[tuple[str, date, int]] = (),
    discounts: Iterable[tuple[date, int]] = (),
    currency: str = "EUR",
    reference: str = "",
    due_on: date = date(2026, 2, 4),
) -> InvoiceIssued:
    instalments = [Instalment(line=line, due_on=due, amount_minor=minor) for line, due, minor in parts]
    return InvoiceIssued(
        **_head(number, total, account_id, "invoice", currency, reference),
        instalments=instalments or [Instalment(due_on=due_on, amount_minor=total)],
        discounts=[Discount(until_on=until, amount_minor=minor) for until, minor in discounts],
    )


def debit_memo(number: str, total: int, account_id: str = "C1") -> DebitMemoIssued:
    return DebitMemoIssued(
        **_head(number, total, account_id, "debit_memo", "EUR", ""),
        instalments=[Instalment(due_on=date(2026, 2, 4), amount_minor=total)],
    )


def credit(number: str, total: int, account_id: str = "C1", on: dict[str, int] | None = None) -> CreditMemoIssued:
    targets = [AppliesTo(document_id=doc(name), amount_minor=minor) for name, minor in (on or {}).items()]
    return CreditMemoIssued(**_head(number, total, account_id, "credit_memo", "EUR", ""), applies_to=targets)


def cancelled(number: str, account_id: str = "C1", on: date = DAY) -> InvoiceCancelled:
    return InvoiceCancelled(
        company=ACME, document_id=doc(number), account_id=account_id, cancelled_on=on, reason_code="ERROR"
    )


def rebilled(new: str, old: str, keeps: bool, account_id: str = "C1") -> InvoiceRebilled:
    return InvoiceRebilled(
        company=ACME,
        document_id=doc(new),
        account_id=account_id,
        replaces_document_id=doc(old),
        keeps_due_date=keeps,
        rebilled_on=DAY,
    )


def payment(
    name: str,
    amount: int,
    text: str = "",
    *,
    payer: str = "Nordwind Handels GmbH",
    iban: str = "DE89370400440532013000",
    currency: str = "EUR",
    bank_account: str = "EUR-1",
    valued_on: date = DAY,
    end_to_end: str = "",
    bank: str = "",
    remittance: Iterable[RemittanceLine] = (),
    charges: int = 0,
) -> PaymentReceived:
    return PaymentReceived(
        company=ACME,
        payment_id=pay_id(name),
        bank_account=bank_account,
        document_on=valued_on,
        valued_on=valued_on,
        accounted_on=valued_on,
        amount_minor=amount,
        currency=currency,
        payer=Payer(name=payer, account=iban),
        references=PaymentReferences(end_to_end=end_to_end, bank=bank),
        remittance_text=[text] if text else [],
        remittance=list(remittance),
        charges_minor=charges,
    )


def returned(
    name: str,
    amount: int,
    *,
    of: str = "",
    end_to_end: str = "",
    bank: str = "",
    fee: int = 0,
    on: date = DAY,
    iban: str = "",
) -> PaymentReturned:
    return PaymentReturned(
        company=ACME,
        return_id=derive("return", name),
        payment_id=pay_id(of) if of else None,
        bank_account="EUR-1",
        document_on=on,
        valued_on=on,
        accounted_on=on,
        amount_minor=amount,
        currency="EUR",
        references=PaymentReferences(end_to_end=end_to_end, bank=bank),
        payer=Payer(account=iban),
        reason_code="AC04",
        fee_minor=fee,
    )


def bank_debit(name: str, amount: int, kind: str, reference: str = "") -> BankDebitReceived:
    return BankDebitReceived(
        company=ACME,
        debit_id=derive("debit", name),
        bank_account="EUR-1",
        document_on=DAY,
        valued_on=DAY,
        accounted_on=DAY,
        amount_minor=amount,
        currency="EUR",
        kind=kind,
        references=PaymentReferences(end_to_end=reference),
    )


class Desk:
    """Feeds the handler through the real transaction and remembers what was told."""

    def __init__(self, pool: asyncpg.Pool, **policy: Any) -> None:
        self.pool = pool
        self.unit = Unit("cash_application", CashApplicationHandler())
        self.moment = moment(**policy)
        self.reply: Any = None

    async def feed(self, *facts: Any, on: date = DAY, actor: str = "feed:test", **more: Any) -> list[Fact]:
        """One batch; the events it told. The books must balance after it."""
        known_at = datetime.combine(on, time(9), tzinfo=UTC)
        events = [event(fact, company=ACME, on=on, known_at=known_at, actor=actor, **more) for fact in facts]
        effects: Effects = await apply_alone(self.pool, self.unit, events, self.moment)
        self.reply = effects.reply
        await self.prove(date.max)
        return [emission.data for emission in effects.emissions]

    async def told(self, *facts: Any, **options: Any) -> list[str]:
        """Types of the events of one batch, in order."""
        return [fact.TYPE for fact in await self.feed(*facts, **options)]

    async def command(self, body: Any, on: date = DAY, actor: str = "user:ana", **claims: Any) -> list[Fact]:
        """A command of a person, or of who else `kind` says; `claims` as in the token."""
        facts = {"kind": "person", "companies": frozenset({ACME}), "roles": frozenset()} | claims
        return await self.feed(body, on=on, principal=Principal(actor.partition(":")[2], **facts))

    async def close(self, on: date = DAY) -> list[Fact]:
        """The run at the day's close."""
        return await self.feed(DayWork(company=ACME, date=on, number=on.toordinal(), phase=2), on=on)

    async def prove(self, on: date = DAY) -> dict[str, Any]:
        """Totals as the marker would carry them; raises Stop when anything does not balance."""
        async with self.pool.acquire() as db, db.transaction():
            await db.execute(LOCK_EXCLUSIVE)
            return await self.unit.handler.totals(db, DayWork(company=ACME, date=on, number=1, phase=2))

    async def item(self, number: str, line: str = "001", kind: str = "invoice") -> asyncpg.Record:
        return await self.row("select * from open_item where item_id = $1", item(number, line, kind))

    async def receipt(self, name: str) -> asyncpg.Record:
        return await self.row("select * from receipt where payment_id = $1", pay_id(name))

    async def row(self, statement: str, *values: Any) -> asyncpg.Record:
        async with self.pool.acquire() as db:
            return await db.fetchrow(statement, *values)

    async def rows(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        async with self.pool.acquire() as db:
            return await db.fetch(statement, *values)


def only(facts: list[Fact], kind: type) -> Any:
    """The one fact of a type. Fails when there is none or more."""
    found = [fact for fact in facts if type(fact) is kind]
    assert len(found) == 1, [fact.TYPE for fact in facts]
    return found[0]


def types(facts: list[Fact]) -> list[str]:
    return [fact.TYPE for fact in facts]
