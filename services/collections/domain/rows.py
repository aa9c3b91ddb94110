"""The rows that collections keeps, one dataclass per table, with the same names as the columns of tables.py.

Everything belongs to one account; `account` is the row that is locked. JSON columns hold lists of texts or dicts.
Every row names its table and its key within the account.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

AGE_BOUNDS = (0, 30, 60, 90, 120)
"""Upper bounds, inclusive, of days past due: current, 1–30, 31–60, 61–90, 91–120, and over."""
AGE_CLASSES = len(AGE_BOUNDS) + 1


def age_class(days_past_due: int) -> int:
    return sum(1 for bound in AGE_BOUNDS if days_past_due > bound)


@dataclass(slots=True)
class Account:
    """The debtor's account as ar.accounts tells it. `known` is False while only its items have arrived.

    `lateness` counts settled items by the age class in which they were settled; `allowances` are further promises
    that a supervisor granted beyond the policy's limit.
    """

    TABLE: ClassVar[str] = "account"
    KEY: ClassVar[tuple[str, ...]] = ()

    company: str
    account_id: str
    bucket: int = 0
    known: bool = False
    name: str = ""
    debtor_kind: str = "unknown"
    country: str = ""
    segment: str = ""
    language: str = "en"
    currency: str = ""
    time_zone: str = ""
    collector: str = ""
    sales_owner: str = ""
    customer_since_on: date | None = None
    access_targets: list[str] = field(default_factory=list)
    confidentiality: str = "normal"
    status: str = "active"
    lateness: list[int] = field(default_factory=lambda: [0] * AGE_CLASSES)
    allowances: int = 0


@dataclass(slots=True)
class Contact:
    """`invalid_channels` came back as undeliverable; a changed address clears them."""

    TABLE: ClassVar[str] = "contact"
    KEY: ClassVar[tuple[str, ...]] = ("contact_id",)

    company: str
    account_id: str
    contact_id: str
    name: str = ""
    roles: list[str] = field(default_factory=list)
    email: str = ""
    phone: str = ""
    address: str = ""
    language: str = ""
    time_zone: str = ""
    channels: list[str] = field(default_factory=list)
    valid: bool = True
    invalid_channels: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Item:
    """Open item by the ledger's `version`. `level` is the highest dunning level whose notice naming it has left."""

    TABLE: ClassVar[str] = "item"
    KEY: ClassVar[tuple[str, ...]] = ("item_id",)

    company: str
    account_id: str
    item_id: UUID
    document_id: UUID
    line: str
    number: str
    kind: str
    side: str
    version: int
    currency: str
    original_minor: int
    remaining_minor: int
    credit_relief_minor: int
    document_on: date
    due_on: date
    changed_on: date
    level: int = 0
    level_on: date | None = None
    warned_on: date | None = None

    def days_past_due(self, on: date) -> int:
        return (on - self.due_on).days


@dataclass(slots=True)
class Cash:
    """Cash of the account that is not on items, absolute, by the ledger's `version` per currency."""

    TABLE: ClassVar[str] = "cash"
    KEY: ClassVar[tuple[str, ...]] = ("currency",)

    company: str
    account_id: str
    currency: str
    version: int
    unapplied_minor: int
    on_account_minor: int
    changed_on: date


@dataclass(slots=True)
class Candidate:
    """Cash that evidence connects with the account but that is not applied."""

    TABLE: ClassVar[str] = "candidate"
    KEY: ClassVar[tuple[str, ...]] = ("candidate_id",)

    company: str
    account_id: str
    candidate_id: UUID
    payment_id: UUID | None
    amount_minor: int
    currency: str
    source: str
    since_on: date
    cleared: bool = False


@dataclass(slots=True)
class Receipt:
    """What of a payment stands on this account, by `payment_version`; `since_at` is when it first stood here.

    `returned`: the bank took some or all of it back, which `amount_minor` no longer counts.
    """

    TABLE: ClassVar[str] = "receipt"
    KEY: ClassVar[tuple[str, ...]] = ("payment_id",)

    company: str
    account_id: str
    payment_id: UUID
    payment_version: int
    currency: str
    valued_on: date
    amount_minor: int
    since_at: datetime
    returned: bool = False


@dataclass(slots=True)
class Application:
    """Cash of a payment on one item by one posting."""

    TABLE: ClassVar[str] = "application"
    KEY: ClassVar[tuple[str, ...]] = ("posting_id", "item_id")

    company: str
    account_id: str
    posting_id: UUID
    item_id: UUID
    payment_id: UUID
    cash_minor: int
    reversed: bool = False


@dataclass(slots=True)
class Notice:
    """A notice that was asked for. `answered_on` is the business date of the answer that counts."""

    TABLE: ClassVar[str] = "notice"
    KEY: ClassVar[tuple[str, ...]] = ("notice_id",)

    company: str
    account_id: str
    notice_id: UUID
    contact_id: str
    level: int
    kind: str
    policy: str
    decided_on: date
    expires_at: datetime
    items: list[str]
    totals: list[dict[str, Any]]
    status: str = "requested"
    answered_on: date | None = None
    left_on: date | None = None
    reasons: list[dict[str, Any]] = field(default_factory=list)
    released: bool = False


