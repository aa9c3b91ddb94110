"""A company's collections on PostgreSQL, driven fact by fact and day by day."""

import pytest

from shared.db.pool import create_pool
from tests.scenario.collections.world import World


@pytest.fixture
async def world(make_database):
    pool = await create_pool(await make_database("collections"), size=4)
    yield World(pool)
    await pool.close()
