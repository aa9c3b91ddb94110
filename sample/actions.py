"""What people do during the quarter: promises, disputes and their decisions, calls and notes, approvals of holds.

Actions are data for the feeder, which performs them through the services' APIs
after the day's files. Every action names the sample person who does it.
"""

from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from sample.business_days import Timeline, step
from sample.customers import Customer
from sample.disputes import Dispute
from sample.documents import Document
from sample.promises import Promise
from sample.words import DISPUTE_REASONS

COLLECTOR, CHECKER = "collector", "controller"
CALL_OUTCOMES = {
    "no_answer": ("Nobody answered.", "call_again", 2),
    "left_message": ("Left a message with accounts payable.", "call_again", 3),
    "will_check": ("They check with the project lead and write back.", "await_reply", 4),
    "copy_requested": ("They ask for a copy of the invoices.", "send_copies", 1),
    "payment_announced": ("Payment is in the next run, no date given.", "check_payment", 5),
}
NOTES = (
    "New contact in accounts payable from next month.",
    "Customer changes its bank in spring.",
    "Prefers e-mail to calls.",
)


@dataclass(frozen=True)
class Refusal:
    """An account whose hold the controller does not approve, and why."""

    account_id: str
    reason: str


def make_refusals(seed: int, customers: list[Customer]) -> list[Refusal]:
    """A few accounts are spared whatever the rules propose."""
    rng = Random(f"{seed}:refusals")
    pool = [customer for customer in customers if customer.habit.persona in ("holdout", "never", "heavy")]
    chosen = rng.sample(pool, max(1, len(pool) // 20)) if pool else []
    return [Refusal(customer.account_id, "Bid in progress, sales speaks to their board.") for customer in chosen]


def _promise(promise: Promise) -> dict[str, Any]:
    return {
        "ref": promise.ref,
        "by": COLLECTOR,
        "account_id": promise.customer.account_id,
        "contact_id": f"{promise.customer.account_id}-1",
        "amount_minor": promise.amount_minor,
        "currency": promise.customer.currency,
        "due_on": promise.due_on.isoformat(),
        "channel": "call",
        "source_document_ids": [item.document.source_document_id for item in promise.items],
        "truth": {"outcome": promise.outcome, "paid_minor": promise.paid_minor},
    }


def _dispute(dispute: Dispute) -> dict[str, Any]:
    return {
        "ref": dispute.ref,
        "by": COLLECTOR,
        "account_id": dispute.document.customer.account_id,
        "source_document_id": dispute.document.source_document_id,
        "amount_minor": dispute.amount_minor,
        "currency": dispute.document.customer.currency,
        "reason_code": dispute.reason_code,
        "text": DISPUTE_REASONS[dispute.reason_code],
    }


def _resolution(dispute: Dispute) -> dict[str, Any]:
    return {
        "dispute_ref": dispute.ref,
        "by": "supervisor",
        "outcome": dispute.outcome,
        "credited_minor": dispute.credited_minor,
        "currency": dispute.document.customer.currency,
        "credit_memo_source_document_id": dispute.memo.source_document_id if dispute.memo else None,
    }


def _call(rng: Random, customer: Customer, documents: list[Document], on: date, ref: str) -> dict[str, Any]:
    outcome = rng.choice(list(CALL_OUTCOMES))
    text, next_step, wait = CALL_OUTCOMES[outcome]
    return {
        "ref": ref,
        "by": COLLECTOR,
        "account_id": customer.account_id,
        "contact_id": f"{customer.account_id}-1",
        "kind": "call",
        "direction": "out",
        "outcome_code": outcome,
        "text": text,
        "minutes": rng.randrange(2, 16),
        "next_step": next_step,
        "next_on": step(on, wait).isoformat(),
        "source_document_ids": [document.source_document_id for document in documents[:3]],
    }


def _note(rng: Random, customer: Customer, ref: str) -> dict[str, Any]:
    return {
        "ref": ref,
        "by": COLLECTOR,
        "account_id": customer.account_id,
        "contact_id": "",
        "kind": "note",
        "direction": "internal",
        "outcome_code": "",
        "text": rng.choice(NOTES),
        "minutes": 0,
        "next_step": "",
        "next_on": None,
        "source_document_ids": [],
    }


def _overdue_by_account(documents: list[Document], on: date) -> dict[str, list[Document]]:
    """Fed, unpaid and past due on a day, by account."""
    found: dict[str, list[Document]] = {}
    for document in documents:
        if document.kind in ("invoice", "rebill") and document.fed_on <= on and document.cancelled_on is None:
            items = [item for item in document.items if item.due_on < on and item.payable_minor > 0]
            if any(item.pay_on is None or item.pay_on > on for item in items):
                found.setdefault(document.customer.account_id, []).append(document)
    return found


def _activities(
    rng: Random, customers: dict[str, Customer], documents: list[Document], on: date
) -> list[dict[str, Any]]:
    overdue = _overdue_by_account(documents, on)
    called = rng.sample(sorted(overdue), min(len(overdue), 2 + len(customers) // 100))
    activities = []
    for ordinal, account_id in enumerate(called, start=1):
        ref = f"ACT-{on:%Y%m%d}-{ordinal:02d}"
        activities.append(_call(rng, customers[account_id], overdue[account_id], on, ref))
    if overdue and rng.randrange(2):
        account_id = rng.choice(sorted(overdue))
        activities.append(_note(rng, customers[account_id], f"ACT-{on:%Y%m%d}-{len(called) + 1:02d}"))
    return activities


def make_actions(
    seed: int,
    timeline: Timeline,
    customers: list[Customer],
    documents: list[Document],
    promises: list[Promise],
    disputes: list[Dispute],
) -> dict[date, dict[str, Any]]:
    """The actions of every business day, in the shape of `actions.json`."""
    rng = Random(f"{seed}:actions")
    refusals = make_refusals(seed, customers)
    by_account = {customer.account_id: customer for customer in customers}
    days = {}
    for on in timeline.days:
        days[on] = {
            "date": on.isoformat(),
            "approvals": {
                "by": CHECKER,
                "of": "hold",
                "decision": "approve",
                "refuse": [{"account_id": one.account_id, "reason": one.reason} for one in refusals],
            },
            "promises": [_promise(promise) for promise in promises if promise.taken_on == on],
            "disputes": [_dispute(dispute) for dispute in disputes if dispute.opened_on == on],
            "resolutions": [_resolution(dispute) for dispute in disputes if dispute.resolved_on == on],
            "activities": _activities(rng, by_account, documents, on),
        }
    return days
