"""Runs a log through a handler a second time, silently: rows are written, nothing is emitted, no timer is ordered.

Partitions are read aligned: one that shows the close of a day waits until all of them have, the day's work is done,
and only then do they go on. So every close sees what entered before it and nothing else, whatever the order of arrival
was the first time. One connection does everything, so a replay can also run inside a transaction of the caller.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg

from shared.bus.log import LogReader
from shared.bus.port import Partition, Positions, Record
from shared.errors import Stop, Transient
from shared.events.catalogue import CONTROL, READS
from shared.events.codec import Event
from shared.events.markers import DayClosed
from shared.runtime import dead_letters, markers
from shared.runtime import rebuild_statements as rebuild_sql
from shared.runtime import statements as sql
from shared.runtime.control import save_control
from shared.runtime.day import second_phase, work_event
from shared.runtime.effects import DayWork, Effects, Handler, Moment
from shared.runtime.parked_statements import STEP_OVER
from shared.runtime.transaction import Outcome, Taken, Unit, apply, decoded, take_with_care

BATCH_RECORDS = 2_000
SLICE_RECORDS = 64
FETCH_TIMEOUT_S = 1.0
DEADLOCKS_MAX = 10
STALLED_AFTER = 60
"""Fetches in a row that bring nothing before the end was reached."""
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


Place = tuple[int, int | None]
"""The next offset of a partition, and the number of the close for which it waits."""


@dataclass(frozen=True, slots=True)
class Persons:
    """What persons decided of the log in the live store: `left_out` are places (`topic/partition@offset`) of events,
    `stepped` says of a partition from which offset its cursor was moved on to which."""

    left_out: frozenset[str] = frozenset()
    stepped: Mapping[Partition, Mapping[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, left_out: Sequence[str], moves: Sequence[str]) -> "Persons":
        """`moves` as approvals name them: `topic/partition@from-to`. One that goes back reads again what is known."""
        stepped: dict[Partition, dict[int, int]] = {}
        for move in moves:
            lane, _, offsets = move.rpartition("@")
            topic, _, number = lane.rpartition("/")
            at, to = map(int, offsets.split("-"))
            if to > at:
                stepped.setdefault(Partition(topic, int(number)), {})[at] = to
        return cls(frozenset(left_out), stepped)


class Silent:
    """A handler that decides and writes its own rows, and neither speaks nor orders timers."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.day_parts, self.day_phase2 = handler.day_parts, handler.day_phase2

    async def load(self, db: asyncpg.Connection, events: Sequence[Event], moment: Moment) -> Any:
        return await self._handler.load(db, events, moment)

    def decide(self, state: Any, events: Sequence[Event], moment: Moment) -> Effects:
        return Effects(rows=self._handler.decide(state, events, moment).rows)

    async def save(self, db: asyncpg.Connection, effects: Effects) -> None:
        await self._handler.save(db, effects)

    async def totals(self, db: asyncpg.Connection, closed: DayWork) -> dict[str, Any]:
        return {}


class OneConnection:
    """A pool of one connection: what the runtime does with a pool happens inside the caller's transaction."""

    def __init__(self, db: asyncpg.Connection) -> None:
        self._db = db

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[asyncpg.Connection]:
        yield self._db


@dataclass(slots=True)
class Lane:
    """One partition: `taken` records are fetched and wait, `next` is the offset that is given out next, `stepped` says
    from where to where persons moved the cursor."""

    end: int = 0
    next: int = 0
    waits_for: int | None = None
    taken: deque[Record] = field(default_factory=deque)
    stepped: Mapping[int, int] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.next >= self.end

    @property
    def goes_on(self) -> bool:
        return self.waits_for is None and not self.ended and self.next not in self.stepped

    @property
    def steps(self) -> bool:
        return self.waits_for is None and not self.ended and self.next in self.stepped


