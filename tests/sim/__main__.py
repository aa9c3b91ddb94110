"""`python -m tests.sim`: run seeds of a tier, kept failures first; print how to replay what fails."""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from multiprocessing import Pool
from pathlib import Path

from tests.sim.driver import Result, play, prepared
from tests.sim.statements import make_store

REGRESSIONS = Path(__file__).parent / "regressions.txt"
CHUNK = 100


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


def run_many(first: int, count: int, processes: int) -> tuple[list[Result], Counter]:
    """Failures, and what was covered, of `count` seeds."""
    failures: list[Result] = []
    total: Counter = Counter()
    chunks = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    with Pool(processes) as pool:
        for results in pool.imap_unordered(chunk, chunks):
            for result in results:
                total.update({("sum", "seeds"): 1, ("sum", "steps"): result.steps, ("sum", "blocked"): result.blocked})
                total["sum", "records"] += result.records
                total.update(result.coverage)
                if result.violation:
                    failures.append(result)
    return failures, total


def keep(failures: list[Result]) -> None:
    known = set(kept("runtime"))
    with REGRESSIONS.open("a") as file:
        for result in failures:
            if result.seed not in known:
                file.write(f"runtime {result.seed} {result.violation}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="play one seed alone")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    if asked.seed is not None:
        (result,) = asyncio.run(run_seeds([asked.seed], twice_every=1))
        print(f"seed {result.seed}: {result.found or 'holds'}; log {result.digest}, faults {', '.join(result.faults)}")
        return bool(result.violation)
    started = time.monotonic()
    again = asyncio.run(run_seeds(kept("runtime")))
    failures, total = run_many(asked.first, asked.seeds, asked.processes)
    failures += [result for result in again if result.violation]
    for result in sorted(failures, key=lambda r: r.seed)[:20]:
        print(f"FAILED {result.found}\n  {replay(result.seed)}")
    keep(failures)
    spent_s = time.monotonic() - started
    sums = {name: total["sum", name] for name in ("seeds", "steps", "records", "blocked")}
    told = ", ".join(f"{count} {name}" for name, count in sums.items())
    print(f"{told}, {len(failures)} failures, {spent_s:.1f} s, {sums['seeds'] / spent_s:.0f} seeds/s")
    return bool(failures)


if __name__ == "__main__":
    raise SystemExit(main())
