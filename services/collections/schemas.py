"""Bodies and replies of the API that are not already rows or commands of the domain, and the examples of bodies."""

from datetime import date
from typing import Any
from uuid import UUID

from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field

from services.collections.domain.commands import Code, Hash, Minor, Owner, Text


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Why(Body):
    reason: Text = ""


class Reason(Body):
    reason: Text = Field(min_length=1)


class HoldDecision(Body):
    """`body_sha256` as GET /holds showed it: the decision counts for that very proposal."""

    body_sha256: Hash
    reason: Text = ""


class DisputeChange(Body):
    """What is left out stays as it is."""

    disputed_minor: Minor | None = None
    reason_code: Code | None = None
    text: Text | None = None
    owner: Owner | None = None
    due_on: date | None = None


class DisputeDecision(Body):
    """`outcome`: credited, partly_credited (with credited_minor), rejected or withdrawn."""

    outcome: str = Field(pattern="^(credited|partly_credited|rejected|withdrawn)$")
    credited_minor: int | None = Field(default=None, ge=0, le=10**15)
    text: Text = ""


class PromiseReply(BaseModel):
    promise_id: UUID
    status: str
    amount_minor: int
    currency: str
    due_on: date
    judged_from_on: date
    items: list[UUID]
    superseded: list[UUID]


class PromiseStatus(BaseModel):
    promise_id: UUID
    status: str


class Allowance(BaseModel):
    account_id: str
    allowances: int


class DisputeReply(BaseModel):
    dispute_id: UUID
    version: int
    status: str
    outcome: str
    disputed_minor: int
    credited_minor: int
    currency: str
    due_on: date


class HoldReply(BaseModel):
    hold_id: UUID
    status: str
    version: int


class ActivityReply(BaseModel):
    activity_id: UUID


class NoticeReply(BaseModel):
    notice_id: UUID
    released: bool


class EscalationReply(BaseModel):
    escalation_id: UUID


ITEM = "2f0c3c1e-6c8a-5a3f-9f61-0a54a6b8d7e1"
_BODIES: dict[str, dict[str, Any]] = {
    "promise": {
        "account_id": "C-1001",
        "amount_minor": 250000,
        "currency": "EUR",
        "due_on": "2026-03-20",
        "items": [ITEM],
        "contact_id": "C-1001-1",
        "channel": "call",
    },
    "reason": {"reason": "Their finance director called; one more date is fair."},
    "dispute": {
        "account_id": "C-1001",
        "item_id": ITEM,
        "disputed_minor": 80000,
        "reason_code": "price",
        "text": "Agreed rate was lower.",
        "owner": "billing",
    },
    "dispute_change": {"owner": "sales", "due_on": "2026-03-31"},
    "dispute_decision": {"outcome": "partly_credited", "credited_minor": 30000, "text": "Rate corrected."},
    "hold_decision": {"body_sha256": "0" * 64, "reason": "Warned twice, no answer."},
    "activity": {
        "account_id": "C-1001",
        "kind": "call",
        "direction": "out",
        "contact_id": "C-1001-1",
        "outcome_code": "will_check",
        "text": "They check with the project lead.",
        "minutes": 6,
        "next_step": "Call again",
        "next_on": "2026-03-12",
        "items": [ITEM],
    },
    "escalation": {"account_id": "C-1001", "to": "legal", "reason": "They are winding up."},
}
EXAMPLES: dict[str, dict[str, Example]] = {name: {name: Example(value=body)} for name, body in _BODIES.items()}
