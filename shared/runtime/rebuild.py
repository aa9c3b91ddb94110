"""Rebuilds projections from offset 0 beside the live ones, compares, and swaps them in one transaction.

The second store is a schema of the same database, made by the same migrations and filled by the same handler, silently
(shared.runtime.replay). The live consumer goes on until the last step: then one transaction holds it by the outbox lock
that every writing transaction shares, reads the log up to the live cursors exactly, compares row for row, and renames.
Nothing is swapped that differs, unless the caller says that it is meant to. See docs/decisions/0006-rebuild.md.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from shared.bus.log import LogReader
from shared.bus.port import Partition
from shared.db.migrate import metadata_of, upgrade
from shared.errors import Stop, Transient
from shared.events.catalogue import PARTITIONS, READS, TOPICS_OF
from shared.runtime import rebuild_statements as sql
from shared.runtime.effects import Handler
from shared.runtime.guard import InstanceGuard
from shared.runtime.rebuild_session import session
from shared.runtime.replay import Persons, Replay
from shared.runtime.replay_shares import Shares, Task
from shared.runtime.statements import LOCK_EXCLUSIVE

NEAR_RECORDS = 5_000
"""As many may be read while the live consumer is held."""
ROUNDS_MAX = 50
SWAP_TRIES, SWAP_PAUSE_S = 50, 0.1


@dataclass(frozen=True, slots=True)
class Projection:
    """What of a store is rebuilt.

    Without `tables` the whole store: only for a service that publishes nothing. With `tables` only these, from `facts`
    on `topics`; columns in `own` are the service's own knowledge, which no log tells, and are taken over from the live
    rows. `compared` gives the query that is compared in place of a table's rows, with `{schema}` for the schema.
    """

    tables: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    facts: tuple[type, ...] = ()
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    compared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of a table that only one of the two has."""

    table: str
    only_live: int
    only_rebuilt: int


@dataclass(slots=True)
class Report:
    """`held_s` is how long the live consumer waited."""

    records: int = 0
    replay_s: float = 0.0
    index_s: float = 0.0
    held_s: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    swapped: bool = False

    @property
    def per_s(self) -> int:
        return round(self.records / self.replay_s) if self.replay_s else 0


