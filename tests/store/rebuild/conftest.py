"""Services that live on a memory log and a store of their own, with the address of its owner."""

from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit, urlunsplit

import pytest

from deploy.local.databases import roles_of
from services.collections.handlers import CollectionsHandler
from services.notifications.handlers import NotificationsHandler
from services.reporting.handlers import ReportingHandler
from shared.db.pool import create_pool
from tests.conftest import PASSWORD, MakeDatabase
from tests.store.rebuild.living import Living

HANDLERS = {
    "reporting": ReportingHandler,
    "collections": CollectionsHandler,
    "notifications": lambda: NotificationsHandler(stream=True),
}
Live = Callable[[str], Awaitable[Living]]


@pytest.fixture
async def live(make_database: MakeDatabase) -> AsyncIterator[Live]:
    """`await live("reporting")`: the service, configured and at rest."""
    pools = []

    async def make(service: str) -> Living:
        dsn = await make_database(service)
        parts = urlsplit(dsn)
        host = parts.netloc.rpartition("@")[2]
        owner = urlunsplit(parts._replace(netloc=f"{roles_of(service).owner}:{PASSWORD}@{host}"))
        pools.append(await create_pool(dsn))
        living = Living(pools[-1], handler=HANDLERS[service](), service=service, owner_dsn=owner)  # type: ignore[arg-type]
        await living.begin()
        return living

    yield make
    for pool in pools:
        await pool.close()
