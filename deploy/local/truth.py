"""What each payment of the sample was for, by its place in the bank's files. Pure.

Invariant: where the payer named documents the truth is per document, else per item; amounts are signed minor units.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.events.payments import PaymentReceived
from shared.ids import document_id, item_id

Documents = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Truth:
    """Truth of one payment in signed minor units: `most` may be applied at most, `due` must be for the whole.

    Both are per document when `by_document`, since a designation does not say which instalment it means and nobody
    says on which of several documents a fee falls; else per item. `paid` is per item in any case. Of what is in `kept`
    the payer kept something back: that stays open.
    """

    ref: str
    currency: str
    amount_minor: int
    paid: dict[UUID, int]
    most: dict[UUID, int]
    due: dict[UUID, int]
    kept: frozenset[UUID] = frozenset()
    by_document: bool = False
    mistaken: bool = False


def place(payment: PaymentReceived) -> tuple[str, str, int]:
    """Where it stood: bank account, statement, place in the file. The details of an entry follow one another."""
    return payment.bank_account, payment.source.statement_id, payment.source.line


def place_key(bank_account: str, entry_reference: str, detail: int) -> str:
    return f"{bank_account}|{entry_reference}|{detail}"


def truths(company: str, payments: Iterable[dict[str, Any]], documents: Documents) -> dict[str, Truth]:
    """Truth per payment by its place: bank account, entry reference, number of the detail in the entry."""

    def document(source_id: str) -> UUID:
        """Documents that were never fed count as unknown ids."""
        if source_id not in documents:
            return document_id("", "", "", source_id)
        return document_id(company, *documents[source_id], source_id)

    payments = list(payments)
    by_ref = {payment["ref"]: payment for payment in payments}
    return {
        place_key(payment["bank_account"], payment["entry_reference"], payment["detail_index"]): _truth(
            payment, by_ref.get(payment["repeats"] or ""), document
        )
        for payment in payments
    }


def _truth(payment: dict[str, Any], repeated: dict[str, Any] | None, document: Callable[[str], UUID]) -> Truth:
    paid: dict[UUID, int] = defaultdict(int)
    for part in payment["paid"]:
        paid[item_id(document(part["source_document_id"]), part["line"])] += _relief(part)
    head = (payment["ref"], payment["currency"], payment["amount_minor"], dict(paid))
    designation = payment["designation"]
    held = [part for part in payment["paid"] if part["deduction_minor"]]
    if designation is None:
        items = frozenset(item_id(document(part["source_document_id"]), part["line"]) for part in held)
        return Truth(*head, most=dict(paid), due=dict(paid), kept=items)
    kept = frozenset(document(part["source_document_id"]) for part in held)
    most = {document(source_id): minor for source_id, minor in _most(payment, repeated).items()}
    relief = {document(source_id): minor for source_id, minor in _per_document(payment, _relief).items()}
    due = relief | {identity: min(relief.get(identity, 0), minor, key=abs) for identity, minor in most.items()}
    return Truth(*head, most=most, due=due, kept=kept, by_document=True, mistaken=designation["mistaken"])


def _most(payment: dict[str, Any], repeated: dict[str, Any] | None) -> dict[str, int]:
    """What a designation allows per document: the amount named with the discount earned; without an amount what was
    paid on it; on a document that it did not pay what the payment that it repeats did, or all of it by mistake."""
    relief, discount = _per_document(payment, _relief), _per_document(payment, lambda part: part["discount_minor"])
    before = _per_document(repeated, _relief) if repeated else {}
    unpaid = payment["amount_minor"] if payment["designation"]["mistaken"] else 0
    named: dict[str, int | None] = {}
    for part in payment["designation"]["documents"]:
        source_id, amount = part["source_document_id"], part["amount_minor"]
        known = named.get(source_id, 0)
        named[source_id] = None if amount is None or known is None else known + amount
    return {
        source_id: relief.get(source_id, before.get(source_id, unpaid))
        if amount is None
        else amount + discount.get(source_id, 0)
        for source_id, amount in named.items()
    }


def _relief(part: dict[str, Any]) -> int:
    return int(part["cash_minor"] + part["discount_minor"] + part["fee_minor"])


def _per_document(payment: dict[str, Any], figure: Callable[[dict[str, Any]], int]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for part in payment["paid"]:
        found[part["source_document_id"]] += figure(part)
    return dict(found)
