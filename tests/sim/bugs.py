"""Planted bugs: each is put into the runtime for the time of a seed, and the simulator must see it.

None has a switch in the code of the runtime; each replaces a function or a statement and is taken back.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from shared.bus.port import Partition
from shared.runtime import batches, dead_letters, markers, outbox, relay, timers, transaction
from shared.runtime import statements as sql
from shared.runtime.relay import _one_cycle, _outgoing
from tests.sim import statements as memory
from tests.sim import toy
from tests.sim.engine import Row, Transaction

BUGS: dict[str, tuple[str, Callable[[], list[tuple[Any, str, Any]]]]] = {}
Changes = list[tuple[Any, str, Any]]
REPLICA: ContextVar[int] = ContextVar("replica", default=0)


def bug(name: str) -> Callable[[Callable[[], Changes]], Callable[[], Changes]]:
    def register(plant: Callable[[], Changes]) -> Callable[[], Changes]:
        BUGS[name] = ((plant.__doc__ or "").strip(), plant)
        return plant

    return register


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug is in for the time of the block."""
    changes = BUGS[name][1]()
    missing = object()
    before = [(owner, attribute, vars(owner).get(attribute, missing)) for owner, attribute, _ in changes]
    for owner, attribute, value in changes:
        setattr(owner, attribute, value)
    try:
        yield
    finally:
        for owner, attribute, value in reversed(before):
            if value is missing:
                delattr(owner, attribute)
            else:
                setattr(owner, attribute, value)


def statement(text: str, run: Callable[..., Any]) -> str:
    """A statement of a bug, known to the store in memory."""
    memory.KNOWN[text] = (f"bug {text}", run)
    return text


# Consumer -------------------------------------------------------------------------------------------------------


@bug("no fence")
def no_fence() -> Changes:
    """The cursor is set, whatever it was."""

    def move(tx: Transaction, topics: list, numbers: list, firsts: list, lasts: list) -> list[Row]:
        for topic, number, last in sorted(zip(topics, numbers, lasts, strict=True)):
            tx.change("kafka_cursor", (topic, number), next_offset=last + 1)
        return [Row(topic=t, partition=n) for t, n in zip(topics, numbers, strict=True)]

    return [(sql, "MOVE_CURSORS", statement("move cursors without a fence", move))]


@bug("fence without contiguity")
def fence_without_contiguity() -> Changes:
    """The cursor must not be past the batch, but may be short of it, and the batch may have holes."""

    def move(tx: Transaction, topics: list, numbers: list, firsts: list, lasts: list) -> list[Row]:
        found = []
        for topic, number, first, last in sorted(zip(topics, numbers, firsts, lasts, strict=True)):
            if tx.get("kafka_cursor", (topic, number))["next_offset"] <= first:
                tx.change("kafka_cursor", (topic, number), next_offset=last + 1)
                found.append(Row(topic=topic, partition=number))
        return found

    async def move_cursors(db: Any, records: Sequence[Any]) -> None:
        lanes: dict[Partition, list[int]] = defaultdict(list)
        for record in records:
            lanes[record.partition].append(record.offset)
        order = sorted(lanes)
        ends = ([lanes[p][0] for p in order], [lanes[p][-1] for p in order])
        moved = await db.fetch(sql.MOVE_CURSORS, [p.topic for p in order], [p.number for p in order], *ends)
        if len(moved) != len(order):
            raise transaction.Stale

    return [
        (sql, "MOVE_CURSORS", statement("move cursors that are not past the batch", move)),
        (transaction, "_move_cursors", move_cursors),
    ]


@bug("no inbox")
def no_inbox() -> Changes:
    """Every event of a batch counts as fresh."""

    async def fresh_among(db: Any, events: Sequence[Any]) -> list[Any]:
        return list(events)

    return [(transaction, "fresh_among", fresh_among)]


