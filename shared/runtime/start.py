"""What a service finds out before it does anything: is its store older than what it has published, or is it new?

It looks back in its own topics until it meets an output that its store knows as sent: whatever lies behind that one is
lost to the store. Keys with such outputs are frozen for a person (`parked_key`, code `beyond_backup`); the rest goes
on. A store without any past acts on no marker older than this start. See docs/decisions/0007-restored-and-new.md.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg
import orjson

from shared.bus.log import LogReader
from shared.bus.port import Partition, Record
from shared.errors import Stop, Transient
from shared.events.catalogue import CONTROL, LEDGER, MARKERS, PARTITIONS, PAYMENTS, READS, TOPICS_OF, UPSTREAM
from shared.ids import read_id
from shared.runtime import start_statements as sql
from shared.runtime import statements as runtime_sql

WINDOW_FIRST, WINDOW_MAX = 20, 2_000
"""Records of a partition that one look back takes; it grows until the look meets what the store knows."""
FETCH_RECORDS, FETCH_TIMEOUT_S, STALLED_AFTER = 5_000, 1.0, 30
FREEZE_TIMEOUT_S = 1_800
FROZEN_TEXT = (
    "%s outputs reach beyond the store that this service goes on from (%s): compare with what they say, enter again "
    "what was lost, then redrive the key"
)
NO_PAST = "the store of ingest is older than what it has published: bring it back to its last commit (WAL)"
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Start:
    """Markers up to `acts_after` are history: no day's work, no mail, no hold. Those up to `written_through` stand in
    our topics already. `restored`: some outputs are published that the store has lost; they are never written again.
    """

    acts_after: int = 0
    written_through: int = 0
    restored: bool = False


NOTHING_BEFORE = Start()


class Output(NamedTuple):
    """An event of ours as it lies in the log; `payment_key` is the key of the payment that it tells of."""

    event_id: UUID
    topic: str
    partition: int
    key: str
    stream: str
    sequence: int
    event_type: str
    subject: str
    payment_key: str | None
    marker_number: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """A look at the log: lost outputs are in the store by now, `frozen` are the keys that they froze just now."""

    start: Start
    frozen: Sequence[str] = ()


def own_topics(service: str) -> list[str]:
    """Topics of which the service is the only publisher of facts."""
    return [topic for topic in TOPICS_OF[service] if topic != CONTROL]


async def look(pool: asyncpg.Pool, reader: LogReader, service: str) -> Found:
    """Compare the store with the log, freeze what must be frozen, and say from where the service goes on.

    To be called before anything else of the process works. Raises Transient while Kafka does not answer, and Stop for
    ingest on an older store: its facts are the beginning of everything, and nobody else knows what it took in.
    """
    async with pool.acquire() as db:
        past = await db.fetchrow(sql.FIRST_START)
        floors = await _floors(db, service)
    first = past["first"] and bool(own_topics(service))
    own, upstream = _partitions(own_topics(service)), _partitions(UPSTREAM[service]) if first else []
    back = LookBack(reader, sorted({*own, *floors, *upstream}))
    try:
        await back.start()
        ends = await reader.ends()
        lost = await _lost(pool, back, service, {p: (floors.get(p, 0), ends[p]) for p in {*own, *floors}})
        history = await _last_marker(back, {p: ends[p] for p in upstream})
    finally:
        await reader.stop()
    if lost and service == "ingest":
        raise Stop(NO_PAST)
    if lost or first:
        return await _go_on(pool, service, history)
    async with pool.acquire() as db:
        return Found(await _start(db))


async def unpublished(db: asyncpg.Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the events that do not stand in the log already without the store knowing it."""
    lost = {row["event_id"] for row in await db.fetch(sql.LOST, list(ids))}
    return set(ids) - lost


async def _floors(db: asyncpg.Connection, service: str) -> dict[Partition, int]:
    """Where to look for outputs of ours in `ar.control`, which all write: not below the cursors of the store, since
    what was written after its last commit lies behind them."""
    if CONTROL in TOPICS_OF[service]:  # every marker of ours stands there too: the look ends at the last one
        return dict.fromkeys(_partitions([CONTROL]), 0)
    if CONTROL not in READS[service]:
        return {}
    cursors = {row["partition"]: row["next_offset"] for row in await db.fetch(sql.CURSORS_OF, CONTROL)}
    return {p: cursors.get(p.number, 0) for p in _partitions([CONTROL])}


def _partitions(topics: Sequence[str]) -> list[Partition]:
    return [Partition(topic, number) for topic in topics for number in range(PARTITIONS)]


