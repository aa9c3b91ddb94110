"""A company's notifications on PostgreSQL with a mail server of the test: facts in, ticks, mails and events out."""

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import yaml
from pydantic import BaseModel, SecretStr

from services.notifications.channels.mail import MailDispatcher
from services.notifications.channels.webhook import WebhookSender
from services.notifications.main import build
from services.notifications.settings import Settings
from shared.bus.port import Outgoing
from shared.events.accounts import AccountRegistered, ContactUpdated
from shared.events.codec import Event, decode
from shared.events.collections import HoldOrdered, NoticeItem, NoticeRequested, Total
from shared.events.control import BankAccount, CompanyConfigured, PolicyActivated
from shared.events.ledger import ItemOpened
from shared.events.markers import CompanyReach, Parked
from shared.ids import derive
from shared.runtime import loops
from shared.runtime import statements as sql
from shared.runtime.control import save_control
from shared.runtime.effects import Effects
from shared.runtime.lifecycle import Runtime, close_runtime, open_runtime
from shared.runtime.transaction import apply_alone
from tests.builders import event

COMPANY, ACCOUNT, CONTACT, ADDRESS = "acme", "A-1", "c-1", "payer@debtor.example"
FRIDAY, MONDAY = date(2026, 1, 16), date(2026, 1, 19)
MORNING = datetime(2026, 1, 19, 9, 0, tzinfo=UTC)
POLICY = Path(__file__).parents[3] / "deploy" / "policies" / "contact.yaml"


def policy(**changes: Any) -> dict[str, Any]:
    return yaml.safe_load(POLICY.read_text(encoding="utf-8")) | changes


