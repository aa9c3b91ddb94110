"""All five services on a memory log and PostgreSQL, without processes: what is sent to the door runs to the end.

Every step is the real one: the door's and collections' HTTP, the handlers, the relay, the mail to a server of the test.
"""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from services.cash_application import main as cash_application
from services.collections import main as collections
from services.notifications import main as notifications
from services.notifications.channels.mail import MailDispatcher
from services.notifications.settings import Settings as NotificationsSettings
from services.reporting import main as reporting
from shared.bus.memory import MemoryLog, MemorySink, MemorySource
from shared.events.catalogue import FEEDS_RECEIPTS, READS
from shared.events.codec import Event, decode
from shared.runtime import loops
from shared.runtime.lifecycle import Runtime, close_runtime, create_app, open_runtime
from shared.settings import ServiceSettings
from tests.domain.shared.caller_samples import COMPANY, authenticator, token
from tests.store.ingest.conftest import Door

POLICIES = Path(__file__).resolve().parents[3] / "deploy" / "policies"
BUILDS: dict[str, Callable[[Any], Any]] = {
    "cash_application": cash_application.build,
    "collections": collections.build,
    "notifications": notifications.build,
    "reporting": reporting.build,
}
GATEWAY = {"id": "GW-1", "iban": "", "currency": "EUR", "calendar": "XECB", "booking_source": "json"}


class Whole:
    """Services by name; `settle` runs them until nothing is left to do."""

    def __init__(self, door: Door) -> None:
        self.door, self.log = door, MemoryLog(sorted({*READS["reporting"], FEEDS_RECEIPTS}))
        self.sink = MemorySink(self.log)
        self.runtimes: dict[str, Runtime] = {"ingest": door.runtime}
        self.sources: dict[str, MemorySource] = {}
        self.clients: dict[str, httpx.AsyncClient] = {}
        self.keys = itertools.count(1)

    async def open(self, make_database: Any, folder: Path, smtp_port: int) -> None:
        for name, build in BUILDS.items():
            given = {
                "database_dsn": await make_database(name), "kafka_bootstrap": "none:1", "clock": "stream",
                "blob_dir": folder / "blobs", "http_port": 8000,
            }  # fmt: skip
            if name == "notifications":
                settings: Any = NotificationsSettings(**given, smtp_port=smtp_port, smtp_connections=2)
            else:
                module = __import__(f"services.{name}.settings", fromlist=["Settings"])
                settings = module.Settings(**given)
            await self._open_one(name, build(settings), settings)
        self.mailer = MailDispatcher(self.runtimes["notifications"])

    async def _open_one(self, name: str, service: Any, settings: ServiceSettings) -> None:
        runtime = await open_runtime(service, settings)
        self.runtimes[name] = runtime
        source = MemorySource(self.log, name, READS[name])
        await source.start(lambda partitions: loops.load_positions(runtime, list(partitions)))
        self.sources[name] = source
        service.app_options["authenticator"] = authenticator()
        transport = httpx.ASGITransport(app=create_app(service, runtime))
        self.clients[name] = httpx.AsyncClient(transport=transport, base_url=f"http://{name}.test")

    async def close(self) -> None:
        for client in self.clients.values():
            await client.aclose()
        for name in BUILDS:
            if name in self.runtimes:
                await close_runtime(self.runtimes[name])

    async def settle(self) -> None:
        for _ in range(100):
            if not await self._round():
                return
        raise AssertionError("the services do not come to rest")

    async def _round(self) -> int:
        done = 0
        for name, runtime in self.runtimes.items():
            done += await loops.relay_step(runtime, self.sink)
            if name in self.sources:
                done += await loops.consume_once(runtime, self.sources[name], 0)
            done += await loops.timers_once(runtime)
        async with self._relaying():
            return done + await self.mailer.step()

    @asynccontextmanager
    async def _relaying(self):
        """The mail loop waits for the bus to have its announcement; the relay runs beside it."""
        stop = asyncio.Event()

        async def relay() -> None:
            while not stop.is_set():
                await loops.relay_step(self.runtimes["notifications"], self.sink)
                await asyncio.sleep(0.005)

        task = asyncio.create_task(relay())
        try:
            yield
        finally:
            stop.set()
            await task

    async def configure(self) -> None:
        assert (await self.door.configure(bank_accounts=[GATEWAY])).status_code == 200
        for path in sorted(POLICIES.glob("*.yaml")):
            body = {"name": path.stem, "version": "1", "content": path.read_text(), "effective_on": "2025-01-01"}
            proposed = await self.door.post("/policies", body, who="olga")
            assert proposed.status_code == 201, proposed.text
            draft = proposed.json()
            approved = await self.door.post(
                f"/policies/{draft['draft_id']}/approve", {"sha256": draft["sha256"]}, who="carl"
            )
            assert approved.status_code == 200, approved.text
        await self.settle()

    async def push(self, *records: dict[str, Any], trace: str = "") -> dict[str, Any]:
        """Records through HTTP, with the caller's trace where there is one; the receipt."""
        headers = self.door.headers("feed", **{"Idempotency-Key": f"whole-{next(self.keys):06d}"})
        headers |= {"traceparent": trace} if trace else {}
        path = f"/v1/companies/{COMPANY}/records"
        answer = await self.door.client.post(path, json={"records": records}, headers=headers, params={"wait": "true"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["problems"] == []
        await self.settle()
        return answer.json()

    async def promise(self, body: dict[str, Any], trace: str) -> dict[str, Any]:
        bearer = token(sub="colin", roles=["collector"], companies=[COMPANY])
        headers = {"Authorization": f"Bearer {bearer}", "Idempotency-Key": f"whole-{next(self.keys):06d}"}
        headers |= {"traceparent": trace}
        path = f"/v1/companies/{COMPANY}/promises"
        answer = await self.clients["collections"].post(path, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        await self.settle()
        return answer.json()

    async def tick(self, at: datetime) -> None:
        assert (await self.door.tick(at)).status_code == 200
        await self.settle()

    async def close_day(self, on: str) -> None:
        answer = await self.door.close(on)
        assert answer.status_code in (200, 202), answer.text
        await self.settle()

    def events(self) -> list[Event]:
        """The whole log, topic by topic in the order of its offsets."""
        return [
            decode(lane.topic, (record.key or b"").decode(), record.headers, record.value)
            for lane in sorted(self.log.records)
            for record in self.log.records[lane]
        ]


def dunning() -> dict[str, Any]:
    return yaml.safe_load((POLICIES / "dunning.yaml").read_text())
