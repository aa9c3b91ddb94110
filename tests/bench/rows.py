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
COLUMNS = """
select array_agg(column_name::text order by ordinal_position) from information_schema.columns
where table_schema = current_schema() and table_name = $1
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

    A table in which rows were written again and again has fewer to copy; only what is copied counts.
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
    copied = [await db.fetchval(f'select count(*) from "{PREFIX}{table}"') for table in inserted]
    return sum(copied) / statistics.median(seconds)


async def _numbered(db: asyncpg.Connection, table: str, rows: int) -> str:
    """The last `rows` rows, numbered, so that a part of them is read by an index; the name of the query's table."""
    ready = f"{PREFIX}{table}_ready"
    await db.execute(f'drop table if exists "{ready}"')
    await db.execute(
        f'create unlogged table "{ready}" as select row_number() over (order by ctid desc) as place_of_copy, * '
        f'from "{table}" order by ctid desc limit {rows}'
    )
    await db.execute(f'create index on "{ready}" (place_of_copy)')
    return ready


async def _queries(db: asyncpg.Connection, table: str, rows: int, commits: int) -> list[str]:
    ready = await _numbered(db, table, rows)
    names = await db.fetchval(COLUMNS, table)
    listed = ", ".join(f'"{name}"' for name in names)
    bounds = [(rows * number // commits, rows * (number + 1) // commits) for number in range(commits)]
    return [
        f'select {listed} from "{ready}" where place_of_copy > {low} and place_of_copy <= {high} order by place_of_copy'
        for low, high in bounds
    ]


async def _binary(db: asyncpg.Connection, table: str, rows: int, commits: int) -> list[bytes]:
    parts = []
    for query in await _queries(db, table, rows, commits):
        out = io.BytesIO()
        await db.copy_from_query(query, output=out, format="binary")
        parts.append(out.getvalue())
    return parts


async def _records(db: asyncpg.Connection, table: str, rows: int, commits: int) -> list[list[tuple]]:
    return [[tuple(row) for row in await db.fetch(query)] for query in await _queries(db, table, rows, commits)]
