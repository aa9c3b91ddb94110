"""What is known of the things that a chunk of records touches, and what deciding it writes. Values only.

`Known` evolves while the records of a chunk are decided in order; `Written` is the write set, each table once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NamedTuple
from uuid import UUID

from services.ingest.domain.statements import Chain, Statement
from shared.events.control import CompanyConfigured
from shared.events.facts import Fact
from shared.events.payments import HeldCredit

Outcome = Literal["written", "known", "quarantined", "held", "ignored"]


class Decision(NamedTuple):
    """What became of a record and what it is about; `code` and `reason` where it was not taken."""

    outcome: Outcome
    subject: str
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StagedRecord:
    """One record of a submission that waits to be decided. `nth` counts equal lines of its statement from 1.

    `traceparent` is that of its own message, empty for a record that came with others in a file.
    """

    position: int
    kind: str
    place: str
    body: dict[str, Any]
    group: int = 0
    line_key: str = ""
    nth: int = 0
    record_id: UUID | None = None
    statement_id: str = ""
    size: int = 0
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """Whose submission is decided, with the configuration in force. `business_date` is the open day at the door.

    `feed` is the Kafka feed that is to be answered, empty for every other submission.
    """

    submission_id: UUID
    company: str
    config: CompanyConfigured
    business_date: date
    file_name: str = ""
    feed: str = ""


@dataclass(frozen=True, slots=True)
class KnownDocument:
    account_id: str
    family: str
    material: str
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A held-back record as it stands; `times` counts how often it was quarantined."""

    record_id: UUID
    kind: str
    subject: str
    code: str
    reason: str
    state: str
    times: int
    account_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownStatement:
    """A statement as it stands. `code` and `reason` say why it was held, `times` how often."""

    statement: Statement
    state: str
    bank_account: str
    submission_id: UUID
    covers: tuple[str, ...] = ()
    code: str = ""
    reason: str = ""
    times: int = 0


@dataclass(frozen=True, slots=True)
class KnownLine:
    """A published line; one that is not `booked` was announced only."""

    segment: str
    occurrence: int
    signed_minor: int
    booked: bool = True


@dataclass(slots=True)
class Known:
    """Everything loaded for a chunk, by its own key; lines by bank account and line key."""

    accounts: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    parts: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    documents: dict[UUID, KnownDocument] = field(default_factory=dict)
    quarantined: dict[UUID, Quarantined] = field(default_factory=dict)
    awaited: frozenset[str] = frozenset()
    groups: dict[int, str] = field(default_factory=dict)
    statements: dict[str, KnownStatement] = field(default_factory=dict)
    lines: dict[tuple[str, str], list[KnownLine]] = field(default_factory=dict)
    announced: set[UUID] = field(default_factory=set)
    equal_lines: frozenset[int] = frozenset()
    chains: dict[str, Chain] = field(default_factory=dict)
    reaches: dict[str, date | None] = field(default_factory=dict)
    held_credits: dict[str, list[HeldCredit]] = field(default_factory=dict)

    def waiting_for(self, subject: str) -> list[Quarantined]:
        """Held-back records about the same thing, that a good record of it makes needless."""
        return [q for q in self.quarantined.values() if q.subject == subject and q.state in ("open", "retrying")]


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    position: int
    kind: str
    place: str
    outcome: Outcome
    subject: str = ""
    code: str = ""
    field: str = ""
    reason: str = ""
    record_id: UUID | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A record to hold back, with all that is needed to try it again."""

    known: Quarantined
    staged: StagedRecord
    field: str
    waits_for: str


@dataclass(frozen=True, slots=True)
class LineRow:
    line_id: UUID
    booked: bool
    bank_account: str
    line_key: str
    occurrence: int
    segment: str
    document_on: date
    signed_minor: int
    kind: str


@dataclass(frozen=True, slots=True)
class StatementRow:
    known: KnownStatement
    printed_id: str
    currency: str
    gap: bool
    head: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """A fact to publish, with the id that its natural identity gives it. `topic` and `key` override the catalogue's,
    `traceparent` that of the submission."""

    fact: Fact
    subject: str
    event_id: UUID
    topic: str = ""
    own_key: str = ""
    key: str = ""
    traceparent: str = ""


@dataclass(slots=True)
class Written:
    """The write set of a chunk. `anew`: statements whose lines of an earlier hold are replaced; `adopted`: published
    lines that count as those of another segment from now on."""

    accounts: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    parts: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    documents: dict[UUID, tuple[KnownDocument, str]] = field(default_factory=dict)
    quarantined: dict[UUID, QuarantineRow] = field(default_factory=dict)
    closed: dict[UUID, str] = field(default_factory=dict)
    retries: set[str] = field(default_factory=set)
    outcomes: list[OutcomeRow] = field(default_factory=list)
    statements: dict[str, StatementRow] = field(default_factory=dict)
    anew: set[str] = field(default_factory=set)
    held_lines: list[tuple[str, StagedRecord]] = field(default_factory=list)
    lines: list[LineRow] = field(default_factory=list)
    adopted: dict[UUID, str] = field(default_factory=dict)
    chained: set[str] = field(default_factory=set)
    chains: dict[str, Chain] = field(default_factory=dict)
    reaches: dict[str, date | None] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next records of a submission, with everything known of what they touch. `last`: none is left behind it."""

    context: Context
    known: Known
    records: Sequence[StagedRecord]
    last: bool
