"""Rows that a run inserted, and what a plain COPY of the very same rows takes: same tables, indexes, commits, one writer."""

import io
import time
from collections.abc import Mapping

import asyncpg

PREFIX = "copy_of_"
COUNTERS = """
select relname as name, n_tup_ins as inserted, n_tup_upd as updated, n_tup_del as deleted
from pg_stat_user_tables where relname not like 'copy_of_%'
"""
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


async def copy_rows_per_s(pool: asyncpg.Pool, inserted: Mapping[str, int], commits: int) -> float:
    """COPY the last `inserted` rows of each table into empty twins with all indexes, in `commits` transactions.

    The rows are made ready in the binary format before the clock starts, so that only PostgreSQL's own work counts.
    """
    async with pool.acquire() as db:
        parts: dict[str, list[bytes]] = {}
        for table, rows in inserted.items():
            await db.execute(f'create table "{PREFIX}{table}" (like "{table}" including all)')
            parts[table] = await _parts(db, table, rows, commits)
        began = time.perf_counter()
        for number in range(commits):
            async with db.transaction():
                for table, ready in parts.items():
                    await db.copy_to_table(f"{PREFIX}{table}", source=io.BytesIO(ready[number]), format="binary")
        return sum(inserted.values()) / (time.perf_counter() - began)


async def _parts(db: asyncpg.Connection, table: str, rows: int, commits: int) -> list[bytes]:
    await db.execute(
        f'create temporary table ready as select * from (select t.*, row_number() over (order by ctid desc) as nth '
        f'from "{table}" t) n where nth <= {rows}'
    )
    columns = ", ".join(
        f'"{row["attname"]}"'
        for row in await db.fetch(
            "select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped "
            "and attgenerated = '' order by attnum",
            f'"{table}"',
        )
    )
    parts = []
    for number in range(commits):
        out = io.BytesIO()
        low, high = rows * number // commits, rows * (number + 1) // commits
        query = f"select {columns} from ready where nth > {low} and nth <= {high}"
        await db.copy_from_query(query, output=out, format="binary")
        parts.append(out.getvalue())
    await db.execute("drop table ready")
    return parts
