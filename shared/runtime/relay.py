"""The relay: outbox to bus, one cycle per short transaction under an advisory lock. Duplicates possible, loss never.

A marker is never sent in one cycle with rows of lower ids, so whoever reads it has everything that was written before.
"""

import asyncpg

from shared.bus.port import Outgoing, Sink
from shared.runtime import failpoints
from shared.runtime import statements as sql
from shared.runtime.outbox import unpack

CYCLE_ROWS = 1_000
CYCLE_BYTES = 8_388_608
"""As much as a bus acknowledges within the timeout of a send also when it is slow; a larger cycle would time out for
ever, and be sent again for ever."""


async def relay_once(pool: asyncpg.Pool, sink: Sink, limit: int = CYCLE_ROWS) -> int:
    """Send at most `limit` rows and delete exactly those that were acknowledged. Returns their number.

    Returns 0 also when another relay holds the lock. Raises Transient when the bus does not acknowledge.
    """
    async with pool.acquire() as db:
        if not await db.fetchval(sql.OUTBOX_WAITS):
            return 0
        return await _cycle(db, sink, limit)


async def _cycle(db: asyncpg.Connection, sink: Sink, limit: int) -> int:
    async with db.transaction():
        if not await db.fetchval(sql.TRY_RELAY):
            return 0
        rows = _one_cycle(await db.fetch(sql.TAKE_OUTBOX, limit))
        if not rows:
            return 0
        await sink.send([_outgoing(row) for row in rows])
        await failpoints.hit("relay.sent")
        await db.execute(sql.DROP_OUTBOX, [row["id"] for row in rows])
        return len(rows)


def _one_cycle(rows: list[asyncpg.Record]) -> list[asyncpg.Record]:
    """The facts before the first marker, or, when a marker is first, the rows of that one marker; the first row, and
    of the others as many as CYCLE_BYTES hold."""
    if not rows:
        return []
    first, size = rows[0]["marker_id"], 0
    for index, row in enumerate(rows):
        size += len(row["value"])
        if row["marker_id"] != first or (index and size > CYCLE_BYTES):
            return rows[:index]
    return rows


def _outgoing(row: asyncpg.Record) -> Outgoing:
    return Outgoing(row["topic"], row["key"].encode(), unpack(row["headers"]), row["value"], row["partition"])
