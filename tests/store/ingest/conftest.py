"""The door without a process: PostgreSQL, its API behind real tokens, and what it put into the outbox."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.ingest.main import build
from services.ingest.settings import Settings
from shared.events.codec import Event, decode, is_marker
from shared.runtime.lifecycle import Runtime, close_runtime, create_app, open_runtime
from shared.runtime.outbox import unpack
from tests.domain.shared.caller_samples import COMPANY, authenticator, token
from tests.fixtures.ingest.files import IBAN

BASE = f"/v1/companies/{COMPANY}"
START = datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
COMPANY_BODY = {
    "name": "Harbour Data Rooms GmbH",
    "base_currency": "EUR",
    "time_zone": "Europe/Berlin",
    "calendar": "XECB",
    "bank_accounts": [
        {"id": "EUR-1", "iban": IBAN, "currency": "EUR", "calendar": "XECB"},
        {"id": "GW-1", "iban": "", "currency": "EUR", "calendar": "XECB", "booking_source": "json"},
    ],
}
ROLES = {
    "feed": "feeder",
    "clock": "clock",
    "olga": "operator",
    "carl": "controller",
    "sam": "supervisor",
    "ana": "analyst",
}


@dataclass
class Door:
    """Ingest in stream mode with one client; every call names who calls."""

    runtime: Runtime
    client: httpx.AsyncClient
    keys: int = 0

    def headers(self, who: str, **extra: str) -> dict[str, str]:
        kind = "service" if who in ("feed", "clock") else "person"
        bearer = token(sub=who, kind=kind, roles=[ROLES[who]], companies=[COMPANY])
        return {"Authorization": f"Bearer {bearer}"} | extra

    def key(self) -> str:
        self.keys += 1
        return f"test-key-{self.keys:06d}"

    async def post(self, path: str, body: Any = None, who: str = "sam", key: str = "", **query: Any) -> httpx.Response:
        headers = self.headers(who, **{"Idempotency-Key": key or self.key()})
        return await self.client.post(f"{BASE}{path}", json=body, headers=headers, params=query)

    async def get(self, path: str, who: str = "ana", **query: Any) -> httpx.Response:
        return await self.client.get(f"{BASE}{path}", headers=self.headers(who), params=query)

    async def send(self, content: bytes, *, wait: bool = True, key: str = "", company: str = COMPANY) -> httpx.Response:
        headers = self.headers("feed", **({"Idempotency-Key": key} if key else {}))
        path, query = f"/v1/companies/{company}/submissions", {"wait": str(wait).lower()}
        return await self.client.post(path, content=content, headers=headers, params=query)

    async def sent(self, content: bytes, **options: Any) -> dict[str, Any]:
        answer = await self.send(content, **options)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    async def tick(self, at: datetime = START, key: str = "") -> httpx.Response:
        headers = self.headers("clock", **{"Idempotency-Key": key or self.key()})
        return await self.client.post("/v1/clock", json={"at": at.isoformat()}, headers=headers)

    async def close(self, on: str, key: str = "") -> httpx.Response:
        return await self.post("/days/close", {"date": on}, who="clock", key=key)

    async def configure(self, **changes: Any) -> httpx.Response:
        headers = self.headers("olga", **{"Idempotency-Key": self.key()})
        return await self.client.put(f"/v1/companies/{COMPANY}", json=COMPANY_BODY | changes, headers=headers)

    async def fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        async with self.runtime.pool.acquire() as db:
            return await db.fetch(query, *values)

    async def events(self, *types: str) -> list[Event]:
        """What waits in the outbox, in order; facts only, or the named types."""
        rows = await self.fetch("select topic, key, headers, value from outbox order by id")
        found = [decode(row["topic"], row["key"], unpack(row["headers"]), row["value"]) for row in rows]
        return [
            e for e in found if (e.type in types if types else not is_marker(e.type) and e.type != "command.accepted")
        ]

    async def facts(self, *types: str) -> list[Any]:
        return [e.data for e in await self.events(*types)]


MakeDoor = Callable[..., Awaitable[Door]]


@pytest.fixture
async def make_door(make_database: Any, tmp_path: Path) -> AsyncIterator[MakeDoor]:
    opened: list[Door] = []

    async def make(**settings: Any) -> Door:
        dsn = settings.pop("dsn", None) or await make_database("ingest")
        chosen = Settings(
            **{"database_dsn": dsn, "kafka_bootstrap": "none:1", "blob_dir": tmp_path / "blobs", "clock": "stream"}
            | settings
        )
        service = build(chosen)
        service.app_options["authenticator"] = authenticator()
        runtime = await open_runtime(service, chosen)
        transport = httpx.ASGITransport(app=create_app(service, runtime))
        door = Door(runtime, httpx.AsyncClient(transport=transport, base_url="http://ingest.test"), len(opened) * 1000)
        opened.append(door)
        return door

    yield make
    for door in opened:
        await door.client.aclose()
        await close_runtime(door.runtime)


@pytest.fixture
async def door(make_door: MakeDoor) -> Door:
    """A door with a running stream clock and the sample company."""
    made = await make_door()
    assert (await made.tick()).status_code == 200
    assert (await made.configure()).status_code == 200
    return made
