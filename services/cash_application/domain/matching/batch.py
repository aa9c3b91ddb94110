"""Decides many payments in a fixed order; what one applies is gone for the next.

Invariant: over the whole batch no item gets more relief than it had open, even when two payments name it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from hashlib import sha256

from services.cash_application.domain.matching.ladder import match
from services.cash_application.domain.matching.model import (
    Application,
    Candidates,
    Decision,
    ItemView,
    PaymentView,
    ReceiptView,
)
from services.cash_application.domain.matching.policy import Policy
from services.cash_application.domain.matching.references import fields_of


def match_batch(
    payments: Sequence[tuple[PaymentView, Candidates]], policy: Policy, *, closing: bool, on: date
) -> list[Decision]:
    """Decisions in the order given. The candidates of all payments must come from one consistent load."""
    changed: dict[str, ItemView] = {}
    receipts: dict[tuple[str, int], list[ReceiptView]] = {}
    decisions = []
    for payment, candidates in payments:
        alike = receipts.setdefault((payment.currency, payment.amount_minor), [])
        decision = match(payment, _as_of_now(candidates, changed, alike), policy, closing=closing, on=on)
        by_id = {item.item_id: item for item in candidates.items}
        for application in decision.applications:
            before = changed.get(application.item_id) or by_id[application.item_id]
            changed[application.item_id] = relieved(before, application, payment.payment_id)
        alike.append(_receipt(payment, decision))
        decisions.append(decision)
    return decisions


def relieved(item: ItemView, application: Application, payment_id: str) -> ItemView:
    """The item after an application: less open, next version, next posting hash."""
    remaining = item.remaining_minor - application.relief_minor
    if remaining < 0:
        raise AssertionError(f"item {item.item_id}: relief {application.relief_minor} of {item.remaining_minor} open")
    return replace(
        item,
        remaining_minor=remaining,
        disputed_minor=min(item.disputed_minor, remaining),
        version=item.version + 1,
        posting_hash=next_posting_hash(item.posting_hash, payment_id, application.relief_minor),
    )


def next_posting_hash(previous: str, cause_id: str, relief_minor: int) -> str:
    """Chain over an item's postings: each hash covers the one before, its cause and its relief."""
    return sha256(f"{previous}|{cause_id}|{relief_minor}".encode()).hexdigest()[:16]


def closing_order(payments: Iterable[PaymentView]) -> list[PaymentView]:
    """The order of the run at the day's close: payments that carry any text or reference first, then by value date
    and id, so that amounts alone speak last."""
    return sorted(payments, key=lambda p: (not (p.remittance or fields_of(p)), p.valued_on, p.payment_id))


def _as_of_now(candidates: Candidates, changed: dict[str, ItemView], alike: list[ReceiptView]) -> Candidates:
    if not changed and not alike:
        return candidates
    items = tuple(changed.get(item.item_id, item) for item in candidates.items)
    return replace(candidates, items=items, receipts=(*candidates.receipts, *alike))


def _receipt(payment: PaymentView, decision: Decision) -> ReceiptView:
    return ReceiptView(
        payment.payment_id,
        payment.currency,
        payment.amount_minor,
        payment.valued_on,
        payment.payer_account,
        payment.payer_name,
        tuple(sorted({application.document_id for application in decision.applications})),
    )
