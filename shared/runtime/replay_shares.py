"""A replay shared out to processes: each takes the partitions of some numbers, all read up to the same close.

Facts of one key lie under one number, so each process sees its keys in order; between two of them only what the
service's own replicas meet in each other happens: locks in sorted order, and a deadlock that is tried again. The days
are closed by the parent alone, while all rest.
"""

import asyncio
import gc
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from shared.bus.kafka_log import KafkaReader
from shared.bus.port import Partition, Positions
from shared.errors import Stop, Transient
from shared.failure_text import failure_text
from shared.runtime.effects import Handler
from shared.runtime.rebuild_session import session
from shared.runtime.replay import Persons, Place, Replay
from shared.runtime.transaction import TRANSIENT

STOP_TIMEOUT_S = 30.0
KINDS: dict[str, type[Exception]] = {"Stop": Stop, "Transient": Transient}


@dataclass(frozen=True, slots=True)
class Task:
    """What a process needs to know; it goes there pickled."""

    dsn: str
    bootstrap: str
    service: str
    handler: Handler
    facts: tuple[type, ...] = ()
    persons: Persons = Persons()


@dataclass(slots=True)
class _Share:
    process: BaseProcess
    pipe: Connection
    places: dict[Partition, Place]
    records: int = 0


class Shares:
    """The same steps as a Replay's, done by `processes`. `settle` does the work of a closed day meanwhile."""

    def __init__(self, task: Task, processes: int, settle: Callable[[], Any]) -> None:
        self._task, self._count, self._settle = task, processes, settle
        self._shares: list[_Share] = []

    @property
    def records(self) -> int:
        return sum(share.records for share in self._shares)

    async def start(self, lanes: Sequence[Partition]) -> None:
        """Start the processes and wait until each is connected."""
        context = multiprocessing.get_context("spawn")
        for nth in range(self._count):
            own = [lane for lane in lanes if lane.number % self._count == nth]
            here, there = context.Pipe()
            process = context.Process(target=_main, args=(self._task, own, nth, there), daemon=True)
            process.start()
            there.close()
            self._shares.append(_Share(process, here, dict.fromkeys(own, (0, None))))
        await self._all("start", None)

    async def run(self, ends: Positions) -> None:
        """Go on up to `ends`, exactly, as Replay.run does."""
        await self._all("read", dict(ends))
        await self._settle()
        while (number := self._waits_for()) is not None and self.behind(ends):
            await self._all("release", number)
            await self._all("read", dict(ends))
            await self._settle()

    def behind(self, ends: Positions) -> int:
        return sum(max(0, ends.get(lane, 0) - place[0]) for lane, place in self.places().items())

    def places(self) -> dict[Partition, Place]:
        return {lane: place for share in self._shares for lane, place in share.places.items()}

    def _waits_for(self) -> int | None:
        return min((number for _, number in self.places().values() if number is not None), default=None)

    async def _all(self, what: str, value: Any) -> None:
        """Ask every process and wait for every answer. Raises what the first that failed says."""
        for share in self._shares:
            share.pipe.send((what, value))
        answers = await asyncio.gather(*(asyncio.to_thread(_answer, share) for share in self._shares))
        for share, (failure, places, records) in zip(self._shares, answers, strict=True):
            if failure:
                kind, text = failure
                raise KINDS.get(kind, RuntimeError)(f"a process of the replay failed: {text}")
            share.places, share.records = places, records

    async def stop(self) -> None:
        """End the processes; their connections and readers end with them."""
        for share in self._shares:
            share.pipe.close()
        for share in self._shares:
            await asyncio.to_thread(share.process.join, STOP_TIMEOUT_S)
            if share.process.is_alive():
                share.process.kill()


Answer = tuple[tuple[str, str] | None, dict[Partition, Place], int]


def _answer(share: _Share) -> Answer:
    try:
        return share.pipe.recv()
    except EOFError:
        return (("Transient", f"it ended with code {share.process.exitcode} without a word"), {}, 0)


def _main(task: Task, lanes: Sequence[Partition], nth: int, pipe: Connection) -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    asyncio.run(_serve(task, lanes, nth, pipe))


async def _serve(task: Task, lanes: Sequence[Partition], nth: int, pipe: Connection) -> None:
    """Answer until the parent closes the pipe, or is gone."""
    reader = KafkaReader(task.bootstrap, f"{task.service}-rebuild-{nth}")
    async with session(task.dsn, task.service) as db:
        replay = Replay(db, reader, task.service, task.handler, facts=task.facts, persons=task.persons)
        while (asked := await asyncio.to_thread(_asked, pipe)) is not None:
            what, value = asked
            try:
                if what == "start":
                    await replay.start(lanes)
                elif what == "release":
                    replay.release(value)
                else:
                    await replay.read(value)
            except Exception as problem:  # told to the parent, which ends the replay
                pipe.send(((_kind(problem), failure_text(problem)), {}, 0))
                continue
            pipe.send((None, replay.places(), replay.records))
        await reader.stop()


def _kind(problem: Exception) -> str:
    if isinstance(problem, Stop):
        return "Stop"
    return "Transient" if isinstance(problem, TRANSIENT) else type(problem).__name__


def _asked(pipe: Connection) -> tuple[str, Any] | None:
    try:
        return pipe.recv()
    except EOFError:
        return None
