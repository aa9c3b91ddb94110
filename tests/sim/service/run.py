"""One seed: its plan undisturbed, then with its faults, then the auditor. A seed is its own replay.

Several seeds share a plan, so that its undisturbed run is made once. Invariant: the outside answers alike in both runs,
so that what differs is the work of faults alone.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from shared.events.catalogue import PAYMENTS
from tests.sim.service import auditor
from tests.sim.service.business import MONDAY, Plan, draw
from tests.sim.service.databases import MEMBERS, SERVICES, Databases
from tests.sim.service.driver import FAULTS, Driver, Finding
from tests.sim.service.log import POISONED, POISONED_SERVICES
from tests.sim.service.outside import MailServer, Receiver, SimClock, instant
from tests.sim.service.profiles import FREE, profile_of
from tests.sim.service.seen import Log
from tests.sim.service.world import World

REPORTS = {
    "item": "select item_id, remaining_minor from item",
    "receipt": "select payment_id, amount_minor from receipt",
    "item_posting": "select item_id, remaining_delta_minor from item_posting",
    "reconciliation": "select * from reconciliation where difference_minor is distinct from 0",
}
PARKED = "select key, code, error from parked_key order by key"
RUN_TIMEOUT_S = 300
SEEDS_PER_PLAN = 4


@dataclass
class Outcome:
    """What a seed came to. `findings`: (invariant, sentence)."""

    seed: int
    faults: tuple[str, ...]
    findings: list[tuple[str, str]] = field(default_factory=list)
    digest: str = ""
    records: int = 0
    blocked: int = 0
    done: dict[str, int] = field(default_factory=dict)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass
class Ran:
    """One run that came to its end: what the auditor looks at, and the driver for its counts."""

    evidence: auditor.Evidence
    driver: Driver
    refused: list[str]


def faults_of(seed: int) -> frozenset[str]:
    """Those of the seed's profile. A free seed first draws which faults are on; at least two."""
    aimed = profile_of(seed).faults
    if aimed is not None:
        return aimed
    rng = Random(f"faults/{seed}")
    drawn = {fault for fault in FAULTS if rng.random() < 0.45}
    return frozenset(drawn | set(rng.sample(FAULTS, 2)))


def plan_of(seed: int) -> int:
    """The number of a seed's plan."""
    return (seed - 1) // SEEDS_PER_PLAN


@dataclass
class Calm:
    """The undisturbed run of a plan, and what is wrong with it."""

    number: int
    ran: Ran | None
    findings: list[tuple[str, str]]


class Simulator:
    """Runs seeds on the databases of one process; the last plan's undisturbed run is kept."""

    def __init__(self, stores: Databases, folder: Path) -> None:
        self._stores, self._folder = stores, folder
        self._calm: Calm | None = None

    async def simulate(self, seed: int, *, alone: bool = False) -> Outcome:
        """Both runs of a seed and all that is wrong with them; `alone`: only the disturbed one, nothing compared."""
        plan, faults = draw(plan_of(seed)), faults_of(seed)
        outcome = Outcome(seed, tuple(sorted(faults)))
        calm = None if alone else await self._undisturbed(seed, plan)
        if calm is not None and calm.findings:
            outcome.findings += [(rule, f"undisturbed: {sentence}") for rule, sentence in calm.findings]
            return outcome
        wild = await self._run(seed, plan, faults, outcome)
        if wild is not None:
            outcome.findings += auditor.audit(wild.evidence)
        if wild is not None and calm is not None and calm.ran is not None:
            outcome.findings += _compare(plan, calm.ran, wild)
        return outcome

    async def _undisturbed(self, seed: int, plan: Plan) -> Calm:
        number = plan_of(seed)
        if self._calm is None or self._calm.number != number:
            outcome = Outcome(seed, ())
            ran = await self._run(seed, plan, frozenset(), outcome)
            self._calm = Calm(number, ran, outcome.findings + (auditor.audit(ran.evidence) if ran else []))
        return self._calm

    async def _run(self, seed: int, plan: Plan, faults: frozenset[str], outcome: Outcome) -> Ran | None:
        """A run to its end, None when it did not come there; its finding is noted."""
        number = plan_of(seed)
        rng = Random(f"outside/{number}")
        mail = MailServer(number, refuse=rng.choice((0, 0, 10)), lose=rng.choice((0, 25)))
        receiver = Receiver(number, fail=rng.choice((0, 50, 90)))
        clock, members = SimClock(instant(MONDAY, 5)), MEMBERS if faults else 1
        world = World(self._stores, self._folder, clock, mail, receiver, members)
        profile = profile_of(seed) if faults else FREE
        driver = Driver(world, plan, Random(f"driver/{seed}"), faults, profile)
        await world.open()
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            await _within(driver.run(), RUN_TIMEOUT_S)
            return Ran(await _evidence(driver, outcome), driver, world.refused)
        except Finding as finding:
            outcome.findings.append((finding.rule, str(finding)))
            outcome.findings += auditor.audit(await _evidence(driver, outcome))
        except Exception as problem:  # whatever ends a run is a finding with its place
            outcome.findings.append(("broken", _place(problem)))
        finally:
            await _abandon(driver)
            await world.close()
            outcome.records, outcome.blocked = world.log.appended, driver.blocked
            outcome.done, outcome.pairs = dict(driver.done), driver.pairs
        return None


