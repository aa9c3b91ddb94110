"""What the service tells itself, and what a person tells it; each reaches the handler as the data of an event.

`at` is the wall clock, given by the caller. `claim` proves that the caller still holds the row.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class JudgeNotice:
    """Put a claimed notice to the gate. Only a `binding` judgement may let it go; the other finds what is withheld."""

    company: str
    notice_id: UUID
    account_id: str
    claim: int
    binding: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a claimed notice at the mail server.

    sent: accepted after DATA; refused: the recipient or the content, for good or not; unknown: DATA began and no answer
    came; released: DATA did not begin, so it goes back and is put to the gate again.
    """

    company: str
    notice_id: UUID
    account_id: str
    claim: int
    result: Literal["sent", "refused", "unknown", "released"]
    at: datetime
    code: str = ""
    permanent: bool = False
    address_is_bad: bool = False
    after_data: bool = False
    again_s: int = 0
    content: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class JudgeHold:
    """Put a claimed delivery of a hold to the gate."""

    company: str
    effect_id: UUID
    account_id: str
    claim: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """What the access system answered to a claimed delivery. `final`: it will never take it."""

    company: str
    effect_id: UUID
    account_id: str
    claim: int
    confirmed: bool
    final: bool
    code: str
    at: datetime


class RetryNotice(BaseModel):
    """A person asks for a notice to be sent again whose outcome is unknown or that failed. It becomes a new notice."""

    model_config = ConfigDict(
        extra="forbid",
    )

    company: str = Field(min_length=1, max_length=40)
    notice_id: UUID
    account_id: str = Field(default="", max_length=60)
    reason: str = Field(min_length=3, max_length=500)
