"""Alembic run in-process: one environment for all services, versions beside each service, one advisory lock.

`upgrade` brings a store to head; `pending` names what is missing; `revision` writes a new file by comparing tables.
"""

import importlib
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

ROOT = Path(__file__).resolve().parents[2]
MIGRATION_LOCK = 7_240_001
LOCK_TIMEOUT = "5s"


def metadata_of(service: str) -> MetaData:
    return importlib.import_module(f"services.{service}.tables").metadata


def config_of(service: str, connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "shared" / "db" / "alembic"))
    config.set_main_option("version_locations", str(ROOT / "services" / service / "migrations" / "versions"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["service"] = service
    return config


async def upgrade(dsn: str, service: str, schema: str = "public") -> None:
    """Bring the store of `service` to the newest schema; in another `schema` of the database if one is named."""
    await _run(dsn, lambda connection: _upgrade(connection, service), schema)


async def head_reached(dsn: str, service: str) -> bool:
    """Whether the store's schema is the newest that this code knows, or a newer one: release n runs on n and n+1."""
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda c: _reached(_current(c), service))
    finally:
        await engine.dispose()


async def _run(dsn: str, work, schema: str = "public") -> None:  # noqa: ANN001
    address = dsn.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(address, connect_args={"server_settings": {"search_path": schema}})
    try:
        async with engine.begin() as connection:
            await connection.run_sync(work)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, service: str) -> None:
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
    command.upgrade(config_of(service, connection), "head")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _reached(current: str | None, service: str) -> bool:
    """Migrations are one line: a revision that this code does not know came after all that it knows."""
    scripts = ScriptDirectory.from_config(config_of(service))
    known = {script.revision for script in scripts.walk_revisions()}
    return current is not None and (current == scripts.get_current_head() or current not in known)


async def revision(dsn: str, service: str, message: str) -> None:
    """Write the next migration of `service` by comparing the database at `dsn` with tables.py."""
    await _run(
        dsn, lambda connection: command.revision(config_of(service, connection), message=message, autogenerate=True)
    )
