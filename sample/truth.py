"""What really happened: who paid which item with what, what was planted, and what stays open.

The truth of a payment sums to its bank line: cash of its parts + surplus = amount.
Shares are counted over all credits of the run, by number and by value in EUR.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sample.bank import Detail, Entry, Statement
from sample.business_days import Timeline, step
from sample.customers import Customer
from sample.difficulties import RATES
from sample.disputes import Dispute
from sample.documents import Document, Item
from sample.payments import Payment
from sample.promises import Promise
from sample.rates import base_minor


@dataclass
class Truth:
    """The content of `truth.json` and `rates.json`; `payments` in the order of the bank lines."""

    seed: int
    days: list[str]
    payments: list[dict[str, Any]] = field(default_factory=list)
    returns: list[dict[str, Any]] = field(default_factory=list)
    other_debits: list[dict[str, Any]] = field(default_factory=list)
    promises: list[dict[str, Any]] = field(default_factory=list)
    disputes: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    expected: dict[str, Any] = field(default_factory=dict)
    rates: dict[str, Any] = field(default_factory=dict)


def mark_undecidable(payments: list[Payment], documents: list[Document]) -> None:
    """Set the reason where the data do not tell what was paid: no word, and equal open amounts or a stranger's money.

    An item that was paid by an undecidable payment still counts as open, since nobody can know that it was paid.
    """
    seen: dict[tuple[str, str], list[Item]] = {}
    for document in documents:
        if document.kind in ("invoice", "rebill", "debit_memo"):
            seen.setdefault((document.customer.account_id, document.customer.currency), []).extend(document.items)
    left = {id(item): item.payable_minor for items in seen.values() for item in items}
    for payment in sorted(payments, key=lambda one: (one.paid_on, bool(one.citation and one.citation.is_empty))):
        assert payment.citation is not None
        if payment.citation.is_empty and "unknown_payer" in payment.kinds:
            payment.undecidable = "unknown_payer"
        elif payment.citation.is_empty and payment.customer is not None and payment.method == "transfer":
            owed = seen.get((payment.customer.account_id, payment.currency), [])
            known = [item for item in owed if _is_known(item, payment.known_on)]
            equal = [item for item in known if left[id(item)] == payment.amount_minor]
            if len(equal) > 1 and len(payment.parts) == 1:
                payment.undecidable = "equal_amounts"
                payment.kinds.add("undecidable")
        if not payment.undecidable:
            for part in payment.parts:
                if id(part.item) in left:
                    left[id(part.item)] -= part.relief_minor if payment.returned_on is None else 0


def _is_known(item: Item, on: date) -> bool:
    cancelled_on = item.document.cancelled_on
    return item.document.fed_on <= on and (cancelled_on is None or cancelled_on > on)


def _place(statement: Statement, entry: Entry, index: int, detail: Detail, timeline: Timeline) -> dict[str, Any]:
    """Where a truth stands on the bank's paper; `detail_index` counts from 1 within the entry."""
    return {
        "bank_account": statement.account.id,
        "statement_id": statement.id,
        "fed_on": step(statement.on, 1).isoformat(),
        "booked_on": statement.on.isoformat(),
        "entry": entry.ordinal,
        "entry_reference": entry.reference,
        "detail_index": index,
        "details": len(entry.details),
        "tx_id": detail.tx_id,
        "end_to_end": detail.end_to_end,
        "uetr": detail.uetr if statement.account.version == "08" else "",
        "currency": statement.account.currency,
    }


def _designation(payment: Payment) -> dict[str, Any] | None:
    citation = payment.citation
    assert citation is not None
    if not citation.designated:
        return None
    documents = [
        {"source_document_id": document.source_document_id, "amount_minor": amount}
        for document, amount in citation.designated
    ]
    return {"documents": documents, "mistaken": citation.mistaken}


def _payment(payment: Payment, place: dict[str, Any]) -> dict[str, Any]:
    assert payment.citation is not None and payment.payer is not None
    parts = [
        {
            "source_document_id": part.document.source_document_id,
            "line": part.item.line,
            "cash_minor": part.cash_minor,
            "discount_minor": part.discount_minor,
            "deduction_minor": part.deduction_minor,
            "deduction_reason": part.deduction_reason,
            "fee_minor": part.fee_minor,
        }
        for part in payment.parts
    ]
    return {
        "ref": payment.ref,
        **place,
        "amount_minor": payment.amount_minor,
        "account_id": payment.customer.account_id if payment.customer else None,
        "payer_relation": payment.payer.relation,
        "method": payment.method,
        "style": payment.citation.style,
        "cited": payment.citation.cited,
        "kinds": sorted(payment.kinds),
        "paid": parts,
        "surplus_minor": payment.surplus_minor,
        "designation": _designation(payment),
        "undecidable": payment.undecidable or None,
        "repeats": payment.repeats.ref if payment.repeats else None,
        "promise_ref": payment.promise_ref or None,
        "returned_on": payment.returned_on.isoformat() if payment.returned_on else None,
    }


def _return(detail: Detail, payment: Payment, place: dict[str, Any]) -> dict[str, Any]:
    return {
        **place,
        "payment_ref": payment.ref,
        "amount_minor": detail.amount_minor,
        "fee_minor": detail.fee_minor,
        "reason_code": payment.return_reason,
    }


