"""The first days of the sample through a stack of processes, and what stands in all five stores at each day's close.

Compared is every column that a rule decides. Left out are numbers and instants of one run: identities, wall-clock
times, versions (how often a row was touched), what a notice went through on its way, and which of several tries within
a day gave the same end (the certificate of a receipt; the evidence beside the code of a reason).
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes
from pathlib import Path

import asyncpg

from deploy.local import actions, feed
from deploy.local.client import Client, open_client
from deploy.local.local_stack import LocalStack
from deploy.local.paths import cache_dir
from deploy.local.ports import free_ports
from deploy.local.state import StackInfo

DAYS, SEED = 3, 11
PORTS = ("KAFKA", "KAFKA_CONTROLLER", "POSTGRES", "SMTP", "ISSUER", "ACCESS_SYSTEM", "INGEST", "CASH_APPLICATION",
         "COLLECTIONS", "NOTIFICATIONS", "REPORTING")  # fmt: skip

STATE: dict[str, dict[str, tuple[str, ...]]] = {
    "ingest": {
        "submission": ("number", "received_at", "done_at"),
        "record_outcome": (),
        "account": (),
        "document": (),
        "bank_statement": (),
        "bank_line": (),
        "bank_reach": (),
        "quarantined_record": ("number", "quarantined_at"),
    },
    "cash_application": {
        "open_item": ("version",),
        "account_cash": ("version",),
        "receipt": ("version", "certificate_id"),
        "receipt_part": ("version",),
        "application": (),
        "suggestion": ("certificate_id",),
        "candidate": ("version",),
        "journal_line": ("id",),
    },
    "collections": {
        "promise": ("version",),
        "dispute": ("version",),
        "hold": ("version",),
        "notice": ("status", "reasons"),
        "escalation": (),
        "activity": ("logged_at",),
        "worklist": (),
    },
    "notifications": {
        "notice": ("envelope", "judged_at_number", "claims", "attempts", "claimed_by", "lease_until_at", "next_try_at",
                   "status", "reasons", "code"),
        "effect": ("envelope", "read_at_number", "judged_at_number", "claims", "attempts", "reported", "claimed_by",
                   "lease_until_at", "next_try_at", "first_try_at", "answered_at"),
    },
    "reporting": {
        "account": ("version",),
        "contact": ("version",),
        "document": (),
        "item": ("version",),
        "cash": ("version",),
        "receipt": (),
        "payment": ("version",),
        "payment_part": (),
        "application": (),
        "suggestion": (),
        "candidate": (),
        "promise": ("version",),
        "dispute": ("version",),
        "hold": ("version",),
        "notice": ("status", "reasons", "rank", "code"),
        "activity": ("known_at",),
        "statement": ("rank",),
        "quarantine": ("rank",),
        "day_aging": (),
    },
}  # fmt: skip
# Which suggestions and candidates came and went within a day depends on the order in which two workers read two topics.
STANDING = {
    ("cash_application", "candidate"): "open",
    ("reporting", "candidate"): "live",
    ("reporting", "suggestion"): "live",
}
# A notice whose server was killed while it sent may be `unknown`: the one outcome that a crash may change.
OUTCOMES = """
select jsonb_build_array(notice_id, case status when 'unknown' then 'sent' else status end,
    (select array_agg(r->>'code' order by r->>'code') from jsonb_array_elements(reasons) as r))::text
from notice
"""
Disturb = Callable[[int], Awaitable[None]]


def own_ports() -> dict[str, str]:
    """Settings that give a stack ports which nobody has now."""
    return {f"RECOUP_PORT_{name}": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}


@contextmanager
def stack_in(
    folder: Path,
    *,
    services: bool = True,
    instances: Mapping[str, int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[LocalStack]:
    """A started LocalStack in `folder` with ports of its own; `environment` adds settings."""
    given = {k: v for k, v in os.environ.items() if k != "KAFKA_BOOTSTRAP_SERVERS"}
    given |= {"RECOUP_LOCAL_DIR": str(folder), "RECOUP_CACHE_DIR": str(cache_dir()), **own_ports()}
    folder.chmod(0o755)
    given |= environment or {}
    stack = LocalStack(folder, say=lambda text: None, instances=instances, fsync=False, environment=given)
    try:
        stack.start(services=services)
        yield stack
    finally:
        stack.stop()


@asynccontextmanager
async def client_of(info: StackInfo) -> AsyncIterator[Client]:
    client = open_client(info)
    try:
        yield client
    finally:
        await client.http.aclose()


async def feed_quarter(info: StackInfo, quarter: Path, disturb: Disturb | None = None) -> list[str]:
    """Feed all days; returns the state at each day's close as text."""
    states = []
    async with client_of(info) as client:
        company = json.loads((quarter / "company.json").read_text())
        book = feed.Book(company["company"])
        await feed.configure(client, company)
        for number, folder in enumerate(sorted((quarter / "days").iterdir())):
            disturbing = asyncio.ensure_future(disturb(number)) if disturb else None
            await feed.feed_day(client, company, book, quarter, folder)
            if disturbing is not None:
                await disturbing
            states.append(await state_of(info))
    return states


async def feed_again(info: StackInfo, quarter: Path) -> str:
    """Every file and command of the quarter once more, without the passing of time; the state after it."""
    async with client_of(info) as client:
        book = feed.Book(json.loads((quarter / "company.json").read_text())["company"])
        for folder in sorted((quarter / "days").iterdir()):
            for path in sorted(folder.iterdir()):
                if path.name != "actions.json":
                    receipt = await feed.feed_file(client, book, path)
                    assert receipt["known"], path.name
            await actions.perform(client, book, json.loads((folder / "actions.json").read_text()))
        assert book.refused == 0
        for service in info.services:
            await client.until_quiet(service)
    return await state_of(info)


async def state_of(info: StackInfo) -> str:
    """Rows of all five stores, one a line, sorted."""
    found: list[str] = []
    for service, tables in STATE.items():
        connection = await asyncpg.connect(info.databases[service].owner_dsn)
        try:
            for table, left_out in tables.items():
                standing = STANDING.get((service, table), "true")
                query = f"select (to_jsonb(r) - $1::text[])::text from {table} as r where {standing}"
                found += [f"{service} {table} {row[0]}" for row in await connection.fetch(query, left_out)]
            if "notice" in tables:
                found += [f"{service} outcome {row[0]}" for row in await connection.fetch(OUTCOMES)]
        finally:
            await connection.close()
    return "\n".join(sorted(found))


async def mails_per_request(info: StackInfo) -> Counter[str]:
    await asyncio.sleep(0)
    files = list(info.mail_dir.rglob("*.eml"))
    return Counter(message_from_bytes(path.read_bytes())["Message-ID"] for path in files)


def differing(one: str, other: str) -> list[str]:
    return sorted(set(one.splitlines()) ^ set(other.splitlines()))[:20]


def tables_of(state: str) -> Counter[str]:
    """How many rows of each table a state has, as `service table`."""
    return Counter(" ".join(line.split(" ", 2)[:2]) for line in state.splitlines())
