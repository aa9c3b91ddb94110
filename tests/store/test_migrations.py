"""Migrations and tables.py say the same: a fresh store is what the code expects, for every service."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from shared.db.migrate import ROOT, head_reached, metadata_of, upgrade

SERVICES = ("ingest", "cash_application", "collections", "notifications", "reporting")


def _differences(connection: Connection, service: str) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return compare_metadata(context, metadata_of(service))


@pytest.mark.parametrize("service", SERVICES)
async def test_all_migrations_together_make_the_tables_of_the_code(
    make_database: Callable[..., Awaitable[str]], service: str
) -> None:
    dsn = await make_database(service, owner=True)
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences, service) == []
    await engine.dispose()


@pytest.mark.parametrize("service", SERVICES)
async def test_migrating_again_changes_nothing(make_database: Callable[..., Awaitable[str]], service: str) -> None:
    dsn = await make_database(service, owner=True)
    assert await head_reached(dsn, service)
    await upgrade(dsn, service)
    assert await head_reached(dsn, service)


def test_no_migration_reads_the_tables_of_the_code() -> None:
    """A migration says what it makes; tables.py of another day must not change it."""
    files = (ROOT / "services").glob("*/migrations/versions/*.py")
    assert [f.name for f in files if "tables import" in f.read_text() or "create_all" in f.read_text()] == []
