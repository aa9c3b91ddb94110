"""Short builders for the tests of the matching engine: amounts as decimal strings, everything in EUR on one day."""

from datetime import date, timedelta
from decimal import Decimal

from services.cash_application.domain.matching.ladder import match
from services.cash_application.domain.matching.model import (
    AccountView,
    Candidates,
    Decision,
    Discount,
    ItemView,
    PaymentView,
)
from services.cash_application.domain.matching.policy import Policy, Tolerance
from tests.domain.cash_application.matching.oracle import verify

TODAY = date(2026, 3, 16)
ACME_BANK = "DE89370400440532013000"
ACME = AccountView("C-10001", "Acme Maschinenbau GmbH", (ACME_BANK,))
BETA_BANK = "FR1420041010050500013M02606"
BETA = AccountView("C-10002", "Beta Logistique SA", (BETA_BANK,))
OWN = "RF18539007547034"
POLICY = Policy()


def cents(amount: str) -> int:
    return int(Decimal(amount) * 100)


def item(number: str, amount: str, account: str = "C-10001", **changes) -> ItemView:
    opened = cents(amount)
    fields = {
        "item_id": f"{number}/{account}/{changes.get('line', '001')}",
        "document_id": f"{number}/{account}",
        "number": number,
        "account_id": account,
        "currency": "EUR",
        "original_minor": opened,
        "remaining_minor": opened,
        "due_on": TODAY,
        "document_on": TODAY - timedelta(days=30),
    }
    return ItemView(**{**fields, **changes})


def pay(amount: str, *text: str, **changes) -> PaymentView:
    fields = {
        "payment_id": "pay-1",
        "company": "vdr-eu",
        "bank_account": "EUR-1",
        "currency": "EUR",
        "amount_minor": cents(amount),
        "valued_on": TODAY,
        "remittance_text": text,
    }
    return PaymentView(**{**fields, **changes})


def discount(amount: str, days: int = 3) -> tuple[Discount, ...]:
    return (Discount(TODAY + timedelta(days=days), cents(amount)),)


def tolerance(absolute: str, per_mille: int, **changes) -> Policy:
    return Policy(tolerance={"EUR": Tolerance(cents(absolute), per_mille)}, **changes)


def decide(
    payment: PaymentView,
    *items: ItemView,
    accounts: tuple[AccountView, ...] = (ACME, BETA),
    policy: Policy = POLICY,
    closing: bool = True,
    receipts: tuple = (),
) -> Decision:
    """Decision that the verifier agrees with."""
    candidates = Candidates(items, accounts, receipts)
    decision = match(payment, candidates, policy, closing=closing, on=TODAY)
    assert verify(payment, candidates, policy, decision, closing=closing, on=TODAY) == []
    return decision


def cash(decision: Decision) -> dict[str, int]:
    """Cash per document number."""
    applied: dict[str, int] = {}
    for application in decision.applications:
        number = application.document_id.split("/C-")[0]
        applied[number] = applied.get(number, 0) + application.cash_minor
    return applied
