"""The scheduler: feeds a plan day by day and draws every step in between from the seed.

Invariant: one step at a time, each awaited to its end or to where it stands still; what a step could not do because of
a lock is put back and noted, never waited for.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

import asyncpg
from pydantic import BaseModel

from shared.errors import Stop
from shared.runtime import failpoints
from shared.runtime.transaction import TRANSIENT
from tests.sim.service import setup
from tests.sim.service.business import Plan
from tests.sim.service.databases import SERVICES, SimConnection
from tests.sim.service.log import poison
from tests.sim.service.outside import instant
from tests.sim.service.world import Crash, Member, World

FAULTS = ("crash", "zombie", "rebalance", "lost", "torn", "late", "clock", "small", "relay_away", "mail_down", "twice",
          "race", "poison")  # fmt: skip
DRAWS_MAX = 30
CALM_ROUNDS_MAX = 80
IDLE_ROUNDS = 4
FROZEN_MAX = 2
FAILPOINTS = {
    "deliver": ("transaction.saved", "transaction.before_commit", "transaction.committed", "consumer.taken"),
    "relay": ("relay.sent",),
    "timers": ("transaction.saved",),
    "write": ("transaction.saved",),
    "mail": ("transaction.saved", "mail.before_data", "mail.after_data"),
    "hook": ("transaction.saved", "webhook.before_post", "webhook.after_post"),
    "command": ("transaction.saved",),
}
RARE = {"resume": 8, "rebalance": 3, "late": 5, "clock": 2, "race": 3, "mail_down": 2}
STEPS = ("deliver",) * 9 + ("relay",) * 6 + ("timers",) * 4 + ("write", "mail", "hook")


class Finding(AssertionError):
    """An invariant does not hold. `rule` names it, the message says where."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


@dataclass
class Frozen:
    """A step that stands still inside a member's process."""

    member: Member
    task: asyncio.Task
    gate: asyncio.Event


