"""What a person types when something cannot be digested, beside a stack that was fed a day: parked, redrive, skip,
step-over, trace, audit, rebuild. The commands are those of the Makefile, in its words.
"""

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.paths import REPOSITORY
from deploy.local.processes import wait_for
from deploy.local.state import StackInfo
from tests.system.quarter import feed_quarter, stack_in

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
COMPANY = "vdr-eu"
COMMAND_TIMEOUT_S, SEEN_WITHIN_S = 90, 30
# Those that read ar.invoices, and those that read ar.control.
READERS = ("cash_application", "reporting")
ALL_READERS = ("cash_application", "collections", "notifications", "reporting")


@pytest.fixture(scope="module")
def fed(quarter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackInfo]:
    """A stack of its own that was fed the first day."""
    one_day = tmp_path_factory.mktemp("one-day") / "quarter"
    one_day.mkdir()
    for path in quarter.iterdir():
        if path.name != "days":
            (one_day / path.name).symlink_to(path)
    (one_day / "days").mkdir()
    first = min((quarter / "days").iterdir())
    (one_day / "days" / first.name).symlink_to(first)
    with stack_in(tmp_path_factory.mktemp("operated")) as stack:
        assert stack.info is not None
        asyncio.run(feed_quarter(stack.info, one_day))
        yield stack.info


def make(info: StackInfo, target: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """`make TARGET NAME=value …` beside the stack."""
    return subprocess.run(
        ["make", "--no-print-directory", target, *(f"{name}={value}" for name, value in variables.items())],
        cwd=REPOSITORY,
        env={**os.environ, "RECOUP_LOCAL_DIR": str(info.local_dir)},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


def done(info: StackInfo, target: str, **variables: object) -> str:
    ran = make(info, target, **variables)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def refused(info: StackInfo, target: str, **variables: object) -> str:
    """What a person reads; never a traceback or a document for programs."""
    ran = make(info, target, **variables)
    assert ran.returncode != 0, ran.stdout
    assert "Traceback" not in ran.stderr and '{"' not in ran.stderr, ran.stderr
    return ran.stdout + ran.stderr


def plant(info: StackInfo, topic: str, key: str, **headers: str) -> tuple[int, int]:
    """A record that is no event of ours; its partition and offset."""

    async def send() -> tuple[int, int]:
        async with AIOKafkaProducer(bootstrap_servers=info.kafka_bootstrap) as producer:
            packed = [(name, value.encode()) for name, value in headers.items()]
            sent = await producer.send_and_wait(topic, b'{"broken": 1}', key=key.encode(), headers=packed)
            return sent.partition, sent.offset

    return asyncio.run(send())


def fetch(info: StackInfo, service: str, query: str) -> list[asyncpg.Record]:
    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(info.databases[service].owner_dsn)
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()

    return asyncio.run(run())


def seen(info: StackInfo, text: str, times: int) -> str:
    """What `make parked` shows as soon as it names `text` so often."""
    shown: list[str] = []

    def is_seen() -> bool:
        shown.append(done(info, "parked"))
        return shown[-1].count(text) == times

    assert wait_for(is_seen, SEEN_WITHIN_S, 0.5), shown[-1]
    return shown[-1]


def test_a_record_that_cannot_be_digested_is_shown_tried_again_left_out_and_told(fed: StackInfo) -> None:
    assert done(fed, "parked").count("nothing is parked") == 5
    item = fetch(fed, "cash_application", "select account_id, number from open_item order by number limit 1")[0]
    key = f"{COMPANY}/{item['account_id']}"
    partition, offset = plant(fed, "ar.invoices", key)
    place = f"ar.invoices/{partition} offset {offset}"
    shown = seen(fed, place, len(READERS))
    assert shown.count("a record without a type, without an id") == len(READERS)
    assert "0 of 1 parked keys are free again" in refused(fed, "redrive", SERVICE="reporting", KEY="ALL")
    assert "no ce_id header" in refused(fed, "audit")
    for service in READERS:
        sha256 = re.findall(rf"^{service}: {key}.*\n.*\n  sha256: (\w+)", shown, re.MULTILINE)[0]
        assert "lengthen the text" in refused(fed, "skip", SERVICE=service, KEY=key, REASON="x")
        assert "there are ana" in refused(fed, "skip", SERVICE=service, KEY=key, REASON="No use to us.", BY="nobody")
        asked = done(fed, "skip", SERVICE=service, KEY=key, REASON="Planted; nobody needs it.")
        assert f"SHA256={sha256} BY=conrad" in asked
        own = refused(fed, "skip", SERVICE=service, KEY=key, SHA256=sha256, BY="otto")
        assert "may not do runtime.approve_skip" in own
        assert "Left out: a record" in done(fed, "skip", SERVICE=service, KEY=key, SHA256=sha256, BY="conrad")
    assert done(fed, "parked").count("nothing is parked") == 5
    told = done(fed, "trace", ID=item["number"])
    assert "opened over" in told and f"cannot be read: {place}" in told
    assert f"ar.invoices/{partition} at {offset}" in done(fed, "audit"), "a note, since two persons left it out"


@pytest.mark.parametrize("service", ["reporting", "collections", "notifications"])
def test_projections_are_rebuilt_beside_the_running_service_and_swapped(fed: StackInfo, service: str) -> None:
    before = len(fetch(fed, service, "select 1 from item"))
    for _ in range(2):
        said = done(fed, "rebuild", SERVICE=service)
        assert "all the same. Swapped" in said, said
    assert len(fetch(fed, service, "select 1 from item")) == before > 0
    assert httpx.get(f"{fed.services[service]}/readyz", trust_env=False).is_success
    assert "can be rebuilt" in refused(fed, "rebuild", SERVICE="ingest")


def test_a_stopped_partition_is_shown_and_stepped_over(fed: StackInfo) -> None:
    partition, offset = plant(fed, "ar.control", COMPANY, ce_type="policy.activated")
    lane = {"TOPIC": "ar.control", "PARTITION": partition, "AT": offset, "TO": offset + 1}

    def stopped() -> int:
        return done(fed, "status").count(f"ar.control/{partition} at offset {offset}: policy.activated cannot be read")

    assert wait_for(lambda: stopped() == len(ALL_READERS), SEEN_WITHIN_S, 0.5), done(fed, "status")
    why = "Planted; it says nothing that anybody needs."
    assert "Say all of it" in refused(fed, "step-over", SERVICE="reporting")
    astray = {**lane, "AT": offset + 5, "TO": offset + 6}
    assert f"it stands at {offset}" in refused(fed, "step-over", SERVICE="reporting", REASON=why, **astray)
    for service in ALL_READERS:
        asked = done(fed, "step-over", SERVICE=service, REASON=why, **lane)
        sha256 = re.findall(r"SHA256=(\w+) BY=conrad", asked)[0]
        moved = done(fed, "step-over", SERVICE=service, SHA256=sha256, BY="conrad", **lane)
        assert f"goes on at {offset + 1}, approved by user:conrad" in moved
    ready = [f"{url}/readyz" for url in fed.services.values()]
    assert wait_for(lambda: all(httpx.get(url, trust_env=False).is_success for url in ready), SEEN_WITHIN_S, 0.5), done(
        fed, "status"
    )
    assert f"ar.control/{partition} at {offset}" in done(fed, "audit")
    assert "Swapped" in done(fed, "rebuild", SERVICE="reporting")
