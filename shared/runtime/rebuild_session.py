"""Sessions that fill a store beside the live one: their bounds, and the schema that they see."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

from shared.db.pool import CONNECT_TIMEOUT_S, prepare
from shared.runtime.rebuild_statements import BESIDE

COMMAND_TIMEOUT_S = 900.0
SESSION = {
    "timezone": "UTC",
    "search_path": BESIDE,
    "synchronous_commit": "off",
    "lock_timeout": "5000",
    "statement_timeout": "600000",
    "transaction_timeout": "1200000",
    "idle_in_transaction_session_timeout": "60000",
    "work_mem": "128MB",
    "maintenance_work_mem": "256MB",
}
"""Nothing of it counts before the swap, which waits for the disk."""


@asynccontextmanager
async def session(dsn: str, service: str, settings: Mapping[str, str] = SESSION) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner of the schema `dsn` names."""
    given = {**settings, "application_name": f"{service}-rebuild"}
    db = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S, server_settings=given)
    try:
        await prepare(db)
        yield db
    finally:
        await db.close()
