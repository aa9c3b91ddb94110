"""`python -m tests.sim.service --seeds N --first S [--bug NAME]`: seeds that failed once are played first; exit 1 and a
replay command on a finding.

With --bug a planted bug is switched on, and the run ends at the first seed that catches it (exit 1), or with 0.
"""

import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from shared.events import catalogue

# Few partitions mean few copies of each marker; the number is a matter of deployment, the code is the same.
catalogue.PARTITIONS = 3

from tests.sim.service import bugs, server  # noqa: E402
from tests.sim.service.pool import Asked, play  # noqa: E402
from tests.sim.service.run import Outcome  # noqa: E402

REGRESSIONS = Path(__file__).with_name("regressions.txt")
SHOWN_MAX = 6
PROGRESS_S = 60


def main(
    seeds: Annotated[int, typer.Option(help="how many")] = 10,
    first: Annotated[int, typer.Option(help="the first seed")] = 1,
    bug: Annotated[str, typer.Option(help=f"plant one of: {', '.join(sorted(bugs.BUGS))}")] = "",
    twice: Annotated[bool, typer.Option(help="run every seed twice and compare the logs")] = False,
    keep_going: Annotated[bool, typer.Option(help="do not end at the first finding")] = False,
    verbose: Annotated[bool, typer.Option(help="say what every seed did")] = False,
    processes: Annotated[int, typer.Option(help="how many play at a time")] = 2,
) -> None:
    """Simulate the five services in one world."""
    numbers = list(range(first, first + seeds))
    if not bug and seeds > 1:
        numbers = list(dict.fromkeys(kept() + numbers))
    asked = Asked(tuple(numbers), bug, twice)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server is stopped on the way out
    with ExitStack() as stack:
        raise typer.Exit(_played(asked, server.start(stack), keep_going, verbose, processes))


def _played(asked: Asked, admin_dsn: str, keep_going: bool, verbose: bool, processes: int) -> int:
    began = told = time.monotonic()
    count = records = failed = 0
    for outcome in play(asked, admin_dsn, processes):
        count, records = count + 1, records + outcome.records
        if verbose:
            print(f"seed {outcome.seed}: {outcome.records} records, {outcome.blocked} blocked, faults {outcome.faults}")
            print(f"  {outcome.digest[:16]} {dict(sorted(outcome.done.items()))}", flush=True)
        if outcome.findings:
            failed += 1
            _show(outcome, asked.bug)
            if not asked.bug:
                keep(outcome)
            if not keep_going:
                break
        if time.monotonic() - told > PROGRESS_S:
            told = time.monotonic()
            print(_sum(count, records, told - began, failed), flush=True)
    print(_sum(count, records, time.monotonic() - began, failed), flush=True)
    return 1 if failed else 0


def _sum(count: int, records: int, took_s: float, failed: int) -> str:
    rate = f"{60 * count / took_s:.0f} a minute"
    return f"service tier: {count} seeds, {records} records in {took_s:.1f} s ({rate}), {failed} with findings"


def _show(outcome: Outcome, bug: str) -> None:
    print(f"seed {outcome.seed}, faults {', '.join(outcome.faults)}:")
    for rule, sentence in outcome.findings[:SHOWN_MAX]:
        print(f"  [{rule}] {sentence}")
    print(f"replay: {replay(outcome.seed, bug)}", flush=True)


def replay(seed: int, bug: str = "") -> str:
    if bug:
        return f"python -m tests.sim.service --seeds 1 --first {seed} --bug {bug}"
    return f"make sim TIER=service SEED={seed}"


def kept() -> list[int]:
    """Seeds that failed once: lines of `<seed> <invariant> …`."""
    return [int(line.split()[0]) for line in REGRESSIONS.read_text(encoding="utf-8").splitlines() if line.strip()]


def keep(outcome: Outcome) -> None:
    if outcome.seed not in kept():
        rule, sentence = outcome.findings[0]
        with REGRESSIONS.open("a", encoding="utf-8") as file:
            file.write(f"{outcome.seed} {rule}: {sentence[:120]}\n")


if __name__ == "__main__":
    typer.run(main)
