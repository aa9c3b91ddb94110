"""One service with several members on one log and one store, and what can be done to it: each method is one step.

A step is awaited to its end, or until it freezes; what it raises says what became of the member.
"""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import asyncpg

from shared.auth import Principal
from shared.bus.port import Partition, Record
from shared.errors import Rejected, Stop
from shared.events.catalogue import LEDGER, READS, TOPICS_OF
from shared.events.markers import DayClosed
from shared.ids import command_id
from shared.runtime import commands, dead_letters, loops, relay
from shared.runtime.batches import Batches
from shared.runtime.transaction import TRANSIENT, Unit
from tests.sim import inputs, points
from tests.sim.bus import SimLog, SimSink, SimSource
from tests.sim.toy import ToyLedger

SERVICE = "cash_application"
TOPICS = sorted({*READS[SERVICE], *TOPICS_OF[SERVICE], *TOPICS_OF["ingest"]})
CALLER = Principal("sim", "person", frozenset({inputs.COMPANY}), frozenset({"analyst"}))
ROUTE = "/v1/moves"


class Violation(Exception):
    """An invariant does not hold. `invariant` is its name, the text what was found."""

    def __init__(self, invariant: str, found: object) -> None:
        super().__init__(f"{invariant}: {found}")
        self.invariant = invariant


