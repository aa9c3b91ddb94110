"""Drawn steps and their faults: crash, zombie, moved assignment, lost or torn send, late partition, clock, race.

Invariant: every choice comes from the driver's generator, so that a seed is its own replay.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from shared.runtime import failpoints
from tests.sim.service.databases import SERVICES, SimConnection
from tests.sim.service.profiles import Aim
from tests.sim.service.world import Crash, Member

if TYPE_CHECKING:
    from tests.sim.service.driver import Driver, Frozen

FROZEN_MAX = 2
AIMED_BATCH = 500
FAILPOINTS = {
    "deliver": ("transaction.saved", "transaction.before_commit", "transaction.committed", "consumer.taken"),
    "relay": ("relay.sent",),
    "timers": ("transaction.saved",),
    "write": ("transaction.saved",),
    "mail": ("transaction.saved", "mail.before_data", "mail.after_data"),
    "hook": ("transaction.saved", "webhook.before_post", "webhook.after_post"),
    "command": ("transaction.saved",),
}
# A race needs two members with work at the same instant, which a free draw meets too rarely.
RACE_ODDS = 0.4
RARE = {"resume": 8, "rebalance": 3, "late": 5, "clock": 2, "race": 3, "mail_down": 2}
STEPS = ("deliver",) * 9 + ("relay",) * 6 + ("timers",) * 4 + ("write", "mail", "hook")


async def draw(driver: "Driver") -> None:
    """One drawn step, with or without a fault."""
    rng, world = driver.rng, driver.world
    if "race" in driver.faults and rng.random() < RACE_ODDS and _both_have_work(driver, "cash_application"):
        await race(driver, "cash_application")
        return
    kind = rng.choices(("step", *RARE), weights=(80, *RARE.values()))[0]
    if kind == "resume" and driver.frozen:
        await resume(driver, rng.choice(driver.frozen))
    elif kind not in driver.faults:
        await _drawn_step(driver)
    elif kind == "rebalance":
        driver.note("rebalance", "assignment")
        world.log.move(rng.choice(SERVICES[1:]))
    elif kind == "late":
        _late(driver)
    elif kind == "clock":
        driver.note("clock", "clock")
        world.clock.advance(rng.choice((1, 30, 200)))
    elif kind == "race":
        await race(driver, rng.choice(("cash_application", "cash_application", "collections")))
    elif kind == "mail_down":
        world.mail_down = not world.mail_down


def _late(driver: "Driver") -> None:
    late, rng = driver.world.log.late, driver.rng
    if late and rng.random() < 0.5:
        late.clear()
        return
    driver.done["late"] += 1
    late.add((rng.choice(SERVICES[1:]), rng.choice(list(driver.world.log.records))))


async def _drawn_step(driver: "Driver") -> None:
    rng, on, world = driver.rng, driver.faults, driver.world
    name = rng.choice(STEPS)
    service = {"write": "ingest", "mail": "notifications", "hook": "notifications"}.get(name)
    service = service or rng.choice(SERVICES[1:] if name == "deliver" else SERVICES)
    free = [m for m in world.members[service] if not m.frozen]
    if not free:
        return
    member = rng.choice(free)
    size = rng.choice((1, 2, 5, 20)) if "small" in on else rng.choice((20, 500))
    roll = rng.random()
    if name == "relay":
        world.sinks[service].fault = _fault_of_send(driver)
    if name == "mail" and "relay_away" in on and rng.random() < 0.2:
        driver.note("relay_away", "mail")
        world.relay_away = True
    if "small" in on and name in ("deliver", "relay"):
        driver.pairs["small", name] += 1
    if "crash" in on and roll < 0.12:
        await crash(driver, member, name, size, rng.choice(FAILPOINTS[name]))
    elif "zombie" in on and roll < 0.24 and len(driver.frozen) < FROZEN_MAX:
        places = ("fetched", *FAILPOINTS[name]) if name == "deliver" else FAILPOINTS[name]
        await freeze(driver, member, name, size, rng.choice(places))
    else:
        await driver.step(member, name, size)
    world.sinks[service].fault = ""


def _fault_of_send(driver: "Driver") -> str:
    found = [f for f in ("lost", "torn") if f in driver.faults and driver.rng.random() < 0.15]
    for fault in found[:1]:
        driver.note(fault, "relay")
    return found[0] if found else ""


async def strike(driver: "Driver", member: Member, name: str, aim: Aim) -> int:
    """A step and what is aimed at it; it costs a strike when it has struck. Returns what there was to do."""
    kind, place = aim
    before = driver.done["strike"]
    if kind == "crash":
        done = await crash(driver, member, name, AIMED_BATCH, place)
    elif kind == "freeze" and not driver.frozen:
        done = await freeze(driver, member, name, AIMED_BATCH, place)
    else:
        done = await _with_something_away(driver, member, name, kind)
    driver.strikes_left -= driver.done["strike"] - before
    return done


async def _with_something_away(driver: "Driver", member: Member, name: str, kind: str) -> int:
    """The step while the mail server, the relay or the answer of the bus is away."""
    world, sink = driver.world, driver.world.sinks[member.service]
    world.mail_down, world.relay_away = kind == "mail_down", kind == "relay_away"
    sink.fault = kind if kind in ("lost", "torn") else ""
    failures = driver.done["transient"]
    done = await driver.step(member, name)
    met = {"mail_down": driver.done["transient"] > failures, "relay_away": not world.relay_away,
           "lost": not sink.fault, "torn": not sink.fault}.get(kind, False)  # fmt: skip
    world.mail_down, world.relay_away, sink.fault = False, False, ""
    if met:
        _struck(driver, kind, name)
    return done


def _struck(driver: "Driver", fault: str, name: str) -> None:
    driver.note(fault, name)
    driver.done["strike"] += 1


async def crash(driver: "Driver", member: Member, name: str, size: int, place: str) -> int:
    """The process of the member ends at a named place of the step, if the step comes there."""
    before = failpoints.armed.get(place)

    async def die() -> None:
        raise Crash(place)

    failpoints.armed[place] = die
    try:
        return await driver.step(member, name, size)
    except Crash:
        _struck(driver, f"crash {place}", name)
        _interrupted(driver, name)
        await member.crashed()
        return 1
    finally:
        _disarm(place, before)


async def freeze(driver: "Driver", member: Member, name: str, size: int, place: str) -> int:
    """The process stands still at a named place, with its transaction open or behind its fetch."""
    from tests.sim.service.driver import Frozen

    gate, reached = asyncio.Event(), asyncio.Event()
    before = failpoints.armed.get(place)

    async def hold() -> None:
        failpoints.armed.pop(place, None)
        reached.set()
        await gate.wait()

    if place == "fetched":
        member.source.frozen, member.source.reached = gate, reached
    else:
        failpoints.armed[place] = hold
    task = asyncio.ensure_future(driver.step(member, name, size))
    await _first(task, reached)
    _disarm(place, before)
    if task.done():
        if member.source is not None:
            member.source.frozen = None
        return await task
    _struck(driver, f"freeze {place}", name)
    _interrupted(driver, name)
    member.frozen = True
    driver.turns[member.service] += 1
    driver.frozen.append(Frozen(member, task, gate))
    if member.source is not None and driver.rng.random() < 0.7:
        await member.leave()
    return 1


async def _first(task: asyncio.Task, reached: asyncio.Event) -> None:
    """Until the task has ended or stands where it should."""
    there = asyncio.ensure_future(reached.wait())
    await asyncio.wait([task, there], return_when=asyncio.FIRST_COMPLETED)
    there.cancel()


async def race(driver: "Driver", service: str) -> None:
    """Two members decide at the same time: both stand still behind their account locks, then go on.

    The second goes on when the first has ended or waits for it. Locks in one order never lead to a circle.
    """
    if not _both_have_work(driver, service):
        return
    members = driver.world.members[service]
    driver.note("race", "deliver")
    gates, tasks = [], []
    for member in members:
        gate, reached = asyncio.Event(), asyncio.Event()
        SimConnection.after_lock[member.name] = _pausing(gate, reached)
        tasks.append(asyncio.ensure_future(driver.step(member, "deliver")))
        gates.append(gate)
        await _first(tasks[-1], reached)
    SimConnection.after_lock.clear()
    gates[0].set()
    waits = driver.world.databases.waits
    while not (tasks[0].done() or await waits(service, members[0].index)):  # noqa: ASYNC110 asks the database
        await asyncio.sleep(0.001)
    gates[1].set()
    await asyncio.wait(tasks)
    for task in tasks:
        task.result()


def _both_have_work(driver: "Driver", service: str) -> bool:
    return all(member.source.behind() and not member.frozen for member in driver.world.members[service])


def _interrupted(driver: "Driver", name: str) -> None:
    """A sender of mail that is gone or stands still leaves its mail behind, which another may call unknown."""
    if name == "mail":
        driver.mail_kills += 1
        driver.world.note_odd()


def _disarm(place: str, before: Any) -> None:
    failpoints.armed.pop(place, None)
    if before is not None:
        failpoints.armed[place] = before


async def resume(driver: "Driver", frozen: "Frozen") -> None:
    """The zombie wakes and does what it was about to do; then it is a member like any other."""
    driver.frozen.remove(frozen)
    frozen.gate.set()
    await frozen.task
    driver.done["resume"] += 1
    member = frozen.member
    driver.turns[member.service] += 1
    member.frozen = False
    if member.source is not None and member.source not in driver.world.log.members[member.service]:
        await member.join()


def _pausing(gate: asyncio.Event, reached: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def pause() -> None:
        reached.set()
        await gate.wait()

    return pause
