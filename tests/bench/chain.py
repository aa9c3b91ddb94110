"""From a bank line to a lifted hold: a statement goes through the door, five services later the access system lets in.

Every account owes one invoice, was warned, and is held, all through the services themselves in a few business days.
Then one statement after the other brings the payment of one account. Measured is from the moment before the statement
is sent to the moment that the access system noted, both on the clock of this machine.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from deploy.local import actions
from deploy.local.client import Client, open_client
from deploy.local.local_stack import LocalStack
from deploy.local.state import StackInfo
from sample.bank import BANK_ACCOUNTS, Detail, Entry, Statement
from sample.business_days import step
from sample.camt import Writer
from sample.checksums import creditor_reference
from sample.quarter import company
from tests.bench.figures import Row, judged, percentile, plain
from tests.bench.service_loads import POLICIES
from tests.bench.stacks import stack_of

P99_MAX_S = 5.0
HOLDS, EVERY_S = 120, 0.25
AMOUNT_MINOR = 200_000
FIRST_DAY, DAYS_MAX = date(2026, 1, 5), 10
ZONE = ZoneInfo("Europe/Berlin")
ARRIVE_TIMEOUT_S = 60.0
ONE_LEVEL = "levels:\n  - {level: 1, days_past_due: 4, kind: hold_warning, template: hold_warning, channel: email}\n"


@dataclass
class Chain:
    """The day of the story and the last statement of its bank."""

    client: Client
    company: str
    day: date = FIRST_DAY
    statement: Statement | None = None

    async def configure(self) -> None:
        body = {**company(), "bank_accounts": company()["bank_accounts"][:1]}
        del body["company"]
        await self.client.call("otto", "PUT", "ingest", f"/v1/companies/{self.company}", key="configure", json=body)
        for path in sorted(POLICIES.glob("*.yaml")):
            text = mild(path.stem, path.read_text(encoding="utf-8"))
            await actions.activate_policy(self.client, self.company, path.stem, text, effective_on="2025-01-01")

    async def books(self) -> None:
        """Customers with a contact and one invoice long due."""
        records: list[dict[str, Any]] = []
        for number in range(HOLDS):
            records += account(number)
        path = f"/v1/companies/{self.company}/records?wait=true"
        answer = await self.client.call("feeder", "POST", "ingest", path, key="books", json={"records": records})
        if answer["problems"]:
            raise RuntimeError(f"the books of the bench were not taken: {answer['problems']}")

    async def pay(self, entries: list[Entry]) -> None:
        """The next statement of the bank, for the banking day before this one."""
        before = self.statement
        bank = BANK_ACCOUNTS[0]
        number, opening = (before.number + 1, before.closing_minor) if before else (1, bank.opening_minor)
        self.statement = Statement(bank, step(self.day, -1), number, opening, entries)
        for ordinal, entry in enumerate(entries, start=1):
            entry.ordinal, entry.reference = ordinal, f"BENCH{number:06d}{ordinal:03d}"
        path = f"/v1/companies/{self.company}/submissions?file_name=statement-{number}.xml"
        await self.client.call(
            "feeder", "POST", "ingest", path, key=f"statement {number}", content=Writer(self.statement).file(),
            headers={"Content-Type": "application/xml"},
        )  # fmt: skip

    async def tick(self, clock: str) -> int:
        at = datetime.combine(self.day, clock_time.fromisoformat(clock), ZONE).isoformat()
        answer = await self.client.call("feeder", "POST", "ingest", "/v1/clock", key=f"tick {at}", json={"at": at})
        return int(answer["number"])

    async def live_a_day(self) -> None:
        """Morning with its statement, notices, decisions on holds, close."""
        await self.morning()
        await self.client.until_judged(self.company, await self.tick("10:05"))
        await self.client.call(
            "feeder", "POST", "ingest", f"/v1/companies/{self.company}/days/close",
            key=f"close {self.day}", json={"date": self.day.isoformat()},
        )  # fmt: skip
        await self.client.until_closed("reporting", self.company, self.day.isoformat())
        self.day = step(self.day, 1)

    async def morning(self) -> None:
        await self.tick("06:00")
        await self.pay([])
        await self.client.until_judged(self.company, await self.tick("09:05"))

    async def approve(self) -> int:
        path = f"/v1/companies/{self.company}/holds?status=proposed&limit=200"
        proposed = (await self.client.call("conrad", "GET", "collections", path))["items"]
        for hold in proposed:
            body = {"body_sha256": hold["body_sha256"], "reason": "Warned, cure days are over, nothing came."}
            path = f"/v1/companies/{self.company}/holds/{hold['hold_id']}/approve"
            await self.client.call("conrad", "POST", "collections", path, key=hold["hold_id"], json=body)
        return len(proposed)

    async def access(self) -> dict[str, Any]:
        return (await self.client.http.get(f"{self.client.info.access_system_url}/state")).json()


def run() -> dict[str, Any]:
    """On the main thread, outside any event loop: it starts processes."""
    with stack_of(services=True) as stack:
        return asyncio.run(_run(_info(stack)))


def rows(found: dict[str, Any]) -> list[Row]:
    spread = [found["p50_s"], found["p99_s"], found["max_s"]]
    return [
        judged("bank line to lifted hold across five services, p99", found["p99_s"], "at most", P99_MAX_S, "s"),
        plain(f"p50 / p99 / max of {found['measured']}, one every {EVERY_S} s", spread, "s"),
    ]


def _info(stack: LocalStack) -> StackInfo:
    assert stack.info is not None
    return stack.info


async def _run(info: StackInfo) -> dict[str, Any]:
    client = open_client(info)
    try:
        chain = Chain(client, company()["company"])
        began = time.monotonic()
        await _until_held(chain)
        held_s = time.monotonic() - began
        took = await _lift(chain)
    finally:
        await client.http.aclose()
    return {
        "measured": len(took),
        "holds_in_force_after_s": round(held_s, 1),
        "p50_s": round(percentile(took, 0.5), 3),
        "p99_s": round(percentile(took, 0.99), 3),
        "max_s": round(max(took), 3),
    }


async def _until_held(chain: Chain) -> None:
    await chain.configure()
    await chain.tick("05:00")
    await chain.books()
    for _ in range(DAYS_MAX):
        await chain.live_a_day()
        if await chain.approve():
            await chain.morning()
            await _restricted(chain, HOLDS)
            return
    raise RuntimeError(f"no hold was proposed within {DAYS_MAX} business days")


async def _restricted(chain: Chain, wanted: int) -> dict[str, Any]:
    deadline = time.monotonic() + ARRIVE_TIMEOUT_S
    while len((state := await chain.access())["restrictions"]) != wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(state['restrictions'])} accounts are restricted, {wanted} were wanted")
        await asyncio.sleep(0.5)
    return state


async def _lift(chain: Chain) -> list[float]:
    """Seconds per account. Statements leave at an even pace whatever becomes of those before."""
    sent: dict[str, float] = {}
    began = time.monotonic()
    for number in range(HOLDS):
        await asyncio.sleep(max(0.0, began + number * EVERY_S - time.monotonic()))
        sent[f"B-{number}"] = time.time()
        await chain.pay([_entry(number)])
    log = (await _restricted(chain, 0))["log"]
    lifted = {
        entry["account_id"]: datetime.fromisoformat(entry["at"]).timestamp()
        for entry in log
        if entry["what"] == "received" and entry["state"] == "lifted"
    }
    return [lifted[name] - at for name, at in sent.items()]


def mild(name: str, text: str) -> str:
    """The policies as they stand, but that one level warns of the hold and one day cures."""
    if name == "dunning":
        head, _, rest = text.partition("levels:\n")
        return head + ONE_LEVEL + rest[rest.index("\nspacing_days") :]
    if name == "holds":
        return text.replace("cure_days: 5 ", "cure_days: 1 ").replace("days_past_due_min: 35", "days_past_due_min: 5 ")
    return text


def account(number: int) -> list[dict[str, Any]]:
    name, due_on = f"B-{number}", FIRST_DAY - timedelta(days=40)
    customer = {
        "record_type": "customer", "account_id": name, "party_id": name, "name": f"Bench Debtor {number} GmbH",
        "debtor_kind": "organisation", "country": "DE", "language": "en", "currency": "EUR", "collector": "colin",
        "time_zone": "Europe/Berlin", "sales_owner": "sam", "access_targets": [f"room-{name}"], "status": "active",
        "bank_accounts": [],
    }  # fmt: skip
    contact = {
        "record_type": "contact", "account_id": name, "contact_id": "k1", "name": "Ann", "roles": ["payer"],
        "email": f"ap{number}@debtor.example", "language": "en", "channels": ["email"], "valid": True,
    }  # fmt: skip
    invoice = {
        "record_type": "invoice", "source_system": "ERP1", "source_document_id": f"I-{number}",
        "number": f"BI-{number:05d}", "account_id": name, "document_on": (due_on - timedelta(days=30)).isoformat(),
        "due_on": due_on.isoformat(), "currency": "EUR", "net": "2000.00", "tax": "0.00", "total": "2000.00",
        "payment_reference": _reference(number),
    }  # fmt: skip
    return [customer, contact, invoice]


def _reference(number: int) -> str:
    return creditor_reference(f"BENCH{number:06d}")


def _entry(number: int) -> Entry:
    payer = SimpleNamespace(name=f"Bench Debtor {number} GmbH", country="", account=None, ultimate="")
    citation = SimpleNamespace(texts=[_reference(number)], structured=[])
    payment: Any = SimpleNamespace(payer=payer, citation=citation, parts=[])
    detail = Detail(AMOUNT_MINOR, f"E2E{number:06d}", f"26010{number:06d}", payment=payment)
    return Entry("credit", "transfer", [detail])
