"""A notice as it is to be written: everything the template needs, as plain values. Amounts are minor units."""

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from services.notifications.domain.policy import Sender
from shared.events.collections import NoticeItem

REFERENCE_CHARS = 12


@dataclass(frozen=True, slots=True)
class Letter:
    notice_id: UUID
    company: str
    account_id: str
    contact_id: str
    account_name: str
    contact_name: str
    recipient: str
    sender: Sender
    message_id: str
    kind: str
    channel: str
    level: int
    template: str
    language: str
    written_at: datetime
    written_on: date
    items: tuple[NoticeItem, ...]
    credits_minor: dict[str, int] = field(default_factory=dict)
    country: str = ""

    def totals(self) -> dict[str, int]:
        """Claim per currency: what is open less what is disputed."""
        sums: dict[str, int] = {}
        for item in self.items:
            sums[item.currency] = sums.get(item.currency, 0) + item.remaining_minor - item.disputed_minor
        return sums

    @property
    def reference(self) -> str:
        """Short reference that people may quote; part of the notice's id."""
        return f"N-{self.notice_id.hex[:REFERENCE_CHARS].upper()}"

    @property
    def bounce_address(self) -> str:
        return f"bounce+{self.notice_id.hex}@{self.sender.domain}"

    @property
    def reply_address(self) -> str:
        return f"reply+{self.notice_id.hex}@{self.sender.domain}"


def message_id(notice_id: UUID, domain: str) -> str:
    """Message-ID of the one mail that a notice may become."""
    return f"<{notice_id.hex}@{domain}>"
