"""The commands of the stack that are persons at a running API, and the one that is the service's own program."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.local import tools
from deploy.local.client import Client
from deploy.local.errors import StackError
from shared.events.catalogue import ACCOUNTS
from tests.conftest import MakeDatabase
from tests.domain.shared.caller_samples import token
from tests.store.runtime.conftest import SERVICE
from tests.store.runtime.test_parked import REASON, WHO, Door, door

__all__ = ["door"]


class AtTheDoor(Client):
    """A client of the stack whose tokens the door accepts."""

    async def token(self, person: str) -> str:
        return token(sub=person, roles=[WHO[person]], companies=["acme"])


@pytest.fixture(autouse=True)
def running(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack whose services all are the door."""

    def open_client(info: Any) -> Client:
        return AtTheDoor(info, httpx.AsyncClient(transport=httpx.ASGITransport(door.app)))

    monkeypatch.setattr(tools, "open_client", open_client)
    monkeypatch.setattr(tools.state, "load", lambda: SimpleNamespace(services={SERVICE: "http://test"}))


async def test_an_event_is_left_out_by_two_commands_of_two_persons(door: Door) -> None:
    door.world.handler.poison = "bad"
    said = await tools.skip(SERVICE, "acme/a1", REASON, "", "otto")
    assert "user:otto asked to leave out" in said and f"make skip SERVICE={SERVICE} KEY='acme/a1'" in said
    sha256 = said.partition("SHA256=")[2].split()[0]
    with pytest.raises(StackError, match="403"):
        await tools.skip(SERVICE, "acme/a1", "", sha256, "otto")
    with pytest.raises(StackError, match="409"):
        await tools.skip(SERVICE, "acme/a1", "", "0" * 64, "conrad")
    said = await tools.skip(SERVICE, "acme/a1", "", sha256, "conrad")
    assert "approved by user:conrad; 2 behind it: done" in said
    assert await door.listed() == []
    assert len(await door.control("event.skipped")) == 1


async def test_a_command_to_leave_out_says_what_is_missing() -> None:
    for asked, wanted in (
        (("", "acme/a1", REASON, "", "otto"), "Name a service"),
        ((SERVICE, "", REASON, "", "otto"), "Name the parked key"),
        ((SERVICE, "acme/a1", "", "", "conrad"), "Say why"),
        ((SERVICE, "acme/nobody", REASON, "", "otto"), "No event of acme/nobody is parked"),
    ):
        with pytest.raises(StackError, match=wanted):
            await tools.skip(*asked)


async def test_a_partition_is_stepped_over_by_two_commands_of_two_persons(door: Door) -> None:
    (row,) = await door.world.rows(
        "select partition::text as number, next_offset as at from kafka_cursor where topic = $1 and next_offset > 0 "
        "order by partition limit 1",
        ACCOUNTS,
    )
    at, to = str(row["at"]), str(row["at"] + 2)
    place = (SERVICE, ACCOUNTS, row["number"], at, to)
    said = await tools.step_over(*place, reason=REASON, sha256="", by="otto")
    sha256 = said.partition("SHA256=")[2].split()[0]
    assert f"make step-over SERVICE={SERVICE} TOPIC={ACCOUNTS}" in said
    with pytest.raises(StackError, match="403"):
        await tools.step_over(*place, reason="", sha256=sha256, by="otto")
    said = await tools.step_over(*place, reason="", sha256=sha256, by="conrad")
    assert f"goes on at {to}, approved by user:conrad" in said
    moved = await door.world.rows(
        "select next_offset from kafka_cursor where topic = $1 and partition::text = $2", ACCOUNTS, row["number"]
    )
    assert [str(r["next_offset"]) for r in moved] == [to]
    with pytest.raises(StackError, match="Say all of it"):
        await tools.step_over(SERVICE, ACCOUNTS, "", at, to, reason=REASON, sha256="", by="otto")


async def test_redrive_is_the_services_own_program_with_the_settings_of_the_stack(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = await make_database("collections")
    db = await asyncpg.connect(dsn)
    try:
        await db.execute("insert into parked_key (key, company, code, error) values ('acme/a1', 'acme', 'poison', 'x')")
        settings = {"RECOUP_DATABASE_DSN": dsn, "RECOUP_KAFKA_BOOTSTRAP": "none:1", "RECOUP_BLOB_DIR": str(tmp_path)}
        monkeypatch.setattr(tools.service_settings, "of_service", lambda *_: {"PATH": os.environ["PATH"], **settings})
        done: list[subprocess.CompletedProcess[str]] = []

        def execve(program: str, command: list[str], environment: dict[str, str]) -> None:
            assert program == sys.executable
            done.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=False))

        monkeypatch.setattr(tools.os, "execve", execve)
        monkeypatch.setattr(tools.os, "chdir", lambda folder: None)
        tools.redrive("collections", "acme/a1")
        assert done[-1].returncode == 0, done[-1].stderr
        assert "1 of 1 parked keys are free again" in done[-1].stdout
        assert await db.fetchval("select count(*) from parked_key") == 0
        tools.redrive("collections", "acme/a1")
        assert done[-1].returncode == 1 and "is not parked in collections" in done[-1].stderr
    finally:
        await db.close()
