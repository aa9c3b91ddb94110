"""One process per service and instance id, and none that turns itself away."""

import asyncio

import asyncpg
import pytest

from shared.errors import Stop
from shared.runtime.guard import InstanceGuard
from tests.conftest import MakeDatabase


async def test_loops_that_ask_at_the_same_time_do_not_turn_their_own_process_away(make_database: MakeDatabase) -> None:
    """At the start one loop takes the lock while the gauges look whether it is held."""
    guard = InstanceGuard(await make_database(), "ingest-0")
    await asyncio.gather(guard.hold(), guard.check(), guard.hold(), guard.check())
    await guard.release()


async def test_the_lock_is_taken_again_when_the_database_was_away(make_database: MakeDatabase) -> None:
    dsn = await make_database()
    guard, other = InstanceGuard(dsn, "ingest-0"), InstanceGuard(dsn, "ingest-0")
    await guard.hold()
    db = await asyncpg.connect(dsn)
    await db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    await db.close()
    await asyncio.sleep(0.05)
    await asyncio.gather(guard.check(), guard.check())
    with pytest.raises(Stop, match="RECOUP_INSTANCE"):
        await other.hold()
    await guard.release()
    await other.hold()
    await other.release()
