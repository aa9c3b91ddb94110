"""A world of reporting on a fresh database."""

from collections.abc import AsyncIterator

import pytest

from shared.db.pool import create_pool
from tests.conftest import MakeDatabase
from tests.store.reporting.world import World


@pytest.fixture
async def dsn(make_database: MakeDatabase) -> str:
    return await make_database("reporting")


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    pool = await create_pool(dsn)
    made = World(pool)
    await made.configure()
    yield made
    await pool.close()
