"""A company's notifications on PostgreSQL with a mail server of the test."""

import pytest

from tests.scenario.notifications.smtp_server import SmtpServer
from tests.scenario.notifications.world import World


@pytest.fixture
async def server():
    made = await SmtpServer().start()
    yield made
    if made._server is not None:
        await made.stop()


@pytest.fixture
async def world(make_database, tmp_path, server):
    made = await World.open(await make_database("notifications"), tmp_path, smtp_port=server.port)
    yield made
    await made.close()
