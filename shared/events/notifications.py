"""Facts of `ar.notifications`: what became of notices and effects. Key: `company/account`."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.collections import NoticeItem
from shared.events.facts import DocumentRef, Fact, Part, PersonalText


class Reason(Part):
    """Why a notice did not leave: a stable code and the evidence by id, never personal data."""

    code: str
    evidence: str = ""
    item_id: UUID | None = None


class NoticeState(Fact):
    """`retry_of`: the notice that a person asked to send again, which is why this one exists."""

    notice_id: UUID
    account_id: str
    contact_id: str = ""
    level: int = 0
    kind: str = "reminder"
    channel: str = "email"
    retry_of: UUID | None = None


class NoticeSending(NoticeState):
    """Committed before DATA; from here on the notice is never sent again by itself."""

    TYPE: ClassVar[str] = "notice.sending"

    message_id: str
    decided_at: datetime
    items: list[NoticeItem] = Field(max_length=500)


class NoticeSent(NoticeState):
    TYPE: ClassVar[str] = "notice.sent"

    message_id: str
    sent_at: datetime
    content: DocumentRef | None = None
    items: list[NoticeItem] = Field(max_length=500)
    policy: str = ""


class NoticeWithheld(NoticeState):
    TYPE: ClassVar[str] = "notice.withheld"

    reasons: list[Reason] = Field(max_length=50)
    items: list[UUID] = Field(default_factory=list, max_length=500)


class NoticeFailed(NoticeState):
    TYPE: ClassVar[str] = "notice.failed"

    code: str
    permanent: bool
    attempts: int


class NoticeUnknown(NoticeState):
    TYPE: ClassVar[str] = "notice.unknown"

    message_id: str
    code: str
    attempts: int = 1


class EffectState(Fact):
    effect_id: UUID
    of: Literal["hold", "dispute", "export", "ticket"]
    subject_id: UUID
    account_id: str
    version: int
    target: str
    attempts: int
    answered_at: datetime | None = None
    state: str = ""


class EffectConfirmed(EffectState):
    TYPE: ClassVar[str] = "effect.confirmed"


class EffectFailed(EffectState):
    """Not confirmed so far. `code` WITHHELD: the gate did not let it go and it never will; `reasons` say why."""

    TYPE: ClassVar[str] = "effect.failed"

    code: str = ""
    reasons: list[Reason] = Field(default_factory=list, max_length=50)


class ContactInvalidated(Fact):
    TYPE: ClassVar[str] = "contact.invalidated"

    account_id: str
    contact_id: str
    channel: str
    evidence: PersonalText = ""
