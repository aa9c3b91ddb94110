"""What a handler is given and what it gives back. Handlers see values only: events in, effects out.

`Handler` is the whole interface between a service and the runtime; everything else of the transaction is generic.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from pydantic import BaseModel

from shared.errors import Poison
from shared.events.codec import Event
from shared.events.control import CompanyConfigured
from shared.events.facts import Fact
from shared.events.markers import CompanyReach

ClockKind = Literal["business", "wall"]


@dataclass(frozen=True, slots=True)
class Policy:
    """One activated policy file. `name@version` is what decisions record; `activation` rises with each activation."""

    company: str
    name: str
    version: str
    sha256: str
    effective_on: date
    content: dict[str, Any]
    activation: int = 0

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Moment:
    """What the service knows of time and control when a batch is decided.

    `now` is the instant of the last complete tick (None before the first), `tick_complete_at` the wall-clock instant
    at which it was complete here, `reach` what that tick said per company,
    `closed_on` the last day whose day.closed is complete here, `companies` the configurations in force.
    """

    now: datetime | None = None
    number: int = 0
    reach: dict[str, CompanyReach] = field(default_factory=dict)
    closed_on: dict[str, date] = field(default_factory=dict)
    companies: dict[str, CompanyConfigured] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    rates: dict[tuple[str, str], tuple[tuple[date, str], ...]] = field(default_factory=dict)
    tick_complete_at: datetime | None = None

    def business_date(self, company: str) -> date | None:
        """The open business day: the local date of the last tick, or the day after the last closed one if later.

        None before the first tick.
        """
        config, closed = self.companies.get(company), self.closed_on.get(company)
        if self.now is None or config is None:
            return None
        today = self.now.astimezone(ZoneInfo(config.time_zone)).date()
        return max(today, closed + timedelta(days=1)) if closed else today

    def policy(self, company: str, name: str, on: date) -> Policy | None:
        """The policy in effect on a date: the latest `effective_on` not after it, of equal ones the last activated."""
        return next(iter(self.policies_until(company, name, on)), None)

    def policies_until(self, company: str, name: str, on: date) -> list[Policy]:
        """The policy in effect on a business date and those before it, which count when it cannot be read."""
        found = [p for p in self.policies if p.company == company and p.name == name and p.effective_on <= on]
        return sorted(found, key=lambda p: (p.effective_on, p.activation), reverse=True)

    def rate(self, company: str, pair: str, on: date) -> str | None:
        """Published rate of `pair` on or before a date, as decimal text."""
        found = [rate for day, rate in self.rates.get((company, pair), ()) if day <= on]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class Emission:
    """An event to publish. Topic and key follow from the catalogue and the fact unless `topic` or `key` is given."""

    cause: Event
    data: Fact
    subject: str
    key: str = ""
    policy: str = ""
    business_date: date | None = None
    actor: str = ""
    event_id: UUID | None = None
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Timer:
    """A deadline kept as a row; a later order with the same `kind` and `key` replaces it.

    It fires when the business clock (last complete tick) or the wall clock reaches `due_at`, once, as an event whose
    data is `TimerFired`.
    """

    kind: str
    key: str
    company: str
    due_at: datetime
    cause: Event
    clock: ClockKind = "business"
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Effects:
    """The outcome of deciding a batch: `rows` is the service's own write set, given to `save` as it is."""

    rows: Any = None
    emissions: list[Emission] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    cancelled: list[tuple[str, str]] = field(default_factory=list)
    reply: Any = None

    def emit(self, cause: Event, data: Fact, subject: object, **options: Any) -> None:
        self.emissions.append(Emission(cause, data, str(subject), **options))


class TimerFired(BaseModel):
    """Data of the event by which a timer reaches the handler; its envelope type is `timer.<kind>`."""

    kind: str
    key: str
    company: str
    due_at: datetime
    payload: dict[str, Any] = {}
    attempts: int = 0


class DayWork(BaseModel):
    """Data of the event `day.work`: one part of the work of a closed day.

    Phase 1 comes in `parts` parts by account range (`shared.runtime.day.part_of(account_id, parts)`), phase 2 once.
    `bodies` holds per upstream topic the day.closed payload that its writer sent, with its totals.
    """

    company: str
    date: date
    number: int
    phase: Literal[1, 2]
    part: int = 0
    parts: int = 1
    bank_accounts: dict[str, date | None] = {}
    bodies: dict[str, dict[str, Any]] = {}


class Handler(Protocol):
    """A service's part of the transaction.

    `load` takes every lock in sorted order and returns the state; `decide` is pure and must not raise except Rejected
    (for a command) and Poison; `save` writes each table once. `day_parts` = 0 means no phase 1.
    """

    day_parts: int
    day_phase2: bool

    async def load(self, db: asyncpg.Connection, events: Sequence[Event], moment: Moment) -> Any: ...

    def decide(self, state: Any, events: Sequence[Event], moment: Moment) -> Effects: ...

    async def save(self, db: asyncpg.Connection, effects: Effects) -> None: ...

    async def totals(self, db: asyncpg.Connection, closed: DayWork) -> dict[str, Any]: ...


@runtime_checkable
class Measures(Protocol):
    """A handler with gauges of its own; it is asked every few seconds, outside any transaction."""

    async def measure(self, db: asyncpg.Connection, wall_now: datetime) -> None: ...


class PoisonEvent(Poison):
    """Raised by `decide` to name the one event of a batch that cannot be digested."""

    def __init__(self, event: Event, message: str, code: str = Poison.code) -> None:
        super().__init__(message)
        self.event, self.code = event, code
