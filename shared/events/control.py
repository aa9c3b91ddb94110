"""Facts of `ar.control`: configuration, rates, policies, periods and the trail of commands. Key: `company`."""

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from shared.events.facts import Currency, Fact, Part


class BankAccount(Part):
    """A bank account in which the company's money arrives.

    `booking_source` names the one format whose lines post; `calendar` is a key of the holidays library (XECB,
    XFED, GB…); `serves` lists other companies whose debtors pay here; `identity_rule` is `entry_reference` when the
    bank's own entry reference is unique, else `occurrence`; `gaps` and `unbalanced` say what a statement that
    leaves a hole or does not add up gets.
    """

    id: str
    iban: str = ""
    currency: Currency
    calendar: str = "XECB"
    booking_source: str = "camt.053"
    identity_rule: str = Field(default="occurrence", pattern="^(entry_reference|occurrence)$")
    owner: str = ""
    serves: list[str] = Field(default_factory=list, max_length=50)
    unbalanced: str = Field(default="hold", pattern="^(hold|book)$")
    gaps: str = Field(default="notice", pattern="^(hold|notice)$")


class CompanyConfigured(Fact):
    TYPE: ClassVar[str] = "company.configured"

    name: str = ""
    base_currency: Currency
    time_zone: str
    calendar: str
    day_close_at: str = Field(default="18:00", pattern=r"^\d\d:\d\d$")
    bank_accounts: list[BankAccount] = Field(default_factory=list, max_length=100)
    source_systems: list[str] = Field(default_factory=list, max_length=100)


class RatePublished(Fact):
    """`rate` units of the pair's second currency for one unit of the first, e.g. pair `EUR/USD`."""

    TYPE: ClassVar[str] = "rate.published"

    pair: str = Field(pattern="^[A-Z]{3}/[A-Z]{3}$")
    rate: str = Field(pattern=r"^\d+(\.\d+)?$")
    on: date
    source: str = ""


class PolicyActivated(Fact):
    TYPE: ClassVar[str] = "policy.activated"

    name: str
    version: str
    sha256: str
    content: dict[str, Any]
    effective_on: date
    approver: str


class PeriodClosed(Fact):
    TYPE: ClassVar[str] = "period.closed"

    period: str
    approver: str = ""


class PeriodReopened(Fact):
    TYPE: ClassVar[str] = "period.reopened"

    period: str
    approver: str


class CommandAccepted(Fact):
    """A person's or program's command that changed something, with its body, for the audit trail."""

    TYPE: ClassVar[str] = "command.accepted"

    service: str
    route: str
    key: str
    body_sha256: str
    body: dict[str, Any]
    at: datetime | None = None
    command_id: UUID | None = None


class EventSkipped(Fact):
    """An event that a service could not digest was left out: `actor` asked for it, `approver` allowed it. `sha256` is
    over the record as it lay in the log. `event_id` is missing where the record had none that can be read."""

    TYPE: ClassVar[str] = "event.skipped"

    service: str
    key: str
    topic: str
    partition: int
    offset: int
    event_id: UUID | None = None
    event_type: str
    reason: str = Field(max_length=500)
    sha256: str
    actor: str
    approver: str
    approval_id: UUID


class PartitionMoved(Fact):
    """The cursor of a stopped partition was moved from `from_offset` to `to_offset`: what lies between is not taken.
    `actor` asked for it, `approver` allowed it. `company` is `*`, since it concerns all."""

    TYPE: ClassVar[str] = "partition.moved"

    service: str
    topic: str
    partition: int
    from_offset: int
    to_offset: int
    reason: str = Field(max_length=500)
    actor: str
    approver: str = ""
    approval_id: UUID | None = None
