"""What each service is given in the bench of event to effect, and where its effect shows.

Stores are filled by SQL or by the service itself before anything is measured; the events then come the usual way.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from hashlib import md5
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import yaml

from deploy.local import feed
from deploy.local.client import Client, open_client
from deploy.local.local_stack import LocalStack
from sample.quarter import company
from services.collections.domain.rows import AGE_CLASSES
from shared.bus.kafka import KafkaSink
from shared.bus.partitioner import partition_of
from shared.bus.port import Outgoing
from shared.events import ledger
from shared.events.catalogue import LEDGER, PARTITIONS
from shared.events.collections import HoldLifted
from shared.events.control import PolicyActivated
from shared.events.facts import Fact
from shared.ids import derive, document_id
from shared.runtime import statements as sql
from tests.bench import cash
from tests.bench.latency import Key, KeyOf, Watch, caused_by_of, ended, send_evenly
from tests.bench.stacks import ends_of, owner_of
from tests.builders import event, headers_and_value
from tests.scenario.cash_application.desk import CONFIG

POLICIES = Path(__file__).resolve().parents[2] / "deploy" / "policies"
DAY = date(2026, 1, 5)
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
POLL_S = 0.004
LIFTED_VERSION = 3


def outgoing(fact: Fact) -> Outgoing:
    made = event(fact, on=DAY, known_at=AT)
    return Outgoing(made.topic, **headers_and_value(made))


def configured() -> list[Outgoing]:
    """The company and every policy file."""
    facts: list[Fact] = [CONFIG]
    for path in sorted(POLICIES.glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        head = {"company": CONFIG.company, "name": path.stem, "version": "1", "sha256": "0" * 64, "approver": "user:c"}
        facts.append(PolicyActivated(**head, content=content, effective_on=date(2025, 1, 1)))
    return [outgoing(fact) for fact in facts]


@dataclass
class Load:
    """`burst` events show what the service reaches. `made` counts what was made so far."""

    stack: LocalStack
    made: int = 0
    service: ClassVar[str] = ""
    what: ClassVar[str] = ""
    burst: ClassVar[int] = 2_000
    topic: ClassVar[str] = LEDGER
    effect: ClassVar[str] = ""

    @property
    def bootstrap(self) -> str:
        assert self.stack.info is not None
        return self.stack.info.kafka_bootstrap

    async def before(self) -> None:
        """Before the process runs: configuration on the log, rows in the store."""
        await self.tell(configured())

    async def begin(self) -> None:
        """The process is ready."""

    def fact(self, number: int) -> Fact:
        raise NotImplementedError

    def watch(self) -> AbstractAsyncContextManager[Watch]:
        return Watch.open(self.bootstrap, self.topic, self.key_of())

    def key_of(self) -> KeyOf:
        return caused_by_of(self.effect)

    def effect_key(self, number: int) -> Key | None:
        """By what the effect of an event is found; None: by the event's id."""
        return None

    async def send(self, count: int, per_s: float | None, watch: Watch) -> None:
        numbers = range(self.made, self.made + count)
        self.made += count
        keys = [key for key in map(self.effect_key, numbers) if key is not None]
        await send_evenly(self.bootstrap, [outgoing(self.fact(n)) for n in numbers], per_s, watch, keys)

    async def tell(self, records: list[Outgoing]) -> None:
        sink = KafkaSink(self.bootstrap, "bench-before")
        await sink.start()
        await sink.send(records)
        await sink.stop()


@dataclass
class Cash(Load):
    service = "cash_application"
    what = "payment to payment.applied"
    effect = "payment.applied"
    burst = 4_000
    ACCOUNTS, INVOICES_EACH = 1_500, 10

    async def begin(self) -> None:
        books = cash.books(self.ACCOUNTS, self.INVOICES_EACH)[1:]
        await self.tell([Outgoing(each.topic, **headers_and_value(each)) for each in books])
        db = await owner_of(self.stack, self.service)
        while await db.fetchval("select count(*) from open_item") < self.ACCOUNTS * self.INVOICES_EACH:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        await db.execute("analyze")
        await db.close()

    def fact(self, number: int) -> Fact:
        if number >= self.ACCOUNTS * self.INVOICES_EACH:
            raise RuntimeError("there are no more invoices to pay; the service is faster than this load was made for")
        return cash.payment_of(number, number % self.ACCOUNTS)


