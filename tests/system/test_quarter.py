"""The services as processes over the first days of the sample: fed twice, and with workers killed in the middle.

Compared is what stands at each day's close: balances per account, promises, holds, notices.
"""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import sample
from deploy.local import actions, feed
from deploy.local.client import Client, open_client
from deploy.local.event_log import read_log
from deploy.local.local_stack import LocalStack
from deploy.local.paths import cache_dir
from deploy.local.ports import free_ports
from deploy.local.state import StackInfo

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]
DAYS, SEED = 3, 11
PORTS = ("KAFKA", "KAFKA_CONTROLLER", "POSTGRES", "SMTP", "ISSUER", "ACCESS_SYSTEM", "INGEST", "CASH_APPLICATION",
         "COLLECTIONS", "NOTIFICATIONS", "REPORTING")  # fmt: skip
STATE = {
    "cash_application": (
        "select 'items', account_id, currency, side, sum(remaining_minor)::bigint from open_item group by 2, 3, 4",
        "select 'cash', account_id, currency, unapplied_minor, on_account_minor from account_cash "
        "where unapplied_minor <> 0 or on_account_minor <> 0",
    ),
    "collections": (
        "select 'promise', promise_id::text, status, amount_minor::text from promise",
        "select 'dispute', dispute_id::text, status, disputed_minor::text from dispute",
        "select 'hold', account_id, status, grade from hold",
        "select 'notice', notice_id::text, level::text from notice",
    ),
}
Disturb = Callable[[int], Awaitable[None]]


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample") / "quarter"
    sample.generate(SEED, DAYS, out)
    return out


@contextmanager
def stack_in(folder: Path) -> Iterator[LocalStack]:
    ports = {f"RECOUP_PORT_{name}": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    environment = {k: v for k, v in os.environ.items() if k != "KAFKA_BOOTSTRAP_SERVERS"}
    environment |= {"RECOUP_LOCAL_DIR": str(folder), "RECOUP_CACHE_DIR": str(cache_dir()), **ports}
    folder.chmod(0o755)
    stack = LocalStack(folder, say=lambda text: None, fsync=False, environment=environment)
    try:
        stack.start()
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
        folders = sorted((quarter / "days").iterdir())
        await feed.configure(client, company)
        for number, folder in enumerate(folders):
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
    found: list[str] = []
    for service, queries in STATE.items():
        connection = await asyncpg.connect(info.databases[service].owner_dsn)
        try:
            for query in queries:
                found += [str(tuple(row)) for row in await connection.fetch(query)]
        finally:
            await connection.close()
    return "\n".join(sorted(found))


async def mails_per_request(info: StackInfo) -> Counter[str]:
    await asyncio.sleep(0)
    files = list(info.mail_dir.rglob("*.eml"))
    return Counter(message_from_bytes(path.read_bytes())["Message-ID"] for path in files)


def differing(one: str, other: str) -> list[str]:
    return sorted(set(one.splitlines()) ^ set(other.splitlines()))[:20]


@pytest.fixture(scope="module")
def undisturbed(quarter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StackInfo, list[str]]]:
    with stack_in(tmp_path_factory.mktemp("calm")) as stack:
        assert stack.info is not None
        yield stack.info, asyncio.run(feed_quarter(stack.info, quarter))


def test_the_same_files_and_commands_fed_twice_change_nothing(
    undisturbed: tuple[StackInfo, list[str]], quarter: Path
) -> None:
    info, states = undisturbed
    before = asyncio.run(read_log(info.kafka_bootstrap))
    mails = asyncio.run(mails_per_request(info))
    assert differing(states[-1], asyncio.run(feed_again(info, quarter))) == []
    after = asyncio.run(read_log(info.kafka_bootstrap))
    markers = {"clock.ticked", "day.closed"}
    assert [e.type for e in after.events if e.type not in markers] == [
        e.type for e in before.events if e.type not in markers
    ]
    assert asyncio.run(mails_per_request(info)) == mails
    assert mails and set(mails.values()) == {1}


def test_workers_killed_in_the_middle_end_in_the_same_state_at_each_days_close(
    undisturbed: tuple[StackInfo, list[str]], quarter: Path, tmp_path: Path
) -> None:
    victims = ["cash_application-0", "collections-0", "notifications-0"]
    with stack_in(tmp_path) as stack:
        info = stack.info
        assert info is not None

        def kill(number: int) -> str:
            name = victims[number % len(victims)]
            os.kill(stack.child(name).pid, signal.SIGKILL)
            return name

        states = feed_with_kills(stack, info, quarter, kill)
        for day, (calm, stormy) in enumerate(zip(undisturbed[1], states, strict=True)):
            assert differing(calm, stormy) == [], f"day {day}"
        mails = asyncio.run(mails_per_request(info))
        unknown = asyncio.run(read_log(info.kafka_bootstrap)).of("notice.unknown")
        assert mails and set(mails.values()) == {1}
        assert len(unknown) <= DAYS


def feed_with_kills(stack: LocalStack, info: StackInfo, quarter: Path, kill: Callable[[int], str]) -> list[str]:
    """Feed on a thread of its own while this, the main thread, kills and starts again: children belong to it."""
    wanted: list[int] = []
    result: dict[str, Any] = {}

    async def disturb(number: int) -> None:
        await asyncio.sleep(0.7)
        wanted.append(number)

    def run() -> None:
        try:
            result["states"] = asyncio.run(feed_quarter(info, quarter, disturb))
        except BaseException as problem:  # raised again on the main thread
            result["problem"] = problem

    import threading
    import time

    thread = threading.Thread(target=run)
    thread.start()
    killed = 0
    while thread.is_alive():
        if len(wanted) > killed:
            kill(wanted[killed])
            killed += 1
        stack.restart_ended()
        time.sleep(0.1)
    thread.join()
    if "problem" in result:
        raise result["problem"]
    assert killed == DAYS
    return result["states"]
