"""Makes a store large: one row that the handler itself wrote, copied by the database with other identities.

Every column that is not named is copied as it is, so that the rows fit the newest schema and all its constraints.
"""

from collections.abc import Mapping

import asyncpg

ROWS_PER_TRANSACTION = 250_000


async def replicate(
    db: asyncpg.Connection, table: str, count: int, changed: Mapping[str, str], *, pattern: str = "true", of: int = 1
) -> None:
    """Add `count` times the first `of` rows that fit `pattern` (as `t`); in `changed`, `g` runs from 1."""
    query = """
        select array_agg(column_name::text order by ordinal_position) from information_schema.columns
        where table_schema = current_schema() and table_name = $1 and is_identity = 'NO' and is_generated = 'NEVER'
    """
    columns = await db.fetchval(query, table)
    named = ", ".join(f'"{name}"' for name in columns)
    made = ", ".join(changed.get(name, f't."{name}"') for name in columns)
    for first in range(1, count + 1, ROWS_PER_TRANSACTION):
        last = min(count, first + ROWS_PER_TRANSACTION - 1)
        await db.execute(
            f'insert into "{table}" ({named}) select {made} '
            f'from (select * from "{table}" where {pattern} limit {of}) as t '
            f"cross join generate_series({first}, {last}) as g"
        )


def uuid_of(name: str) -> str:
    """An id that depends on `g`, spread over all values as the derived ones are."""
    return f"md5('{name}' || g)::uuid"
