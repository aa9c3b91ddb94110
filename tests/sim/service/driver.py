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
from tests.sim.service import disturb, people, setup
from tests.sim.service.business import LIFT, Plan
from tests.sim.service.databases import SERVICES
from tests.sim.service.log import poison
from tests.sim.service.outside import instant
from tests.sim.service.profiles import FREE, STRIKES_MAX, Profile
from tests.sim.service.world import Crash, Member, World

FAULTS = ("crash", "zombie", "rebalance", "lost", "torn", "late", "clock", "small", "relay_away", "mail_down", "twice",
          "race", "poison")  # fmt: skip
DRAWS_MAX = 24
CALM_ROUNDS_MAX = 80
IDLE_ROUNDS = 4
# So much of the wall clock passes in a round in which nothing was to be done.
IDLE_S = 170
# Chance in a round that a member that stands still goes on.
WAKE_ODDS = 0.4
BATCH = 500


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
    """`faults`: those that are on; none of them means the undisturbed run. `pairs`: (fault, step) as they came up."""

    world: World
    plan: Plan
    rng: Random
    faults: frozenset[str] = frozenset()
    profile: Profile = FREE
    strikes_left: int = STRIKES_MAX
    done: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    blocked: int = 0
    replies: dict[str, Any] = field(default_factory=dict)
    frozen: list[Frozen] = field(default_factory=list)
    mail_kills: int = 0
    turns: Counter[str] = field(default_factory=Counter)
    """By service: how often a step or a call may have changed its store."""
    nothing: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What was true when a member had nothing to do in a step; as long as it is, a calm round does not ask again."""

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
            await self._some()
        if "poison" in self.faults and not self.done["poison"]:
            self.note("poison", "submit")
            self.world.log.append(poison(instant(day.on, 6)))
        for hour, actions in day.parts():
            if hour in day.ticks:
                await self._until_judged(await self._tick(day.on, hour, 5))
                await self._hours()
            for action in actions:
                await people.perform(self, self.plan, action)
            if any(action.ref == LIFT for action in actions):
                await self._settle()
        await self.call("ingest", lambda m: self.world.close_day(m, day.on))
        await self._until(lambda: self.world.closed(day.on), f"the close of {day.on}")

    async def _settle(self) -> None:
        """Hours pass: what was done reaches the outside before the next tick, at which older orders are tried again."""
        await self.calm()
        for _ in range(CALM_ROUNDS_MAX):
            if not await self.round():
                return

    async def _hours(self) -> None:
        """Behind a tick: what was put off by a strike or a busy receiver is done before people act and the day ends."""
        idle = 0
        for _ in range(CALM_ROUNDS_MAX):
            idle = 0 if await self.round() else idle + 1
            if idle >= IDLE_ROUNDS and not self.frozen:
                return

    async def _tick(self, on: date, hour: int, minute: int = 0) -> int:
        return await self.call("ingest", lambda m: self.world.tick(m, instant(on, hour, minute)))

    async def _until_judged(self, number: int) -> None:
        await self._until(lambda: self.world.judged(number), f"tick {number} judged")

    async def _until(self, reached: Callable[[], Awaitable[bool]], what: str) -> None:
        """Draw steps until it is reached; after a while without faults, and then it must be reached."""
        for _ in range(DRAWS_MAX if self.faults else 0):
            await disturb.draw(self)
            if self.rng.random() < 0.2 and await reached():
                return
        await self.calm()
        for _ in range(CALM_ROUNDS_MAX):
            if await reached():
                return
            await self.round()
        raise Finding("liveness", f"{what} is not reached without faults; {await self._why()}")

    async def _some(self) -> None:
        for _ in range(self.rng.randrange(8) if self.faults else 0):
            await disturb.draw(self)

    async def calm(self) -> None:
        """Faults stop: what stands still goes on, what was late arrives."""
        self.world.mail_down = self.world.relay_away = False
        self.world.log.late.clear()
        while self.frozen:
            await disturb.resume(self, self.frozen[0])

    async def rest(self) -> None:
        """Until nothing is left to do. Raises Finding when something stays."""
        await self.calm()
        idle = 0
        for _ in range(CALM_ROUNDS_MAX):
            idle = 0 if await self.round() else idle + 1
            if idle >= IDLE_ROUNDS and not self.frozen and not self.world.lag() and not await self.world.outbox_rows():
                return
        raise Finding("liveness", f"something is left to do when faults have stopped: {await self._why()}")

    async def _why(self) -> str:
        rows = await self.world.outbox_rows()
        return f"lag {self.world.lag()}, outbox rows {rows}, blocked steps {self.blocked}"

    async def round(self) -> int:
        """Every member does what it can. Time passes when nothing was to be done."""
        done = 0
        for frozen in [each for each in self.frozen if self.rng.random() < WAKE_ODDS]:
            await disturb.resume(self, frozen)
        for service in SERVICES:
            for member in self.world.members[service]:
                if not member.frozen:
                    done += await self._all_of(member, "write" if service == "ingest" else "deliver")
            for name in ("timers", "mail", "hook", "relay") if service == "notifications" else ("timers", "relay"):
                member = await self._one_of(service, name)
                done += await self._all_of(member, name)
        if not done:
            self.world.clock.advance(IDLE_S)
        return done

    async def _one_of(self, service: str, name: str) -> Member:
        """The member for a step that one is enough for: the first that is free, any of them where the profile aims."""
        free = [m for m in self.world.members[service] if not m.frozen]
        if not free:
            await disturb.resume(self, self.frozen[0])
            return await self._one_of(service, name)
        return self.rng.choice(free) if name in self.profile.aims else free[0]

    async def _all_of(self, member: Member, name: str) -> int:
        """The step until it has nothing more to do; not asked where nothing has changed since it had nothing."""
        done = 0
        while True:
            moves = self.world.log.appended if name == "deliver" else self.world.clock.now()
            before = (self.turns[member.service], moves)
            if self.nothing.get((member.name, name)) == before:
                return done
            n = await self._struck(member, name)
            if not n:
                self.nothing[member.name, name] = before
                return done
            done += n
            if member.frozen:
                return done

    async def _struck(self, member: Member, name: str) -> int:
        """A step, with what the seed's profile aims at it as long as strikes are left."""
        aim = self.profile.aim(self.rng, name) if self.strikes_left else None
        if aim is None:
            return await self.step(member, name)
        return await disturb.strike(self, member, name, aim)

    async def step(self, member: Member, name: str, size: int = BATCH) -> int:
        """One step of a member to its end. 0 when there was nothing to do or it was put back."""
        self.done[name] += 1
        self._note_conditions(name)
        try:
            done = await self._work(member, name, size)
            self.turns[member.service] += bool(done)
            return done
        except asyncpg.DeadlockDetectedError as problem:
            raise Finding("deadlock", f"{name} of {member.name} waits for one that waits for it") from problem
        except asyncpg.LockNotAvailableError:
            self.blocked += 1
        except TRANSIENT:
            member.runtime.unit.control.forget()
            self.done["transient"] += 1
        except Stop as stop:
            raise Finding("stopped", f"{member.name} stopped: {stop}") from stop
        except BaseException:
            self.turns[member.service] += 1
            raise
        self.turns[member.service] += 1
        return 0

    async def _work(self, member: Member, name: str, size: int) -> int:
        if name == "deliver":
            return await member.deliver(size)
        if name == "relay":
            return await member.relay(size if "small" in self.faults else 1_000)
        return await getattr(member, name)()

    def note(self, fault: str, step: str) -> None:
        """A fault came up in a step."""
        self.done[fault] += 1
        self.pairs[fault.partition(" ")[0], step] += 1

    def _note_conditions(self, name: str) -> None:
        """What was the matter around a step that is taken."""
        on = {"another stands still": self.frozen, "mail server down": self.world.mail_down and name == "mail",
              "partition late": self.world.log.late and name == "deliver"}  # fmt: skip
        for condition, holds in on.items():
            if holds:
                self.pairs[condition, name] += 1

    async def call(self, service: str, ask: Callable[[Member], Awaitable[Any]]) -> Any:
        """A caller asks until it gets an answer; with `twice` now and then once more after it."""
        self.turns[service] += 1
        for _ in range(CALM_ROUNDS_MAX):
            free = [m for m in self.world.members[service] if not m.frozen]
            if not free:
                await disturb.resume(self, self.frozen[0])
                continue
            member = self.rng.choice(free) if self.faults else free[0]
            try:
                answer = await self._asked(member, ask)
            except Crash:
                self.note("crash transaction.saved", "command")
                await member.crashed()
                continue
            except TRANSIENT:
                self.blocked += 1
                if self.frozen:
                    await disturb.resume(self, self.rng.choice(self.frozen))
                continue
            if "twice" in self.faults and self.rng.random() < 0.15:
                self.note("twice", "command")
                await self._once_more(member, ask)
            return answer
        raise Finding("liveness", f"{service} gives no answer")

    async def _once_more(self, member: Member, ask: Callable[[Member], Awaitable[Any]]) -> None:
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
