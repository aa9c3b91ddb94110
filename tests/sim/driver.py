"""The scheduler: draws which faults a seed has, then step after step; lets everything come to rest and audits it."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from shared.runtime import failpoints, halts, loops, markers, outbox, transaction
from shared.runtime.transaction import Stale
from tests.sim import auditor, inputs, points
from tests.sim.inputs import Fact, Inputs, Mark
from tests.sim.profiles import FAULTS, profile_of
from tests.sim.world import Command, Member, Shape, Violation, World

PARTITIONS = 3
NAMED = ("transaction.saved", "transaction.before_commit", "transaction.committed", "consumer.taken", "relay.sent")
ROUNDS_MAX, REPEATED_MAX = 400, 50
SETTLED_BATCH, SETTLED_RELAY = 30, 50
"""Once faults are over the rest goes in large batches."""
IDLE_ROUNDS = 4
"""A member that finds its batch stale does nothing in that round but look again."""


@dataclass
class Result:
    """What came of a seed. `violation` names the invariant that does not hold, `found` what was seen."""

    seed: int
    digest: str = ""
    violation: str = ""
    found: str = ""
    steps: int = 0
    blocked: int = 0
    records: int = 0
    faults: tuple[str, ...] = ()
    coverage: Counter = field(default_factory=Counter)


@asynccontextmanager
async def prepared() -> AsyncIterator[None]:
    """The runtime as the simulator needs it: few partitions, no waiting, every failpoint a place."""
    changed = [(module, "PARTITIONS", PARTITIONS) for module in (markers, outbox, transaction)]
    changed += [(loops, "CONFIGURATION_WAIT_S", 0), (halts, "RETRY_EVERY_S", 0)]
    changed += [(halts, "take_with_care", watched(halts.take_with_care))]
    before = [(module, name, getattr(module, name)) for module, name, _ in changed]
    for module, name, value in changed:
        setattr(module, name, value)
    failpoints.armed.update({name: place(name) for name in NAMED})
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        failpoints.armed.clear()


def place(name: str) -> Callable[[], Any]:
    async def reached() -> None:
        await points.at(name)

    return reached


WORLDS: list[World] = []


def watched(take: Callable) -> Callable:
    """`take_with_care`, told to the world: who had a stale batch."""

    async def taking(pool: Any, unit: Any, batch: Any) -> Any:
        try:
            return await take(pool, unit, batch)
        except Stale as problem:
            for world in WORLDS:
                member = world.member_of(unit)
                strike = points.current.get()
                if member is not None and not (strike and strike.committed):
                    world.observe(member, problem)
            raise

    return taking


class Driver:
    """One seed in one world."""

    def __init__(self, seed: int, store: Any) -> None:
        self.seed, self.rng = seed, Random(seed)
        self.profile = profile = profile_of(seed)
        chance = self.rng.choice((0.0, 0.15, 0.3, 0.5, 0.8))
        drawn = frozenset(fault for fault in FAULTS if self.rng.random() < chance)
        self.faults = drawn if profile.faults is None else profile.faults
        self.orderly = self.rng.random() < 0.4
        self.mended_late = self.rng.random() < 0.5
        shape = self._shape()
        self.planned: Inputs = inputs.draw(
            self.rng, self.faults, days=self.rng.randint(1, 3), partitions=PARTITIONS, mix=profile.mix
        )
        self.world = World(store, shape, Random(seed + 1))
        self.waiting: list[Fact | Mark] = list(self.planned.items)
        self.fed: list[Fact | Mark] = []
        self.barrier: int | None = None
        self.rounds = 0
        self.late_known = "late_company" not in self.faults

    def _shape(self) -> Shape:
        rng, profile = self.rng, self.profile
        drawn = Shape(
            members=rng.randint(1, 3),
            partitions=PARTITIONS,
            batch=rng.choice((1, 2, 4, 8, 30)),
            relay_rows=rng.choice((1, 3, 8, 50)),
            ahead=rng.random() < 0.6,
        )
        return Shape(
            members=profile.members or drawn.members,
            partitions=PARTITIONS,
            batch=profile.batch or drawn.batch,
            relay_rows=profile.relay_rows or drawn.relay_rows,
            ahead=drawn.ahead if profile.ahead is None else profile.ahead,
        )

    async def run(self) -> Result:
        result = Result(self.seed, faults=tuple(sorted(self.faults)))
        WORLDS[:] = [self.world]
        try:
            await self._play()
        except Violation as problem:
            result.violation, result.found = problem.invariant, str(problem)
        finally:
            WORLDS.clear()
            await self._let_go()
        result.digest = self.digest()
        result.steps, result.blocked = self.world.steps, self.world.blocked
        result.records, result.coverage = len(self.world.log.order), self.world.coverage
        return result

    async def _play(self) -> None:
        await self.world.open()
        self.world.log.append(inputs.configuration(inputs.COMPANY))
        if self.profile.aims:
            for member in self.world.members:
                await self.world.deliver(member, points.Strike())
        for _ in range(self.rng.randint(*self.profile.steps)):
            await self._step()
        await self._settle()
        await auditor.audit(self)

    async def _let_go(self) -> None:
        for member in (*self.world.members, *self.world.ghosts):
            if member.frozen:
                task, strike, _ = member.frozen
                strike.gate.set_exception(points.Killed("the world ends"))
                await self.world.store.end_sessions(strike.sessions)
                await points.asyncio.wait([task])
                task.exception()
            if member.batches._ready is not None:  # noqa: SLF001
                await points.asyncio.wait([member.batches._ready])  # noqa: SLF001

    def digest(self) -> str:
        """Hash of the log: everything in it follows from the seed."""
        digest = hashlib.sha256()
        for record in self.world.log.order:
            digest.update(repr((record.partition, record.key, record.headers, record.value)).encode())
        return digest.hexdigest()[:16]

    # Drawing ----------------------------------------------------------------------------------------------------

    async def _step(self) -> None:
        steps = self._possible()
        (act,) = self.rng.choices([act for _, act in steps], [weight for weight, _ in steps])
        self.world.steps += 1
        self.world.clock.forward(1)
        await act()

    def _possible(self) -> list[tuple[int, Callable[[], Any]]]:
        """What can come next, with its weight."""
        world, on = self.world, self.faults
        awake = [member for member in world.members if not member.frozen]
        frozen = [member for member in (*world.members, *world.ghosts) if member.frozen]
        steps: list[tuple[str, int, Callable[[], Any]]] = [("feed", 8, self._feed)]
        if awake:
            steps += [("deliver", 14, self._on(awake, "deliver")), ("relay", 8, self._on(awake, "relay"))]
            steps += [("timers", 6, self._on(awake, "timers"))]
            if "command" in on:
                steps.append(("command", 4, lambda: self._command(awake)))
            if on & {"poison", "undecodable"}:
                steps += [("redrive", 1, self._on(awake, "redrive")), ("mend", 1, self._mend)]
        if frozen:
            steps.append(("resume", 5, lambda: world.resume(self.rng.choice(frozen), crash=self.rng.random() < 0.2)))
            if "end_session" in on:
                steps.append(("end_session", 3, lambda: world.end_sessions(self.rng.choice(frozen))))
        for fault, weight, act in (
            ("restart", 2, self._restart), ("move", 3, self._move), ("duplicate", 3, self._duplicate),
            ("delay", 3, self._delay), ("misplace", 3, self._misplace), ("hole", 1, self._hole),
            ("late_company", 1, self._configure), ("overlap", 2, self._hear),
        ):  # fmt: skip
            if fault in on:
                steps.append((fault, weight, act))
        return [(self.profile.weights.get(name, weight), act) for name, weight, act in steps]

    def _on(self, awake: list[Member], step: str) -> Callable[[], Any]:
        async def act() -> None:
            member = self.rng.choice(awake)
            if step == "deliver" and "truncate" in self.faults and self.rng.random() < 0.3:
                member.source.cut = self.rng.randint(1, 2)
                self.world.coverage["truncate", "deliver"] += 1
            if step == "relay" and "send_cut" in self.faults and self.rng.random() < 0.3:
                self.world.sink.cut = self.rng.randint(0, 6)
                self.world.coverage["send_cut", "relay"] += 1
            await getattr(self.world, step)(member, self._strike(step))
            self.world.sink.cut = None

        return act

    def _strike(self, step: str) -> points.Strike:
        return self.profile.strike(self.rng, step, self.faults)

    # Steps from outside -----------------------------------------------------------------------------------------

    async def _feed(self, limit: int = 0) -> int:
        """The next facts and markers; with `orderly`, facts of the next day wait for this service's own marker."""
        fed = 0
        for _ in range(limit or self.rng.randint(1, 4)):
            if not self.waiting or (self.barrier is not None and not self.world.day_is_through(self.barrier)):
                break
            self.barrier = None
            item = self.waiting.pop(0)
            self._put(item)
            self.fed.append(item)
            fed += 1
            if isinstance(item, Mark) and item.closed is not None and self.orderly:
                self.barrier = item.number
        return fed

    def _put(self, item: Fact | Mark) -> None:
        for outgoing in [item.outgoing] if isinstance(item, Fact) else item.outgoing:
            self.world.log.produce(outgoing)

    async def _command(self, awake: list[Member]) -> None:
        world = self.world
        open_ = [command for command in world.commands if not command.answered and not command.refused]
        if not open_ or self.rng.random() < 0.5:
            names = inputs.accounts_of(inputs.COMPANY, self.profile.mix.accounts)
            moves = {name: self.rng.randint(1, 9) for name in self.rng.sample(names, self.rng.randint(1, 2))}
            open_ = [Command(f"command-{len(world.commands):04d}", next(iter(moves)), moves)]
            world.commands += open_
        command = self.rng.choice(open_)
        lost = "answer_lost" in self.faults and self.rng.random() < 0.3
        await world.command(self.rng.choice(awake), command, self._strike("command"), lost=lost)

    async def _mend(self) -> None:
        if self.rng.random() < 0.3:
            self.world.handler.mended = self.world.ever_mended = True

    async def _restart(self) -> None:
        member = self.rng.choice(self.world.members)
        self.world.coverage["restart", member.frozen[2] if member.frozen else "idle"] += 1
        await self.world.restart(member)

    async def _move(self) -> None:
        number, to = self.rng.randrange(PARTITIONS), self.rng.choice(self.world.members)
        if number not in to.numbers:
            self.world.coverage["move", "assignment"] += 1
            self.world.move(number, to, deaf="overlap" in self.faults and self.rng.random() < 0.5)

    async def _hear(self) -> None:
        for member in self.world.members:
            if member.source.deaf:
                member.source.deaf = False
                self.world.excuse_all()

    async def _duplicate(self) -> None:
        if self.fed:
            item = self.rng.choice(self.fed)
            outgoing = item.outgoing if isinstance(item, Fact) else self.rng.choice(item.outgoing)
            self.world.coverage["duplicate", "fact" if isinstance(item, Fact) else "marker"] += 1
            self.world.log.produce(outgoing)

    async def _delay(self) -> None:
        log = self.world.log
        if log.late and self.rng.random() < 0.5:
            log.release(self.rng.choice(sorted(log.late)))
        else:
            lanes = sorted(lane for lane in log.records if lane.topic in inputs.TOPICS_OF["ingest"])
            log.late.setdefault(self.rng.choice(lanes), [])
            self.world.coverage["delay", "feed"] += 1

    async def _misplace(self) -> None:
        member = self.rng.choice(self.world.members)
        positions = member.source.positions()
        lanes = [lane for lane in sorted(positions) if self.world.log.records[lane]]
        if lanes:
            lane = self.rng.choice(lanes)
            member.source.misplace(lane, self.rng.randrange(len(self.world.log.records[lane])))
            member.excused = True
            self.world.coverage["misplace", "deliver"] += 1

    async def _hole(self) -> None:
        member = self.rng.choice(self.world.members)
        member.source.hole = member.holed = member.excused = True
        self.world.coverage["hole", "deliver"] += 1

    async def _configure(self) -> None:
        if not self.late_known and self.rng.random() < 0.3:
            self.world.log.append(inputs.configuration(inputs.LATE_COMPANY))
            self.late_known = True

    # Rest -------------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Faults are over: everything that was fed must come to its end, in bounded time."""
        world = self.world
        for lane in sorted(world.log.late):
            world.log.release(lane)
        await self._hear()
        for member in [m for m in (*world.members, *world.ghosts) if m.frozen]:
            await world.resume(member)
        for member in world.members:
            member.source.hole, member.source.cut = False, None
        world.handler.sour = False
        if self.mended_late:
            world.handler.mended = world.ever_mended = True
        world.widen(SETTLED_BATCH, SETTLED_RELAY)
        if not self.late_known:
            world.log.append(inputs.configuration(inputs.LATE_COMPANY))
        idle, ended = 0, False
        for _ in range(ROUNDS_MAX):
            idle = 0 if await self._round() else idle + 1
            if idle < IDLE_ROUNDS and not (idle and await auditor.at_rest(world)):
                continue
            if ended:
                return
            if self.waiting:
                raise Violation("everything comes to its end", "the marker of a closed day never came through")
            idle, ended = 0, True
            self._last_tick()
            world.clock.forward(7_200)
        raise Violation("everything comes to its end", f"still at work after {ROUNDS_MAX} rounds")

    def _last_tick(self) -> None:
        number = self.planned.marks[-1].number + 1
        last = inputs.mark(number, inputs.START + timedelta(days=100), None, PARTITIONS)
        self.planned.marks.append(last)
        self._put(last)

    async def _round(self) -> int:
        world = self.world
        done = await self._feed(10)
        for member in list(world.members):
            done += await world.deliver(member, points.Strike())
        self.rounds += 1
        turn = world.members[self.rounds % len(world.members)]
        for step in (world.timers, world.relay):
            for _ in range(REPEATED_MAX):
                some = await step(turn, points.Strike())
                done += some
                if not some:
                    break
        for command in world.commands:
            if not command.answered and not command.refused:
                done += await world.command(world.members[0], command, points.Strike())
        if world.handler.mended:
            done += await world.redrive(world.members[0], points.Strike())
        return done


async def play(seed: int, store: Any) -> Result:
    """Run one seed on an empty store. Call inside `prepared()`."""
    return await Driver(seed, store).run()