class Differs(Stop):
    """What was rebuilt is not what stands; nothing was swapped."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        self.differences = list(differences)
        listed = ", ".join(
            f"{d.table} ({d.only_live} rows only live, {d.only_rebuilt} only rebuilt)" for d in differences
        )
        super().__init__(
            f"what was rebuilt differs in {listed}; nothing was swapped. Both can be read (schemas {sql.LIVE} and "
            f"{sql.BESIDE}); if the difference is meant, for instance after a mended fold, accept it"
        )


class Busy(Transient):
    """A transaction of the service holds what the swap needs; it is let through first."""


@dataclass(slots=True)
class Rebuild:
    """`dsn` is the owner of the schema. `say` is told what happens, in sentences. With `processes` above 1 so many read
    the log from `bootstrap` side by side until the end is near; `reader` then reads the rest."""

    service: str
    handler: Handler
    projection: Projection
    dsn: str
    reader: LogReader
    say: Callable[[str], None] = lambda text: None
    accept_differences: bool = False
    processes: int = 1
    bootstrap: str = ""
    report: Report = field(default_factory=Report)

    async def run(self) -> Report:
        """Build, compare, swap. Raises Differs, Stop, or what the handler raises; the live store is then untouched."""
        if not self.projection.tables and TOPICS_OF[self.service]:
            raise Stop(f"{self.service} publishes events; only tables that are copies can be rebuilt there")
        guard = InstanceGuard(self.dsn, f"{self.service}-rebuild")
        await guard.hold()
        try:
            async with session(self.dsn, self.service) as db:
                await self._make_beside(db)
                await self._fill_and_swap(db)
        finally:
            await guard.release()
        return self.report

    async def _make_beside(self, db: asyncpg.Connection) -> None:
        """An empty store beside the live one, at the same version of the schema."""
        await db.execute(sql.DROP_LEFT_OVER)
        await db.execute(sql.MAKE_BESIDE)
        await upgrade(self.dsn, self.service, schema=sql.BESIDE)
        if await db.fetchval(sql.VERSIONS_DIFFER):
            raise Stop(f"the live store of {self.service} is not at the newest schema; run `migrate` first")
        await db.execute(sql.SEED_COMPANIES)

    async def _fill_and_swap(self, db: asyncpg.Connection) -> None:
        projection = self.projection
        left_out, stepped = await db.fetch(sql.LEFT_OUT), await db.fetch(sql.STEPPED)
        persons = Persons.of([row["subject_id"] for row in left_out], [row["subject_id"] for row in stepped])
        replay = Replay(db, self.reader, self.service, self.handler, facts=projection.facts, persons=persons)
        topics = projection.topics or READS[self.service]
        lanes = [Partition(topic, number) for topic in topics for number in range(PARTITIONS)]
        try:
            if self.processes > 1:
                task = Task(self.dsn, self.bootstrap, self.service, self.handler, projection.facts, persons)
                await self._catch_up_shared(db, Shares(task, self.processes, replay.settle), replay, lanes)
            else:
                await replay.start(lanes)
                await self._catch_up(db, replay)
            await self._swap_patiently(db, replay)
        finally:
            await self.reader.stop()

    async def _catch_up_shared(
        self, db: asyncpg.Connection, shares: Shares, replay: Replay, lanes: Sequence[Partition]
    ) -> None:
        """Several processes read until the end is near; `replay` goes on where they stopped."""
        try:
            await shares.start(lanes)
            await self._catch_up(db, shares)
        finally:
            await shares.stop()
        await replay.start(lanes, shares.places())
        replay.records = shares.records

    async def _catch_up(self, db: asyncpg.Connection, replay: Replay | Shares) -> None:
        """Read until what is left fits into the time for which the live consumer is held."""
        began = time.monotonic()
        for _ in range(ROUNDS_MAX):
            await replay.run(await self._live_ends(db))
            self.report.records, self.report.replay_s = replay.records, time.monotonic() - began
            self.say(f"{replay.records} records read, {self.report.per_s} a second")
            if replay.behind(await self._live_ends(db)) <= NEAR_RECORDS:
                break
        else:
            raise Transient("the live consumer reads faster than the rebuild; try again when less comes in")
        indexed = time.monotonic()
        await db.execute(sql.ANALYZE)
        self.report.index_s = time.monotonic() - indexed

    async def _live_ends(self, db: asyncpg.Connection) -> dict[Partition, int]:
        rows = await db.fetch(sql.LIVE_CURSORS)
        return {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def _swap_patiently(self, db: asyncpg.Connection, replay: Replay) -> None:
        """A transaction of the service that already waits in the middle of its work goes first."""
        for _ in range(SWAP_TRIES):
            try:
                return await self._swap(db, replay)
            except Busy:
                await asyncio.sleep(SWAP_PAUSE_S)
        raise Transient(f"{self.service} never rested long enough to be swapped; try again")

    async def _swap(self, db: asyncpg.Connection, replay: Replay) -> None:
        async with db.transaction():
            await db.execute(sql.DURABLE)
            held = await self._hold(db)
            if not self.projection.tables and not await db.fetchval(sql.TRY_NO_RELAY):
                raise Busy
            await replay.run(await self._live_ends(db))
            await self._take_over(db)
            await self._compare(db)
            if self.report.differences and not self.accept_differences:
                raise Differs(self.report.differences)
            await db.execute(sql.swap_tables(self.projection.tables) if self.projection.tables else sql.SWAP_ALL)
        self.report.held_s, self.report.swapped = time.monotonic() - held, True
        self.report.records = replay.records

    @staticmethod
    async def _hold(db: asyncpg.Connection) -> float:
        """Nothing of the service writes from here to the end of the transaction. Raises Busy; when it began to wait."""
        try:
            await db.execute(LOCK_EXCLUSIVE)
            held = time.monotonic()
            await db.execute(sql.HOLD)
        except asyncpg.LockNotAvailableError as problem:
            raise Busy from problem
        return held

    async def _take_over(self, db: asyncpg.Connection) -> None:
        if not self.projection.tables:
            await db.execute(sql.CARRY_OVER)
        for table, columns in self.projection.own.items():
            key = [column.name for column in metadata_of(self.service).tables[table].primary_key]
            await db.execute(sql.take_over(table, key, columns))

    async def _compare(self, db: asyncpg.Connection) -> None:
        self.report.differences, self.report.rows = [], {}
        for table in self._tables():
            row = await db.fetchrow(self._comparison(table))
            self.report.rows[table] = row["rows"]
            if row["only_live"] or row["only_rebuilt"]:
                self.report.differences.append(Difference(table, row["only_live"], row["only_rebuilt"]))

    def _tables(self) -> list[str]:
        """What is compared: the projections, not what the runtime keeps beside them."""
        known = metadata_of(self.service).tables
        return list(self.projection.tables) or sorted(set(known) - sql.tables_of_the_runtime())

    def _comparison(self, table: str) -> str:
        if query := self.projection.compared.get(table):
            return sql.comparison(query)
        columns = [column.name for column in metadata_of(self.service).tables[table].columns]
        return sql.comparison(sql.all_rows(table, columns))
