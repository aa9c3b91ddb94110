"""The whole service without a process: PostgreSQL, the memory bus, its API behind real tokens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import pytest
import yaml

from services.collections.api import router
from services.collections.handlers import CollectionsHandler
from shared.bus.memory import MemoryLog, MemorySink, MemorySource
from shared.bus.port import Outgoing
from shared.clock import WallClock
from shared.db.pool import create_engine, create_pool
from shared.events.catalogue import ACCOUNTS, CONTROL, LEDGER, READS, TOPICS_OF
from shared.events.control import BankAccount, CompanyConfigured, PolicyActivated
from shared.events.markers import ClockTicked, CompanyReach, DayClosed
from shared.http import make_app
from shared.ids import derive
from shared.logs import configure
from shared.runtime import loops, markers
from shared.runtime.transaction import Unit
from tests.builders import event, headers_and_value
from tests.domain.shared.caller_samples import COMPANY, authenticator, token
from tests.scenario.collections.world import POLICIES

SERVICE = "collections"
ALL_TOPICS = sorted({*READS[SERVICE], *TOPICS_OF[SERVICE]})
MONDAY = date(2026, 1, 5)


class NoGuard:
    async def check(self) -> None:
        return None


@dataclass
class Running:
    """Collections on a memory log, with an HTTP client and a clock of markers."""

    runtime: Any
    source: MemorySource
    log: MemoryLog
    sink: MemorySink
    client: httpx.AsyncClient
    numbers: int = 0

    def put(self, fact: Any, topic: str | None = None, on: date = MONDAY) -> None:
        made = event(fact, on=on, known_at=datetime.combine(on, time(9), tzinfo=UTC))
        self.log.append(Outgoing(topic or made.topic, **headers_and_value(made)))

    def mark(self, on: date, *, closed: bool = False) -> None:
        """A tick, or the close of a day, from both services that collections waits for."""
        self.numbers += 1
        at = datetime.combine(on, time(17 if closed else 9), tzinfo=UTC)
        identity = derive("test-marker", self.numbers)
        banks: dict[str, date | None] = {"EUR-1": on}
        marker: Any = (
            DayClosed(marker_id=identity, number=self.numbers, company=COMPANY, date=on, at=at, bank_accounts=banks)
            if closed
            else ClockTicked(
                marker_id=identity,
                number=self.numbers,
                at=at,
                companies={COMPANY: CompanyReach(bank_accounts=banks)},
            )
        )
        value = marker.model_dump_json().encode()
        for source, topic in (("ingest", ACCOUNTS), ("cash_application", LEDGER)):
            for number in range(12):
                row = markers._marker_row(  # noqa: SLF001
                    source, topic, number, marker, value, getattr(marker, "company", "*"), at, on
                )
                self.log.append(Outgoing(topic, str(number).encode(), row.envelope.to_headers(), value, number))

    async def settle(self) -> None:
        for _ in range(200):
            done = await loops.consume_once(self.runtime, self.source, 0)
            done += await loops.timers_once(self.runtime)
            done += await loops.relay_step(self.runtime, self.sink)
            if not done:
                return
        raise AssertionError("the service does not come to rest")

    def published(self) -> list[str]:
        """Types of the facts on ar.collections, markers left out."""
        lanes = [lane for partition, lane in sorted(self.log.records.items()) if partition.topic == "ar.collections"]
        types = [dict(record.headers)["ce_type"].decode() for lane in lanes for record in lane]
        return [name for name in types if name not in ("clock.ticked", "day.closed")]

    def as_person(self, name: str, *roles: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token(sub=name, roles=list(roles))}"}

    async def post(self, path: str, body: dict[str, Any], name: str, *roles: str, key: str = "") -> httpx.Response:
        self.numbers += 1
        headers = self.as_person(name, *roles) | {"Idempotency-Key": key or f"test-key-{self.numbers:06d}"}
        return await self.client.post(f"/v1/companies/{COMPANY}{path}", json=body, headers=headers)

    async def get(self, path: str, **params: Any) -> Any:
        headers = self.as_person("ana", "collector")
        answer = await self.client.get(f"/v1/companies/{COMPANY}{path}", params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


def _control(name: str) -> PolicyActivated:
    content = yaml.safe_load((POLICIES / f"{name}.yaml").read_text())
    return PolicyActivated(
        company=COMPANY,
        name=name,
        version="1",
        sha256="0" * 64,
        content=content,
        effective_on=date(2025, 1, 1),
        approver="user:cara",
    )


def _runtime(pool: asyncpg.Pool, dsn: str, handler: CollectionsHandler) -> Any:
    return SimpleNamespace(
        service=SERVICE,
        settings=SimpleNamespace(batch_records=500, clock="stream", drain_timeout_s=5.0),
        handler=handler,
        unit=Unit(SERVICE, handler),
        pool=pool,
        engine=create_engine(dsn),
        clock=WallClock(),
        log=configure(SERVICE, "ERROR"),
        guard=NoGuard(),
        relay_wanted=asyncio.Event(),
        timers_wanted=asyncio.Event(),
        no_new_work=asyncio.Event(),
        relay_stop=asyncio.Event(),
        failing={},
    )


@pytest.fixture
async def running(make_database: Callable[..., Awaitable[str]]) -> AsyncIterator[Running]:
    dsn = await make_database(SERVICE)
    pool = await create_pool(dsn, size=4)
    runtime = _runtime(pool, dsn, CollectionsHandler())
    log = MemoryLog(ALL_TOPICS)
    source = MemorySource(log, SERVICE, READS[SERVICE])
    await source.start(lambda partitions: loops.load_positions(runtime, list(partitions)))
    app = make_app(SERVICE, "0", routers=[router], authenticator=authenticator())
    app.state.runtime = runtime
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        service = Running(runtime, source, log, MemorySink(log), client)
        configured = CompanyConfigured(
            company=COMPANY,
            base_currency="EUR",
            time_zone="Europe/Berlin",
            calendar="XECB",
            bank_accounts=[BankAccount(id="EUR-1", currency="EUR")],
        )
        for fact in (configured, _control("dunning"), _control("holds")):
            service.put(fact, CONTROL)
        service.mark(MONDAY)
        await service.settle()
        yield service
    await runtime.engine.dispose()
    await pool.close()
