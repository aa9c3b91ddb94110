"""What the API takes and answers. Personal data stand only in the detail of one notice and its content."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

NoticeStatus = Literal["requested", "sending", "sent", "withheld", "failed", "unknown"]
EffectStatus = Literal["due", "confirmed", "failed", "withheld", "superseded"]


class ReasonView(BaseModel):
    """Why: a stable code, and the evidence by id. The codes stand in the service's README."""

    code: str
    evidence: str = ""
    item_id: UUID | None = None


class NoticeView(BaseModel):
    """A notice in a list. `reasons` say what withheld it, what it waits for, or what was taken out of it."""

    notice_id: UUID
    account_id: str
    contact_id: str
    level: int
    kind: str
    channel: str
    status: NoticeStatus
    reasons: list[ReasonView]
    decided_on: date
    not_before_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    sent_at: datetime | None
    attempts: int
    code: str
    retry_of: UUID | None


class GateView(BaseModel):
    """One judgement that counted, with what the gate knew."""

    claim: int
    outcome: str
    decided_at: datetime
    judged_at: datetime
    tick_number: int
    tick_at: datetime | None
    banks: list[dict[str, Any]]
    items: list[dict[str, Any]]
    reasons: list[ReasonView]
    policy: str


class ContentView(BaseModel):
    """The mail as it was handed over, readable. The exact bytes stand under `/content`."""

    recipient: str
    subject: str
    message_id: str
    text: str


class NoticeDetail(NoticeView):
    """`asked` are the items as requested, `items` those that left."""

    asked: list[dict[str, Any]]
    items: list[dict[str, Any]]
    message_id: str
    judgements: list[GateView]
    content: ContentView | None


class EffectView(BaseModel):
    """One version of a hold on its way to the access system."""

    effect_id: UUID
    hold_id: UUID
    account_id: str
    version: int
    state: str
    grade: str
    target: str
    status: EffectStatus
    reasons: list[ReasonView]
    attempts: int
    code: str
    answered_at: datetime | None


class WithheldCount(BaseModel):
    """How many notices were withheld for this reason; one notice may count under several."""

    code: str
    notices: int


class Withheld(BaseModel):
    notices: int
    by_reason: list[WithheldCount]


class Backlog(BaseModel):
    """`pending`: notices and deliveries that are due at the last complete tick and were not yet put to the gate."""

    tick_number: int
    tick_at: datetime | None
    pending: int


class RetryBody(BaseModel):
    """A person asks for a notice to be sent again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": "the debtor says that nothing arrived"}]},
    )

    reason: str = Field(min_length=3, max_length=500)


class RetryReply(BaseModel):
    """The new notice; it passes the gate like any other."""

    notice_id: UUID
    retry_of: UUID
    status: NoticeStatus
