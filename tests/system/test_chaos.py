"""Kills, frozen processes, cut ways and failing writes at drawn moments of the quarter's first days.

After each storm: at each day's close all five stores have what they have after an undisturbed run; no mail left twice;
`unknown` are at most as many mails as were in the middle of a send when something struck; nothing is parked; no process
ended that was not killed or asked to.
"""

import asyncio
import os
from pathlib import Path
from random import Random

import pytest

from deploy.local.databases import SERVICES
from deploy.local.event_log import read_log
from deploy.local.state import StackInfo
from tests.system.quarter import DAYS, differing, mails_per_request
from tests.system.storm import (
    PARTS,
    Fault,
    Plan,
    Site,
    Storm,
    freeze,
    kill,
    kill_broker,
    kill_database,
    no_room,
    restart,
    settled,
    site_in,
    way,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]
SEED = int(os.environ.get("RECOUP_CHAOS_SEED", "1"))
LATEST_S = 1.2
API, WORKER, OTHER_WORKER, RELAY, TIMERS = [f"cash_application-{n}" for n in range(len(PARTS))]
# A member whose heartbeat is missing for 10 s has lost its partitions.
PAST_THE_SESSION_S = 13.0
Undisturbed = tuple[StackInfo, list[str]]


def at_moments(random: Random, *days: list[Fault]) -> Plan:
    """The faults of each day, in their order, at drawn moments of its first second."""
    return {
        day: list(zip(sorted(random.uniform(0, LATEST_S) for _ in f), f, strict=True)) for day, f in enumerate(days)
    }


def judge(site: Site, undisturbed: Undisturbed, states: list[str], *, parts: bool) -> None:
    other_way = parts or any(what.endswith(("kafka", "broker")) for what in site.struck)
    for day, (calm, stormy) in enumerate(zip(undisturbed[1], states, strict=True)):
        if other_way:
            calm, stormy = settled(calm), settled(stormy)
        different = differing(calm, stormy)
        if different:
            for name, state in (("calm", calm), ("stormy", stormy)):
                (site.info.local_dir / f"day-{day}-{name}.txt").write_text(state, encoding="utf-8")
        assert different == [], f"day {day} after {site.struck}; both states lie whole in {site.info.local_dir}"
    mails = asyncio.run(mails_per_request(site.info))
    unknown = asyncio.run(read_log(site.info.kafka_bootstrap)).of("notice.unknown")
    assert mails and set(mails.values()) == {1}, f"a mail left twice after {site.struck}"
    assert len(unknown) <= site.sends_hurt, f"after {site.struck}"
    assert site.gave_up == [], f"a process does not wait but ends, after {site.struck}"
    for service in SERVICES:
        assert site.query(service, "select count(*) from parked_key") == 0, f"{service} after {site.struck}"


def weather(folder: Path, quarter: Path, undisturbed: Undisturbed, plan: Plan, *, parts: bool = False) -> Site:
    with site_in(folder, parts=parts) as site:
        states = Storm(site, quarter, plan).blow()
        judge(site, undisturbed, states, parts=parts)
        assert len(site.struck) >= sum(len(faults) for faults in plan.values())
        return site


def test_killed_workers_relay_api_database_and_broker_change_nothing(
    undisturbed: Undisturbed, quarter: Path, tmp_path: Path
) -> None:
    plan = at_moments(
        Random(SEED),
        [kill(WORKER), kill(RELAY)],
        [kill_database(), kill(API)],
        [kill(OTHER_WORKER), kill_broker(), kill("notifications-0")],
    )
    weather(tmp_path, quarter, undisturbed, plan, parts=True)


@pytest.mark.chaos
def test_processes_that_freeze_past_their_session_and_wake_change_nothing(
    undisturbed: Undisturbed, quarter: Path, tmp_path: Path
) -> None:
    plan = at_moments(
        Random(SEED),
        [freeze(WORKER, PAST_THE_SESSION_S)],
        [freeze(RELAY, PAST_THE_SESSION_S), freeze("collections-0", PAST_THE_SESSION_S)],
        [freeze(TIMERS, 3.0), freeze("notifications-0", PAST_THE_SESSION_S)],
    )
    weather(tmp_path, quarter, undisturbed, plan, parts=True)


