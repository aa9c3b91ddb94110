"""All five services in one simulated world: real handlers, real SQL, real runtime steps; two members of each.

Invariant: nothing happens but in a step that the driver asked for, and each step is awaited to its end or to the place
where it was told to stand still.
"""

import importlib
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import structlog
from pydantic import BaseModel, SecretStr

from services.ingest import clockwork, intake, upload
from services.ingest.clockwork import Asked
from services.notifications.channels import mail as mail_channel
from services.notifications.channels.mail import MailDispatcher
from services.notifications.channels.webhook import ANY_COMPANY, Target, WebhookSender
from shared.auth import Principal
from shared.blob import BlobStore
from shared.events.catalogue import EVENTS, PARTITIONS, READS
from shared.ids import command_id
from shared.runtime import failpoints, loops, statements
from shared.runtime.batches import Batches
from shared.runtime.commands import run_command
from shared.runtime.guard import InstanceGuard
from shared.runtime.lifecycle import Runtime
from shared.runtime.relay import relay_once
from shared.runtime.transaction import Unit
from tests.sim.service.business import COMPANY
from tests.sim.service.databases import SERVICES, Databases
from tests.sim.service.log import SimLog, SimSink, SimSource
from tests.sim.service.outside import MailServer, Receiver, SimAsyncio, SimClock, SimLane

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# In how many parts the work of a day is cut is a matter of deployment; two are enough to be out of order.
DAY_PARTS = 2
LIMITS = {"refund": {"EUR": 10_000_000}}
TOPICS = sorted({entry.topic for entry in EVENTS.values()})
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


class Crash(BaseException):
    """The process of a member ends here: no handler of the services may catch it."""


@lru_cache(maxsize=32)
def _settings(service: str, index: int, folder: Path) -> Any:
    module = importlib.import_module(f"services.{service}.settings")
    more: dict[str, Any] = {"notifications": {"smtp_connections": 1, "webhook_concurrency": 1},
                            "ingest": {"chunk_records": 12}}.get(service, {})  # fmt: skip
    return module.Settings(
        database_dsn=SecretStr("postgresql://nobody@127.0.0.1:1/none"), kafka_bootstrap="none:1", clock="stream",
        instance=index, blob_dir=folder, **more,
    )  # fmt: skip


class Member:
    """One process of a service. `frozen` while a step of it stands still."""

    def __init__(self, world: "World", service: str, index: int) -> None:
        self.world, self.service, self.index = world, service, index
        self.frozen = False
        self._start_again()

    @property
    def name(self) -> str:
        return f"{self.service}-{self.index}"

    def _start_again(self) -> None:
        """What a new process has: nothing but its settings and its database."""
        world = self.world
        settings = _settings(self.service, self.index, world.folder)
        service = importlib.import_module(f"services.{self.service}.main").build(settings)
        service.handler.day_parts = min(service.handler.day_parts, DAY_PARTS)
        pool = world.databases.pools[self.service, self.index]
        self.runtime = Runtime(
            service=self.service, settings=settings, handler=service.handler,
            unit=Unit(self.service, service.handler), pool=pool, engine=None, blobs=BlobStore(world.folder),
            clock=world.clock, log=structlog.get_logger(), guard=InstanceGuard("none", self.name),
        )  # fmt: skip
        self.source = SimSource(world.log, self.service, READS[self.service]) if READS[self.service] else None
        if self.service == "notifications":
            self.mailer = MailDispatcher(self.runtime)
            self.mailer._lanes = [SimLane(world)]
            self.webhooks = WebhookSender(self.runtime, world.http)
            self.webhooks._targets = {ANY_COMPANY: Target("https://access.example/holds", SecretStr(SECRET))}

    async def join(self) -> None:
        if self.source is not None:
            await self.source.start(lambda wanted: loops.load_positions(self.runtime, list(wanted)))

    async def leave(self) -> None:
        if self.source is not None:
            await self.source.stop()

    async def crashed(self) -> None:
        """The process is gone and another one has been started in its place."""
        await self.leave()
        self._start_again()
        await self.join()

    async def deliver(self, records: int) -> int:
        if self.source is None:
            return 0
        return await loops.take_next(self.runtime, Batches(self.source, self.service, records, ahead=False), 0)

    async def relay(self, rows: int = 1_000) -> int:
        return await relay_once(self.runtime.pool, self.world.sinks[self.service], rows)

    async def timers(self) -> int:
        return await loops.timers_once(self.runtime)

    async def write(self) -> int:
        return await intake.write_chunk(self.runtime, COMPANY)

    async def mail(self) -> int:
        return await self.mailer.step()

    async def hook(self) -> int:
        return await self.webhooks.step()


