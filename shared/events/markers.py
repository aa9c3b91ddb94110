"""Markers: time inside the data. Written into every partition of a topic behind everything committed before.

Within one source the `number` of markers rises without end; a marker is complete in a service when it was read from
every upstream partition.
"""

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from shared.events.facts import Part


class Parked(Part):
    """Something that a service could not digest or holds back; it stops notices that it could concern."""

    kind: str
    id: str
    company: str
    account_id: str | None = None
    amount_minor: int | None = None


class CompanyReach(Part):
    """Per company: how far each bank account's data reach, and what is parked (at most 100 named)."""

    bank_accounts: dict[str, date | None] = {}
    parked: list[Parked] = Field(default_factory=list, max_length=100)
    parked_more: bool = False


class Marker(Part):
    TYPE: ClassVar[str] = ""

    marker_id: UUID
    number: int


class ClockTicked(Marker):
    TYPE: ClassVar[str] = "clock.ticked"

    at: datetime
    companies: dict[str, CompanyReach] = {}


class DayClosed(Marker):
    """End of one company's business day. `totals` are what the writing service vouches for at this cut."""

    TYPE: ClassVar[str] = "day.closed"

    company: str
    date: date
    at: datetime
    bank_accounts: dict[str, date | None] = {}
    totals: dict[str, Any] = {}