@pytest.mark.chaos
def test_a_bad_way_to_kafka_changes_nothing(undisturbed: Undisturbed, quarter: Path, tmp_path: Path) -> None:
    plan = at_moments(
        Random(SEED),
        [way("kafka", "cut", 0.1), way("kafka", "delay", 3.0, 0.2)],
        [way("kafka", "half_open", 12.0)],
        [way("kafka", "refuse", 4.0), way("kafka", "cut", 0.1)],
    )
    weather(tmp_path, quarter, undisturbed, plan)


@pytest.mark.chaos
def test_a_bad_way_to_the_database_changes_nothing(undisturbed: Undisturbed, quarter: Path, tmp_path: Path) -> None:
    plan = at_moments(
        Random(SEED),
        [way("postgres", "cut", 0.1), way("postgres", "cut", 0.1), way("postgres", "delay", 3.0, 0.05)],
        [way("postgres", "half_open", 8.0)],
        [way("postgres", "refuse", 4.0), way("postgres", "cut", 0.1)],
    )
    weather(tmp_path, quarter, undisturbed, plan)


@pytest.mark.chaos
def test_a_bad_way_to_the_mail_server_loses_and_doubles_no_mail(
    undisturbed: Undisturbed, quarter: Path, tmp_path: Path
) -> None:
    plan = at_moments(
        Random(SEED),
        [way("smtp", "delay", 3.0, 0.05)],
        [way("smtp", "cut", 0.1), way("smtp", "refuse", 4.0)],
        [way("smtp", "half_open", 4.0)],
    )
    weather(tmp_path, quarter, undisturbed, plan)


@pytest.mark.chaos
def test_an_outbox_that_cannot_be_written_for_a_while_changes_nothing(
    undisturbed: Undisturbed, quarter: Path, tmp_path: Path
) -> None:
    plan = at_moments(
        Random(SEED),
        [no_room("ingest", 2.0), no_room("cash_application", 2.0)],
        [no_room("collections", 2.0), no_room("notifications", 2.0)],
        [no_room("cash_application", 3.0), no_room("reporting", 1.0)],
    )
    weather(tmp_path, quarter, undisturbed, plan)


@pytest.mark.chaos
def test_a_rolling_restart_of_every_service_under_load_changes_nothing(
    undisturbed: Undisturbed, quarter: Path, tmp_path: Path
) -> None:
    names = [f"{service}-0" for service in SERVICES]
    plan = at_moments(Random(SEED), [restart(*names[:2])], [restart(*names[2:4])], [restart(*names[4:], *names[:1])])
    site = weather(tmp_path, quarter, undisturbed, plan)
    assert {f"restart {name}" for name in names} <= set(site.struck)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(SEED * 100, SEED * 100 + 3))
def test_a_drawn_storm_changes_nothing(undisturbed: Undisturbed, quarter: Path, tmp_path: Path, seed: int) -> None:
    """Three faults a day of all kinds; only those that need a second worker are left out."""
    random = Random(seed)
    single = [f"{service}-0" for service in SERVICES]
    kinds: list[Fault] = [
        *(kill(name) for name in single),
        *(freeze(name, 3.0) for name in single),
        *(way(name, "cut", 0.1) for name in ("kafka", "postgres", "smtp")),
        *(way(name, "half_open", 3.0) for name in ("kafka", "postgres", "smtp")),
        *(way(name, "delay", 2.0, 0.05) for name in ("kafka", "postgres", "smtp")),
        kill_broker(),
        kill_database(),
    ]
    plan = at_moments(random, *([kinds[random.randrange(len(kinds))] for _ in range(3)] for _ in range(DAYS)))
    weather(tmp_path, quarter, undisturbed, plan)
