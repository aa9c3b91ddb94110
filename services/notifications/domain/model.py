"""What the gate looks at: values copied from the topics, one `Known` per account, and the outcomes it can give.

Amounts are integer minor units; all instants are aware.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from shared.events.collections import NoticeItem
from shared.events.notifications import Reason

CoverKind = Literal["promise", "plan", "dispute"]


@dataclass(frozen=True, slots=True)
class Account:
    account_id: str
    name: str = ""
    debtor_kind: str = "unknown"
    country: str = ""
    language: str = "en"
    time_zone: str = ""
    status: str = "active"


@dataclass(frozen=True, slots=True)
class Contact:
    """`valid` is false when the ERP says so or when the address refused a mail for good."""

    contact_id: str
    name: str = ""
    email: str = ""
    language: str = ""
    time_zone: str = ""
    channels: frozenset[str] = frozenset()
    consents: frozenset[str] = frozenset()
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Item:
    item_id: UUID
    version: int
    side: str
    number: str
    currency: str
    remaining_minor: int
    disputed_minor: int
    due_on: date


@dataclass(frozen=True, slots=True)
class Candidate:
    """Cash that evidence connects with the account but that is not applied."""

    candidate_id: UUID
    amount_minor: int
    currency: str
    source: str
    since_on: date


@dataclass(frozen=True, slots=True)
class Cover:
    """A live promise, a live plan or an open dispute. No items = all items of the account in `currency`."""

    kind: CoverKind
    cover_id: UUID
    currency: str
    items: frozenset[UUID] = frozenset()
    disputed_minor: int = 0

    def covers(self, item: UUID, currency: str) -> bool:
        return item in self.items if self.items else currency == self.currency


@dataclass(frozen=True, slots=True)
class Stopped:
    """Something parked, held or quarantined, here or in a service upstream."""

    kind: str
    id: str
    account_id: str | None = None
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """All that stands for or against one account. `credits_minor` is cash of the account that is on no item."""

    account_id: str
    account: Account | None = None
    contacts: dict[str, Contact] = field(default_factory=dict)
    items: dict[UUID, Item] = field(default_factory=dict)
    credits_minor: dict[str, int] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    covers: tuple[Cover, ...] = ()
    stopped: tuple[Stopped, ...] = ()
    stopped_more: bool = False
    sent_on: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class BankReach:
    """How far the data of one bank account reach in which the company's money arrives."""

    bank_account: str
    calendar: str
    complete_through_on: date | None


@dataclass(frozen=True, slots=True)
class Reached:
    """What is known of time. `now` is the wall clock, with a stream clock the last complete tick itself."""

    now: datetime
    tick_at: datetime | None
    tick_number: int
    closed_on: date | None
    banks: tuple[BankReach, ...]
    time_zone: str
    calendar: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A notice as it was requested."""

    notice_id: UUID
    account_id: str
    contact_id: str
    channel: str
    decided_on: date
    not_before_at: datetime
    expires_at: datetime
    items: tuple[NoticeItem, ...]


@dataclass(frozen=True, slots=True)
class AskedHold:
    """An order of a hold or an increase of its grade. It states the overdue sum that justifies it.

    `read_at_number` is the last complete tick when the order was read: a later one proves that everything that
    entered before the order has been read too, the markers of its day included.
    """

    hold_id: UUID
    version: int
    account_id: str
    read_at_number: int
    from_at: datetime
    expires_at: datetime
    overdue_minor: int
    currency: str | None


@dataclass(frozen=True, slots=True)
class Pass:
    """It may leave as it was asked; item versions are those of now."""

    items: tuple[NoticeItem, ...] = ()
    reasons: tuple[Reason, ...] = ()
    credits_minor: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Smaller(Pass):
    """It may leave with these items and amounts only; `reasons` say what was taken out."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing stands against it for good: it is looked at again at the next tick."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Withheld:
    """It does not leave."""

    reasons: tuple[Reason, ...]


Outcome = Pass | Smaller | Wait | Withheld
