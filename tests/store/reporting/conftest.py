"""A world of reporting on a fresh database, and the API and pages over it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from deploy.local import databases
from services.reporting.settings import Settings
from shared.db.migrate import upgrade
from shared.db.pool import create_pool
from shared.runtime.lifecycle import close_runtime
from tests.conftest import PASSWORD, MakeDatabase
from tests.store.reporting import quarter
from tests.store.reporting.application import open_app
from tests.store.reporting.world import World


@pytest.fixture(scope="session")
def lived_dsn(postgres: str) -> Iterator[str]:
    """A database with ten days of the small quarter, for tests that only read; made once per process."""
    name = f"reports_{os.getpid()}"
    yield asyncio.run(_live(postgres, name))
    asyncio.run(_drop(postgres, name))


async def _live(admin_dsn: str, name: str) -> str:
    admin = await databases.connect(admin_dsn)
    try:
        await databases.ensure_roles(admin, "reporting", PASSWORD)
        await databases.ensure_database(admin, name, "reporting")
    finally:
        await admin.close()
    await databases.grant_inside(databases.on_database(admin_dsn, name), "reporting")
    address = databases.addresses(admin_dsn, name, "reporting", PASSWORD)
    await upgrade(address.owner_dsn, "reporting")
    pool = await create_pool(address.dsn)
    world = World(pool)
    await world.configure()
    await quarter.live(world, days=10)
    await pool.close()
    return address.dsn


async def _drop(admin_dsn: str, name: str) -> None:
    admin = await databases.connect(admin_dsn)
    try:
        await admin.execute(f"drop database if exists {name} with (force)")
    finally:
        await admin.close()


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


@pytest.fixture
async def app(world: World, dsn: str, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """The API and the pages on the world's database, for tokens of the sample issuer."""
    settings = Settings(
        database_dsn=dsn, kafka_bootstrap="nowhere:1", blob_dir=tmp_path, issuer_url="http://issuer.test"
    )
    made = await open_app(settings)
    yield made
    await close_runtime(made.state.runtime)


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that answers as the app, without credentials."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://pages.test") as client:
        yield client