@bug("inbox beside the transaction")
def inbox_beside() -> Changes:
    """The ids are remembered in a transaction of their own, before the effects are committed."""

    async def fresh_among(db: Any, events: Sequence[Any]) -> list[Any]:
        async with db.store.acquire() as other:
            rows = await other.fetch(sql.TAKE_INBOX, [e.envelope.id for e in events]) if events else []
        fresh = {row["event_id"] for row in rows}
        return list({e.envelope.id: e for e in reversed(events) if e.envelope.id in fresh}.values())[::-1]

    return [(transaction, "fresh_among", fresh_among)]


@bug("cursor committed before the work")
def cursor_first() -> Changes:
    """The cursor moves in a transaction of its own: at most once instead of exactly once."""
    first = transaction._move_cursors  # noqa: SLF001

    async def move_cursors(db: Any, records: Sequence[Any]) -> None:
        async with db.store.acquire() as other, other.transaction():
            await first(other, records)

    return [(transaction, "_move_cursors", move_cursors)]


@bug("read-ahead not dropped at a seek")
def ahead_not_dropped() -> Changes:
    """A seek moves the source, the batch that was made ready comes all the same."""

    async def seek(self: batches.Batches, positions: Any) -> None:
        await self._source.seek(positions)

    return [(batches.Batches, "seek", seek)]


@bug("read-ahead dropped and not taken back")
def ahead_lost() -> Changes:
    """A seek drops what was made ready and leaves its other partitions where they were read to."""

    async def seek(self: batches.Batches, positions: Any) -> None:
        await self.drop()
        await self._source.seek(positions)

    return [(batches.Batches, "seek", seek)]


@bug("park without key")
def park_without_key() -> Changes:
    """Poison goes to the dead letters alone; what follows of its key goes on."""
    return [(sql, "PARKED_AMONG", statement("nothing is parked", lambda tx, keys: []))]


@bug("park the whole batch")
def park_batch() -> Changes:
    """One event that cannot be digested takes all of its batch with it."""
    first = transaction._one_by_one  # noqa: SLF001

    async def all_of_it(pool: Any, unit: Any, batch: Any, poisoned: dict) -> Any:
        fault = next(iter(poisoned.values()), None) or dead_letters.Fault("something in this batch")
        if len(batch) == 1:
            return await first(pool, unit, batch, poisoned)
        return await transaction.take(pool, unit, batch, dict.fromkeys(range(len(batch)), fault))

    return [(transaction, "_one_by_one", all_of_it)]


# Relay ----------------------------------------------------------------------------------------------------------


@bug("delete before ack")
def delete_before_ack() -> Changes:
    """The rows are deleted and committed, then sent."""

    async def cycle(db: Any, sink: Any, limit: int) -> int:
        async with db.transaction():
            if not await db.fetchval(sql.TRY_RELAY):
                return 0
            rows = _one_cycle(await db.fetch(sql.TAKE_OUTBOX, limit))
            await db.execute(sql.DROP_OUTBOX, [row["id"] for row in rows])
        await sink.send([_outgoing(row) for row in rows])
        return len(rows)

    return [(relay, "_cycle", cycle)]


@bug("id > relay")
def id_cursor_relay() -> Changes:
    """The relay remembers the last id it sent and asks for higher ones; it deletes up to there."""

    def take(tx: Transaction, limit: int) -> list[Row]:
        last = (tx.get("sim_relay", (True,)) or {"id": 0})["id"]
        return [Row(r) for r in sorted(tx.rows("outbox"), key=lambda r: r["id"]) if r["id"] > last][:limit]

    def drop(tx: Transaction, ids: list) -> None:
        tx.put("sim_relay", (True,), {"id": max(ids)})
        for row in tx.rows("outbox"):
            if row["id"] <= max(ids):
                tx.drop("outbox", (row["id"],))

    return [
        (sql, "TAKE_OUTBOX", statement("outbox rows after the last id", take)),
        (sql, "DROP_OUTBOX", statement("note the last id", drop)),
    ]


@bug("SKIP LOCKED relay")
def skip_locked_relay() -> Changes:
    """Several relays share the outbox, each skips the rows that another holds."""

    def take(tx: Transaction, limit: int) -> list[Row]:
        rows = sorted(tx.rows("outbox"), key=lambda r: r["id"])
        free = [row for row in rows if not tx.clash(("outbox", (row["id"],)), "x")][:limit]
        for row in free:
            tx.take(("outbox", (row["id"],)), "x")
        return [Row(row) for row in free]

    return [
        (sql, "TRY_RELAY", statement("every relay may", lambda tx: [Row(taken=True)])),
        (sql, "TAKE_OUTBOX", statement("outbox rows skip locked", take)),
    ]


