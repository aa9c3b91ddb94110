"""Facts of `ar.collections`: what collections asks for, agreed, disputed and ordered. Key: `company/account`.

Every process (promise, dispute, hold) carries its whole state and a `version`; the higher version wins.
"""

from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.facts import Amount, Currency, Fact, Part, PersonalText


class NoticeItem(Part):
    item_id: UUID
    version: int
    number: str
    remaining_minor: Amount
    currency: Currency
    due_on: date
    days_past_due: int
    disputed_minor: Amount = 0


class Total(Part):
    currency: Currency
    amount_minor: Amount


class NoticeRequested(Fact):
    """A notice is asked for; whether it may leave is proved at send time by notifications."""

    TYPE: ClassVar[str] = "notice.requested"

    notice_id: UUID
    account_id: str
    contact_id: str
    level: int
    kind: Literal["reminder", "hold_warning", "broken_promise", "escalation"] = "reminder"
    template: str
    channel: Literal["email", "letter"] = "email"
    language: str = "en"
    policy: str
    decided_on: date
    items: list[NoticeItem] = Field(min_length=1, max_length=500)
    totals: list[Total] = Field(max_length=20)
    not_before_at: datetime
    expires_at: datetime


class PromiseReceipt(Part):
    payment_id: UUID
    amount_minor: Amount
    valued_on: date | None = None


class PromiseState(Fact):
    """`items` are not dunned while the promise is open; `scope` says whether only cash on them counts, or any."""

    promise_id: UUID
    version: int
    account_id: str
    contact_id: str = ""
    amount_minor: Amount
    currency: Currency
    taken_at: datetime
    taken_on: date
    due_on: date
    grace_days: int
    tolerance: str = "0.005"
    scope: Literal["items", "account"] = "items"
    items: list[UUID] = Field(default_factory=list, max_length=500)
    received: list[PromiseReceipt] = Field(default_factory=list, max_length=500)
    corrected: bool = False
    channel: str = ""
    taken_by: str = ""


class PromiseMade(PromiseState):
    TYPE: ClassVar[str] = "promise.made"


class PromiseKept(PromiseState):
    TYPE: ClassVar[str] = "promise.kept"


class PromisePartlyKept(PromiseState):
    TYPE: ClassVar[str] = "promise.partly_kept"


class PromiseBroken(PromiseState):
    TYPE: ClassVar[str] = "promise.broken"


class PromiseSuperseded(PromiseState):
    TYPE: ClassVar[str] = "promise.superseded"


class PromiseCancelled(PromiseState):
    TYPE: ClassVar[str] = "promise.cancelled"


class PlanInstalment(Part):
    due_on: date
    amount_minor: Amount


class PlanState(Fact):
    plan_id: UUID
    version: int = 1
    account_id: str
    currency: Currency
    instalments: list[PlanInstalment] = Field(min_length=1, max_length=120)
    items: list[UUID] = Field(default_factory=list, max_length=500)
    guideline: str = ""
    approval_id: UUID | None = None


class PlanAgreed(PlanState):
    TYPE: ClassVar[str] = "plan.agreed"


class PlanDefaulted(PlanState):
    TYPE: ClassVar[str] = "plan.defaulted"


class PlanCompleted(PlanState):
    TYPE: ClassVar[str] = "plan.completed"


class PlanCancelled(PlanState):
    TYPE: ClassVar[str] = "plan.cancelled"


class DisputeState(Fact):
    dispute_id: UUID
    version: int
    account_id: str
    item_id: UUID
    disputed_minor: Amount
    currency: Currency
    reason_code: str
    text: PersonalText = ""
    owner: Literal["billing", "sales", "helpdesk", "legal"] = "billing"
    opened_on: date
    due_on: date | None = None
    status: Literal["open", "resolved"] = "open"
    outcome: Literal["", "credited", "rejected", "partly_credited", "withdrawn"] = ""
    credited_minor: Amount = 0


class DisputeOpened(DisputeState):
    TYPE: ClassVar[str] = "dispute.opened"


class DisputeUpdated(DisputeState):
    TYPE: ClassVar[str] = "dispute.updated"


class DisputeResolved(DisputeState):
    TYPE: ClassVar[str] = "dispute.resolved"


class HoldState(Fact):
    """An order to an access system. It is in force when the system confirmed `version`; `lease_s` is a duration."""

    hold_id: UUID
    version: int
    account_id: str
    kind: Literal["access", "order"] = "access"
    grade: Literal["warn", "restrict", "deny"]
    targets: list[str] = Field(default_factory=list, max_length=100)
    cause: str
    policy: str
    approval_id: UUID | None = None
    approved_by: str = ""
    from_at: datetime
    lease_s: int
    overdue_minor: Amount = 0
    currency: Currency | None = None


class HoldOrdered(HoldState):
    TYPE: ClassVar[str] = "hold.ordered"


class HoldRenewed(HoldState):
    TYPE: ClassVar[str] = "hold.renewed"


class HoldLifted(HoldState):
    TYPE: ClassVar[str] = "hold.lifted"


class HoldProposed(HoldState):
    """All conditions for a hold are met except the approval of a named person."""

    TYPE: ClassVar[str] = "hold.proposed"


class HoldRefused(HoldState):
    """A named person refused the proposal; `cause` says why."""

    TYPE: ClassVar[str] = "hold.refused"


class HoldWithdrawn(HoldState):
    """A proposal that nobody approved no longer has its reason."""

    TYPE: ClassVar[str] = "hold.withdrawn"


class EscalationRaised(Fact):
    TYPE: ClassVar[str] = "escalation.raised"

    escalation_id: UUID
    account_id: str
    level: int
    to: str
    reason: str
    overdue_minor: Amount = 0
    currency: Currency | None = None
    raised_on: date


class ActivityLogged(Fact):
    """One thing that a person did or is to do. Corrections supersede; nothing is edited.

    `next_step` comes back on `next_on` until an activity `follows` this one or names it in `ends`: the steps with the
    same person that were due and that it did.
    """

    TYPE: ClassVar[str] = "activity.logged"

    activity_id: UUID
    account_id: str
    kind: Literal["call", "email", "letter", "visit", "meeting", "portal", "note", "ticket"]
    direction: Literal["in", "out", "internal"] = "out"
    contact_id: str = ""
    addressee: str = ""
    outcome_code: str = ""
    items: list[UUID] = Field(default_factory=list, max_length=500)
    next_step: str = ""
    next_on: date | None = None
    minutes: int = 0
    text: PersonalText = ""
    done_on: date
    by: str = ""
    supersedes: UUID | None = None
    follows: UUID | None = None
    ends: list[UUID] = Field(default_factory=list, max_length=50)


class WriteOffRequested(Fact):
    TYPE: ClassVar[str] = "write_off.requested"

    request_id: UUID
    account_id: str
    item_id: UUID
    amount_minor: Amount
    currency: Currency
    reason_code: str
    requested_by: str


class CreditMemoRequested(Fact):
    TYPE: ClassVar[str] = "credit_memo.requested"

    request_id: UUID
    account_id: str
    item_id: UUID
    amount_minor: Amount
    currency: Currency
    reason_code: str
    requested_by: str