class SimClock:
    """Wall clock of the world; only the driver moves it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def forward(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)


class Quiet:
    """A log that nobody reads."""

    def info(self, *_: object, **__: object) -> None:
        return None

    warning = error = info


@dataclass(eq=False)
class Member:
    """A process. `excused`: something happened after which one stale batch is right. `recovering`: it had that batch
    in the step that runs; when the step fails before the positions are loaded anew, it rightly meets the batch again.
    `moving`: its assignment changed and it has not taken the new one, a batch of the old one may be ready.
    """

    name: str
    runtime: Any
    source: SimSource
    batches: Batches
    numbers: set[int]
    frozen: tuple[asyncio.Task, points.Strike, str] | None = None
    excused: bool = False
    recovering: bool = False
    moving: bool = False
    holed: bool = False


@dataclass(slots=True)
class Command:
    """A call of the API; its client sends it again until it is answered."""

    key: str
    account: str
    moves: dict[str, int]
    answered: bool = False
    refused: bool = False
    tries: int = 0

    @property
    def event_id(self) -> Any:
        return command_id(CALLER.actor, ROUTE, self.key)


@dataclass(slots=True)
class Shape:
    """How a world is built; drawn from its seed."""

    members: int = 2
    partitions: int = 3
    batch: int = 4
    relay_rows: int = 5
    ahead: bool = True


@dataclass
class World:
    store: Any
    shape: Shape
    rng: Random
    handler: ToyLedger = field(default_factory=ToyLedger)
    clock: SimClock = field(default_factory=SimClock)
    members: list[Member] = field(default_factory=list)
    ghosts: list[Member] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    coverage: Counter = field(default_factory=Counter)
    blocked: int = 0
    steps: int = 0
    ever_mended: bool = False
    days_seen: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    looked: int = 0

    def __post_init__(self) -> None:
        self.log = SimLog(TOPICS, self.shape.partitions)
        self.sink = SimSink(self.log, self.rng)
        self.names = itertools.count(1)

    async def open(self) -> None:
        owned: list[set[int]] = [set() for _ in range(self.shape.members)]
        for number in range(self.shape.partitions):
            owned[number % self.shape.members].add(number)
        for numbers in owned:
            self.members.append(await self.member(numbers))

    async def member(self, numbers: set[int]) -> Member:
        runtime = self._runtime()
        source = SimSource(self.log, SERVICE, READS[SERVICE])
        await source.start(lambda partitions: loops.load_positions(runtime, list(partitions)))
        source.pending_assignment = self.lanes(numbers)
        batches = Batches(source, SERVICE, self.shape.batch, ahead=self.shape.ahead)
        return Member(f"m{next(self.names)}", runtime, source, batches, numbers)

    def _runtime(self) -> Any:
        settings = SimpleNamespace(role="all", batch_records=self.shape.batch, clock="stream", drain_timeout_s=1.0)
        return SimpleNamespace(
            service=SERVICE,
            settings=settings,
            handler=self.handler,
            unit=Unit(SERVICE, self.handler),
            pool=self.store,
            clock=self.clock,
            log=Quiet(),
            relay_wanted=asyncio.Event(),
            timers_wanted=asyncio.Event(),
            no_new_work=asyncio.Event(),
            failing={},
        )

    def lanes(self, numbers: set[int]) -> frozenset[Partition]:
        return frozenset(Partition(topic, number) for topic in READS[SERVICE] for number in numbers)

    # Steps of a member ------------------------------------------------------------------------------------------

    async def deliver(self, member: Member, strike: points.Strike) -> int:
        strike.meanwhile = lambda: self.made_ready(member)
        return await self.run(member, "deliver", loops.take_next(member.runtime, member.batches, 0), strike)

    async def made_ready(self, member: Member) -> None:
        """What is read ahead comes to its end."""
        ready = member.batches._ready  # noqa: SLF001
        if ready is not None:
            await asyncio.wait([ready])

    async def relay(self, member: Member, strike: points.Strike) -> int:
        return await self.run(member, "relay", relay.relay_once(self.store, self.sink, self.shape.relay_rows), strike)

    async def timers(self, member: Member, strike: points.Strike) -> int:
        return await self.run(member, "timers", loops.timers_once(member.runtime), strike)

    async def redrive(self, member: Member, strike: points.Strike) -> int:
        async def work() -> int:
            results = await dead_letters.redrive(self.store, member.runtime.unit)
            return sum(result == "done" for result in results.values())

        return await self.run(member, "redrive", work(), strike)

    async def command(self, member: Member, command: Command, strike: points.Strike, *, lost: bool = False) -> int:
        """A call; with `lost` it is taken and its client does not learn it."""

        async def work() -> int:
            body = inputs.contact(inputs.COMPANY, command.account, command.moves)
            try:
                await commands.run_command(
                    member.runtime, CALLER, ROUTE, command.key, "move", body, inputs.COMPANY, command.account
                )
            except Rejected as problem:
                command.refused = problem.code == "account_parked"
                return 0
            if lost:
                self.coverage["answer lost", "command"] += 1
                return 0
            command.answered = True
            return 1

        command.tries += 1
        return await self.run(member, "command", work(), strike)

    async def run(self, member: Member, kind: str, work: Coroutine[Any, Any, int], strike: points.Strike) -> int:
        self.note_conditions(kind)
        if strike.kind != "freeze":
            return await self._ended(member, await points.ran(work, strike), strike, kind)
        task = points.start(work, strike)
        await asyncio.wait({task, strike.frozen}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self.coverage["freeze", kind] += 1
            member.frozen = (task, strike, kind)
            return 0
        return await self._ended(member, points.end_of(task), strike, kind)

    def note_conditions(self, kind: str) -> None:
        for condition, holds in (
            ("another step frozen", any(m.frozen for m in (*self.members, *self.ghosts))),
            ("two owners", self.overlap()),
            ("a lane late", bool(self.log.late)),
        ):
            if holds:
                self.coverage[condition, kind] += 1

    async def _ended(self, member: Member, end: points.End, strike: points.Strike, kind: str) -> int:
        result, problem = end
        if strike.place and strike.kind != "freeze":
            self.coverage[strike.kind, kind] += 1
        strike.kind = None
        await self.made_ready(member)
        member.excused |= member.recovering and problem is not None
        member.recovering = False
        if member.moving and member.source.pending_assignment is None:
            member.moving = False
            self.excuse_all()
        if problem is None:
            return result
        if isinstance(problem, Violation):
            raise problem
        if strike.committed:
            member.excused = True
        if isinstance(problem, points.Killed):
            await self.restart(member)
        elif isinstance(problem, TRANSIENT):
            member.runtime.unit.control.forget()
            self.blocked += isinstance(problem, asyncpg.LockNotAvailableError)
        elif isinstance(problem, Stop) and member.holed:
            await self.restart(member)
        else:
            raise Violation("no step fails for good", f"{kind}: {type(problem).__name__}: {problem}") from problem
        return 0

    # What happens to members ------------------------------------------------------------------------------------

    def overlap(self) -> bool:
        """Whether somebody may still work on what is another's: it lives on, or has not taken its new assignment."""
        return bool(self.ghosts) or any(member.source.deaf or member.moving for member in self.members)

    def excuse_all(self) -> None:
        for member in (*self.members, *self.ghosts):
            member.excused = True

    async def restart(self, member: Member) -> None:
        """The process is replaced by one that knows nothing; what is frozen of it lives on as a ghost."""
        if member in self.ghosts:
            return
        index = self.members.index(member)
        self.members[index] = await self.member(member.numbers)
        if member.frozen:
            self.ghosts.append(member)
        if member.frozen or member.source.deaf or member.moving:
            self.excuse_all()

    def widen(self, batch: int, relay_rows: int) -> None:
        """From now on more goes at once."""
        self.shape.batch, self.shape.relay_rows = max(batch, self.shape.batch), max(relay_rows, self.shape.relay_rows)
        for member in self.members:
            member.batches._records_max = self.shape.batch  # noqa: SLF001

    async def resume(self, member: Member, *, crash: bool = False) -> int:
        task, strike, kind = member.frozen  # type: ignore[misc]
        member.frozen = None
        if crash:
            strike.gate.set_exception(points.Killed("ended while frozen"))
        else:
            strike.gate.set_result(None)
        await asyncio.wait([task])
        self.coverage["resume", kind] += 1
        result = await self._ended(member, points.end_of(task), strike, kind)
        if member in self.ghosts:
            self.ghosts.remove(member)
            self.excuse_all()
        return result

    async def end_sessions(self, member: Member) -> None:
        _, strike, kind = member.frozen  # type: ignore[misc]
        if await self.store.end_sessions(strike.sessions):
            self.coverage["session ended", kind] += 1

    def move(self, number: int, to: Member, *, deaf: bool) -> None:
        owner = next(member for member in self.members if number in member.numbers)
        owner.numbers.discard(number)
        to.numbers.add(number)
        owner.source.deaf = deaf or owner.source.deaf
        for member in (owner, to):
            member.source.pending_assignment, member.moving = self.lanes(member.numbers), True
        self.excuse_all()

    def observe(self, member: Member, problem: BaseException) -> None:
        """A batch was stale. Without a second owner or a misplaced fetch that must not be."""
        if not member.excused and not self.overlap():
            raise Violation("an undisturbed owner's batch is never stale", f"{member.name}: {problem!r}")
        member.excused, member.recovering = False, True

    def member_of(self, unit: Unit) -> Member | None:
        return next((m for m in (*self.members, *self.ghosts) if m.runtime.unit is unit), None)

    # What is seen from outside ----------------------------------------------------------------------------------

    def day_is_through(self, number: int) -> bool:
        """Whether this service's own marker of a closed day stands in every partition of its topic."""
        for record in self.log.order[self.looked :]:
            if record.partition.topic == LEDGER and dict(record.headers)["ce_type"].decode() == DayClosed.TYPE:
                self.days_seen[DayClosed.model_validate_json(record.value).number].add(record.partition.number)
        self.looked = len(self.log.order)
        return len(self.days_seen[number]) == self.shape.partitions

    def records(self) -> list[Record]:
        return self.log.order