class LookBack:
    """Reads spans of partitions, from the end back in growing windows; of what the log no longer has, nothing."""

    def __init__(self, reader: LogReader, partitions: Sequence[Partition]) -> None:
        self._reader, self._partitions = reader, partitions

    async def start(self) -> None:
        await self._reader.start(self._partitions, whole=False)
        self._reader.hold(self._partitions)

    async def windows(
        self, spans: Mapping[Partition, Span]
    ) -> AsyncIterator[tuple[dict[Partition, list[Record]], set]]:
        """Windows from the end back to the beginning of each span; the caller adds to the set what it needs no more."""
        begins = self._reader.begins()
        raised = {p: (max(floor, begins[p]), upper) for p, (floor, upper) in spans.items()}
        left = {p: (floor, upper) for p, (floor, upper) in raised.items() if floor < upper}
        size, ended = WINDOW_FIRST, set()
        while left:
            part = {p: (max(floor, upper - size), upper) for p, (floor, upper) in left.items()}
            yield await self._read(part), ended
            left = {p: (left[p][0], begin) for p, (begin, _) in part.items() if p not in ended and begin > left[p][0]}
            size = min(size * 10, WINDOW_MAX)

    async def _read(self, spans: Mapping[Partition, Span]) -> dict[Partition, list[Record]]:
        lanes: dict[Partition, list[Record]] = {p: [] for p in spans}
        await self._reader.seek({p: begin for p, (begin, _) in spans.items()})
        left, empty = set(spans), 0
        while left:
            self._reader.hold([p for p in self._partitions if p not in left])
            found = await self._reader.fetch(FETCH_RECORDS, FETCH_TIMEOUT_S)
            for partition in found.keys() & left:
                begin, end = spans[partition]
                lanes[partition] += [r for r in found[partition] if begin <= r.offset < end]
                if found[partition][-1].offset >= end - 1:
                    left.discard(partition)
            empty = 0 if found else empty + 1
            if empty > STALLED_AFTER:
                raise Transient("the log gives no records although its end is not reached; try again")
        self._reader.hold(self._partitions)
        return lanes


async def _lost(pool: asyncpg.Pool, back: LookBack, service: str, spans: Mapping[Partition, Span]) -> int:
    """Note what the store has lost. Returns how many outputs that are.

    A record that the store has written and does not hold in its outbox was acknowledged before its last commit, and so
    was everything before it in the partition: there the look ends.
    """
    lost = 0
    async for lanes, ended in back.windows(spans):
        outputs = [found for lane in lanes.values() for record in lane if (found := output_of(record, service))]
        async with pool.acquire() as db:
            rows = await db.fetch(
                sql.KNOWN,
                [o.topic for o in outputs],
                [o.stream for o in outputs],
                [o.sequence for o in outputs],
                [o.event_id for o in outputs],
            )
            behind: dict[Partition, list[Output]] = defaultdict(list)
            for output, row in zip(outputs, rows, strict=True):
                lane = Partition(output.topic, output.partition)
                if row["known"] and not row["waits"]:
                    ended.add(lane)
                    behind[lane].clear()
                elif not row["known"]:
                    behind[lane].append(output)
            found = [output for lane in behind.values() for output in lane]
            await _note(db, found)
        lost += len(found)
    return lost


async def _note(db: asyncpg.Connection, outputs: Sequence[Output]) -> None:
    if outputs:
        await db.execute(sql.NOTE_LOST, *map(list, zip(*outputs, strict=True)))


def output_of(record: Record, service: str) -> Output | None:
    """The event of ours that a record is; None for records of others."""
    found = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
    if found.get("ce_source") != service or not found.get("ce_sequence", "").isdigit():
        return None
    topic, number = record.partition
    key, kind = (record.key or b"").decode(errors="replace"), found.get("ce_type", "")
    stream, marker_number, payment_key = key, None, None
    if kind in MARKERS:
        stream, marker_number = f"~m{number}", orjson.loads(record.value)["number"]
    elif topic == PAYMENTS:
        stream = f"~p{number}"
    elif topic == LEDGER and (payment := orjson.loads(record.value).get("payment_id")):
        payment_key = f"{key.partition('/')[0]}/{payment}"
    return Output(
        read_id(found["ce_id"]),
        topic,
        number,
        key,
        stream,
        int(found["ce_sequence"]),
        kind,
        found.get("ce_subject", ""),
        payment_key,
        marker_number,
    )


async def _last_marker(back: LookBack, ends: Mapping[Partition, int]) -> int:
    """The highest number of a marker in these partitions, 0 without any."""
    last = 0
    async for lanes, ended in back.windows({p: (0, end) for p, end in ends.items()}):
        for partition, lane in lanes.items():
            marks = [r for r in lane if dict(r.headers).get("ce_type", b"").decode(errors="replace") in MARKERS]
            if marks:
                ended.add(partition)
                last = max(last, orjson.loads(marks[-1].value)["number"])
    return last


async def _go_on(pool: asyncpg.Pool, service: str, history: int) -> Found:
    """Freeze, put markers that stand in the log already aside, and keep from where the service goes on."""
    topics = own_topics(service)
    async with pool.acquire() as db, db.transaction():
        await db.execute(sql.TAKE_TIME.format(FREEZE_TIMEOUT_S))
        await db.execute(runtime_sql.LOCK_EXCLUSIVE)
        if await db.fetchrow(sql.START):  # another process was first; what came since is no history
            history = 0
        markers = await db.fetchrow(sql.LOST_MARKERS, topics, len(topics) * PARTITIONS, timeout=FREEZE_TIMEOUT_S)
        await db.execute(sql.ADVANCE_OVER_LOST, timeout=FREEZE_TIMEOUT_S)
        frozen = [row["key"] for row in await db.fetch(sql.FREEZE, topics, FROZEN_TEXT, timeout=FREEZE_TIMEOUT_S)]
        restored = bool(await db.fetchval(sql.ANY_LOST))
        acts_after, written_through = max(history, markers["last"]), markers["everywhere"]
        await db.execute(sql.SAVE_START, acts_after, written_through, restored)
        start = await _start(db)
        await db.execute(sql.QUIET_MARKERS, start.written_through, start.acts_after)
        await db.execute(sql.DROP_DAY_PARTS, start.acts_after)
    return Found(start, frozen)


async def _start(db: asyncpg.Connection) -> Start:
    row = await db.fetchrow(sql.START)
    return Start(**row) if row else NOTHING_BEFORE
