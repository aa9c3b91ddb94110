"""A process that finds neither PostgreSQL nor Kafka lives, says what it waits for, and goes on when it is there."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from deploy.local.ports import free_ports
from tests.conftest import MakeDatabase

WAIT_S, EVERY_S = 30.0, 0.1


class Road:
    """The way to the database: closed, open, closed again."""

    def __init__(self, dsn: str, port: int) -> None:
        self._to, self.port = urlsplit(dsn), port
        self.dsn = urlunsplit(self._to._replace(netloc=f"{self._to.netloc.rpartition('@')[0]}@127.0.0.1:{port}"))
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._writers += [writer, back]
        await asyncio.gather(_pass(reader, back), _pass(there, writer), return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(65_536):
        writer.write(block)
        await writer.drain()
    writer.close()


class Process:
    """A service started as it is in production, its log in a file."""

    def __init__(self, folder: Path, dsn: str, kafka_port: int, http_port: int) -> None:
        self.url, self._log = f"http://127.0.0.1:{http_port}", folder / "service.log"
        self._environment = {
            "PATH": os.environ["PATH"], "RECOUP_DATABASE_DSN": dsn, "RECOUP_HTTP_PORT": str(http_port),
            "RECOUP_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka_port}", "RECOUP_BLOB_DIR": str(folder / "blobs"),
        }  # fmt: skip

    async def start(self) -> None:
        command = (sys.executable, "-m", "services.collections.main", "serve")
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stderr=log, stdout=log, env=self._environment
            )

    async def stop(self) -> int:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), 30)

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=5) as client:
            answer = await client.get(path)
            return answer.status_code, answer.json()

    async def until(self, **wanted: Any) -> dict[str, Any]:
        """Until the checks of readiness hold these texts (or True); liveness is asked each time."""
        found: dict[str, Any] = {}
        for _ in range(int(WAIT_S / EVERY_S)):
            try:
                assert await self.get("/livez") == (200, {"alive": True})
                _, body = await self.get("/readyz")
            except httpx.ConnectError:
                await asyncio.sleep(EVERY_S)
                continue
            found = body["checks"]
            if all(_holds(found.get(name.replace("_", " ")), text) for name, text in wanted.items()):
                return body
            await asyncio.sleep(EVERY_S)
        raise AssertionError(f"readiness never said {wanted}, but {found}")

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]


def _holds(found: Any, wanted: Any) -> bool:
    return found is True if wanted is True else wanted in str(found)


@pytest.fixture
async def parts(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[tuple[Process, Road]]:
    road_port, kafka_port, http_port = free_ports(3)
    road = Road(await make_database("collections"), road_port)
    process = Process(tmp_path, road.dsn, kafka_port, http_port)
    await process.start()
    yield process, road
    await process.stop()
    await road.close()


async def test_it_waits_for_the_database_then_for_kafka_alive_and_saying_so(parts: tuple[Process, Road]) -> None:
    process, road = parts
    waits = f"waits for PostgreSQL at 127.0.0.1:{road.port}"
    body = await process.until(loop_start=waits)
    assert body["ready"] is False and "does not answer" in body["checks"]["database"]
    assert (await process.get("/startupz"))[0] == 503
    assert any(waits in line["error"] for line in process.lines("waits"))

    await road.open()
    body = await process.until(database=True, **{"loop_start.log": "Kafka does not answer"})
    assert body["ready"] is False and "loop start" not in body["checks"]
    assert [line["step"] for line in process.lines("waited")] == ["start"]
    assert any("Kafka" in line["error"] for line in process.lines("waits"))

    await road.close()
    await process.until(database="does not answer")
    assert len(process.lines("waits")) < 12, "the same reason is said once, not at every try"
    assert await process.stop() == 0


async def test_it_ends_at_once_when_it_is_asked_to_while_it_waits(parts: tuple[Process, Road]) -> None:
    process, _ = parts
    await process.until(loop_start="waits for PostgreSQL")
    began = asyncio.get_running_loop().time()
    assert await process.stop() == 0
    assert asyncio.get_running_loop().time() - began < 10


async def test_a_store_of_an_older_schema_ends_it_with_what_to_do(make_database: MakeDatabase, tmp_path: Path) -> None:
    kafka_port, http_port = free_ports(2)
    process = Process(tmp_path, await make_database(), kafka_port, http_port)
    await process.start()
    assert await asyncio.wait_for(process._process.wait(), WAIT_S) == 1  # noqa: SLF001
    assert "run `migrate` first" in process._log.read_text()  # noqa: SLF001
