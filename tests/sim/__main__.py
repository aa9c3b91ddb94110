"""`python -m tests.sim`: run seeds of a tier, kept failures first; print how to replay what fails."""

import argparse
import asyncio
import gc
import os
import time
from collections import Counter
from collections.abc import Iterable
from multiprocessing import Pool
from pathlib import Path

from tests.sim.driver import Result, play, prepared
from tests.sim.statements import make_store

REGRESSIONS = Path(__file__).parent / "regressions.txt"
CHUNK = 50
CHUNKS_PER_PROCESS = 100
PROGRESS_EVERY_S = 60.0


def kept(tier: str) -> list[int]:
    """Seeds that failed once, of a tier: lines of `<tier> <seed>`, the rest of a line says why."""
    lines = [line.split() for line in REGRESSIONS.read_text().splitlines()]
    return [int(words[1]) for words in lines if len(words) > 1 and words[0] == tier]


def replay(seed: int) -> str:
    return f"make sim TIER=runtime SEED={seed}"


async def run_seeds(seeds: Iterable[int], *, twice_every: int = 50) -> list[Result]:
    """Play seeds on stores in memory; every so many a seed is played twice and must give the same log."""
    results = []
    async with prepared():
        for seed in seeds:
            result = await play(seed, make_store())
            if not result.violation and twice_every and seed % twice_every == 0:
                again = await play(seed, make_store())
                if again.digest != result.digest:
                    result.violation, result.found = "same seed, same log", f"{result.digest}, then {again.digest}"
            results.append(result)
    return results


def chunk(seeds: range) -> list[Result]:
    return asyncio.run(run_seeds(seeds))


def calm() -> None:
    """A worker keeps what it has loaded and looks for garbage rarely: a seed leaves little."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 20)


class Tally:
    """What a run has come to so far; failing seeds are kept as they come."""

    def __init__(self, log: Path | None) -> None:
        self.log, self.started_s, self.told_s = log, time.monotonic(), 0.0
        self.sums: Counter = Counter()
        self.coverage: Counter = Counter()
        self.failures: list[Result] = []

    def add(self, results: list[Result]) -> None:
        for result in results:
            self.sums.update(seeds=1, steps=result.steps, records=result.records, blocked=result.blocked)
            self.coverage.update(result.coverage)
            if result.violation:
                self.failures.append(result)
                self.tell(f"FAILED {result.found}\n  {replay(result.seed)}")
                keep(result)
        if self.log is not None and time.monotonic() - self.told_s > PROGRESS_EVERY_S:
            self.told_s = time.monotonic()
            self.tell(self.text())

    def text(self) -> str:
        spent_s = time.monotonic() - self.started_s
        told = ", ".join(f"{count} {name}" for name, count in self.sums.items())
        return f"{told}, {len(self.failures)} failures, {spent_s:.0f} s, {self.sums['seeds'] / spent_s:.0f} seeds/s"

    def tell(self, text: str) -> None:
        print(text, flush=True)
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{text}\n")


def run_many(tally: Tally, first: int, count: int, processes: int) -> None:
    """Play `count` seeds, in order as far as several processes allow."""
    chunks = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    with Pool(processes, calm, maxtasksperchild=CHUNKS_PER_PROCESS) as pool:
        for results in pool.imap(chunk, chunks):
            tally.add(results)


def keep(result: Result) -> None:
    if result.seed not in kept("runtime"):
        with REGRESSIONS.open("a") as file:
            file.write(f"runtime {result.seed} {result.violation}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="play one seed alone")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--log", type=Path, help="a file for progress and result as well, for long runs")
    asked = parser.parse_args()
    if asked.seed is not None:
        (result,) = asyncio.run(run_seeds([asked.seed], twice_every=1))
        print(f"seed {result.seed}: {result.found or 'holds'}; log {result.digest}, faults {', '.join(result.faults)}")
        return bool(result.violation)
    tally = Tally(asked.log)
    for result in asyncio.run(run_seeds(kept("runtime"))):
        if result.violation:
            tally.failures.append(result)
            tally.tell(f"FAILED {result.found}\n  {replay(result.seed)}")
    run_many(tally, asked.first, asked.seeds, asked.processes)
    tally.tell(f"seeds {asked.first} to {asked.first + asked.seeds - 1}: {tally.text()}")
    return bool(tally.failures)


if __name__ == "__main__":
    raise SystemExit(main())
