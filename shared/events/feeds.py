"""Answers to feeds that speak Kafka, on `feeds.receipts`. Key: the feed."""

from typing import ClassVar, Literal
from uuid import UUID

from shared.events.facts import Fact


class FeedReceipt(Fact):
    """What became of one message of `feeds.inbound`, which lay at `place`; `company` is `~` where it is not known."""

    TYPE: ClassVar[str] = "feed.receipt"

    feed: str
    idempotency_key: str
    place: str
    outcome: Literal["written", "known", "quarantined", "held", "ignored", "refused"]
    code: str = ""
    field: str = ""
    reason: str = ""
    record_id: UUID | None = None
    submission_id: UUID | None = None
