"""One transaction per batch, command, timer or day part: cursor, inbox, state, effects, outbox, timers. All or nothing.

`apply` is the inner part that all of them share; `take` is the batch from the bus around it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from uuid import UUID

import asyncpg

from shared.bus.port import Partition, Record
from shared.errors import Poison, RecoupError, Stop, Transient
from shared.events.catalogue import CONTROL, PARTITIONS, READS, UPSTREAM
from shared.events.codec import Event, decode, is_marker
from shared.events.control import CompanyConfigured
from shared.runtime import dead_letters, failpoints, markers, outbox, timers
from shared.runtime import statements as sql
from shared.runtime.control import ControlCache, save_control
from shared.runtime.dead_letters import QUEUED, Fault
from shared.runtime.effects import Effects, Handler, Moment, PoisonEvent
from shared.runtime.start import NOTHING_BEFORE, Start

TRANSIENT = (
    Transient,
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # The driver says this of a connection whose backend was ended in the middle of something.
    asyncpg.InternalClientError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InsufficientResourcesError,
    # Its disk or operating system failed the server: no event is to blame.
    asyncpg.PostgresSystemError,
    # In a failover an address may lead to a standby for a while.
    asyncpg.ReadOnlySQLTransactionError,
)

KEY_CHARS_MAX = 250
"""With four bytes for each, and a digest, it goes into an entry of an index; our own keys are shorter."""


class Stale(RecoupError):
    """Another owner has moved a cursor of this batch; reload the positions and seek."""


class Halt(Stop):
    """From `offset` on nothing of this partition may be decided; the others go on. A person must act."""

    def __init__(self, partition: Partition, offset: int, message: str) -> None:
        super().__init__(f"{partition.topic}/{partition.number} at offset {offset}: {message}")
        self.partition, self.offset = partition, offset


class Hole(Halt):
    """The log does not give the offsets from `missing` to before `offset`; it may give them when asked again."""

    def __init__(self, partition: Partition, missing: int, offset: int) -> None:
        what = f"a hole: the log does not give the offsets {missing} to {offset - 1}, though our topics have no holes"
        super().__init__(partition, offset, what)
        self.missing = missing


class NotConfigured(Transient):
    """The batch begins with a fact of a company whose configuration has not been read yet; it waits."""


@dataclass(slots=True)
class Taken:
    """One record of the batch after decoding; `problem` is set when it cannot be decoded, `halt` when it may not be
    decided here and nothing behind it either."""

    record: Record
    event: Event | None = None
    problem: Poison | None = None
    halt: str = ""

    @property
    def key(self) -> str:
        """As text that a store can keep and find."""
        if self.event is not None:
            return self.event.key
        text = (self.record.key or b"").decode(errors="replace").replace("\x00", "\ufffd")
        return text if len(text) <= KEY_CHARS_MAX else f"{text[:KEY_CHARS_MAX]}~{sha256(text.encode()).hexdigest()}"


@dataclass(slots=True)
class Outcome:
    """`waiting` are positions behind which the batch was cut because a company is not configured yet."""

    facts: int = 0
    emitted: int = 0
    parked: int = 0
    waiting: dict[Partition, int] = field(default_factory=dict)


@dataclass(slots=True)
class Unit:
    """What a transaction needs to know: whose it is, its handler, its cache, and what was found at the start."""

    service: str
    handler: Handler
    control: ControlCache = field(default_factory=ControlCache)
    start: Start = NOTHING_BEFORE

    @property
    def markers_expected(self) -> int:
        return len(UPSTREAM[self.service]) * PARTITIONS


async def apply(db: asyncpg.Connection, unit: Unit, events: Sequence[Event], moment: Moment | None = None) -> Effects:
    """Decide `events` and write everything that follows, inside the open transaction of `db`.

    The caller holds the shared outbox lock. Raises what the handler raises; the caller rolls back.
    """
    moment = moment or await unit.control.moment(db)
    state = await unit.handler.load(db, events, moment)
    effects = unit.handler.decide(state, events, moment)
    await unit.handler.save(db, effects)
    await failpoints.hit("transaction.saved")
    await outbox.publish(db, unit.service, effects.emissions, moment.now, restored=unit.start.restored)
    await timers.write(db, effects)
    return effects


async def apply_alone(pool: asyncpg.Pool, unit: Unit, events: Sequence[Event], moment: Moment | None = None) -> Effects:
    """`apply` in a transaction of its own."""
    async with pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_SHARED)
        return await apply(db, unit, events, moment)


def read(records: Mapping[Partition, Sequence[Record]], service: str) -> list[Taken]:
    """Decode a fetched batch into the order in which it is decided."""
    return [decoded(record) for record in in_order(records, service)]


def in_order(records: Mapping[Partition, Sequence[Record]], service: str) -> list[Record]:
    """The records of a fetched batch: topic as in READS, partition, offset."""
    rank = {topic: n for n, topic in enumerate(READS[service])}
    lanes = sorted(records, key=lambda p: (rank.get(p.topic, len(rank)), p))
    return [record for lane in lanes for record in records[lane]]


def decoded(record: Record) -> Taken:
    """The record with its event, or with why it has none."""
    taken = Taken(record)
    try:
        taken.event = decode(record.partition.topic, taken.key, record.headers, record.value)
    except Poison as problem:
        taken.problem = problem
    except Stop as problem:
        taken.halt = problem.message
    return taken


async def take(
    pool: asyncpg.Pool, unit: Unit, batch: Sequence[Taken], poisoned: Mapping[int, Fault] | None = None
) -> Outcome:
    """One batch in one transaction. `poisoned` maps indexes of the batch to why they are parked.

    Raises Stale when the cursor is elsewhere, NotConfigured when nothing can be taken yet, Halt for a hole, an event
    of a newer version, and poison in `ar.control` or a marker, PoisonEvent or anything else of the handler for the
    caller to sort out.
    """
    try:
        async with pool.acquire() as db, db.transaction():
            outcome = await _take(db, unit, batch, dict(poisoned or {}))
            await failpoints.hit("transaction.before_commit")
    except BaseException:
        unit.control.forget()
        raise
    await failpoints.hit("transaction.committed")
    return outcome


async def _take(db: asyncpg.Connection, unit: Unit, batch: Sequence[Taken], poisoned: dict[int, Fault]) -> Outcome:
    await db.execute(sql.LOCK_SHARED)
    for index, taken in enumerate(batch):
        if taken.halt:
            raise Halt(taken.record.partition, taken.record.offset, taken.halt)
        if taken.problem is not None:
            poisoned[index] = Fault.of(taken.problem)
    _refuse_fatal(batch, poisoned)
    stored = await save_control(db, await _fresh_control(db, batch))
    # What is not committed yet is for this transaction alone: others of this process share the cache.
    moment = await (ControlCache() if stored else unit.control).moment(db)
    kept, waiting = _cut_unconfigured(batch, set(moment.companies))
    if not kept:
        raise NotConfigured
    await _move_cursors(db, [batch[i].record for i in kept])
    outcome = Outcome(waiting=waiting)
    facts = await _sort_out(db, unit, batch, kept, poisoned, outcome)
    if facts:
        effects = await apply(db, unit, facts, moment)
        outcome.facts, outcome.emitted = len(facts), len(effects.emissions)
    marks = [batch[i].event for i in kept if batch[i].event is not None and is_marker(batch[i].event.type)]
    counted = [m for m in marks if _counts(unit, m)]
    await markers.count(db, unit.service, unit.handler, unit.markers_expected, counted, unit.start)
    if stored:
        unit.control.forget()
    return outcome


async def _fresh_control(db: asyncpg.Connection, batch: Sequence[Taken]) -> list[Event]:
    """Control facts not taken before, once each: a copy that comes late must not put back what has replaced it."""
    found: dict[UUID, Event] = {}
    for taken in batch:
        event = taken.event
        if event is not None and taken.record.partition.topic == CONTROL and not is_marker(event.type):
            found.setdefault(event.envelope.id, event)
    if not found:
        return []
    known = {row["event_id"] for row in await db.fetch(sql.KNOWN_IN_INBOX, list(found))}
    return [event for identity, event in found.items() if identity not in known]


def _counts(unit: Unit, event: Event) -> bool:
    return event.topic in UPSTREAM[unit.service]


def _refuse_fatal(batch: Sequence[Taken], poisoned: dict[int, Fault]) -> None:
    """Poison in control or in a marker stops the partition: nothing behind it may be decided."""
    for index, fault in poisoned.items():
        record = batch[index].record
        kind = dict(record.headers).get("ce_type", b"").decode(errors="replace")
        if record.partition.topic == CONTROL or is_marker(kind):
            what = f"{kind or 'a record'} cannot be read and nothing behind it may be decided: {fault.error}"
            raise Halt(record.partition, record.offset, what)


def _cut_unconfigured(batch: Sequence[Taken], known: set[str]) -> tuple[list[int], dict[Partition, int]]:
    """Indexes that can be taken now, and per cut partition the offset at which it waits."""
    known = known | {
        t.event.company for t in batch if t.event is not None and isinstance(t.event.data, CompanyConfigured)
    }
    kept: list[int] = []
    waiting: dict[Partition, int] = {}
    for index, taken in enumerate(batch):
        partition = taken.record.partition
        if partition in waiting:
            continue
        event = taken.event
        if (
            event is not None
            and partition.topic != CONTROL
            and not is_marker(event.type)
            and event.company not in known
        ):
            waiting[partition] = taken.record.offset
            continue
        kept.append(index)
    return kept, waiting


async def _move_cursors(db: asyncpg.Connection, records: Sequence[Record]) -> None:
    lanes: dict[Partition, list[int]] = defaultdict(list)
    for record in records:
        lanes[record.partition].append(record.offset)
    order = sorted(lanes)
    for partition in order:
        offsets = lanes[partition]
        if offsets[-1] - offsets[0] != len(offsets) - 1:
            raise _hole(partition, offsets)
    moved = await db.fetch(
        sql.MOVE_CURSORS,
        [p.topic for p in order],
        [p.number for p in order],
        [lanes[p][0] for p in order],
        [lanes[p][-1] for p in order],
    )
    if len(moved) != len(order):
        raise Stale


def _hole(partition: Partition, offsets: Sequence[int]) -> Hole:
    before, behind = next((a, b) for a, b in pairwise(offsets) if b != a + 1)
    return Hole(partition, before + 1, behind)


async def _sort_out(
    db: asyncpg.Connection,
    unit: Unit,
    batch: Sequence[Taken],
    kept: Sequence[int],
    poisoned: dict[int, Fault],
    outcome: Outcome,
) -> list[Event]:
    """Fresh facts to decide; poison and what queues behind it goes to the dead letters."""
    facts = [i for i in kept if i in poisoned or not is_marker(_event(batch[i]).type)]
    if not facts:
        return []
    parked = {row["key"] for row in await db.fetch(sql.PARKED_AMONG, sorted({batch[i].key for i in facts}))}
    letters: list[tuple[Taken, Fault]] = []
    free: list[int] = []
    for index in facts:
        taken = batch[index]
        if index in poisoned:
            letters.append((taken, poisoned[index]))
            parked.add(taken.key)
        elif taken.key in parked:
            letters.append((taken, QUEUED))
        else:
            free.append(index)
    if letters:
        await dead_letters.park(db, letters)
        outcome.parked = len(letters)
    return await fresh_among(db, [_event(batch[i]) for i in free])


async def fresh_among(db: asyncpg.Connection, events: Sequence[Event]) -> list[Event]:
    """Those not taken before, once each, in order; the inbox remembers them."""
    if not events:
        return []
    rows = await db.fetch(sql.TAKE_INBOX, [e.envelope.id for e in events])
    fresh: set[UUID] = {row["event_id"] for row in rows}
    found = []
    for event in events:
        if event.envelope.id in fresh:
            fresh.discard(event.envelope.id)
            found.append(event)
    return found


def _event(taken: Taken) -> Event:
    assert taken.event is not None, "an undecodable record reached the handler"
    return taken.event


async def take_with_care(pool: asyncpg.Pool, unit: Unit, batch: Sequence[Taken]) -> Outcome:
    """`take`, and on a failure that is not transient find the culprit and park it alone with its key.

    A handler that names the event costs one more try each; an unnamed failure makes the batch go one by one.
    """
    poisoned: dict[int, Fault] = {}
    while True:
        try:
            return await take(pool, unit, batch, poisoned)
        except PoisonEvent as problem:
            index = next((i for i, t in enumerate(batch) if t.event is problem.event), None)
            if index is None or index in poisoned:
                break
            poisoned[index] = Fault.of(problem)
        except (*TRANSIENT, Stale, Stop):
            raise
        except Exception:  # the culprit is found below
            break
    return await _one_by_one(pool, unit, batch, poisoned)


async def _one_by_one(pool: asyncpg.Pool, unit: Unit, batch: Sequence[Taken], poisoned: dict[int, Fault]) -> Outcome:
    total = Outcome()
    for index, taken in enumerate(batch):
        if taken.record.partition in total.waiting:
            continue
        one = await _single(pool, unit, taken, poisoned.get(index))
        if one is None:
            total.waiting[taken.record.partition] = taken.record.offset
            continue
        total.facts += one.facts
        total.emitted += one.emitted
        total.parked += one.parked
    return total


async def _single(pool: asyncpg.Pool, unit: Unit, taken: Taken, fault: Fault | None) -> Outcome | None:
    try:
        return await take(pool, unit, [taken], {0: fault} if fault else None)
    except NotConfigured:
        return None
    except (*TRANSIENT, Stale, Stop):
        raise
    except Exception as problem:  # parked with its error; nothing is swallowed
        return await take(pool, unit, [taken], {0: Fault.of(problem)})
