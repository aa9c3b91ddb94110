"""A fresh subledger per test."""

from collections.abc import AsyncIterator

import pytest

from shared.db.pool import create_pool
from tests.conftest import MakeDatabase
from tests.scenario.cash_application.desk import Desk


@pytest.fixture
async def desk(make_database: MakeDatabase) -> AsyncIterator[Desk]:
    """A desk with company acme configured and a matching policy in force."""
    pool = await create_pool(await make_database("cash_application"), size=3)
    yield Desk(pool)
    await pool.close()
