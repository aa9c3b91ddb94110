"""Books that were filled once per test, to be corrupted inside a transaction that is rolled back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from audit.__main__ import run_checks
from audit.findings import Findings
from audit.log_reader import Log
from audit.sources import Sources
from audit.stores import load
from shared.db.pool import create_pool
from tests.conftest import MakeDatabase
from tests.store.audit.quarter import Company, log_of, write_quarter

GUARDS = """
alter table journal_line disable trigger user;
alter table posting disable trigger user;
alter table open_item drop constraint open_item_remaining, drop constraint open_item_relief_sums;
alter table receipt drop constraint receipt_not_negative;
alter table certificate drop constraint certificate_size;
"""


@dataclass
class Books:
    """A filled store; `audit` looks at it as it is inside the open transaction."""

    company: Company
    db: asyncpg.Connection

    async def audit(self) -> Findings:
        """Everything that the auditor proves from store and log."""
        store = await load(self.db, "cash_application")
        log = log_of(self.company, store.unsent)
        findings = Findings()
        run_checks({"cash_application": store}, log, Sources(kafka="memory"), findings)
        return findings

    async def log(self) -> Log:
        return log_of(self.company, (await load(self.db, "cash_application")).unsent)


@pytest.fixture
async def books(make_database: MakeDatabase) -> AsyncIterator[Books]:
    """The quarter in a fresh database, with the store's own guards taken down, as one who tampers would."""
    pool = await create_pool(await make_database("cash_application", owner=True), size=3)
    company = await write_quarter(pool)
    async with pool.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        await db.execute(GUARDS)
        yield Books(company, db)
        await transaction.rollback()
    await pool.close()
