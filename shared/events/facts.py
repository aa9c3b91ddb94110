"""What every event payload shares: immutability, tolerance of unknown fields, and the mark for personal data.

Amounts are integer minor units, dates are local dates of the company, instants are UTC.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class PersonalMark:
    """Marks a field as personal data: logs redact it; it never stands in headers or keys."""

    def __repr__(self) -> str:
        return "Personal"


Personal = PersonalMark()
PersonalText = Annotated[str, Personal]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Amount = Annotated[int, Field(ge=0, le=10**15)]
Signed = Annotated[int, Field(ge=-(10**15), le=10**15)]


class Part(BaseModel):
    """A value inside an event."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)


class Fact(Part):
    """Payload of one event type. `TYPE` is its name on the wire, `company` its creditor."""

    TYPE: ClassVar[str] = ""

    company: str = Field(min_length=1, max_length=40)


class DocumentRef(Part):
    """Content in the content-addressed store."""

    sha256: str
    media_type: str
    bytes: int
    name: str
    subject: str = ""


class Source(Part):
    """Where a fact came from: file name or feed, and the place inside it."""

    file: str = ""
    submission_id: UUID | None = None
    statement_id: str = ""
    line: int = 0
    at: datetime | None = None


def personal_fields(model: type[BaseModel]) -> set[str]:
    """Names of the fields of `model` and of its parts that carry personal data."""
    found: set[str] = set()
    for name, info in model.model_fields.items():
        if Personal in info.metadata or _mentions_personal(info.annotation):
            found.add(name)
    return found


def _mentions_personal(annotation: Any) -> bool:
    arguments = getattr(annotation, "__args__", ())
    if Personal in getattr(annotation, "__metadata__", ()):
        return True
    return any(_mentions_personal(argument) for argument in arguments)
