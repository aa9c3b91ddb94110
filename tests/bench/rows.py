"""Rows that a run inserted, and what a plain COPY of the same rows takes: same tables, indexes, commits, one writer."""

import io
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

import asyncpg

PREFIX = "copy_of_"
COUNTERS = """
select relname as name, n_tup_ins as inserted, n_tup_upd as updated, n_tup_del as deleted
from pg_stat_user_tables where relname not like 'copy_of_%'
"""
RUNS = 3
Copy = Callable[[str, int], Awaitable[None]]
Counters = Mapping[str, tuple[int, int, int]]


async def counters(pool: asyncpg.Pool) -> Counters:
    """Rows inserted, updated and deleted per table so far. Complete only after the writer's connections are closed."""
    async with pool.acquire() as db:
        await db.execute("select pg_stat_force_next_flush()")
        rows = await db.fetch(COUNTERS)
    return {row["name"]: (row["inserted"], row["updated"], row["deleted"]) for row in rows}


def difference(before: Counters, after: Counters) -> Counters:
    """What a run wrote; tables it did not touch are left out."""
    found = {}
    for name, now in after.items():
        was = before.get(name, (0, 0, 0))
        if now != was:
            found[name] = (now[0] - was[0], now[1] - was[1], now[2] - was[2])
    return found


def named(wrote: Counters) -> dict[str, dict[str, int]]:
    """The counts as the document shows them."""
    return {name: {"inserted": c[0], "updated": c[1], "deleted": c[2]} for name, c in wrote.items()}


async def copy_rows_per_s(pool: asyncpg.Pool, inserted: Mapping[str, int], commits: int) -> float:
    """COPY the last `inserted` rows of each table into empty twins with all indexes, in `commits` transactions.

    The rows are made ready in the binary format before the clock starts, so that only PostgreSQL's own work counts.
    The median of three runs.
    """
    async with pool.acquire() as db:
        ready = {table: await _binary(db, table, rows, commits) for table, rows in inserted.items()}

        async def copy(table: str, number: int) -> None:
            await db.copy_to_table(f"{PREFIX}{table}", source=io.BytesIO(ready[table][number]), format="binary")

        return await _rate(db, inserted, commits, copy)


async def copy_records_per_s(pool: asyncpg.Pool, inserted: Mapping[str, int], commits: int) -> float:
    """The same from Python values, which the driver encodes inside the measured time, as it does for a worker."""
    async with pool.acquire() as db:
        ready = {table: await _records(db, table, rows, commits) for table, rows in inserted.items()}

        async def copy(table: str, number: int) -> None:
            await db.copy_records_to_table(f"{PREFIX}{table}", records=ready[table][number])

        return await _rate(db, inserted, commits, copy)


async def _rate(db: asyncpg.Connection, inserted: Mapping[str, int], commits: int, copy: Copy) -> float:
    seconds = []
    for _ in range(RUNS):
        for table in inserted:
            await db.execute(f'drop table if exists "{PREFIX}{table}"')
            await db.execute(f'create table "{PREFIX}{table}" (like "{table}" including all)')
        began = time.perf_counter()
        for number in range(commits):
            async with db.transaction():
                for table in inserted:
                    await copy(table, number)
        seconds.append(time.perf_counter() - began)
    return sum(inserted.values()) / statistics.median(seconds)


def _part(table: str, rows: int, number: int, commits: int) -> str:
    low, high = rows * number // commits, rows * (number + 1) // commits
    return f'select * from "{table}" order by ctid desc offset {low} limit {high - low}'


async def _binary(db: asyncpg.Connection, table: str, rows: int, commits: int) -> list[bytes]:
    parts = []
    for number in range(commits):
        out = io.BytesIO()
        await db.copy_from_query(_part(table, rows, number, commits), output=out, format="binary")
        parts.append(out.getvalue())
    return parts


async def _records(db: asyncpg.Connection, table: str, rows: int, commits: int) -> list[list[tuple]]:
    return [[tuple(row) for row in await db.fetch(_part(table, rows, n, commits))] for n in range(commits)]
