"""An empty subledger per test, on the database that all subledger tests share."""

import asyncpg
import pytest

from tests.scenario.cash_application.database import ledger_database, ledger_pool
from tests.scenario.cash_application.desk import Desk

__all__ = ["desk", "ledger_database", "ledger_pool"]


@pytest.fixture
def desk(ledger_pool: asyncpg.Pool) -> Desk:
    """A desk with company acme configured and a matching policy in force."""
    return Desk(ledger_pool)
