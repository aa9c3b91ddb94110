"""What persons and the service's own loops ask of ingest. Each reaches the handler as an event `command.<name>`."""

from datetime import date
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from shared.events.control import CompanyConfigured, RatePublished


class WriteChunk(BaseModel):
    """Write the next records of an accepted submission, at most `size`."""

    submission_id: UUID
    size: int


class ConfigureCompany(BaseModel):
    company: CompanyConfigured


class PublishRates(BaseModel):
    rates: list[RatePublished] = Field(min_length=1, max_length=1_000)


class ProposePolicy(BaseModel):
    """A draft: validated content with the hash of its canonical JSON."""

    name: str
    version: str
    effective_on: date
    content: dict[str, Any]
    sha256: str


class ApprovePolicy(BaseModel):
    """`approver` is the caller's proof: actor, kind, companies and whom it acts for."""

    draft_id: UUID
    sha256: str
    kind: Literal["person", "feed", "service"]
    companies: list[str]
    on_behalf_of: str | None = None


class ReleaseRecord(BaseModel):
    """Try a held-back record again."""

    record_id: UUID


class DiscardRecord(BaseModel):
    record_id: UUID
    reason: str = Field(min_length=3, max_length=500)


class ReleaseStatement(BaseModel):
    """`overlap` says how equal lines count where nothing proves it; `refused` leaves it out until somebody books it."""

    statement_id: str
    outcome: Literal["booked", "refused"]
    overlap: Literal["add", "maximum"] | None = None
    reason: str = Field(min_length=3, max_length=500)
