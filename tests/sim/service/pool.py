"""Worker processes that play seeds, each with databases of its own on one server.

Invariant: what a seed comes to does not depend on the process that plays it or on what it played before.
"""

import asyncio
import gc
import multiprocessing
import queue
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkContext, ForkProcess
from pathlib import Path
from typing import Any

from tests import servers
from tests.sim.service import bugs, databases, server
from tests.sim.service.run import Outcome, Simulator, plan_of

LOOK_S = 1.0
END_S = 20.0


@dataclass(frozen=True)
class Asked:
    """Seeds in order; `bug` is planted while they run; `twice`: a second run of each must give the same log."""

    seeds: tuple[int, ...]
    bug: str = ""
    twice: bool = False


def play(asked: Asked, admin_dsn: str, processes: int) -> Iterator[Outcome]:
    """What each seed came to, as they end. Workers are ended when the caller stops asking."""
    asyncio.run(databases.make_templates(admin_dsn))
    context = multiprocessing.get_context("fork")
    results: Any = context.Queue()
    groups = _groups(asked.seeds)
    # Garbage of the imports is looked at once, and not again in every collection of every worker.
    gc.collect()
    gc.freeze()
    workers = _started(context, asked, groups, admin_dsn, results, min(processes, len(groups)))
    try:
        for _ in asked.seeds:
            outcome = _next(results, workers)
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(END_S)


def _groups(seeds: tuple[int, ...]) -> list[list[int]]:
    """Neighbours with the same plan go to one worker together."""
    groups: list[list[int]] = []
    for seed in seeds:
        if groups and plan_of(groups[-1][-1]) == plan_of(seed):
            groups[-1].append(seed)
        else:
            groups.append([seed])
    return groups


def _started(
    context: ForkContext, asked: Asked, groups: list[list[int]], admin_dsn: str, results: Any, count: int
) -> list[ForkProcess]:
    taken = context.Value("i", 0)
    # What a worker keeps lies in the folder of this process and goes with it, however the worker ends.
    folder = servers.run_folder(server.memory_folder())
    workers = [
        context.Process(
            target=_worker, args=(asked, groups, taken, admin_dsn, folder / f"blobs-{n}", results), daemon=True
        )
        for n in range(count)
    ]
    for worker in workers:
        worker.start()
    return workers


def _next(results: Any, workers: list[ForkProcess]) -> Any:
    while True:
        try:
            return results.get(timeout=LOOK_S)
        except queue.Empty:
            if dead := [worker for worker in workers if worker.exitcode not in (None, 0)]:
                raise RuntimeError(f"a worker of the simulation ended with code {dead[0].exitcode}") from None


def _worker(asked: Asked, groups: list[list[int]], taken: Any, admin_dsn: str, folder: Path, results: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        asyncio.run(_seeds(asked, groups, taken, admin_dsn, folder, results))
    except Exception as problem:  # told to the one who waits for results, who ends the run
        results.put(RuntimeError(f"a worker of the simulation failed: {type(problem).__name__}: {problem}"))


async def _seeds(asked: Asked, groups: list[list[int]], taken: Any, admin_dsn: str, folder: Path, results: Any) -> None:
    async with databases.opened(admin_dsn) as stores:
        simulator = Simulator(stores, folder)
        with bugs.planted(asked.bug):
            while (group := _take(groups, taken)) is not None:
                for seed in group:
                    results.put(await _one(simulator, seed, asked))


def _take(groups: list[list[int]], taken: Any) -> list[int] | None:
    with taken.get_lock():
        number, taken.value = taken.value, taken.value + 1
    return groups[number] if number < len(groups) else None


async def _one(simulator: Simulator, seed: int, asked: Asked) -> Outcome:
    outcome = await simulator.simulate(seed, alone=bool(asked.bug))
    if asked.twice:
        again = await simulator.simulate(seed, alone=True)
        if outcome.digest != again.digest:
            outcome.findings.append(("same hash", f"{outcome.digest[:12]} and then {again.digest[:12]}"))
    return outcome
