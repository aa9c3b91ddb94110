"""`python -m tests.sim.service --seeds N --first S [--bug NAME] [--twice]`: exit 1 and a replay command on a finding.

With --bug a planted bug is switched on, and the run ends at the first seed that catches it (exit 1), or with 0.
"""

import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from shared.events import catalogue

# Few partitions mean few copies of each marker; the number is a matter of deployment, the code is the same.
catalogue.PARTITIONS = 3

from tests.sim.service import bugs, databases, server  # noqa: E402
from tests.sim.service.run import Outcome, simulate  # noqa: E402

REPLAY = "python -m tests.sim.service --seeds 1 --first {seed}"
SHOWN_MAX = 6


def main(
    seeds: Annotated[int, typer.Option(help="how many")] = 10,
    first: Annotated[int, typer.Option(help="the first seed")] = 1,
    bug: Annotated[str, typer.Option(help=f"plant one of: {', '.join(sorted(bugs.BUGS))}")] = "",
    twice: Annotated[bool, typer.Option(help="run every seed twice and compare the logs")] = False,
    keep_going: Annotated[bool, typer.Option(help="do not end at the first finding")] = False,
    verbose: Annotated[bool, typer.Option(help="say what every seed did")] = False,
) -> None:
    """Simulate the five services in one world."""
    raise typer.Exit(asyncio.run(_main(seeds, first, bug, twice, keep_going, verbose)))


async def _main(seeds: int, first: int, bug: str, twice: bool, keep_going: bool, verbose: bool) -> int:
    shm = Path("/dev/shm")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None)))
        folder.chmod(0o755)
        admin = server.start(stack)
        async with databases.opened(admin) as stores:
            with bugs.planted(bug):
                wanted = range(first, first + seeds)
                return await _seeds(wanted, stores, folder / "blobs", bug, twice, keep_going, verbose)


async def _seeds(seeds: range, stores, folder: Path, bug: str, twice: bool, keep_going: bool, verbose: bool) -> int:  # noqa: ANN001
    began, failed = time.monotonic(), 0
    for n, seed in enumerate(seeds, 1):
        outcome = await simulate(seed, stores, folder, alone=bool(bug))
        if twice and outcome.digest != (again := await simulate(seed, stores, folder, alone=True)).digest:
            outcome.findings.append(("same hash", f"{outcome.digest[:12]} and then {again.digest[:12]}"))
        if verbose:
            print(f"seed {seed}: {outcome.records} records, {outcome.blocked} blocked, faults {outcome.faults}")
            print(f"  {outcome.digest[:16]} {dict(sorted(outcome.done.items()))}", flush=True)
        if outcome.findings:
            failed += 1
            _show(outcome, n, bug)
            if not keep_going:
                break
    took = time.monotonic() - began
    print(f"service tier: {n} seeds in {took:.1f} s ({60 * n / took:.0f} a minute), {failed} with findings")
    return 1 if failed else 0


def _show(outcome: Outcome, number: int, bug: str) -> None:
    print(f"seed {outcome.seed} (the {number}. of this run), faults {', '.join(outcome.faults)}:")
    for rule, sentence in outcome.findings[:SHOWN_MAX]:
        print(f"  [{rule}] {sentence}")
    planted = f" --bug {bug}" if bug else ""
    print(f"replay: {REPLAY.format(seed=outcome.seed)}{planted}", flush=True)


if __name__ == "__main__":
    typer.run(main)
