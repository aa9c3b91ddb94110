"""asyncpg pools for the write side and SQLAlchemy engines for reads, with every timeout that keeps a frozen owner out.

jsonb goes in and out as Python values. Never use the two on one connection.
"""

from typing import Any

import asyncpg
import orjson
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

POOL_MAX = 8
CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 60.0
SERVER_SETTINGS = {
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": "5000",
    "transaction_timeout": "30000",
    "lock_timeout": "10000",
    "statement_timeout": "25000",
}


def _dump(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


async def prepare(connection: asyncpg.Connection) -> None:
    """Codecs of every connection of the write side."""
    for name in ("jsonb", "json"):
        await connection.set_type_codec(name, encoder=_dump, decoder=orjson.loads, schema="pg_catalog")


async def keep(connection: asyncpg.Connection) -> None:
    """What a connection needs before it goes back: nothing. Open transactions are rolled back by asyncpg before this,
    and no statement here leaves session state behind, so the usual reset would only be one more round trip per use.
    Who takes a session lock gives it back, or ends the connection."""


async def create_pool(dsn: str, *, size: int = POOL_MAX, application: str = "recoup") -> asyncpg.Pool:
    """Pool of the write side; it connects when it is used. `transaction_timeout` needs PostgreSQL 17 or newer."""
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        init=prepare,
        reset=keep,
        server_settings={**SERVER_SETTINGS, "application_name": application},
    )


def create_engine(dsn: str, *, size: int = 4, application: str = "recoup") -> AsyncEngine:
    """Engine of the read side (queries.py)."""
    url = dsn.replace("postgresql://", "postgresql+asyncpg://", 1)
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": COMMAND_TIMEOUT_S,
            "server_settings": {**SERVER_SETTINGS, "application_name": f"{application}-read"},
        },
        json_serializer=_dump,
        json_deserializer=orjson.loads,
    )