def read_statements(truth: Truth, statements: list[Statement], timeline: Timeline) -> list[Payment]:
    """Number the payments in the order of the bank lines and write down what stands behind every line."""
    found: list[Payment] = []
    for statement in statements:
        for entry in statement.entries:
            for index, detail in enumerate(entry.details, start=1):
                place = _place(statement, entry, index, detail, timeline)
                if detail.payment is not None:
                    found.append(detail.payment)
                    detail.payment.ref = f"P{len(found):05d}"
                    truth.payments.append({"payment": detail.payment, "place": place})
                elif detail.returned is not None:
                    truth.returns.append(_return(detail, detail.returned, place))
                else:
                    truth.other_debits.append({**place, "purpose": entry.purpose, "amount_minor": detail.amount_minor})
    truth.payments = [_payment(row["payment"], row["place"]) for row in truth.payments]
    return found


def tell_people(truth: Truth, promises: list[Promise], disputes: list[Dispute]) -> None:
    """Outcomes of promises and disputes; `decided_on` null: the run ends before the bank data settle it."""
    for promise in promises:
        decided = promise.decided_on.isoformat() if promise.decided_on else None
        truth.promises.append(
            {
                "ref": promise.ref,
                "account_id": promise.customer.account_id,
                "amount_minor": promise.amount_minor,
                "currency": promise.customer.currency,
                "taken_on": promise.taken_on.isoformat(),
                "due_on": promise.due_on.isoformat(),
                "grace_until_on": promise.grace_until_on.isoformat(),
                "outcome": promise.outcome,
                "paid_minor": promise.paid_minor,
                "paid_on": promise.paid_on.isoformat() if promise.paid_on else None,
                "decided_on": decided,
            }
        )
    for dispute in disputes:
        truth.disputes.append(
            {
                "ref": dispute.ref,
                "account_id": dispute.document.customer.account_id,
                "source_document_id": dispute.document.source_document_id,
                "amount_minor": dispute.amount_minor,
                "opened_on": dispute.opened_on.isoformat(),
                "resolved_on": dispute.resolved_on.isoformat() if dispute.resolved_on else None,
                "outcome": dispute.outcome,
                "credited_minor": dispute.credited_minor,
            }
        )


def tell_items(truth: Truth, documents: list[Document], payments: list[Payment]) -> None:
    """Original and remaining amount of every item at the end of the run, were all money applied as it was meant."""
    relief: dict[int, int] = {}
    for payment in payments:
        for part in payment.parts if payment.returned_on is None else []:
            sign = -1 if part.document.kind == "credit_memo" else 1
            relief[id(part.item)] = relief.get(id(part.item), 0) + sign * part.relief_minor
    for document in documents:
        applied = sum(amount for _, amount in document.applies_to)
        for item in document.items:
            remaining = item.payable_minor - relief.get(id(item), 0) - applied
            truth.items.append(
                {
                    "source_document_id": document.source_document_id,
                    "line": item.line,
                    "document_type": document.kind,
                    "account_id": document.customer.account_id,
                    "currency": document.customer.currency,
                    "fed_on": document.fed_on.isoformat(),
                    "due_on": item.due_on.isoformat(),
                    "original_minor": item.amount_minor,
                    "remaining_minor": 0 if document.cancelled_on else remaining,
                }
            )


def count_rates(
    truth: Truth, customers: list[Customer], payments: list[Payment], rates: dict[date, dict[str, str]]
) -> None:
    """Planned and realised shares: `minimum` as asked for, `planned` as drawn, `realised` by count and by value."""
    values = {id(one): base_minor(one.amount_minor, one.currency, rates[one.paid_on]) for one in payments}
    total = sum(values.values())
    shares: dict[str, Any] = {}
    for kind, (minimum, planned) in RATES.items():
        hit = [payment for payment in payments if _has(payment, kind)]
        shares[kind] = {
            "minimum": _share(minimum, 1000),
            "planned": _share(planned, 1000),
            "count": len(hit),
            "realised": _share(len(hit), len(payments)),
            "realised_by_value": _share(sum(values[id(payment)] for payment in hit), total),
        }
    recurring = sum(1 for customer in customers if customer.is_recurring)
    truth.rates = {
        "seed": truth.seed,
        "payments": len(payments),
        "value_minor": total,
        "currency": "EUR",
        "shares": shares,
        "accounts": len(customers),
        "recurring_accounts": {"minimum": "0.3000", "count": recurring, "realised": _share(recurring, len(customers))},
        "other_kinds": _other_kinds(payments),
    }


def _has(payment: Payment, kind: str) -> bool:
    return bool({"double", "overpayment"} & payment.kinds) if kind == "double_or_over" else kind in payment.kinds


def _other_kinds(payments: list[Payment]) -> dict[str, int]:
    named = set(RATES) | {"double", "overpayment"}
    found = sorted({kind for payment in payments for kind in payment.kinds} - named)
    return {kind: sum(1 for payment in payments if kind in payment.kinds) for kind in found}


def _share(part: int, whole: int) -> str:
    """A share as a decimal string with four places."""
    ticks = (part * 20_000 + whole) // (2 * whole) if whole else 0
    return f"{ticks // 10_000}.{ticks % 10_000:04d}"


def count_expected(
    truth: Truth, documents: list[Document], statements: list[Statement], customers: list[Customer]
) -> None:
    kinds = sorted({document.kind for document in documents})
    outcomes = sorted({row["outcome"] for row in truth.promises})
    truth.expected = {
        "customers": len(customers),
        "documents": len(documents),
        "documents_by_type": {kind: sum(1 for document in documents if document.kind == kind) for kind in kinds},
        "statements": len(statements),
        "payments": len(truth.payments),
        "returns": len(truth.returns),
        "other_debits": len(truth.other_debits),
        "promises": {outcome: sum(1 for row in truth.promises if row["outcome"] == outcome) for outcome in outcomes},
        "disputes": len(truth.disputes),
    }