@bug("delete by id range")
def delete_by_range() -> Changes:
    """The relay deletes from the first to the last id that it sent: a row that was committed late goes with them."""

    def drop(tx: Transaction, ids: list) -> None:
        for row in tx.rows("outbox"):
            if row["id"] <= max(ids):
                tx.drop("outbox", (row["id"],))

    async def cycle(db: Any, sink: Any, limit: int) -> int:
        async with db.transaction():
            if not await db.fetchval(sql.TRY_RELAY):
                return 0
            rows = _one_cycle(await db.fetch(sql.TAKE_OUTBOX, limit))
            if not rows:
                return 0
            await sink.send([_outgoing(row) for row in rows])
            await transaction.failpoints.hit("relay.sent")
        await db.execute(sql.DROP_OUTBOX, [row["id"] for row in rows])
        return len(rows)

    return [(relay, "_cycle", cycle), (sql, "DROP_OUTBOX", statement("drop a range of the outbox", drop))]


@bug("marker in one cycle with older rows")
def marker_with_rows() -> Changes:
    """A cycle sends whatever is next, facts and markers together."""
    return [(relay, "_one_cycle", lambda rows: rows)]


# Writing --------------------------------------------------------------------------------------------------------


@bug("unsorted locks")
def unsorted_locks() -> Changes:
    """The streams of a batch are locked in the order in which they were emitted."""

    def advance(tx: Transaction, topics: list, keys: list, counts: list) -> list[Row]:
        return memory.advance_heads_in(tx, list(zip(topics, keys, counts, strict=True)))

    return [(outbox, "sorted", list), (sql, "ADVANCE_HEADS", statement("advance heads as they come", advance))]


@bug("random ids")
def random_ids() -> Changes:
    """Ids of outputs are drawn."""
    return [(outbox, "output_id", lambda *_: uuid4())]


@bug("wall clock in a rule")
def wall_clock() -> Changes:
    """The handler decides by the clock of the machine."""
    return [(toy.ToyLedger, "instant", lambda self, moment: 1_000 + time.time_ns() % 1_000_000)]


@bug("sequence without a lock")
def sequence_unlocked() -> Changes:
    """The next sequence is one more than the last committed one; nobody waits for who is writing."""

    def advance(tx: Transaction, topics: list, keys: list, counts: list) -> list[Row]:
        found = []
        for topic, key, count in sorted(zip(topics, keys, counts, strict=True)):
            row = tx.get("stream_head", (topic, key)) or {"topic": topic, "key": key, "sequence": 0}
            tx.writes["stream_head"][topic, key] = {**row, "sequence": row["sequence"] + count}
            found.append(Row(tx.writes["stream_head"][topic, key]))
        return found

    return [(sql, "ADVANCE_HEADS", statement("advance heads without locks", advance))]


# Markers and timers ---------------------------------------------------------------------------------------------


@bug("marker before the work of others is committed")
def marker_early() -> Changes:
    """The transaction that writes a marker does not wait for those that write the outbox."""
    return [(sql, "LOCK_EXCLUSIVE", statement("no exclusive lock", lambda tx: None))]


@bug("marker counted per replica")
def marker_per_replica() -> Changes:
    """Each replica counts what it saw itself: two that each see a marker short never complete it."""
    seen: dict[int, set[tuple]] = defaultdict(set)
    first = markers.count

    async def count(db: Any, service: str, handler: Any, expected: int, events: Sequence[Any], *more: Any) -> None:
        complete = []
        for event in events:
            own = seen[REPLICA.get(), event.data.number]
            own.add((event.topic, event.key))
            if len(own) == expected:
                complete.append(event)
        await first(db, service, handler, 1, complete, *more)

    taking = transaction._take  # noqa: SLF001

    async def take(db: Any, unit: Any, batch: Any, poisoned: Any) -> Any:
        REPLICA.set(id(unit))
        return await taking(db, unit, batch, poisoned)

    return [(markers, "count", count), (transaction, "_take", take)]