@dataclass
class Collections(Load):
    """Every account has one item, warned of, and a hold for it; the item is settled."""

    service = "collections"
    what = "item.settled to hold.lifted"
    topic = "ar.collections"
    effect = "hold.lifted"
    burst = 6_000
    ACCOUNTS = 24_000

    async def before(self) -> None:
        await super().before()
        db = await owner_of(self.stack, self.service)
        for statement in HELD_ACCOUNTS:
            await db.execute(statement, self.ACCOUNTS)
        await db.execute("analyze")
        await db.close()

    def fact(self, number: int) -> Fact:
        if number >= self.ACCOUNTS:
            raise RuntimeError("there are no more holds to lift; the service is faster than this load was made for")
        return ledger.ItemSettled(
            company=CONFIG.company, item_id=uuid("item", number), document_id=uuid("document", number), line="001",
            number=f"INV-{number}", kind="invoice", side="debit", account_id=f"H{number}", version=2, currency="EUR",
            original_minor=200_000, remaining_minor=0, relief=ledger.Relief(cash=200_000), cause="payment.received",
            document_on=DAY - timedelta(days=90), due_on=DAY - timedelta(days=60), valued_on=DAY, accounted_on=DAY,
        )  # fmt: skip


@dataclass
class Notifications(Load):
    service = "notifications"
    what = "hold.lifted to answered webhook"
    topic = "ar.notifications"
    effect = "effect.confirmed"
    burst = 800

    def key_of(self) -> KeyOf:
        return lambda headers: headers["ce_subject"] if headers["ce_type"] == self.effect.encode() else None

    def effect_key(self, number: int) -> Key | None:
        return str(derive("effect", CONFIG.company, "hold", uuid("hold", number), LIFTED_VERSION)).encode()

    async def before(self) -> None:
        await super().before()
        db = await owner_of(self.stack, self.service)
        await db.execute(sql.SET_CLOCK, AT, 1, "{}")
        await db.close()

    def fact(self, number: int) -> Fact:
        return HoldLifted(
            company=CONFIG.company, hold_id=uuid("hold", number), version=LIFTED_VERSION, account_id=f"H{number}",
            grade="restrict", targets=[f"room-H{number}"], cause="nothing_overdue", policy="holds@1", from_at=AT,
            lease_s=864_000,
        )  # fmt: skip


@dataclass
class Reporting(Load):
    """Watches the cursors, which move with the rows of a batch."""

    service = "reporting"
    what = "item.opened to committed row"
    burst = 15_000
    ends: dict[int, int] = field(default_factory=dict)

    def fact(self, number: int) -> Fact:
        return ledger.ItemOpened(
            company=CONFIG.company, item_id=uuid("item", number), document_id=uuid("document", number), line="001",
            number=f"INV-{number}", kind="invoice", side="debit", account_id=f"R{number % 1_000}", version=1,
            currency="EUR", original_minor=200_000, remaining_minor=200_000, relief=ledger.Relief(),
            cause="invoice.issued", document_on=DAY, due_on=DAY + timedelta(days=30), valued_on=DAY, accounted_on=DAY,
        )  # fmt: skip

    async def begin(self) -> None:
        self.ends = {lane.partition: end for lane, end in (await ends_of(self.bootstrap, [LEDGER])).items()}

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[Watch]:
        watch = Watch()
        watching = asyncio.ensure_future(self._look(watch, dict(self.ends)))
        try:
            yield watch
        finally:
            await ended(watching)

    async def _look(self, watch: Watch, seen: dict[int, int]) -> None:
        db = await owner_of(self.stack, self.service)
        while True:
            rows = await db.fetch("select partition, next_offset from kafka_cursor where topic = $1", LEDGER)
            now = time.perf_counter()
            for number, end in rows:
                for offset in range(seen[number], end):
                    watch.came(place(number, offset), now)
                seen[number] = max(seen[number], end)
            await asyncio.sleep(POLL_S)

    async def send(self, count: int, per_s: float | None, watch: Watch) -> None:
        """An event is known by the place that it gets: nobody else writes to the topic."""
        records = [outgoing(self.fact(number)) for number in range(self.made, self.made + count)]
        self.made += count
        await send_evenly(self.bootstrap, records, per_s, watch, [self._place_of(record) for record in records])

    def _place_of(self, record: Outgoing) -> bytes:
        number = partition_of(record.key or b"", PARTITIONS)
        offset, self.ends[number] = self.ends[number], self.ends[number] + 1
        return place(number, offset)


