"""What people ask of collections, as values. The API makes them from requests, the handler decides on them."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
Text = Annotated[str, StringConstraints(max_length=4000)]
Minor = Annotated[int, Field(gt=0, le=10**15)]
Items = Annotated[list[UUID], Field(max_length=500)]
Owner = Literal["billing", "sales", "helpdesk", "legal"]
ActivityKind = Literal["call", "email", "letter", "visit", "meeting", "portal", "note", "ticket"]
Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnAccount(Command):
    account_id: str = Field(min_length=1, max_length=60)


class MakePromise(OnAccount):
    """Without `items` any receipt of the account counts; without `amount_minor` the whole is promised.

    `taken_on` is the day of the promise, today if it is left out. `replaces` names promises that this one supersedes.
    """

    amount_minor: Minor | None = None
    currency: str = Field(pattern="^[A-Z]{3}$")
    due_on: date
    items: Items = []
    contact_id: str = ""
    channel: str = Field(default="", max_length=30)
    taken_on: date | None = None
    replaces: Annotated[list[UUID], Field(max_length=20)] = []


class CancelPromise(OnAccount):
    promise_id: UUID
    reason: Text = ""


class AllowPromise(OnAccount):
    """A supervisor grants one more promise beyond the policy's limit per debt."""

    reason: Text = Field(min_length=1)


class OpenDispute(OnAccount):
    """Without `disputed_minor` the whole undisputed rest of the item is disputed."""

    item_id: UUID
    disputed_minor: Minor | None = None
    reason_code: Code
    text: Text = ""
    owner: Owner = "billing"
    due_on: date | None = None


class UpdateDispute(OnAccount):
    """What is left out stays as it is."""

    dispute_id: UUID
    disputed_minor: Minor | None = None
    reason_code: Code | None = None
    text: Text | None = None
    owner: Owner | None = None
    due_on: date | None = None


class ResolveDispute(OnAccount):
    """`credited_minor` is needed for partly_credited; credited without it grants the whole disputed part."""

    dispute_id: UUID
    outcome: Literal["credited", "partly_credited", "rejected", "withdrawn"]
    credited_minor: int | None = Field(default=None, ge=0, le=10**15)
    text: Text = ""

    @model_validator(mode="after")
    def _amount_fits(self) -> "ResolveDispute":
        if self.outcome == "partly_credited" and not self.credited_minor:
            raise ValueError("outcome partly_credited needs credited_minor")
        if self.outcome in ("rejected", "withdrawn") and self.credited_minor:
            raise ValueError(f"nothing is credited by the outcome {self.outcome}; leave credited_minor out")
        return self


class DecideHold(OnAccount):
    """`body_sha256` is the hash of the proposal that the person saw."""

    hold_id: UUID
    body_sha256: Hash
    approve: bool
    reason: Text = ""


class LogActivity(OnAccount):
    """`next_step` comes back in the worklist on `next_on`. `follows` names the activity whose next step this one does,
    `supersedes` the one that this one corrects."""

    kind: ActivityKind
    direction: Literal["in", "out", "internal"] = "out"
    contact_id: str = ""
    addressee: str = Field(default="", max_length=120)
    outcome_code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{0,60}$")] = ""
    items: Items = []
    next_step: Annotated[str, StringConstraints(max_length=300)] = ""
    next_on: date | None = None
    minutes: int = Field(default=0, ge=0, le=1440)
    text: Text = ""
    done_on: date | None = None
    supersedes: UUID | None = None
    follows: UUID | None = None

    @model_validator(mode="after")
    def _step_has_a_date(self) -> "LogActivity":
        if bool(self.next_step) != (self.next_on is not None):
            raise ValueError("next_step and next_on belong together: a step comes back on its date")
        return self


class ReleaseNotice(OnAccount):
    """A person looked into a notice of unknown fate: its items may be asked for again."""

    notice_id: UUID
    reason: Text = ""


class RaiseEscalation(OnAccount):
    to: str = Field(min_length=1, max_length=60)
    reason: Text = Field(min_length=1)
