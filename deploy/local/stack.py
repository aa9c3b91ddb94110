"""`python -m deploy.local.stack`: run, up, stop, status, clean; what the Makefile calls.

`run` starts everything, feeds the sample quarter, prints what came of it and stays until Ctrl-C; with `ONCE=1` it ends
after the summary, non-zero when the books do not reconcile.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.local import scaling, state, tools
from deploy.local.errors import StackError
from deploy.local.paths import REPOSITORY, cache_dir, local_dir
from deploy.local.postgres import outside_home
from deploy.local.processes import stop_all, wait_for
from deploy.local.readiness import ready_answer
from deploy.local.state import StackInfo

if TYPE_CHECKING:
    from deploy.local.local_stack import LocalStack

OUTSIDE_STOP_TIMEOUT_S = 90.0
WATCH_EVERY_S = 1.0

commands = typer.Typer(
    help="The one-machine stack.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
Instances = Annotated[list[str] | None, typer.Option("--instances", help="SERVICE=COUNT, processes of a service")]


@commands.command()
def run(instances: Instances = None, clock: Annotated[str, typer.Option(envvar="RECOUP_CLOCK")] = "stream") -> None:
    """Start everything, feed the sample, print the summary, stay until Ctrl-C (ONCE=1: end after the summary)."""
    with _stack(instances, clock) as stack:
        info = stack.start()
        reconciled = _feed(stack, info)
        _print_addresses(info)
        if os.environ.get("ONCE", "0") not in ("", "0"):
            raise typer.Exit(0 if reconciled else 1)
        print("Ctrl-C stops everything.", flush=True)
        _stay(stack)


@commands.command()
def up(instances: Instances = None, services: bool = False) -> None:
    """Start only the servers, topics, databases and the sample outside world, and stay until Ctrl-C."""
    with _stack(instances, os.environ.get("RECOUP_CLOCK", "stream")) as stack:
        _print_addresses(stack.start(services=services))
        print("Ctrl-C stops everything.", flush=True)
        _stay(stack)


@commands.command()
def stop() -> None:
    """Stop the stack that runs from this folder, whoever started it."""
    with _errors():
        found = state.read(local_dir())
        if found is None or not (found.is_running() or found.left_over()):
            print("Nothing runs.")
            return
        if found.is_running():
            os.kill(found.owner.pid, signal.SIGTERM)
            wait_for(lambda: not found.is_running(), OUTSIDE_STOP_TIMEOUT_S)
        killed = stop_all([found.owner, *found.processes])
        state.forget_processes(local_dir())
        print("Stopped." if not killed else f"Stopped; ended by force: {', '.join(killed)}.")


@commands.command()
def status() -> None:
    """Say what runs, where, and how much memory it takes."""
    with _errors():
        found = state.read(local_dir())
        if found is None or not found.is_running():
            left = found.left_over() if found else []
            print(f"Nothing runs, but {len(left)} processes are left: `make stop`." if left else "Nothing runs.")
            return
        print(f"Running since {found.started_at}, process {found.owner.pid}.")
        for process in found.processes:
            alive = f"{_memory_mb(process.pid)} MB" if process.is_alive() else "ended"
            print(f"  {process.name:22} {process.pid:>8}  {alive}")
        if found.info is not None:
            _print_unready(found.info)
            _print_addresses(found.info)


@commands.command()
def clean(cache: Annotated[bool, typer.Option(help="remove the downloads too")] = False) -> None:
    """Remove all data of the stack; downloads stay unless --cache is given."""
    with _errors():
        local = local_dir()
        lock = state.Lock(local)
        try:
            lock.take()
        except StackError as problem:
            raise StackError(f"A stack runs in {local}: end it with `make stop` before `make clean`.") from problem
        _remove_data(local, keep=set() if cache else {cache_dir()})
        lock.release()
        print(f"Removed the data in {local}.")


@commands.command()
def scale(service: Annotated[str, typer.Argument()] = "", count: Annotated[int, typer.Argument()] = 0) -> None:
    """Give a service of the running stack more or fewer processes, and wait until they share its work."""
    with _errors():
        print(scaling.scale(local_dir(), service, count))


@commands.command()
def parked(service: Annotated[str, typer.Argument()] = "") -> None:
    """List what is parked in a service, or in all: why, which event, what waits behind it."""
    with _errors():
        asyncio.run(tools.parked(service))


@commands.command()
def redrive(service: Annotated[str, typer.Argument()] = "", key: Annotated[str, typer.Argument()] = "") -> None:
    """Run the parked events of a service, or of one key, again, in order, through its normal handler."""
    with _errors():
        tools.redrive(service, key)


@commands.command()
def rebuild(
    service: Annotated[str, typer.Argument()] = "",
    accept_differences: Annotated[bool, typer.Option(help="swap although rows differ from the live ones")] = False,
) -> None:
    """Build the projections of a service anew from the log beside the live ones, compare, and swap them."""
    with _errors():
        tools.rebuild(service, accept_differences)


@commands.command()
def skip(
    service: Annotated[str, typer.Argument()] = "",
    key: Annotated[str, typer.Argument()] = "",
    reason: Annotated[str, typer.Option(help="why; without it, the skip that was asked for is approved")] = "",
    sha256: Annotated[str, typer.Option(help="of the event, as `parked` shows it")] = "",
    by: Annotated[str, typer.Option(help="the sample person: an operator asks, a controller approves")] = "",
) -> None:
    """Ask that the event which stands first of a parked key is left out, or approve it."""
    with _errors():
        print(asyncio.run(tools.skip(service, key, reason, sha256, by or ("otto" if reason else "conrad"))))


@commands.command(name="step-over")
def step_over(
    service: Annotated[str, typer.Argument()] = "",
    topic: Annotated[str, typer.Argument()] = "",
    partition: Annotated[str, typer.Argument()] = "",
    at: Annotated[str, typer.Option(help="the offset where the cursor stands")] = "",
    to: Annotated[str, typer.Option(help="the offset where it goes on")] = "",
    reason: Annotated[str, typer.Option(help="why; without it, the move that was asked for is approved")] = "",
    sha256: Annotated[str, typer.Option(help="of what was asked for, as it was shown")] = "",
    by: Annotated[str, typer.Option(help="the sample person: an operator asks, a controller approves")] = "",
) -> None:
    """Ask that the cursor of a stopped partition is moved, or approve it."""
    with _errors():
        person = by or ("otto" if reason else "conrad")
        moving = tools.step_over(service, topic, partition, at, to, reason=reason, sha256=sha256, by=person)
        print(asyncio.run(moving))


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def audit(context: typer.Context) -> None:
    """Prove the books of the running stack; non-zero when a cent is missing."""
    with _errors():
        tools.audit(context.args)


@commands.command()
def migration(service: Annotated[str, typer.Argument()] = "", message: Annotated[str, typer.Argument()] = "") -> None:
    """Write the next migration of a service by comparing its tables with its migrations."""
    with _errors():
        print(tools.migration(service, message))


def _remove_data(local: Path, keep: set[Path]) -> None:
    shutil.rmtree(outside_home(local / "postgres"), ignore_errors=True)
    for entry in local.iterdir():
        if entry in keep:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def _stack(instances: list[str] | None, clock: str) -> Iterator["LocalStack"]:
    """A stack that is stopped whatever happens; interrupted by Ctrl-C, SIGTERM and SIGHUP alike."""
    from deploy.local.local_stack import LocalStack  # its libraries take a second that status and stop need not wait

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with _errors():
        stack = LocalStack(local_dir(), say=_progress(), instances=_counts(instances or []), clock=clock)
        try:
            yield stack
        except KeyboardInterrupt:
            print("\nStopping.", flush=True)
        finally:
            _stop(stack)


def _stop(stack: "LocalStack") -> None:
    """Stops without being interrupted again: the waits are bounded, and half a stop would leave processes behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    started = len(stack.children)
    stack.stop()
    if started:
        print(f"Stopped {started} processes.", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _errors() -> Iterator[None]:
    """Prints what a person can mend in one sentence; anything else is a fault of ours and keeps its traceback."""
    try:
        yield
    except StackError as problem:
        print(f"\n{problem}", file=sys.stderr, flush=True)
        raise typer.Exit(1) from None


def _progress() -> Callable[[str], None]:
    began = time.monotonic()
    return lambda text: print(f"[{time.monotonic() - began:5.1f} s] {text}", flush=True)


def _feed(stack: "LocalStack", info: StackInfo) -> bool:
    """Feeds the sample while watching the processes; True only when the feed says that the books reconcile."""
    from deploy.local.feed import run_feed

    return asyncio.run(_watched(stack, run_feed(info))) is True


async def _watched(stack: "LocalStack", feed: object) -> object:
    feeding = asyncio.ensure_future(feed)  # type: ignore[call-overload]
    try:
        while not feeding.done():
            stack.watch()
            await asyncio.wait([feeding], timeout=WATCH_EVERY_S)
        return feeding.result()
    finally:
        feeding.cancel()


def _stay(stack: "LocalStack") -> None:
    while True:
        time.sleep(WATCH_EVERY_S)
        stack.watch()


def _counts(texts: list[str]) -> dict[str, int]:
    counts = {}
    for text in texts:
        service, _, count = text.partition("=")
        if not count.isdigit():
            raise StackError(f"--instances {text} is not SERVICE=COUNT, as in cash_application=2.")
        counts[service] = int(count)
    return counts


def _print_addresses(info: StackInfo) -> None:
    where = {**info.services, "issuer": info.issuer_url, "access system": info.access_system_url}
    where |= {"mails": info.mail_dir, "drop folder": info.drop_dir, "logs": info.logs_dir}
    where |= {"Kafka": info.kafka_bootstrap}
    print("\n".join(f"  {name:18} {_short(address)}" for name, address in where.items()), flush=True)


def _print_unready(info: StackInfo) -> None:
    """What the services say that are not ready; nothing when all are."""
    for service, urls in info.instances.items():
        for instance, url in enumerate(urls):
            if (answer := ready_answer(url)) is not None:
                print(f"  NOT READY {service}-{instance}: {answer}", flush=True)


def _short(address: object) -> str:
    text = str(address)
    return text.removeprefix(f"{REPOSITORY}/") if isinstance(address, Path) else text


def _memory_mb(pid: int) -> int:
    """Resident memory; shared pages of PostgreSQL's own children are not counted."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


if __name__ == "__main__":
    commands()
