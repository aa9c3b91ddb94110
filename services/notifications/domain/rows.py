"""What a decided batch writes: one list per table, keyed in memory so that each row is written once.

Invariant: a copy carries the highest version of its batch; a notice or effect row is the whole new state of its row.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.notifications.domain.letter import Letter
from shared.events.accounts import AccountState, ContactUpdated
from shared.events.ledger import CashCandidate, CashChanged, ItemState

Key = tuple[str, UUID]


@dataclass(slots=True)
class CandidateRow:
    data: CashCandidate
    since_on: date
    live: bool = True


@dataclass(frozen=True, slots=True)
class CoverRow:
    company: str
    kind: str
    cover_id: UUID
    account_id: str
    version: int
    live: bool
    items: tuple[UUID, ...]
    currency: str
    disputed_minor: int = 0


@dataclass(slots=True)
class NoticeRow:
    """State of a notice. Status: requested -> sending -> sent | failed | unknown, requested -> withheld | failed."""

    company: str
    notice_id: UUID
    account_id: str
    contact_id: str
    level: int
    kind: str
    channel: str
    decided_on: date
    not_before_at: datetime
    expires_at: datetime
    request: dict[str, Any]
    envelope: dict[str, Any]
    retry_of: UUID | None = None
    status: str = "requested"
    reasons: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    judged_at_number: int = -1
    claims: int = 0
    attempts: int = 0
    claimed_by: str = ""
    lease_until_at: datetime | None = None
    next_try_at: datetime | None = None
    message_id: str = ""
    decided_at: datetime | None = None
    sent_at: datetime | None = None
    sent_on: date | None = None
    content: dict[str, Any] | None = None
    code: str = ""


@dataclass(slots=True)
class EffectRow:
    """Delivery of one version of a hold. Status: due -> confirmed | failed | withheld | superseded."""

    company: str
    effect_id: UUID
    hold_id: UUID
    account_id: str
    version: int
    state: str
    grade: str
    target: str
    gated: bool
    from_at: datetime
    expires_at: datetime
    body: dict[str, Any]
    envelope: dict[str, Any]
    read_at_number: int
    status: str = "due"
    reasons: list[dict[str, Any]] = field(default_factory=list)
    judged_at_number: int = -1
    claims: int = 0
    attempts: int = 0
    reported: bool = False
    claimed_by: str = ""
    lease_until_at: datetime | None = None
    next_try_at: datetime | None = None
    first_try_at: datetime | None = None
    answered_at: datetime | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What the gate knew when it decided; `subject_id` is a notice or an effect."""

    company: str
    subject_id: UUID
    claim: int
    of: str
    account_id: str
    outcome: str
    decided_at: datetime
    judged_at: datetime
    tick_number: int
    tick_at: datetime | None
    banks: list[dict[str, Any]]
    items: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    policy: str


@dataclass(slots=True)
class Rows:
    """The write set. `letters` are not written: they go to the channel, by notice."""

    accounts: dict[tuple[str, str], AccountState] = field(default_factory=dict)
    contacts: dict[tuple[str, str, str], ContactUpdated] = field(default_factory=dict)
    refused: set[tuple[str, str, str]] = field(default_factory=set)
    items: dict[Key, ItemState] = field(default_factory=dict)
    balances: dict[tuple[str, str, str], CashChanged] = field(default_factory=dict)
    candidates: dict[Key, CandidateRow] = field(default_factory=dict)
    cleared: set[tuple[str, UUID, str]] = field(default_factory=set)
    covers: dict[tuple[str, str, UUID], CoverRow] = field(default_factory=dict)
    new_notices: dict[Key, NoticeRow] = field(default_factory=dict)
    notices: dict[Key, NoticeRow] = field(default_factory=dict)
    new_effects: dict[Key, EffectRow] = field(default_factory=dict)
    effects: dict[Key, EffectRow] = field(default_factory=dict)
    gate_records: list[GateRecord] = field(default_factory=list)
    letters: dict[Key, Letter] = field(default_factory=dict)
