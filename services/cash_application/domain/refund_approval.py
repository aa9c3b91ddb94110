"""Approval of refunds by the shared rule: a person, not the maker, for what was shown, within limits over 30 days.

The request is a row beside the refund. Limits are in base currency and count what the customer (the legal person over
all its accounts) was refunded in any currency.
"""

from dataclasses import fields, replace
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from services.cash_application.domain import commands, refunds
from services.cash_application.domain.books import Books
from services.cash_application.domain.cash import Place, Receipt
from services.cash_application.domain.rows import Approval, Refund
from shared.approval import ApprovalRequest, Approved, Approver, Limits, PastApproval, Refused, as_actor, decide
from shared.ids import derive

KIND = "refund"
REQUEST_FIELDS = tuple(field.name for field in fields(ApprovalRequest))


class Person(Approver, Protocol):
    """Who approves, with the limits of the token."""

    @property
    def limits(self) -> Limits: ...


def ask_approval(books: Books, receipt: Receipt, refund: Refund) -> Approval:
    """The pending request that goes with a refund, for its amount in base currency at the payment's rate."""
    account = books.accounts[refund.company, refund.account_id]
    asked = Approval(
        company=refund.company,
        id=_id(refund.refund_id),
        kind=KIND,
        subject_id=str(refund.refund_id),
        body_hash=_hash(refund, refund.amount_minor),
        customer_id=account.customer_id,
        reason_code=KIND,
        amount_minor=receipt.rate.base(refund.amount_minor),
        currency=books.cause.base_currency,
        requested_by=refund.requested_by,
        requested_on_behalf_of=as_actor(books.cause.on_behalf_of or None),
        requested_at=books.cause.known_at,
    )
    _keep(books, asked)
    return asked


def approve_refund(
    books: Books, receipt: Receipt, command: commands.ApproveRefund, principal: Person | None
) -> dict[str, Any]:
    """Make the refund payable. Raises Refusal when the rule refuses or the cash is not there any more."""
    refund = books.refunds.get(command.refund_id)
    asked = books.approvals.get(_id(command.refund_id))
    if refund is None or asked is None or refund.payment_id != receipt.payment_id:
        raise commands.Refusal("refund_unknown", f"refund {command.refund_id} is not of this payment", 404)
    approved = _decided(books, refund, asked, command.shown_amount_minor, principal)
    if receipt.at(Place(refund.from_place), refund.account_id) < refund.amount_minor:
        raise commands.Refusal("more_than_available", "the cash is gone; it was applied, moved or returned")
    decision = {"decided_by": approved.decided_by, "decided_on_behalf_of": approved.decided_on_behalf_of}
    _keep(books, replace(asked, outcome="approved", decided_at=approved.decided_at, **decision))
    refunds.approve(books, receipt, refund, approved.decided_by, asked.id)
    return {"refund_id": str(refund.refund_id), "refund_status": refund.status, "approval_id": str(asked.id)}


def _decided(books: Books, refund: Refund, asked: Approval, shown_minor: int, principal: Person | None) -> Approved:
    if principal is None:
        raise commands.Refusal("not_a_person", "a refund is approved by a person who asks for it through the API", 403)
    history = [
        PastApproval(a.id, a.company, a.customer_id, a.reason_code, a.amount_minor, a.currency, a.decided_at)
        for a in books.approvals.values()
        if a.outcome == "approved" and a.decided_at is not None
    ]
    decision = decide(
        ApprovalRequest(**{name: getattr(asked, name) for name in REQUEST_FIELDS}),
        principal,
        principal.limits,
        history,
        books.cause.known_at,
        shown_hash=_hash(refund, shown_minor),
        current_hash=_hash(refund, refund.amount_minor),
    )
    if isinstance(decision, Refused):
        raise commands.Refusal(decision.code, decision.reason, 403)
    return decision


def _keep(books: Books, approval: Approval) -> None:
    books.approvals[approval.id] = books.written.approvals[approval.id] = approval


def _id(refund_id: UUID) -> UUID:
    return derive("approval", KIND, refund_id)


def _hash(refund: Refund, amount_minor: int) -> str:
    return sha256(f"{refund.refund_id}|{refund.account_id}|{amount_minor}|{refund.currency}".encode()).hexdigest()