class Replay:
    """`facts`: only events of these models count, and no marker; without them everything does, as in the service."""

    def __init__(
        self,
        db: asyncpg.Connection,
        reader: LogReader,
        service: str,
        handler: Handler,
        *,
        facts: tuple[type, ...] = (),
        persons: Persons = Persons(),
    ) -> None:
        self._db, self._reader, self._facts, self._persons = db, reader, facts, persons
        self._unit = Unit(service, Silent(handler))
        self._pool: Any = OneConnection(db)
        self._rank = {topic: n for n, topic in enumerate(READS[service])}
        self._lanes: dict[Partition, Lane] = {}
        self.records = 0

    async def start(self, partitions: Sequence[Partition], places: Mapping[Partition, Place] | None = None) -> None:
        """Begin every partition at 0, or go on where others stopped."""
        order = sorted(partitions, key=lambda p: (self._rank[p.topic], p))
        self._lanes = {partition: Lane(stepped=self._persons.stepped.get(partition, {})) for partition in order}
        await self._reader.start(order)
        await self._db.fetch(sql.LOAD_CURSORS, [p.topic for p in order], [p.number for p in order])
        for partition, place in (places or {}).items():
            self._lanes[partition].next, self._lanes[partition].waits_for = place
        if places:
            await self._reader.seek({partition: place[0] for partition, place in places.items()})

    async def run(self, ends: Positions) -> None:
        """Go on up to `ends`, exactly."""
        await self.read(ends)
        await self.settle()
        while (number := self.waits_for()) is not None and not all(lane.ended for lane in self._lanes.values()):
            self.release(number)
            await self.read(ends)
            await self.settle()

    async def read(self, ends: Positions) -> None:
        """Take what lies before `ends`, until every partition has ended or waits for the close of a day."""
        for partition, lane in self._lanes.items():
            lane.end = ends.get(partition, 0)
        await self._read_on()
        while await self._step_over():
            await self._read_on()

    async def _read_on(self) -> None:
        ahead = asyncio.create_task(self._gather())
        try:
            while batch := await ahead:
                ahead = asyncio.create_task(self._gather())
                await self._take(batch)
        finally:
            ahead.cancel()
            await asyncio.wait([ahead])

    async def _step_over(self) -> bool:
        """Move on the partitions that came to where persons moved their cursor; what lies between is not taken."""
        moves = {p: lane.stepped[lane.next] for p, lane in self._lanes.items() if lane.steps}
        for partition, to in moves.items():
            lane = self._lanes[partition]
            if not self._facts:
                await self._db.execute(STEP_OVER, partition.topic, partition.number, lane.next, to)
            lane.next = to
            lane.taken.clear()
        await self._reader.seek(moves)
        return bool(moves)

    def waits_for(self) -> int | None:
        """The earliest close that a partition has shown and waits for."""
        return min((lane.waits_for for lane in self._lanes.values() if lane.waits_for is not None), default=None)

    def release(self, number: int) -> None:
        """The partitions that wait for this close go on."""
        for lane in self._lanes.values():
            if lane.waits_for == number:
                lane.waits_for = None

    def places(self) -> dict[Partition, Place]:
        """Where each partition stands."""
        return {partition: (lane.next, lane.waits_for) for partition, lane in self._lanes.items()}

    def behind(self, ends: Positions) -> int:
        """Records that lie between here and `ends`."""
        return sum(max(0, ends.get(partition, 0) - lane.next) for partition, lane in self._lanes.items())

    async def _gather(self) -> list[Taken]:
        """The next records in the order in which they are decided; none when all partitions wait or have ended."""
        found: list[Taken] = []
        empty = 0
        while not found:
            if not any(lane.goes_on for lane in self._lanes.values()):
                return []
            await self._fetch()
            for lane in self._lanes.values():
                await self._from_lane(lane, found)
            empty = 0 if found else empty + 1
            if empty > STALLED_AFTER:
                raise Transient("the log gives no more records although its end is not reached; try again")
        return found

    async def _fetch(self) -> None:
        waiting = sum(len(lane.taken) for lane in self._lanes.values() if lane.goes_on)
        if waiting >= BATCH_RECORDS:
            return
        self._reader.hold([p for p, lane in self._lanes.items() if lane.waits_for is not None])
        timeout_s = 0.0 if waiting else FETCH_TIMEOUT_S
        for partition, records in (await self._reader.fetch(BATCH_RECORDS, timeout_s)).items():
            self._lanes[partition].taken.extend(records)

    async def _from_lane(self, lane: Lane, found: list[Taken]) -> None:
        """Move records of a partition into the batch until it is full or the partition shows the close of a day."""
        while lane.taken and lane.goes_on and len(found) < BATCH_RECORDS:
            record = lane.taken.popleft()
            if record.offset != lane.next:
                where = f"{record.partition.topic}/{record.partition.number}"
                raise Stop(f"{where} has a hole in its offsets: {record.offset} follows {lane.next - 1}")
            taken = self._decoded(record)
            lane.next += 1
            found.append(taken)
            if not self._facts and taken.event is not None and isinstance(taken.event.data, DayClosed):
                lane.waits_for = taken.event.data.number
            if len(found) % SLICE_RECORDS == 0:
                await asyncio.sleep(0)

    def _decoded(self, record: Record) -> Taken:
        """An event that was left out is taken like one of an unknown type: known from now on, without effect."""
        taken = decoded(record)
        if taken.event is not None and _place(record) in self._persons.left_out:
            taken.event = taken.event._replace(data=None)
        return taken

    async def _take(self, batch: list[Taken]) -> None:
        self.records += len(batch)
        if self._facts:
            await self._take_facts(batch)
            return
        outcome = await self._patiently(batch)
        if outcome.waiting:
            (partition, offset), *_ = sorted(outcome.waiting.items())
            raise Stop(f"{partition.topic}/{partition.number} offset {offset} is of a company that is not configured")
        if outcome.parked:
            await self._leave_out(batch)

    async def _patiently(self, batch: list[Taken]) -> Outcome:
        """Two processes of one replay may meet in a payment that comes by two keys; one of them goes first."""
        for _ in range(DEADLOCKS_MAX):
            try:
                return await take_with_care(self._pool, self._unit, batch)
            except asyncpg.DeadlockDetectedError:
                await asyncio.sleep(0)
        return await take_with_care(self._pool, self._unit, batch)

    async def _leave_out(self, batch: list[Taken]) -> None:
        """Records that cannot be read and were left out by persons: what waits behind them runs, as it did then."""
        places = [
            place for taken in batch if taken.problem and (place := _place(taken.record)) in self._persons.left_out
        ]
        if not places:
            return
        async with self._db.transaction():
            rows = await self._db.fetch(rebuild_sql.DROP_LEFT_OUT, places)
            await self._db.fetch(sql.TAKE_INBOX, [row["event_id"] for row in rows if row["event_id"] is not None])
        await dead_letters.redrive(self._pool, self._unit, sorted({row["key"] for row in rows}))

    async def _take_facts(self, batch: list[Taken]) -> None:
        """Only the facts asked for, without cursor, inbox and markers."""
        known = [taken.event for taken in batch if taken.event is not None]
        facts = [event for event in known if isinstance(event.data, self._facts)]
        control = [event for event in known if event.topic == CONTROL]
        async with self._db.transaction():
            if control and await save_control(self._db, control):
                self._unit.control.forget()
            if facts:
                await apply(self._db, self._unit, facts)

    async def settle(self) -> None:
        """Do the work of the days that are complete now, and count their markers as forwarded."""
        if self._facts:
            return
        while await self._day_part():
            continue
        while await self._forward():
            continue

    async def _forward(self) -> bool:
        """Count the next marker as written. Without the locks of the service: nobody else knows these tables yet."""
        async with self._db.transaction():
            row = await self._db.fetchrow(sql.NEXT_MARKER)
            if row is None or row["state"] != "ready":
                return False
            await self._db.execute(sql.MARK_WRITTEN, row["number"])
            await self._db.execute(sql.FORGET_SEEN, row["number"])
            await self._db.execute(sql.FORGET_MARKERS, row["number"])
        return True

    async def _day_part(self) -> bool:
        """One part of a closed day, as shared.runtime.loops does it, but with no second try: it fails the replay."""
        async with self._db.transaction():
            rows: Sequence[Mapping[str, Any]] = await self._db.fetch(sql.CLAIM_DAY_PART, END_OF_TIME)
            if not rows:
                return False
            work = DayWork.model_validate(rows[0]["payload"])
            await apply(self._db, self._unit, [work_event(self._unit.service, work, rows[0]["envelope"])])
            if await self._db.fetchval(sql.FINISH_PART, work.number) == 0:
                again = work.phase == 1 and self._unit.handler.day_phase2
                if again:
                    following = second_phase(self._unit.service, work, rows[0]["envelope"])
                    await markers.add_day_parts(self._db, [following])
                state = "working" if again else "ready"
                await self._db.execute(sql.SET_MARKER_STATES, [work.number], [state], [1 if again else 0])
        return True


def _place(record: Record) -> str:
    """As an approval to leave an event out names its place."""
    return f"{record.partition.topic}/{record.partition.number}@{record.offset}"
