"""One process per group and instance id: Kafka does not fence a second one here, so the database does.

A session advisory lock is held on a connection of its own for as long as the process consumes.
"""

import asyncio
from zlib import crc32

import asyncpg

from shared.db.pool import CONNECT_TIMEOUT_S
from shared.errors import Stop

INSTANCE_LOCK = 7_240
TRY_INSTANCE = "select pg_try_advisory_lock($1, $2)"


class InstanceGuard:
    """Holds (service, instance); `check` takes the lock again after the database was away."""

    def __init__(self, dsn: str, instance: str) -> None:
        self._dsn, self._instance = dsn, instance
        self._connection: asyncpg.Connection | None = None
        self._wanted = False
        self._taking = asyncio.Lock()

    async def hold(self) -> None:
        """Take the lock, once: holding it already is enough. Raises Stop when another process has it."""
        self._wanted = True
        async with self._taking:  # loops ask at the same time; a second connection of ours would be turned away
            await self._take()

    async def _take(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            return
        connection = await asyncpg.connect(self._dsn, timeout=CONNECT_TIMEOUT_S)
        number = crc32(self._instance.encode()) - 2**31
        if not await connection.fetchval(TRY_INSTANCE, INSTANCE_LOCK, number):
            await connection.close()
            raise Stop(
                f"another process already runs as {self._instance}; stop it, or give this one another RECOUP_INSTANCE"
            )
        self._connection = connection

    async def check(self) -> None:
        if self._wanted and (self._connection is None or self._connection.is_closed()):
            await self.hold()

    async def release(self) -> None:
        self._wanted = False
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close()
