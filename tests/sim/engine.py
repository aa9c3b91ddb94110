"""A store in memory with what the runtime needs of PostgreSQL: transactions, savepoints, row and advisory locks.

READ COMMITTED: a statement sees what is committed and its own writes. Nobody ever waits: whoever would have to is told
`LockNotAvailableError` at once, as PostgreSQL does after `lock_timeout`. Held to PostgreSQL by test_store.py.
"""

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from tests.sim.points import at, current

Place = tuple[str, tuple]
ORDERED = {"sim_account", "stream_head", "kafka_cursor", "parked_key", "timer", "marker"}
"""Tables whose rows must be locked in one order by everybody; the inbox is not, its ids meet under one cursor only."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def may_wait(one: str, other: str) -> bool:
    """Whether locks on one row can meet. Who shares a row sees it, who makes it does not: those never do."""
    return {one, other} not in ({"s"}, {"s", "i"})


class Row(dict):
    """Like asyncpg.Record: names give values, and going over it gives the values."""

    def __iter__(self):  # noqa: ANN204
        return iter(self.values())


class Transaction:
    """Writes of its own over the committed rows, and the locks it holds: s(hare), x (update), w(ritten)."""

    def __init__(self, store: "MemoryStore") -> None:
        self.store = store
        self.writes: dict[str, dict[tuple, dict | None]] = defaultdict(dict)
        self.locks: dict[Place, str] = {}
        self.waited: dict[str, list[tuple[tuple, str]]] = defaultdict(list)
        self.aborted = self.ended = False
        self.at = EPOCH + timedelta(microseconds=next(store.instants))
        store.open.append(self)

    def get(self, table: str, key: tuple) -> dict | None:
        mine = self.writes[table]
        return mine[key] if key in mine else self.store.tables[table].get(key)

    def rows(self, table: str) -> list[dict]:
        mine = self.writes[table]
        if not mine:
            return list(self.store.tables[table].values())
        return [row for row in {**self.store.tables[table], **mine}.values() if row is not None]

    def clash(self, place: Place, mode: str) -> bool:
        if len(self.store.open) == 1:
            return False
        for other in self.store.open:
            if other is not self:
                held = other.locks.get(place)
                if held is not None and not (held == mode == "s"):
                    return True
        return False

    def written_elsewhere(self, place: Place) -> bool:
        others = self.store.open
        return len(others) > 1 and any(other is not self and other.locks.get(place) == "w" for other in others)

    def lock(self, table: str, key: tuple, mode: str, *, fresh: bool = False) -> None:
        """`fresh`: the row is made by this transaction."""
        place = (table, key)
        if self.clash(place, mode):
            raise asyncpg.LockNotAvailableError(f"canceling statement due to lock timeout: {table} {key}")
        if table in ORDERED and place not in self.locks:
            self._note_order(table, key, "i" if fresh else mode)
        self.take(place, mode)

    def take(self, place: Place, mode: str) -> None:
        if "sxw".index(mode) >= "sxw".index(self.locks.get(place, "s")):
            self.locks[place] = mode

    def _note_order(self, table: str, key: tuple, mode: str) -> None:
        """Two rows that are locked both ways round, so that two transactions could wait for each other."""
        for earlier, held in self.waited[table]:
            for theirs, mine in self.store.orders[table, key, earlier]:
                if may_wait(held, mine) and may_wait(mode, theirs):
                    self.store.inversions.append(f"{table}: {earlier} before {key}, and the other way round")
            self.store.orders[table, earlier, key].add((held, mode))
        self.waited[table].append((key, mode))

    def put(self, table: str, key: tuple, row: dict, *, fresh: bool = False) -> None:
        self.lock(table, key, "w", fresh=fresh)
        self.writes[table][key] = row

    def change(self, table: str, key: tuple, **values: Any) -> dict:
        row = {**self.get(table, key), **values}
        self.put(table, key, row)
        return row

    def insert(self, table: str, key: tuple, row: dict) -> bool:
        """`insert … on conflict do nothing`: whether the row is new."""
        if self.written_elsewhere((table, key)):
            raise asyncpg.LockNotAvailableError(f"canceling statement due to lock timeout: {table} {key}")
        if self.get(table, key) is not None:
            return False
        self.put(table, key, row, fresh=True)
        return True

    def drop(self, table: str, key: tuple) -> None:
        if self.get(table, key) is not None:
            self.lock(table, key, "w")
            self.writes[table][key] = None

    def mark(self) -> dict[str, dict]:
        return {table: dict(rows) for table, rows in self.writes.items()}

    def back_to(self, mark: dict[str, dict]) -> None:
        self.writes = defaultdict(dict, mark)
        self.aborted = False

    def commit(self) -> None:
        self.close()
        for table, rows in self.writes.items():
            kept = self.store.tables[table]
            for key, row in rows.items():
                if row is None:
                    kept.pop(key, None)
                else:
                    kept[key] = row

    def close(self) -> None:
        if self in self.store.open:
            self.store.open.remove(self)

    def end(self) -> None:
        """The server ends the session: its writes and locks are gone, the client learns it at its next word."""
        self.ended = True
        self.writes.clear()
        self.close()


class Block:
    """`async with db.transaction()`: the outermost is a transaction, an inner one a savepoint."""

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.mark: dict | None = None

    async def start(self) -> None:
        if self.session.tx is None:
            self.session.tx = Transaction(self.session.store)
        else:
            self.mark = self.session.tx.mark()

    async def commit(self) -> None:
        if self.mark is not None:
            return
        try:
            await at("commit.before")
            self.session.check()
        except BaseException:
            await self.rollback()
            raise
        tx, self.session.tx = self.session.tx, None
        if tx.aborted:
            tx.close()
        else:
            tx.commit()
        await at("commit.after")

    async def rollback(self) -> None:
        tx = self.session.tx
        if tx is None:
            return
        if self.mark is not None:
            if not tx.ended:
                tx.back_to(self.mark)
            return
        tx.close()
        self.session.tx = None

    async def __aenter__(self) -> "Block":
        await self.start()
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        await (self.commit() if kind is None else self.rollback())


class Session:
    """One connection, with the methods of asyncpg that the runtime uses."""

    def __init__(self, store: "MemoryStore") -> None:
        self.store = store
        self.tx: Transaction | None = None

    def check(self) -> None:
        if self.tx is not None and self.tx.ended:
            raise asyncpg.InterfaceError("connection is closed")
        if self.tx is not None and self.tx.aborted:
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        name, run = self.store.statement(query)
        await at(f"sql.{name}")
        return self._in_transaction(run, *args)

    def _in_transaction(self, run: Callable[..., Any], *args: Any) -> list[Row]:
        self.check()
        tx = self.tx or Transaction(self.store)
        try:
            found = run(tx, *args) or []
        except BaseException:
            tx.aborted = True
            if tx is not self.tx:
                tx.close()
            raise
        if tx is not self.tx:
            tx.commit()
        return found

    async def fetchrow(self, query: str, *args: Any) -> Row | None:
        return next(iter(await self.fetch(query, *args)), None)

    async def fetchval(self, query: str, *args: Any) -> Any:
        row = await self.fetchrow(query, *args)
        return None if row is None else next(iter(row))

    async def execute(self, query: str, *args: Any) -> str:
        await self.fetch(query, *args)
        return ""

    async def copy_records_to_table(self, table: str, *, records: Iterable[Sequence], columns: Sequence[str]) -> str:
        await at(f"sql.COPY_{table}")
        self._in_transaction(self.store.copies[table], list(records), columns)
        await at(f"copied.{table}")
        return ""

    def transaction(self) -> Block:
        return Block(self)


class MemoryStore:
    """Tables, open transactions and statements of one store; stands where an asyncpg pool stands."""

    def __init__(self, statements: dict[str, tuple[str, Callable[..., Any]]], copies: dict[str, Callable]) -> None:
        self.statements, self.copies = statements, copies
        self.tables: dict[str, dict[tuple, dict]] = defaultdict(dict)
        self.open: list[Transaction] = []
        self.orders: dict[tuple[str, tuple, tuple], set[tuple[str, str]]] = defaultdict(set)
        self.inversions: list[str] = []
        self.instants, self.outbox_ids = itertools.count(1), itertools.count(1)

    def statement(self, query: str) -> tuple[str, Callable[..., Any]]:
        found = self.statements.get(query)
        if found is None:
            raise LookupError(f"the store in memory does not know this statement; add it to statements.py: {query}")
        return found

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Session]:
        session = Session(self)
        strike = current.get()
        if strike is not None:
            strike.sessions.append(session)
        try:
            yield session
        finally:
            if session.tx is not None:
                session.tx.close()

    async def end_sessions(self, sessions: Sequence[Session]) -> bool:
        """End what a frozen step holds open. Whether anything was."""
        held = [session.tx for session in sessions if session.tx is not None and not session.tx.ended]
        for tx in held:
            tx.end()
        return bool(held)

    async def table(self, name: str) -> list[dict]:
        return [self.tables[name][key] for key in sorted(self.tables[name])]

    async def close(self) -> None:
        return None