@dataclass(slots=True)
class Promise:
    """A promise to pay. `scope` items: only cash on its items counts; account: any receipt of the account counts.

    `standing` is its place in the row of promises on the same debt.
    """

    TABLE: ClassVar[str] = "promise"
    KEY: ClassVar[tuple[str, ...]] = ("promise_id",)

    company: str
    account_id: str
    promise_id: UUID
    version: int
    status: str
    scope: str
    contact_id: str
    amount_minor: int
    currency: str
    taken_at: datetime
    taken_on: date
    due_on: date
    grace_days: int
    judged_from_on: date
    tolerance: str
    items: list[str]
    received: list[dict[str, Any]] = field(default_factory=list)
    corrected: bool = False
    channel: str = ""
    taken_by: str = ""
    standing: int = 1
    status_on: date | None = None


@dataclass(slots=True)
class Dispute:
    """A contested part of an item. After a granted credit, `expected_until_on` bounds how long it is waited for."""

    TABLE: ClassVar[str] = "dispute"
    KEY: ClassVar[tuple[str, ...]] = ("dispute_id",)

    company: str
    account_id: str
    dispute_id: UUID
    version: int
    item_id: UUID
    disputed_minor: int
    currency: str
    reason_code: str
    text: str
    owner: str
    opened_on: date
    due_on: date
    opened_by: str
    status: str = "open"
    outcome: str = ""
    credited_minor: int = 0
    resolved_on: date | None = None
    expected_until_on: date | None = None
    credit_relief_before_minor: int = 0


@dataclass(slots=True)
class Hold:
    """An access hold. `confirmed` maps target to the version that its access system confirmed."""

    TABLE: ClassVar[str] = "hold"
    KEY: ClassVar[tuple[str, ...]] = ("hold_id",)

    company: str
    account_id: str
    hold_id: UUID
    version: int
    status: str
    kind: str
    grade: str
    targets: list[str]
    cause: str
    policy: str
    from_at: datetime
    lease_s: int
    proposed_on: date
    overdue_minor: int
    currency: str
    body_sha256: str
    proposed_by: str
    approval_id: UUID | None = None
    approved_by: str = ""
    lease_until_at: datetime | None = None
    ended_on: date | None = None
    ended_because: str = ""
    confirmed: dict[str, int] = field(default_factory=dict)
    in_force_at: datetime | None = None
    failure: str = ""


@dataclass(slots=True)
class Approval:
    """A request for approval and its outcome (`shared.approval`); written here, decided from the hold."""

    TABLE: ClassVar[str] = "approval"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    company: str
    id: UUID
    kind: str
    subject_id: str
    body_hash: str
    customer_id: str
    reason_code: str
    requested_by: str
    requested_at: datetime
    outcome: str = "pending"
    decided_by: str | None = None
    decided_on_behalf_of: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None


@dataclass(slots=True)
class Escalation:
    """A case handed to a manager after the last level; `open` until its items are no longer overdue."""

    TABLE: ClassVar[str] = "escalation"
    KEY: ClassVar[tuple[str, ...]] = ("escalation_id",)

    company: str
    account_id: str
    escalation_id: UUID
    level: int
    addressee: str
    reason: str
    items: list[str]
    overdue_minor: int
    currency: str
    raised_on: date
    open: bool = True


@dataclass(slots=True)
class Activity:
    """One thing done, with the next step that comes back on `next_on` until another activity follows it."""

    TABLE: ClassVar[str] = "activity"
    KEY: ClassVar[tuple[str, ...]] = ("activity_id",)

    company: str
    account_id: str
    activity_id: UUID
    kind: str
    direction: str
    contact_id: str
    addressee: str
    outcome_code: str
    items: list[str]
    next_step: str
    next_on: date | None
    minutes: int
    text: str
    done_on: date
    by: str
    logged_at: datetime
    supersedes: UUID | None = None
    follows: UUID | None = None
    superseded: bool = False
    followed: bool = False


@dataclass(slots=True)
class WorklistRow:
    """What to do next for an account on `work_on`. Rows are ranked by (priority, score_minor down, account)."""

    TABLE: ClassVar[str] = "worklist"
    KEY: ClassVar[tuple[str, ...]] = ()

    company: str
    account_id: str
    built_on: date
    work_on: date
    collector: str
    priority: int
    score_minor: int
    overdue_minor: int
    currency: str
    chance_permille: int
    oldest_days_past_due: int
    cause: str
    why: str
    next_step: str
    listed: bool = True


ROWS: tuple[type, ...] = (
    Account, Contact, Item, Cash, Candidate, Receipt, Application, Notice, Promise, Dispute, Hold, Approval,
    Escalation, Activity, WorklistRow,
)  # fmt: skip
