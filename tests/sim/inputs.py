"""What one seed feeds: drawn whole before the first step, so that the auditor can know it without asking anybody."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from uuid import UUID

from shared.bus.port import Outgoing
from shared.events.accounts import ContactUpdated
from shared.events.catalogue import ACCOUNTS, CONTROL, INVOICES, PAYMENTS, TOPICS_OF
from shared.events.control import CompanyConfigured
from shared.events.envelope import Envelope
from shared.events.markers import ClockTicked, DayClosed, Marker
from shared.ids import derive

COMPANY, LATE_COMPANY = "acme", "late"
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
SOURCE = "sim"
PAYMENT_KEYS = 3


@dataclass(frozen=True, slots=True)
class Mix:
    """How much of what is fed: facts of a day at most, accounts, and the shares of facts with each property.

    `ticks` is how often a tick follows a fact; `one_lane`: all facts have one key.
    """

    facts_per_day: int = 12
    accounts: int = 4
    timers: float = 0.2
    ticks: float = 0.12
    poison: float = 0.06
    one_lane: bool = False


@dataclass(slots=True)
class Fact:
    """One input and what it must lead to: `moves` per account at once, the timer's `later` at `due_at`."""

    event_id: UUID
    key: str
    topic: str
    moves: dict[str, int]
    later: dict[str, int] = field(default_factory=dict)
    due_at: datetime | None = None
    sour: bool = False
    poison: str = ""
    outgoing: Outgoing | None = None


@dataclass(slots=True)
class Mark:
    """One marker: a tick, or the close of a day."""

    number: int
    at: datetime
    closed: date | None
    outgoing: list[Outgoing]


@dataclass(slots=True)
class Inputs:
    facts: list[Fact]
    marks: list[Mark]
    items: list[Fact | Mark]

    def planted(self) -> list[Fact]:
        return [fact for fact in self.facts if fact.poison]


def tick_at(number: int) -> datetime:
    return START + timedelta(minutes=number)


def header(event_id: UUID, kind: str, subject: str, company: str, day: date, known_at: datetime) -> Envelope:
    return Envelope(
        id=event_id,
        source=SOURCE,
        type=kind,
        subject=subject,
        time=known_at,
        company=company,
        actor="feed:sim",
        business_date=day,
        known_at=known_at,
        correlation_id=event_id,
        causation_id=event_id,
    )


@cache
def configuration(company: str) -> Outgoing:
    fact = CompanyConfigured(
        company=company, name=company, base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB"
    )
    envelope = header(derive("sim-company", company), fact.TYPE, company, company, START.date(), START)
    return Outgoing(CONTROL, company.encode(), envelope.to_headers(), fact.model_dump_json().encode())


@cache
def mark(number: int, at: datetime, closed: date | None, partitions: int) -> Mark:
    """A marker in every partition of ingest's topics; the same for all seeds, so nobody may change it."""
    marker_id = derive("sim-marker", number)
    marker: Marker
    if closed is None:
        marker, company = ClockTicked(marker_id=marker_id, number=number, at=at), "*"
    else:
        marker, company = DayClosed(marker_id=marker_id, number=number, company=COMPANY, date=closed, at=at), COMPANY
    value = marker.model_dump_json().encode()
    outgoing = []
    for topic in TOPICS_OF["ingest"]:
        for lane in range(partitions):
            envelope = header(
                derive("sim-marker", number, topic, lane), marker.TYPE, str(marker_id), company, at.date(), at
            )._replace(correlation_id=marker_id, causation_id=marker_id)
            outgoing.append(Outgoing(topic, str(lane).encode(), envelope.to_headers(), value, lane))
    return Mark(number, at, closed, outgoing)


def draw(rng: Random, faults: frozenset[str], *, days: int, partitions: int, mix: Mix) -> Inputs:
    """Facts of each day, a few ticks among them, then the day's close."""
    facts: list[Fact] = []
    marks: list[Mark] = []
    items: list[Fact | Mark] = []
    number = 0
    for day in range(days):
        on = date(2026, 1, 5) + timedelta(days=day)
        for _ in range(rng.randint(1, mix.facts_per_day)):
            facts.append(_fact(rng, faults, len(facts), on, number, mix))
            items.append(facts[-1])
            if rng.random() < mix.ticks:
                number += 1
                marks.append(mark(number, tick_at(number), None, partitions))
                items.append(marks[-1])
        for closed in (None, on):
            number += 1
            marks.append(mark(number, tick_at(number), closed, partitions))
            items.append(marks[-1])
    return Inputs(facts, marks, items)


def accounts_of(company: str, count: int) -> list[str]:
    return [f"{company[0]}{i}" for i in range(count)]


def _fact(rng: Random, faults: frozenset[str], n: int, on: date, tick: int, mix: Mix) -> Fact:
    event_id = derive("sim-fact", n)
    company = LATE_COMPANY if "late_company" in faults and rng.random() < 0.15 else COMPANY
    names = accounts_of(company, mix.accounts)
    topic = rng.choice((ACCOUNTS, ACCOUNTS, INVOICES, PAYMENTS))
    account = rng.choice(names)
    if mix.one_lane:
        topic, account = ACCOUNTS, names[0]
    key, moves = f"{company}/{account}", {account: rng.randint(1, 9)}
    if topic == PAYMENTS:
        key = f"{company}/~p{rng.randrange(PAYMENT_KEYS)}"
        moves = {name: rng.randint(1, 9) for name in rng.sample(names, rng.randint(1, min(3, len(names))))}
    fact = Fact(event_id, key, topic, moves)
    if rng.random() < mix.timers:
        fact.later = {rng.choice(names): rng.randint(1, 9)}
        fact.due_at = tick_at(tick + rng.randint(0, 4)) - timedelta(seconds=rng.choice((0, 20)))
        fact.sour = "sour" in faults and rng.random() < 0.3
    if "poison" in faults and rng.random() < mix.poison:
        fact.poison = rng.choice(("poison", "unnamed"))
    if "undecodable" in faults and rng.random() < mix.poison / 2:
        fact.poison = "undecodable"
    fact.outgoing = _outgoing(fact, company, account, on, tick)
    return fact


def moves_text(moves: dict[str, int]) -> str:
    return ",".join(f"{account}:{amount}" for account, amount in moves.items())


def contact(company: str, account: str, moves: dict[str, int]) -> ContactUpdated:
    return ContactUpdated(company=company, account_id=account, contact_id="c", name=moves_text(moves))


def _outgoing(fact: Fact, company: str, account: str, on: date, tick: int) -> Outgoing:
    data = contact(company, account, fact.moves).model_copy(
        update={
            "email": fact.poison,
            "phone": fact.due_at.isoformat() if fact.due_at else "",
            "address": moves_text(fact.later),
            "roles": ["sour"] if fact.sour else [],
        }
    )
    envelope = header(fact.event_id, data.TYPE, account, company, on, tick_at(tick))
    value = b"{not json" if fact.poison == "undecodable" else data.model_dump_json().encode()
    return Outgoing(fact.topic, fact.key.encode(), envelope.to_headers(), value)
