"""The same world on PostgreSQL: a pool whose statements and commits are places of a step, as on the store in memory."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from shared.db.pool import keep, prepare
from tests.sim.points import at, current
from tests.sim.statements import KNOWN
from tests.sim.toy import metadata

LOCK_TIMEOUT_MS = 50
POOL_MAX = 12


class WatchedBlock:
    """`async with db.transaction()` on a watched connection."""

    def __init__(self, connection: "WatchedConnection") -> None:
        self._connection, self._inner = connection, connection.db.transaction()
        self._outermost = connection.depth == 0

    async def start(self) -> None:
        self._connection.depth += 1
        await self._inner.start()

    async def commit(self) -> None:
        if self._outermost:
            try:
                await at("commit.before")
            except BaseException:
                await self.rollback()
                raise
        self._connection.depth -= 1
        await self._inner.commit()
        if self._outermost:
            await at("commit.after")

    async def rollback(self) -> None:
        self._connection.depth -= 1
        await self._inner.rollback()

    async def __aenter__(self) -> "WatchedBlock":
        await self.start()
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        await (self.commit() if kind is None else self.rollback())


class WatchedConnection:
    """An asyncpg connection whose statements are places."""

    def __init__(self, db: Any) -> None:
        self.db, self.depth = db, 0

    async def _at(self, query: str) -> None:
        await at(f"sql.{KNOWN[query][0]}" if query in KNOWN else "sql")

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        await self._at(query)
        return await self.db.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        await self._at(query)
        return await self.db.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        await self._at(query)
        return await self.db.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        await self._at(query)
        return await self.db.execute(query, *args)

    async def copy_records_to_table(self, table: str, *, records: Iterable[Sequence], columns: Sequence[str]) -> str:
        await at(f"sql.COPY_{table}")
        done = await self.db.copy_records_to_table(table, records=records, columns=columns)
        await at(f"copied.{table}")
        return done

    def transaction(self) -> WatchedBlock:
        return WatchedBlock(self)


class PostgresStore:
    """Stands where an asyncpg pool stands; `reset` empties every table between two seeds."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[WatchedConnection]:
        async with self.pool.acquire() as db:
            connection = WatchedConnection(db)
            strike = current.get()
            if strike is not None:
                strike.sessions.append(connection)
            yield connection

    async def end_sessions(self, sessions: Sequence[WatchedConnection]) -> bool:
        pids = [session.db.get_server_pid() for session in sessions if session.depth and not session.db.is_closed()]
        async with self.pool.acquire() as db:
            await db.fetch("select pg_terminate_backend(pid, 5000) from unnest($1::int[]) as p(pid)", pids)
        return bool(pids)

    async def table(self, name: str) -> list[dict]:
        async with self.pool.acquire() as db:
            keys = ", ".join(f'"{column.name}"' for column in metadata.tables[name].primary_key)
            return [dict(row) for row in await db.fetch(f"select * from {name} order by {keys}")]

    async def reset(self) -> None:
        async with self.pool.acquire() as db:
            await db.execute(f"truncate {', '.join(metadata.tables)} restart identity")

    async def close(self) -> None:
        await self.pool.close()


async def postgres_store(dsn: str) -> PostgresStore:
    """A store on a fresh database."""
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    settings = {"timezone": "UTC", "lock_timeout": str(LOCK_TIMEOUT_MS), "application_name": "sim"}
    pool = await asyncpg.create_pool(
        dsn, min_size=1, max_size=POOL_MAX, init=prepare, reset=keep, server_settings=settings
    )
    return PostgresStore(pool)
