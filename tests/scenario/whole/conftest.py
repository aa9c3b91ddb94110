"""The five services behind one door, with a mail server of the test."""

import pytest

from tests.scenario.notifications.conftest import server
from tests.scenario.whole.world import Whole
from tests.store.ingest.conftest import door, make_door

__all__ = ["door", "make_door", "server", "whole"]


@pytest.fixture
async def whole(door, server, make_database, tmp_path):  # noqa: F811
    made = Whole(door)
    await made.open(make_database, tmp_path, server.port)
    await made.configure()
    yield made
    await made.close()