class World:
    """One run: log, stores, clock, members, and what is outside."""

    def __init__(
        self, databases: Databases, folder: Path, clock: SimClock, mail: MailServer, receiver: Receiver, members: int
    ) -> None:
        self.databases, self.folder, self.clock = databases, folder, clock
        self.mail, self.receiver, self.mail_down, self.relay_away = mail, receiver, False, False
        self.log = SimLog(TOPICS, PARTITIONS)
        self.sinks = {service: SimSink(self.log) for service in SERVICES}
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(receiver), follow_redirects=False)
        self.members = {s: [Member(self, s, n) for n in range(members)] for s in SERVICES}
        self.recipient, self.odd = "", set[str]()
        self.refused: list[str] = []

    async def open(self) -> None:
        await self.databases.empty()
        loops.CONFIGURATION_WAIT_S = 0
        mail_channel.asyncio = SimAsyncio(self.clock)
        failpoints.armed.clear()
        failpoints.armed["mail.judged"] = self.mail_judged
        for members in self.members.values():
            for member in members:
                await member.join()

    async def close(self) -> None:
        failpoints.armed.clear()
        mail_channel.asyncio = importlib.import_module("asyncio")
        await self.http.aclose()

    async def mail_judged(self) -> None:
        """The relay of another process carries `notice.sending` out while the mail waits for it."""
        if self.relay_away:
            self.relay_away = False
            self.note_odd()
            return
        member = self.members["notifications"][0]
        while await relay_once(member.runtime.pool, SimSink(self.log)):
            pass

    def note_odd(self) -> None:
        """The account whose mail is in hand: what became of it may differ from the undisturbed run."""
        if self.recipient:
            self.odd.add(self.recipient.partition("@")[0].upper())

    # What comes in through the doors.

    async def submit(self, member: Member, name: str, content_type: str, content: bytes) -> None:
        stored = await upload.store_bytes(member.runtime, content, content_type, name)
        incoming = intake.Incoming(
            company=COMPANY, actor="feed:erp", key=name, sha256=stored.sha256, size=stored.size,
            content_type=stored.content_type, file_name=stored.file_name, may_write=lambda _: True,
        )  # fmt: skip
        await intake.submit(member.runtime, incoming)

    async def tick(self, member: Member, at: datetime) -> int:
        self.clock.until(at)
        asked = Asked(command_id("feed:clock", "tick", at.isoformat()), at.isoformat())
        return await clockwork.stream_tick(member.runtime, at, asked) or 0

    async def close_day(self, member: Member, on: Any) -> int:
        asked = Asked(command_id("feed:clock", "close", str(on)), str(on))
        return await clockwork.stream_close(member.runtime, COMPANY, on, asked) or 0

    async def command(
        self, member: Member, who: str, name: str, key: str, body: BaseModel, account_id: str | None = None,
        *, kind: str = "person", new_company: bool = False,
    ) -> Any:  # fmt: skip
        """A command of a person through the service's real path for commands."""
        principal = Principal(who, kind, frozenset({COMPANY}), frozenset(), LIMITS)
        return await run_command(member.runtime, principal, f"POST {name}", key, name, body, COMPANY, account_id,
                                 new_company=new_company)  # fmt: skip

    # What the driver looks at.

    async def judged(self, number: int) -> bool:
        """Notifications has the tick and has put everything that is due to its gate."""
        from services.notifications.store.notices import PENDING

        row = (await self.databases.rows("notifications", "select at, number from business_clock"))[:1]
        if not row or row[0]["number"] < number:
            return False
        pending = await self.databases.rows("notifications", PENDING, COMPANY, row[0]["at"], row[0]["number"])
        return pending[0][0] == 0

    async def closed(self, on: Any) -> bool:
        """Reporting has done its work of the day and written its marker."""
        rows = await self.databases.rows("reporting", statements.LAST_WRITTEN)
        return any(row["closed_on"] >= on for row in rows)

    async def outbox_rows(self) -> int:
        return sum([(await self.databases.rows(s, "select count(*) from outbox"))[0][0] for s in SERVICES])

    def lag(self) -> int:
        return sum(m.source.behind() for ms in self.members.values() for m in ms if m.source is not None)
