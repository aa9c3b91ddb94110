"""Fixtures that every test may use: a real broker, a real database server, fresh databases from migrated templates.

`kafka` is a bootstrap address, `postgres` a superuser's address; both start on first use, once per process (so once per
xdist worker). `await make_database("collections")` is the address of a fresh, migrated database of that service.
"""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import settings

from deploy.local import databases
from deploy.local.kafka import KafkaServer
from shared.db.migrate import upgrade
from tests import servers

PASSWORD = "test"

# The same examples on every run; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


class MakeDatabase(Protocol):
    """Makes a fresh database that is dropped when the test ends.

    With a service's name: migrated, and the address is the application's, or the owner's with `owner=True`. Without a
    name: empty, and the address is its owner's.
    """

    async def __call__(self, service: str | None = None, *, owner: bool = False) -> str: ...


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where the servers of this run keep their state."""
    folder = servers.run_folder()
    yield folder
    servers.remove_folder(folder)


@pytest.fixture(scope="session")
def kafka(server_folder: Path) -> Iterator[str]:
    """The bootstrap address of an Apache Kafka that all tests of this process share; use topics of your own."""
    with ExitStack() as stack:
        yield servers.start_kafka(server_folder, stack)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """A started broker for this test alone, which may stop, kill and start it."""
    server = KafkaServer(tmp_path / "kafka")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[str]:
    """The address of a superuser on a PostgreSQL 18 that all tests of this process share."""
    with ExitStack() as stack:
        yield servers.start_postgres(server_folder, stack)


@pytest.fixture(scope="session")
def templates() -> dict[str, str]:
    """The migrated template of each service that was needed so far: service -> database."""
    return {}


@pytest.fixture
async def make_database(postgres: str, templates: dict[str, str]) -> AsyncIterator[MakeDatabase]:
    """A factory of fresh databases; see MakeDatabase."""
    made: list[str] = []

    async def make(service: str | None = None, *, owner: bool = False) -> str:
        if service is not None and service not in templates:
            templates[service] = await _migrated_template(postgres, service)
        name = f"test_{os.getpid()}_{next(_numbers)}"
        made.append(name)
        address = await _new_database(postgres, name, service or "scratch", templates.get(service or ""))
        return address.owner_dsn if owner or service is None else address.dsn

    yield make
    await _drop(postgres, made)


_numbers = itertools.count(1)


async def _new_database(admin_dsn: str, name: str, service: str, template: str | None) -> databases.DatabaseAddress:
    admin = await databases.connect(admin_dsn)
    try:
        await databases.ensure_roles(admin, service, PASSWORD)
        await databases.ensure_database(admin, name, service, template)
    finally:
        await admin.close()
    if template is None:
        await databases.grant_inside(databases.on_database(admin_dsn, name), service)
    return databases.addresses(admin_dsn, name, service, PASSWORD)


async def _migrated_template(admin_dsn: str, service: str) -> str:
    name = f"template_{os.getpid()}_{service}"
    address = await _new_database(admin_dsn, name, service, None)
    await upgrade(address.owner_dsn, service)
    return name


async def _drop(admin_dsn: str, names: list[str]) -> None:
    admin = await databases.connect(admin_dsn)
    try:
        for name in names:
            await admin.execute(f"drop database if exists {name} with (force)")
    finally:
        await admin.close()
