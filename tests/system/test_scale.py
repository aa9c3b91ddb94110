"""One service scaled alone while the feed runs, by the command that a person types: `make scale`.

Partitions are shared out, order per key holds, lag falls, each day's work is done once; back to one without a stop.
"""

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local import feed, service_settings
from deploy.local.event_log import Log, read_log
from deploy.local.local_stack import LocalStack
from deploy.local.paths import REPOSITORY
from deploy.local.ports import free_ports
from deploy.local.processes import wait_for
from deploy.local.state import StackInfo
from services.collections.handlers import CollectionsHandler
from tests.system.quarter import client_of, differing, feed_quarter, mails_per_request, stack_in, state_of
from tests.system.storm import settled
from tests.system.test_parts import samples

pytestmark = [pytest.mark.system, pytest.mark.chaos, pytest.mark.timeout(300)]
CASH, COLLECTIONS = "cash_application", "collections"
COMMAND_TIMEOUT_S = 150
COMPANY, INVOICES = "vdr-eu", 3_000
# Who takes a part of a day writes its row first; that takes a second here, with the row locked.
SLOW_DISK = """
create function slow_disk() returns trigger language plpgsql as
    $$ begin if exists (select from gone where kind = 'day.part') then perform pg_sleep(1); end if; return null; end $$;
create trigger slow_disk after delete on timer referencing old table as gone for each statement
    execute function slow_disk();
"""
NOT_DUE, OVERDUE = ("2026-01-05", "2026-02-05"), ("2025-10-01", "2025-11-03")
Undisturbed = tuple[StackInfo, list[str]]


@contextmanager
def watched(stack: LocalStack, work: Callable[[], Any]) -> Iterator[dict[str, Any]]:
    """`work` on a thread while this one watches the stack, as the stack's own program does."""
    result: dict[str, Any] = {}

    def run() -> None:
        try:
            result["value"] = work()
        except BaseException as problem:  # raised again on the main thread
            result["problem"] = problem

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        stack.watch()
        time.sleep(0.1)
    thread.join()
    if "problem" in result:
        raise result["problem"]
    yield result


def make_scale(info: StackInfo, service: str, count: int) -> str:
    """What `make scale` runs, beside the running stack."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.stack", "scale", service, str(count)],
        cwd=REPOSITORY,
        env={**os.environ, "RECOUP_LOCAL_DIR": str(info.local_dir)},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def metrics_of(stack: LocalStack, service: str = CASH) -> list[dict[str, float]]:
    assert stack.info is not None
    headers = {"X-API-Key": (stack.info.secrets_dir / "metrics-api-key").read_text().strip()}
    return [samples(url, headers) for url in stack.info.instances[service]]


def assert_in_order(log: Log) -> None:
    """Per source, topic and key each number once, in order."""
    heads: dict[tuple[str, str, str], int] = {}
    for event in log.events:
        envelope = event.envelope
        if envelope.source != CASH or not envelope.sequence or event.type in ("clock.ticked", "day.closed"):
            continue
        stream = (event.topic, event.key, envelope.company)
        assert int(envelope.sequence) > heads.get(stream, 0), f"{stream} at {envelope.sequence}"
        heads[stream] = int(envelope.sequence)
    assert heads


def test_a_service_is_scaled_up_and_down_while_the_feed_runs(
    undisturbed: Undisturbed, quarter: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    with stack_in(tmp_path) as stack:
        assert stack.info is not None
        info = stack.info

        async def disturb(day: int) -> None:
            count = {0: 3, 2: 1}.get(day)
            if count is not None:
                said.append(await asyncio.to_thread(make_scale, info, CASH, count))

        with watched(stack, lambda: asyncio.run(feed_quarter(info, quarter, disturb))) as result:
            for day, (calm, scaled) in enumerate(zip(undisturbed[1], result["value"], strict=True)):
                assert differing(calm, scaled) == [], f"day {day}"
        assert [text.split(",")[0] for text in said] == [
            f"{CASH} runs as 3 instead of 1",
            f"{CASH} runs as 1 instead of 3",
        ]
        assert {c.name for c in stack.children if c.name.startswith(CASH)} == {f"{CASH}-0"}
        assert_in_order(asyncio.run(read_log(info.kafka_bootstrap)))
        under_load(stack)


def under_load(stack: LocalStack) -> None:
    """A load that takes one process seconds: two more join in the middle of it, and its lag falls to nothing."""
    info = stack.info
    assert info is not None
    before = metrics_of(stack)[0]["recoup_facts_total"]

    def load() -> tuple[list[int], list[dict[str, float]]]:
        asyncio.run(push(info, "one"))
        left = [INVOICES - loaded(info)]
        make_scale(info, CASH, 3)
        asyncio.run(push(info, "two"))
        left.append(2 * INVOICES - loaded(info))
        assert wait_for(lambda: loaded(info) == 2 * INVOICES, 90, 0.5), "the lag does not fall"
        shares = metrics_of(stack)
        make_scale(info, CASH, 1)
        asyncio.run(push(info, "three"))
        assert wait_for(lambda: loaded(info) == 3 * INVOICES, 90, 0.5), "the one that is left does not take over"
        return left, shares

    with watched(stack, load) as result:
        left, shares = result["value"]
    assert max(left) > 0, "the load was too small to fall behind"
    assert len(shares) == 3 and all(share["recoup_facts_total"] > 0 for share in shares), "all three had work"
    assert shares[0]["recoup_facts_total"] > before
    assert all(values["recoup_parked_keys"] == 0 for values in metrics_of(stack))
    assert_in_order(asyncio.run(read_log(info.kafka_bootstrap)))


async def push(info: StackInfo, name: str, dates: tuple[str, str] = NOT_DUE) -> None:
    """A file of many small invoices of accounts that the sample knows, issued and due on `dates`; returns when ingest
    has written its facts."""
    accounts = await fetch(info, "select distinct account_id from open_item order by account_id limit 60")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["company", "source_system", "document_type", "source_document_id", "number", "account_id",
                     "document_on", "due_on", "currency", "net", "tax", "total"])  # fmt: skip
    for n in range(INVOICES):
        number = f"LOAD-{name}-{n}"
        writer.writerow([COMPANY, "load", "invoice", number, number, accounts[n % len(accounts)]["account_id"],
                         *dates, "EUR", "10.00", "0.00", "10.00"])  # fmt: skip
    async with client_of(info) as client:
        receipt = await client.call(
            "feeder",
            "POST",
            "ingest",
            f"/v1/companies/{COMPANY}/submissions?file_name={name}.csv&wait=true",
            key=f"load {name}",
            content=text.getvalue().encode(),
            headers={"Content-Type": "text/csv"},
        )
        assert receipt["counts"]["written"] == INVOICES, receipt


def loaded(info: StackInfo) -> int:
    """How many invoices of the load are items."""
    return asyncio.run(fetch(info, "select count(*) as n from open_item where number like 'LOAD-%'"))[0]["n"]


async def fetch(info: StackInfo, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(info.databases[CASH].owner_dsn)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def feed_with_load(info: StackInfo, quarter: Path, shares: list[list[float]]) -> list[str]:
    """The first day as it is, then days of many overdue invoices more; `shares` gets each day's parts per process."""
    states = []
    async with client_of(info) as client:
        company = json.loads((quarter / "company.json").read_text())
        book = feed.Book(company["company"])
        await feed.configure(client, company)
        for number, folder in enumerate(sorted((quarter / "days").iterdir())):
            before = parts_done(info)
            if number:
                await push(info, f"day-{number}", OVERDUE)
            await feed.feed_day(client, company, book, quarter, folder)
            shares.append([after - was for after, was in zip(parts_done(info), before, strict=True)])
            states.append(await state_of(info))
    return states


