"""Services on servers that somebody else started, one of them in parts: API, two workers, relay and timers apart.

Together the parts do what one process does; each does its own work only.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local import readiness
from deploy.local.client import Client
from deploy.local.databases import SERVICES
from deploy.local.local_stack import LocalStack
from deploy.local.processes import wait_for
from deploy.local.state import StackInfo
from shared.settings import Role
from tests.system.quarter import client_of, differing, feed_quarter, stack_in

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
ROLES: list[Role] = ["api", "worker", "worker", "relay", "timers"]
CASH = "cash_application"
WITHIN_S = 15.0


@dataclass
class Parts:
    servers: LocalStack
    services: LocalStack
    states: list[str]

    @property
    def info(self) -> StackInfo:
        assert self.services.info is not None
        return self.services.info

    @property
    def addresses(self) -> list[tuple[Role, str]]:
        return list(zip(ROLES, self.info.instances[CASH], strict=True))

    def address(self, role: Role) -> str:
        return next(url for played, url in self.addresses if played == role)

    def pid(self, role: Role) -> int:
        return self.services.child(f"{CASH}-{ROLES.index(role)}").pid

    @property
    def scraper(self) -> dict[str, str]:
        """The headers of a scraper's request."""
        return {"X-API-Key": (self.info.secrets_dir / "metrics-api-key").read_text().strip()}

    def samples(self, role: Role) -> dict[str, float]:
        return samples(self.address(role), self.scraper)


def given(servers: StackInfo) -> dict[str, str]:
    """The settings by which a stack uses the broker and the databases of another."""
    settings = {"KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap}
    for service, address in servers.databases.items():
        settings[f"RECOUP_{service.upper()}_DSN"] = address.dsn
        settings[f"RECOUP_{service.upper()}_OWNER_DSN"] = address.owner_dsn
        settings[f"RECOUP_{service.upper()}_READER_DSN"] = address.reader_dsn
    return settings


def start_in_parts(stack: LocalStack) -> None:
    assert stack.info is not None
    plan: list[tuple[str, int, Role]] = [(service, 0, "all") for service in SERVICES if service != CASH]
    plan += [(CASH, instance, role) for instance, role in enumerate(ROLES)]
    started = [(stack.start_service(*each), stack.info.instances[each[0]][each[1]]) for each in plan]
    readiness.wait_ready(started)


@pytest.fixture(scope="module")
def parts(quarter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with stack_in(tmp_path_factory.mktemp("servers"), services=False) as servers:
        folder, settings = tmp_path_factory.mktemp("services"), given(servers.info)
        with stack_in(folder, services=False, instances={CASH: len(ROLES)}, environment=settings) as services:
            start_in_parts(services)
            yield Parts(servers, services, asyncio.run(feed_quarter(services.info, quarter)))
        assert servers.child("kafka").poll() is None and servers.child("postgres").poll() is None


def samples(url: str, headers: dict[str, str]) -> dict[str, float]:
    """Name of each sample -> its value, added up over labels."""
    text = httpx.get(f"{url}/metrics", headers=headers, trust_env=False).raise_for_status().text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


async def tick(client: Client) -> int:
    """Let a minute of the sample's time pass; the number of the tick."""
    at = (await client.progress("ingest"))["tick_at"]
    later = {"at": at.replace(at[14:16], f"{(int(at[14:16]) + 1) % 60:02d}", 1) if at[14:16] != "59" else at}
    answer = await client.call("feeder", "POST", "ingest", "/v1/clock", key=f"tick {time.monotonic()}", json=later)
    return answer["number"]


def test_the_services_run_on_the_servers_that_are_named(parts: Parts) -> None:
    assert not {"kafka", "postgres"} & {child.name for child in parts.services.children}
    assert parts.servers.info is not None
    assert parts.info.kafka_bootstrap == parts.servers.info.kafka_bootstrap
    ports = {urlsplit(address.dsn).port for address in parts.info.databases.values()}
    assert ports == {urlsplit(address.dsn).port for address in parts.servers.info.databases.values()}


def test_the_parts_of_a_service_do_together_what_one_process_does(
    parts: Parts, undisturbed: tuple[StackInfo, list[str]]
) -> None:
    for day, (whole, split) in enumerate(zip(undisturbed[1], parts.states, strict=True)):
        assert differing(whole, split) == [], f"day {day}"


def test_every_part_tells_its_health_and_only_the_api_answers_more(parts: Parts) -> None:
    async def answers(path: str, headers: dict[str, str]) -> list[int]:
        async with client_of(parts.info) as client:
            return [(await client.http.get(url + path, headers=headers)).status_code for _, url in parts.addresses]

    async def bearer() -> dict[str, str]:
        async with client_of(parts.info) as client:
            return {"Authorization": f"Bearer {await client.token('feeder')}"}

    for path in ("/livez", "/readyz", "/startupz"):
        assert asyncio.run(answers(path, {})) == [200] * len(ROLES), path
    assert asyncio.run(answers("/metrics", parts.scraper)) == [200] * len(ROLES)
    found = asyncio.run(answers("/v1/runtime/progress", asyncio.run(bearer())))
    assert found == [200 if role == "api" else 404 for role in ROLES]


def test_every_part_does_its_own_work_only(parts: Parts) -> None:
    found = [(role, samples(url, parts.scraper)) for role, url in parts.addresses]
    for role, values in found:
        assert (values["recoup_batch_records_count"] > 0) == (role == "worker"), role
        assert (values["recoup_relayed_total"] > 0) == (role == "relay"), role
        assert ("recoup_consumer_lag_records" in values) == (role == "worker"), role
    facts = [values["recoup_facts_total"] for role, values in found if role == "worker"]
    assert min(facts) > 0, "both workers have partitions"


def test_without_the_relay_the_outbox_grows_old_and_goes_out_when_it_is_back(parts: Parts) -> None:
    async def ticked() -> None:
        async with client_of(parts.info) as client:
            number = await tick(client)
            await client.until_tick(CASH, number)

    os.kill(parts.pid("relay"), signal.SIGSTOP)
    try:
        asyncio.run(ticked())
        assert wait_for(lambda: parts.samples("api")["recoup_outbox_oldest_seconds"] >= 2, WITHIN_S, 0.5)
        assert parts.samples("api")["recoup_outbox_rows"] >= 12, "the tick of this service waits in all its partitions"
    finally:
        os.kill(parts.pid("relay"), signal.SIGCONT)
    assert wait_for(lambda: parts.samples("api")["recoup_outbox_rows"] == 0, WITHIN_S, 0.5)
    assert parts.samples("api")["recoup_outbox_oldest_seconds"] == 0


def test_without_the_timers_no_tick_is_passed_on_and_all_are_when_they_are_back(parts: Parts) -> None:
    async def numbers(wanted: int = 0) -> tuple[int, int]:
        async with client_of(parts.info) as client:
            if wanted:
                await client.until_tick("collections", wanted)
            else:
                wanted = await tick(client)
                await client.until_tick(CASH, wanted)
                await asyncio.sleep(2)
            return wanted, (await client.progress("collections"))["number"]

    os.kill(parts.pid("timers"), signal.SIGSTOP)
    try:
        wanted, reached = asyncio.run(numbers())
        assert reached < wanted
    finally:
        os.kill(parts.pid("timers"), signal.SIGCONT)
    assert asyncio.run(numbers(wanted)) == (wanted, wanted)