@dataclass
class Driver:
    """`faults`: those that are on; none of them means the undisturbed run."""

    world: World
    plan: Plan
    rng: Random
    faults: frozenset[str] = frozenset()
    done: Counter[str] = field(default_factory=Counter)
    blocked: int = 0
    disputes: dict[str, Any] = field(default_factory=dict)
    frozen: list[Frozen] = field(default_factory=list)
    mail_kills: int = 0

    async def run(self) -> None:
        """The whole plan, then faults stop and everything comes to rest."""
        await setup.configure(self, self.plan)
        for day in self.plan.days:
            await self._day(day)
        await self.rest()

    async def _day(self, day: Any) -> None:
        if day is self.plan.days[0]:
            await self._tick(day.on, 6)
        for name, content_type, content in day.files:
            await self.call("ingest", lambda m, f=(name, content_type, content): self.world.submit(m, *f))
            await self.some()
        if "poison" in self.faults and not self.done["poison"]:
            self.done["poison"] += 1
            self.world.log.append(poison(instant(day.on, 6)))
        await self.until_judged(await self._tick(day.on, 9, 5))
        for action in day.morning:
            await setup.perform(self, self.plan, action)
        await self.until_judged(await self._tick(day.on, 16, 5))
        for action in day.afternoon:
            await setup.perform(self, self.plan, action)
        await self.call("ingest", lambda m: self.world.close_day(m, day.on))
        await self._until(lambda: self.world.closed(day.on), f"the close of {day.on}")

    async def _tick(self, on: date, hour: int, minute: int = 0) -> int:
        return await self.call("ingest", lambda m: self.world.tick(m, instant(on, hour, minute)))

    async def until_judged(self, number: int) -> None:
        await self._until(lambda: self.world.judged(number), f"tick {number} judged")

    async def _until(self, reached: Callable[[], Awaitable[bool]], what: str) -> None:
        """Draw steps until it is reached; after a while without faults, and then it must be reached."""
        for _ in range(DRAWS_MAX if self.faults else 0):
            await self.draw()
            if self.rng.random() < 0.3 and await reached():
                return
        await self.calm()
        for _ in range(CALM_ROUNDS_MAX):
            if await reached():
                return
            await self.round()
        raise Finding("liveness", f"{what} is not reached without faults; {await self._why()}")

    async def some(self) -> None:
        for _ in range(self.rng.randrange(8) if self.faults else 0):
            await self.draw()

    async def calm(self) -> None:
        """Faults stop: what stands still goes on, what was late arrives."""
        self.world.mail_down = self.world.relay_away = False
        self.world.log.late.clear()
        while self.frozen:
            await self.resume(self.frozen[0])

    async def rest(self) -> None:
        """Until nothing is left to do. Raises Finding when something stays."""
        await self.calm()
        idle = 0
        for _ in range(CALM_ROUNDS_MAX):
            idle = 0 if await self.round() else idle + 1
            if idle >= IDLE_ROUNDS and not self.world.lag() and not await self.world.outbox_rows():
                return
        raise Finding("liveness", f"something is left to do when faults have stopped: {await self._why()}")

    async def _why(self) -> str:
        rows = await self.world.outbox_rows()
        return f"lag {self.world.lag()}, outbox rows {rows}, blocked steps {self.blocked}"

    async def round(self) -> int:
        """Every member does what it can. Time passes when nothing was to be done."""
        done = 0
        for service in SERVICES:
            for member in self.world.members[service]:
                while await self.step(member, "write" if service == "ingest" else "deliver", 500):
                    done += 1
            while await self.step(self.world.members[service][0], "timers"):
                done += 1
            if service == "notifications":
                done += await self._outside(self.world.members[service][0])
            while await self.step(self.world.members[service][0], "relay"):
                done += 1
        if not done:
            self.world.clock.advance(170)
        return done

    async def _outside(self, member: Member) -> int:
        done = 0
        for step in ("mail", "hook"):
            while n := await self.step(member, step):
                done += n
        return done

    async def draw(self) -> None:
        """One drawn step, with or without a fault."""
        rng = self.rng
        kind = rng.choices(("step", *RARE), weights=(80, *RARE.values()))[0]
        if kind == "resume" and self.frozen:
            await self.resume(rng.choice(self.frozen))
        elif kind not in self.faults:
            await self._drawn_step()
        elif kind == "rebalance":
            self.done["rebalance"] += 1
            self.world.log.move(rng.choice(SERVICES[1:]))
        elif kind == "late":
            self._late()
        elif kind == "clock":
            self.world.clock.advance(rng.choice((1, 30, 200)))
        elif kind == "race":
            await self.race(rng.choice(("cash_application", "cash_application", "collections")))
        elif kind == "mail_down":
            self.world.mail_down = not self.world.mail_down

    def _late(self) -> None:
        late, rng = self.world.log.late, self.rng
        if late and rng.random() < 0.5:
            late.clear()
            return
        self.done["late"] += 1
        late.add((rng.choice(SERVICES[1:]), rng.choice(list(self.world.log.records))))

    async def _drawn_step(self) -> None:
        rng, on = self.rng, self.faults
        name = rng.choice(STEPS)
        service = {"write": "ingest", "mail": "notifications", "hook": "notifications"}.get(name)
        service = service or rng.choice(SERVICES[1:] if name == "deliver" else SERVICES)
        free = [m for m in self.world.members[service] if not m.frozen]
        if not free:
            return
        member = rng.choice(free)
        size = rng.choice((1, 2, 5, 20)) if "small" in on else rng.choice((20, 500))
        roll = rng.random()
        if name == "relay":
            self.world.sinks[service].fault = self._fault_of_send()
        if name == "mail" and "relay_away" in on and rng.random() < 0.2:
            self.world.relay_away = True
        if "crash" in on and roll < 0.12:
            await self.crash(member, name, size)
        elif "zombie" in on and roll < 0.24 and len(self.frozen) < FROZEN_MAX:
            await self.freeze(member, name, size)
        else:
            await self.step(member, name, size)
        self.world.sinks[service].fault = ""

    def _fault_of_send(self) -> str:
        found = [f for f in ("lost", "torn") if f in self.faults and self.rng.random() < 0.15]
        for fault in found:
            self.done[fault] += 1
        return found[0] if found else ""

    async def step(self, member: Member, name: str, size: int = 500) -> int:
        """One step of a member to its end. 0 when there was nothing to do or it was put back."""
        self.done[name] += 1
        try:
            return await self._work(member, name, size)
        except asyncpg.DeadlockDetectedError as problem:
            raise Finding("deadlock", f"{name} of {member.name} waits for one that waits for it") from problem
        except asyncpg.LockNotAvailableError:
            self.blocked += 1
        except TRANSIENT:
            member.runtime.unit.control.forget()
            self.done["transient"] += 1
        except Stop as stop:
            raise Finding("stopped", f"{member.name} stopped: {stop}") from stop
        return 0

    async def _work(self, member: Member, name: str, size: int) -> int:
        if name == "deliver":
            return await member.deliver(size)
        if name == "relay":
            return await member.relay(size if "small" in self.faults else 1_000)
        return await getattr(member, name)()

    async def crash(self, member: Member, name: str, size: int) -> None:
        """The process of the member ends at a named place of the step, if the step comes there."""
        place = self.rng.choice(FAILPOINTS[name])
        before = failpoints.armed.get(place)

        async def die() -> None:
            raise Crash(place)

        failpoints.armed[place] = die
        try:
            await self.step(member, name, size)
        except Crash:
            self.done[f"crash {place}"] += 1
            self._interrupted(name)
            await member.crashed()
        finally:
            self._disarm(place, before)

    async def freeze(self, member: Member, name: str, size: int) -> None:
        """The process stands still at a named place, with its transaction open or behind its fetch."""
        places = ("fetched", *FAILPOINTS[name]) if name == "deliver" else FAILPOINTS[name]
        place = self.rng.choice(places)
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
        task = asyncio.ensure_future(self.step(member, name, size))
        there = asyncio.ensure_future(reached.wait())
        await asyncio.wait([task, there], return_when=asyncio.FIRST_COMPLETED)
        there.cancel()
        self._disarm(place, before)
        if task.done():
            if member.source is not None:
                member.source.frozen = None
            await task
            return
        self.done[f"freeze {place}"] += 1
        self._interrupted(name)
        member.frozen = True
        self.frozen.append(Frozen(member, task, gate))
        if member.source is not None and self.rng.random() < 0.7:
            await member.leave()

    async def race(self, service: str) -> None:
        """Two members decide at the same time: both stand still behind their account locks, then go on.

        The second goes on when the first has ended or waits for it. Locks in one order never lead to a circle.
        """
        members = self.world.members[service]
        if any(member.frozen for member in members):
            return
        self.done["race"] += 1
        gates, tasks = [], []
        for member in members:
            gate, reached = asyncio.Event(), asyncio.Event()
            SimConnection.after_lock[member.name] = _pausing(gate, reached)
            tasks.append(asyncio.ensure_future(self.step(member, "deliver", 500)))
            gates.append(gate)
            there = asyncio.ensure_future(reached.wait())
            await asyncio.wait([tasks[-1], there], return_when=asyncio.FIRST_COMPLETED)
            there.cancel()
        SimConnection.after_lock.clear()
        gates[0].set()
        waits = self.world.databases.waits
        while not (tasks[0].done() or await waits(service, members[0].index)):  # noqa: ASYNC110 asks the database
            await asyncio.sleep(0.001)
        gates[1].set()
        for task in tasks:
            await asyncio.wait([task])
        for task in tasks:
            task.result()

    def _interrupted(self, name: str) -> None:
        """A sender of mail that is gone or stands still leaves its mail behind, which another may call unknown."""
        if name == "mail":
            self.mail_kills += 1
            self.world.note_odd()

    def _disarm(self, place: str, before: Any) -> None:
        failpoints.armed.pop(place, None)
        if before is not None:
            failpoints.armed[place] = before

    async def resume(self, frozen: Frozen) -> None:
        """The zombie wakes and does what it was about to do; then it is a member like any other."""
        self.frozen.remove(frozen)
        frozen.gate.set()
        await frozen.task
        self.done["resume"] += 1
        member = frozen.member
        member.frozen = False
        if member.source is not None and member.source not in self.world.log.members[member.service]:
            await member.join()

    async def call(self, service: str, ask: Callable[[Member], Awaitable[Any]]) -> Any:
        """A caller asks until it gets an answer; with `twice` now and then once more after it."""
        for _ in range(CALM_ROUNDS_MAX):
            free = [m for m in self.world.members[service] if not m.frozen]
            if not free:
                await self.resume(self.frozen[0])
                continue
            member = self.rng.choice(free) if self.faults else free[0]
            try:
                answer = await self._asked(member, ask)
            except Crash:
                self.done["crash command"] += 1
                await member.crashed()
                continue
            except TRANSIENT:
                self.blocked += 1
                if self.frozen:
                    await self.resume(self.rng.choice(self.frozen))
                continue
            if "twice" in self.faults and self.rng.random() < 0.15:
                self.done["twice"] += 1
                await self._again(member, ask)
            return answer
        raise Finding("liveness", f"{service} gives no answer")

    async def _again(self, member: Member, ask: Callable[[Member], Awaitable[Any]]) -> None:
        try:
            await ask(member)
        except TRANSIENT:
            self.blocked += 1

    async def _asked(self, member: Member, ask: Callable[[Member], Awaitable[Any]]) -> Any:
        """With crashes on, the process may end just before its commit."""
        if "crash" not in self.faults or self.rng.random() > 0.1:
            return await ask(member)

        async def die() -> None:
            raise Crash("command")

        failpoints.armed["transaction.saved"] = die
        try:
            return await ask(member)
        finally:
            failpoints.armed.pop("transaction.saved", None)

    async def command(
        self, service: str, who: str, name: str, key: str, body: BaseModel, account_id: str | None = None, **more: Any
    ) -> Any:
        return await self.call(service, lambda m: self.world.command(m, who, name, key, body, account_id, **more))


def _pausing(gate: asyncio.Event, reached: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def pause() -> None:
        reached.set()
        await gate.wait()

    return pause