async def _within(run: Coroutine[Any, Any, None], seconds: int) -> None:
    """Raises TimeoutError when the run takes longer; a second in which this process was stopped counts as one."""
    task = asyncio.ensure_future(run)
    for _ in range(seconds):
        await asyncio.wait([task], timeout=1)
        if task.done():
            return task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    raise TimeoutError(f"the run did not end within {seconds} s")


def _compare(plan: Plan, calm: Ran, wild: Ran) -> list[tuple[str, str]]:
    """Where the states at each day's close differ. Left out is what follows from a mail whose fate nobody knows."""
    without = auditor.unknown_apart(wild.evidence.log, calm.evidence.log)
    mine, other = (auditor.days(ran.evidence.log, plan, without) for ran in (wild, calm))
    found = [("same state", text) for text in auditor.differences(mine, other)]
    if not without and wild.refused != calm.refused:
        found.append(("same state", f"refused {wild.refused}, undisturbed {calm.refused}"))
    return found


def _place(problem: Exception) -> str:
    last = problem.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else "nowhere"
    return f"{type(problem).__name__}: {problem} at {where.rpartition('/')[2]}"


async def _abandon(driver: Driver) -> None:
    tasks = [frozen.task for frozen in driver.frozen]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _evidence(driver: Driver, outcome: Outcome) -> auditor.Evidence:
    world = driver.world
    try:
        log = Log(world.log.order)
    except ValueError as problem:
        raise Finding("sequence", str(problem)) from problem
    outcome.digest = log.digest()
    for service in SERVICES:
        outcome.findings += _parked(service, await world.databases.rows(service, PARKED), driver.done["poison"] > 0)
    return auditor.Evidence(
        plan=driver.plan,
        log=log,
        mails=[(m.notice_id, m.at_record) for m in world.mail.taken],
        reached=world.receiver.reached,
        mail_kills=driver.mail_kills,
        lost_answers=sum(not m.answered for m in world.mail.taken),
        reports={name: await _report(world, statement) for name, statement in REPORTS.items()},
    )


def _parked(service: str, rows: list[Any], planted: bool) -> list[tuple[str, str]]:
    """Parked is the planted poison and nothing else."""
    wanted = {POISONED} if planted and service in POISONED_SERVICES else set()
    found = {row["key"]: row["error"][:160] for row in rows}
    wrong = [f"{service}: {key} is parked: {found[key]}" for key in sorted(found.keys() - wanted)]
    wrong += [f"{service}: {key} is poison and was not parked" for key in sorted(wanted - found.keys())]
    return [("parked", sentence) for sentence in wrong]


async def _report(world: World, statement: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await world.databases.rows("reporting", statement)]


assert PAYMENTS == "ar.payments", "the auditor names this topic"