async def execute(info: StackInfo, script: str) -> None:
    connection = await asyncpg.connect(info.databases[COLLECTIONS].owner_dsn)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


def parts_done(info: StackInfo) -> list[float]:
    headers = {"X-API-Key": (info.secrets_dir / "metrics-api-key").read_text().strip()}
    return [samples(url, headers).get("recoup_day_parts_total", 0) for url in info.instances[COLLECTIONS]]


def test_members_share_a_days_work_and_each_notice_is_sent_once(
    undisturbed: Undisturbed, quarter: Path, tmp_path: Path
) -> None:
    """Collections as three, on a slow disk: each part of a day's work lasts longer than the others look away."""
    shares: list[list[float]] = []
    with stack_in(tmp_path) as stack:
        info = stack.info
        assert info is not None

        def work() -> list[str]:
            make_scale(info, COLLECTIONS, 3)
            asyncio.run(execute(info, SLOW_DISK))
            assert stack.info is not None
            return asyncio.run(feed_with_load(stack.info, quarter, shares))

        with watched(stack, work) as result:
            states = result["value"]
        assert differing(settled(undisturbed[1][0]), settled(states[0])) == [], "three members, the same first day"
        assert [sum(share) for share in shares] == [CollectionsHandler.day_parts] * len(states), "no part twice"
        assert any(sum(parts > 0 for parts in share) > 1 for share in shares[1:]), f"one did it all: {shares}"
        asked = Counter(e.data.notice_id for e in read(info).of("notice.requested"))
        sent = Counter(e.data.notice_id for e in read(info).of("notice.sent"))
        mails = asyncio.run(mails_per_request(info))
        assert asked and set(asked.values()) == {1} and sent and set(sent.values()) == {1}
        assert set(mails.values()) == {1} and len(mails) == len(sent)


def read(info: StackInfo) -> Log:
    return asyncio.run(read_log(info.kafka_bootstrap))


def test_a_second_process_of_the_same_instance_is_turned_away(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Kafka itself would let the two steal the partitions from each other without end."""
    info, _ = undisturbed
    settings = service_settings.of_service(info, CASH) | {"RECOUP_HTTP_PORT": str(free_ports(1)[0])}
    done = subprocess.run(
        [sys.executable, "-m", f"services.{CASH}.main", "serve"],
        cwd=REPOSITORY,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "another process already runs as cash_application-0" in done.stderr and "RECOUP_INSTANCE" in done.stderr
