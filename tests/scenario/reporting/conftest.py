"""A subledger and the reports behind it, each on its own database."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.db.pool import create_pool
from tests.conftest import MakeDatabase
from tests.scenario.cash_application.database import ledger_database, ledger_pool
from tests.scenario.reporting.chain import Chain

__all__ = ["chain", "ledger_database", "ledger_pool"]


@pytest.fixture
async def chain(ledger_pool: asyncpg.Pool, make_database: MakeDatabase) -> AsyncIterator[Chain]:
    pool = await create_pool(await make_database("reporting"))
    made = Chain(ledger_pool, pool)
    yield made
    await pool.close()
