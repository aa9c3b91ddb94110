"""A world of reporting on a fresh database, and the API and pages over it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.reporting.settings import Settings
from shared.db.pool import create_pool
from shared.runtime.lifecycle import close_runtime
from tests.conftest import MakeDatabase
from tests.store.reporting.application import open_app
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