class Outbox:
    """A sink that keeps what was sent; `away` makes it fail like a broker that does not answer."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.away = False

    async def send(self, records: Sequence[Outgoing]) -> None:
        if self.away:
            raise TimeoutError("the broker does not answer")
        self.events += [decode(r.topic, r.key.decode(), r.headers, r.value) for r in records]


class World:
    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.sink = runtime, Outbox()
        self.numbers = itertools.count(1)
        self.now = MORNING
        self.mailer = MailDispatcher(runtime)
        self.webhooks = WebhookSender(runtime)

    @classmethod
    async def open(cls, dsn: str, folder: Path, **settings: Any) -> "World":
        made = Settings(
            **{
                "database_dsn": SecretStr(dsn),
                "kafka_bootstrap": "none:1",
                "clock": "stream",
                "blob_dir": folder / "blobs",
                "smtp_connections": 5,
                **settings,
            }
        )
        world = cls(await open_runtime(build(made), made))
        await world.configure()
        return world

    async def close(self) -> None:
        await close_runtime(self.runtime)

    @property
    def pool(self) -> asyncpg.Pool:
        return self.runtime.pool

    async def configure(self, content: dict[str, Any] | None = None, **company: Any) -> None:
        facts: list[BaseModel] = [
            CompanyConfigured(
                company=COMPANY, base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB",
                **{"bank_accounts": [BankAccount(id="EUR-1", currency="EUR", calendar="XECB")], **company},
            ),
            PolicyActivated(
                company=COMPANY, name="contact", version=str(next(self.numbers)), sha256="",
                content=content or policy(), effective_on=date(2026, 1, 1), approver="user:carla",
            ),
        ]  # fmt: skip
        async with self.pool.acquire() as db, db.transaction():
            await save_control(db, [event(fact) for fact in facts])
        self.runtime.unit.control.forget()

    async def tell(self, *facts: BaseModel, on: date = FRIDAY) -> Effects:
        """Facts of one batch."""
        return await apply_alone(self.pool, self.runtime.unit, [event(fact, on=on) for fact in facts])

    async def tick(
        self, at: datetime = MORNING, *, through: date | None = FRIDAY, closed: date | None = FRIDAY,
        parked: Sequence[Parked] = (), more: bool = False,
    ) -> None:  # fmt: skip
        """A tick that is complete: bank data reach `through`, the day `closed` is over."""
        reach = CompanyReach(bank_accounts={"EUR-1": through}, parked=list(parked), parked_more=more)
        async with self.pool.acquire() as db, db.transaction():
            number = next(self.numbers)
            await db.execute(sql.SET_CLOCK, at, number, {COMPANY: reach.model_dump(mode="json")})
            if closed:
                await db.execute(sql.CLOSE_DAYS, [COMPANY], [closed], [number])
        self.now = at

    @asynccontextmanager
    async def relaying(self):
        """The relay runs beside, as in a process."""
        stop = asyncio.Event()

        async def relay() -> None:
            while not stop.is_set():
                try:
                    await loops.relay_step(self.runtime, self.sink)
                except TimeoutError:
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.002)

        task = asyncio.create_task(relay())
        try:
            yield
        finally:
            stop.set()
            await task
            if not self.sink.away:
                while await loops.relay_step(self.runtime, self.sink):
                    pass

    async def dispatch(self) -> int:
        """Rounds of the mail loop until nothing is due."""
        total = 0
        async with self.relaying():
            while done := await self.mailer.step():
                total += done
        return total

    async def deliver(self) -> int:
        """Rounds of the webhook loop until nothing is due."""
        total = 0
        async with self.relaying():
            while done := await self.webhooks.step():
                total += done
        return total

    def expect(self, *types: str) -> list[Any]:
        """The events published since the last call are exactly these, in this order. Returns their data."""
        found, self.sink.events = self.sink.events, []
        assert [e.type for e in found] == list(types)
        return [e.data for e in found]

    async def notices(self) -> list[asyncpg.Record]:
        return await self.pool.fetch("select * from notice order by not_before_at, notice_id")

    async def effects(self) -> list[asyncpg.Record]:
        return await self.pool.fetch("select * from effect order by hold_id, version")

    async def records(self) -> list[asyncpg.Record]:
        return await self.pool.fetch("select * from gate_record order by subject_id, claim")


def account(account_id: str = ACCOUNT, **changes: Any) -> AccountRegistered:
    return AccountRegistered(
        company=COMPANY, account_id=account_id,
        **{"name": "Debtor Ltd", "debtor_kind": "organisation", "country": "DE", "language": "de", "currency": "EUR",
           "time_zone": "Europe/Berlin", **changes},
    )  # fmt: skip


def contact(account_id: str = ACCOUNT, **changes: Any) -> ContactUpdated:
    return ContactUpdated(
        company=COMPANY, account_id=account_id, contact_id=CONTACT,
        **{"name": "Ada Payer", "email": ADDRESS, "roles": ["payer"], "channels": ["email"], **changes},
    )  # fmt: skip


def item_id(number: str = "R-1", account_id: str = ACCOUNT) -> UUID:
    return derive("item", account_id, number)


def item(number: str = "R-1", account_id: str = ACCOUNT, kind: type = ItemOpened, **changes: Any) -> BaseModel:
    facts = {
        "company": COMPANY, "account_id": account_id, "item_id": item_id(number, account_id),
        "document_id": derive("document", number), "line": "001", "number": number, "kind": "invoice", "side": "debit",
        "version": 1, "currency": "EUR", "original_minor": 100_000, "remaining_minor": 100_000,
        "document_on": date(2025, 12, 1), "due_on": date(2025, 12, 31),
    }  # fmt: skip
    return kind(**facts | changes)


def noted(number: str = "R-1", account_id: str = ACCOUNT, **changes: Any) -> NoticeItem:
    facts = {
        "item_id": item_id(number, account_id), "version": 1, "number": number, "remaining_minor": 100_000,
        "currency": "EUR", "due_on": date(2025, 12, 31), "days_past_due": 16,
    }  # fmt: skip
    return NoticeItem(**facts | changes)


def notice(name: str = "n-1", account_id: str = ACCOUNT, **changes: Any) -> NoticeRequested:
    items = changes.pop("items", None) or [noted(account_id=account_id)]
    facts = {
        "company": COMPANY, "notice_id": derive("notice", name, account_id), "account_id": account_id,
        "contact_id": CONTACT, "level": 1, "template": "reminder_friendly", "language": "en", "policy": "dunning@1",
        "decided_on": FRIDAY, "items": items, "not_before_at": MORNING - timedelta(hours=1),
        "totals": [Total(currency="EUR", amount_minor=sum(i.remaining_minor for i in items))],
        "expires_at": MORNING + timedelta(days=3),
    }  # fmt: skip
    return NoticeRequested(**facts | changes)


def hold(version: int = 1, kind: type = HoldOrdered, **changes: Any) -> BaseModel:
    facts = {
        "company": COMPANY, "hold_id": derive("hold", ACCOUNT), "version": version, "account_id": ACCOUNT,
        "grade": "restrict", "targets": ["room-1", "room-2"], "cause": "overdue", "policy": "holds@1",
        "from_at": MORNING - timedelta(hours=1), "lease_s": 864_000, "overdue_minor": 100_000, "currency": "EUR",
    }  # fmt: skip
    return kind(**facts | changes)
