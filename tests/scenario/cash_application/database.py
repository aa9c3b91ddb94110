"""One migrated database for all subledger tests of a process, emptied before each: far cheaper than a fresh one."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from deploy.local import databases
from services.cash_application.tables import metadata
from shared.db.migrate import upgrade
from shared.db.pool import create_pool
from tests.conftest import PASSWORD

SERVICE = "cash_application"
EMPTY = "truncate " + ", ".join(f'"{table.name}"' for table in metadata.sorted_tables) + " restart identity"


@pytest.fixture(scope="session")
def ledger_database(postgres: str) -> Iterator[databases.DatabaseAddress]:
    """Addresses of the shared database; dropped at the end of the run."""
    name = f"ledger_{os.getpid()}"
    address = asyncio.run(_make(postgres, name))
    yield address
    asyncio.run(_drop(postgres, name))


@pytest.fixture
async def ledger_pool(ledger_database: databases.DatabaseAddress) -> AsyncIterator[asyncpg.Pool]:
    """A pool on the emptied database, as the service itself opens it."""
    owner = await databases.connect(ledger_database.owner_dsn)
    await owner.execute(EMPTY)
    await owner.close()
    pool = await create_pool(ledger_database.dsn, size=3)
    yield pool
    await pool.close()


async def _make(admin_dsn: str, name: str) -> databases.DatabaseAddress:
    admin = await databases.connect(admin_dsn)
    try:
        await databases.ensure_roles(admin, SERVICE, PASSWORD)
        await databases.ensure_database(admin, name, SERVICE)
    finally:
        await admin.close()
    await databases.grant_inside(databases.on_database(admin_dsn, name), SERVICE)
    address = databases.addresses(admin_dsn, name, SERVICE, PASSWORD)
    await upgrade(address.owner_dsn, SERVICE)
    return address


async def _drop(admin_dsn: str, name: str) -> None:
    admin = await databases.connect(admin_dsn)
    try:
        await admin.execute(f"drop database if exists {name} with (force)")
    finally:
        await admin.close()