@dataclass
class Ingest(Load):
    """Invoices through the door, one a request, as a program sends them that knows no better."""

    service = "ingest"
    what = "HTTP push to invoice.issued"
    topic = "ar.invoices"
    burst = 800
    REQUESTS_AT_ONCE = 8
    client: Client | None = None

    async def before(self) -> None:
        """The process itself configures the company."""

    async def begin(self) -> None:
        assert self.stack.info is not None
        self.client = open_client(self.stack.info)
        await feed.configure(self.client, company())
        at = datetime.combine(DAY, time_of_day(6), UTC).isoformat()
        await self.client.call("feeder", "POST", "ingest", "/v1/clock", key=at, json={"at": at})
        customers = [
            {"record_type": "customer", "account_id": f"D{n}", "name": f"Debtor {n}", "debtor_kind": "organisation",
             "country": "DE", "currency": "EUR"} for n in range(100)
        ]  # fmt: skip
        await self._push(customers, "customers")

    def key_of(self) -> KeyOf:
        return lambda headers: headers["ce_subject"]

    async def send(self, count: int, per_s: float | None, watch: Watch) -> None:
        """At an even pace; without one as fast as a few callers at once get their answers."""
        numbers = range(self.made, self.made + count)
        self.made += count
        began, places = time.perf_counter(), asyncio.Semaphore(self.REQUESTS_AT_ONCE if per_s is None else count)

        async def push(place: int, number: int) -> None:
            if per_s is not None:
                await asyncio.sleep(max(0.0, began + place / per_s - time.perf_counter()))
            async with places:
                watch.left([str(self._document(number)).encode()], time.perf_counter())
                await self._push([self._invoice(number)], f"invoice {number}")

        async with asyncio.TaskGroup() as group:
            for place, number in enumerate(numbers):
                group.create_task(push(place, number))

    async def _push(self, records: list[dict[str, Any]], key: str) -> None:
        assert self.client is not None
        path = f"/v1/companies/{company()['company']}/records"
        await self.client.call("feeder", "POST", "ingest", path, key=key, json={"records": records})

    def _document(self, number: int) -> UUID:
        return document_id(company()["company"], "ERP1", "invoice", f"X-{number}")

    def _invoice(self, number: int) -> dict[str, Any]:
        return {
            "record_type": "invoice", "source_system": "ERP1", "source_document_id": f"X-{number}",
            "number": f"XI-{number:06d}", "account_id": f"D{number % 100}", "document_on": "2026-01-02",
            "due_on": "2026-02-02", "currency": "EUR", "net": "100.00", "tax": "0.00", "total": "100.00",
        }  # fmt: skip


def place(partition: int, offset: int) -> bytes:
    return b"%d/%d" % (partition, offset)


def uuid(kind: str, number: int) -> UUID:
    """The id that `md5(kind || number)::uuid` gives in SQL."""
    return UUID(md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest())


HELD_ACCOUNTS = (
    f"""
insert into account (company, account_id, known, name, debtor_kind, status, currency, time_zone, access_targets,
    lateness)
select '{CONFIG.company}', 'H' || g, true, 'Debtor ' || g, 'organisation', 'active', 'EUR', 'Europe/Berlin',
    jsonb_build_array('room-H' || g), '{[0] * AGE_CLASSES}' from generate_series(0, $1::int - 1) as g
""",
    f"""
insert into item (company, item_id, account_id, document_id, line, number, kind, side, version, currency,
    original_minor, remaining_minor, document_on, due_on, changed_on, level, level_on, warned_on)
select '{CONFIG.company}', md5('item' || g)::uuid, 'H' || g, md5('document' || g)::uuid, '001', 'INV-' || g, 'invoice',
    'debit', 1, 'EUR', 200000, 200000, date '{DAY}' - 90, date '{DAY}' - 60, date '{DAY}' - 90, 3, date '{DAY}' - 20,
    date '{DAY}' - 20 from generate_series(0, $1::int - 1) as g
""",
    f"""
insert into hold (company, hold_id, account_id, version, status, kind, grade, cause, policy, targets, from_at, lease_s,
    proposed_on, overdue_minor, currency, proposed_by, approved_by, lease_until_at)
select '{CONFIG.company}', md5('hold' || g)::uuid, 'H' || g, 2, 'ordered', 'access', 'restrict',
    'overdue_after_warning', 'holds@1', jsonb_build_array('room-H' || g), timestamptz '{AT}', 864000, date '{DAY}' - 5,
    200000, 'EUR',
    'service:collections', 'user:carla', timestamptz '{AT}' + interval '10 days'
from generate_series(0, $1::int - 1) as g
""",
)

LOADS: dict[str, Callable[[LocalStack], Load]] = {
    "ingest": Ingest,
    "cash_application": Cash,
    "collections": Collections,
    "notifications": Notifications,
    "reporting": Reporting,
}