@bug("marker complete one partition short")
def marker_one_short() -> Changes:
    """A marker counts as complete when all partitions but one have shown it."""
    first = markers.count

    async def count(db: Any, service: str, handler: Any, expected: int, events: Sequence[Any], *more: Any) -> None:
        await first(db, service, handler, expected - 1, events, *more)

    return [(markers, "count", count)]


@bug("marker forwarded on one partition only")
def marker_one_partition() -> Changes:
    """The service writes its own marker into the first partition of its topic."""
    first = markers.write_rows

    async def write_rows(db: Any, rows: Sequence[Any], **options: Any) -> None:
        await first(db, rows[:1], **options)

    return [(markers, "write_rows", write_rows)]


@bug("marker before the day's work")
def marker_before_work() -> Changes:
    """A closed day is forwarded at once, its work follows."""

    def ready(tx: Transaction, numbers: list, states: list, work: list) -> None:
        before = [tx.get("marker", (number,))["state"] for number in numbers]
        memory.set_marker_states(tx, numbers, ["written" if b == "written" else "ready" for b in before], work)

    def part(tx: Transaction, wall: Any) -> list[Row]:
        due = sorted((row for row in tx.rows("timer") if row["kind"] == "day.part"), key=lambda row: row["key"])
        return memory.claim(tx, due, 1)

    return [
        (sql, "SET_MARKER_STATES", statement("every marker is ready", ready)),
        (sql, "CLAIM_DAY_PART", statement("any part of a day", part)),
    ]


@bug("marker before due timers")
def marker_before_timers() -> Changes:
    """A marker is forwarded although timers that its tick made due have not fired."""
    nothing = statement("nothing is due", lambda tx: [Row(exists=False)])
    return [(sql, "BUSINESS_TIMERS_DUE", nothing)]


@bug("timer fired early")
def timer_early() -> Changes:
    """Business timers are claimed by the wall clock."""
    first = timers.claim

    async def claim(db: Any, wall_now: Any, business_now: Any, limit: int = timers.CLAIM_MAX) -> Any:
        return await first(db, wall_now, wall_now, limit)

    def anything(tx: Transaction, wall: Any) -> list[Row]:
        (row,) = memory.anything_to_do(tx, wall)
        return [Row({**row, "due": any(r["kind"] != "day.part" for r in tx.rows("timer"))})]

    return [(timers, "claim", claim), (sql, "ANYTHING_TO_DO", statement("any timer", anything))]


@bug("timer deleted before its effect")
def timer_lost() -> Changes:
    """A timer is claimed and deleted in a transaction of its own, then fired."""
    first = timers.claim

    async def claim(db: Any, wall_now: Any, business_now: Any, limit: int = timers.CLAIM_MAX) -> Any:
        async with db.store.acquire() as other, other.transaction():
            return await first(other, wall_now, business_now, limit)

    return [(timers, "claim", claim)]


@bug("timer left after its effect")
def timer_twice() -> Changes:
    """Timers are claimed without a lock and deleted afterwards: two loops fire one timer."""

    def claim(tx: Transaction, wall: Any, business: Any, limit: int) -> list[Row]:
        found = memory.claim_timers(tx, wall, business, limit)
        for row in found:
            tx.locks.pop(("timer", (row["kind"], row["key"])), None)
        return found

    return [(sql, "CLAIM_TIMERS", statement("claim timers without locks", claim))]


# Commands -------------------------------------------------------------------------------------------------------


@bug("command without its key")
def command_twice() -> Changes:
    """A command that is sent again acts again."""
    return [(sql, "TAKE_COMMAND", statement("every command is new", lambda tx, identity, digest: [Row(id=identity)]))]


@bug("command without the outbox lock")
def command_unlocked() -> Changes:
    """Commands, timers and batches write the outbox without the shared lock that a marker waits for."""
    return [(sql, "LOCK_SHARED", statement("no shared lock", lambda tx: None))]
