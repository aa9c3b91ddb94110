"""Approval of refunds by the shared rule: a person, not the maker, for what was shown, within limits over 30 days."""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from hashlib import sha256
from typing import Any

from services.cash_application.domain import commands, refunds
from services.cash_application.domain.books import Books
from services.cash_application.domain.cash import Place, Receipt
from services.cash_application.domain.rows import Refund
from shared.approval import ApprovalRequest, PastApproval, Refused, decide
from shared.ids import derive

KIND = "refund"


@dataclass(frozen=True, slots=True)
class _Person:
    """The approver as the rule sees one; the API has checked token, role and company."""

    actor: str
    companies: frozenset[str]
    kind: str = "person"
    on_behalf_of: str | None = None


def approve_refund(books: Books, receipt: Receipt, command: commands.ApproveRefund) -> dict[str, Any]:
    """Make the refund payable. Raises Refusal when the rule refuses or the cash is not there any more."""
    refund = books.refunds.get(command.refund_id)
    if refund is None or refund.payment_id != receipt.payment_id:
        raise commands.Refusal("refund_unknown", f"refund {command.refund_id} is not of this payment", 404)
    base = receipt.rate.base
    request = ApprovalRequest(
        id=refund.refund_id,
        company=refund.company,
        kind=KIND,
        subject_id=str(refund.payment_id),
        body_hash=_hash(refund, refund.amount_minor),
        customer_id=refund.account_id,
        reason_code=KIND,
        amount_minor=base(refund.amount_minor),
        currency=books.cause.base_currency,
        requested_by=refund.requested_by,
        requested_at=_at(refund),
        outcome="pending" if refund.status == refunds.REQUESTED else "approved",
    )
    past = [
        PastApproval(
            r.refund_id, r.company, r.account_id, KIND, base(r.amount_minor), books.cause.base_currency, _at(r)
        )
        for r in books.refunds.values()
        if r.status != refunds.REQUESTED and r.account_id == refund.account_id and r.currency == refund.currency
    ]
    decision = decide(
        request,
        _Person(books.cause.actor, frozenset({refund.company}), _kind(books.cause.actor)),
        command.limits,
        past,
        books.cause.known_at,
        shown_hash=_hash(refund, command.shown_amount_minor),
        current_hash=request.body_hash,
    )
    if isinstance(decision, Refused):
        raise commands.Refusal(decision.code, decision.reason, 403)
    if receipt.at(Place(refund.from_place), refund.account_id) < refund.amount_minor:
        raise commands.Refusal("more_than_available", "the cash is gone; it was applied, moved or returned")
    approval_id = derive("approval", books.cause.event_id, refund.refund_id)
    refunds.approve(books, receipt, refund, books.cause.actor, approval_id)
    return {"refund_id": str(refund.refund_id), "refund_status": refund.status, "approval_id": str(approval_id)}


def _hash(refund: Refund, amount_minor: int) -> str:
    return sha256(f"{refund.refund_id}|{refund.account_id}|{amount_minor}|{refund.currency}".encode()).hexdigest()


def _at(refund: Refund) -> datetime:
    return datetime.combine(refund.approved_on or refund.requested_on, time(), tzinfo=UTC)


def _kind(actor: str) -> str:
    return "person" if actor.startswith("user:") else "service"
