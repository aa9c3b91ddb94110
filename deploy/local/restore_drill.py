"""`make restore-drill SERVICE=…`: the service's database is lost under load and had again from backup and WAL.

On a stack of its own, in a folder of its own: the service's store is on a server that archives every commit. A base
backup is taken while the first day is fed; in the middle of a later day the server is killed and its disk removed; the
backup is restored, the WAL replayed to the last commit, and the service goes on from its own cursors. At the end the
auditor must find nothing.

With `--backup older` the WAL behind the backup is gone: a day was closed since. The service must freeze every key of
which it has told more than it remembers, do nothing for those by itself, go on with the rest, and let a person release
them.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

import sample
from deploy.local import databases, feed, older_backup, readiness, secrets, service_settings
from deploy.local.archived_postgres import ArchivedPostgres, Backup
from deploy.local.client import Client, open_client
from deploy.local.databases import DatabaseAddress
from deploy.local.errors import StackError
from deploy.local.local_stack import LocalStack
from deploy.local.older_backup import Loss
from deploy.local.paths import REPOSITORY, cache_dir
from deploy.local.ports import free_ports
from deploy.local.postgres import outside_home
from deploy.local.scaling import checked
from deploy.local.state import StackInfo

DAYS, SEED = 5, 1
LOSS_AFTER_S = 0.6
AUDIT_TIMEOUT_S = 300
WATCH_EVERY_S = 0.1
PORTS = ("KAFKA", "KAFKA_CONTROLLER", "POSTGRES", "SMTP", "ISSUER", "ACCESS_SYSTEM", *(
    service.upper() for service in databases.SERVICES))  # fmt: skip
DayEnded = Callable[[int, StackInfo], Awaitable[None]]


@dataclass
class Report:
    """What the drill did and found. `loss` is None where WAL brought the store back to its last commit."""

    service: str
    loss: Loss | None = None
    backup_bytes: int = 0
    backup_s: float = 0.0
    away_s: float = 0.0
    audit: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.loss.passed if self.loss else bool(self.audit.get("passed"))

    def text(self) -> str:
        findings = self.audit.get("findings", [])
        size_mb = self.backup_bytes / 2**20
        backed_up = f"{self.service}: base backup of {size_mb:.0f} MB in {self.backup_s:.1f} s while the feed ran"
        if self.loss is not None:
            after = f"the auditor finds {len(findings)} after that"
            return f"{backed_up}; the store had again as it was then, a day later: {self.loss.text()}; {after}."
        found = "the auditor finds nothing" if self.passed else f"THE AUDITOR FINDS {len(findings)}: {findings[:5]}"
        return (
            f"{backed_up}; database lost in the middle of a day, back at its last commit after {self.away_s:.1f} s; "
            f"{found}."
        )


@contextmanager
def drilled_stack(
    service: str, folder: Path, say: Callable[[str], None]
) -> Iterator[tuple[LocalStack, ArchivedPostgres]]:
    """A running stack in `folder` whose `service` has its store on a server of its own that archives."""
    server = ArchivedPostgres(folder / "drilled")
    with ExitStack() as stop:
        stop.callback(shutil.rmtree, outside_home(folder / "drilled"), ignore_errors=True)
        stop.callback(server.stop)
        server.start()
        server.start_archive()
        asyncio.run(server.commit_only_what_is_archived())
        address = asyncio.run(_database(server, service))
        prefix = f"RECOUP_{service.upper()}"
        given = {k: v for k, v in os.environ.items() if k != "KAFKA_BOOTSTRAP_SERVERS"} | {
            "RECOUP_LOCAL_DIR": str(folder / "stack"),
            "RECOUP_CACHE_DIR": str(cache_dir()),
            **{f"RECOUP_PORT_{name}": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)},
            f"{prefix}_DSN": address.dsn,
            f"{prefix}_OWNER_DSN": address.owner_dsn,
            f"{prefix}_READER_DSN": address.reader_dsn,
        }
        stack = LocalStack(folder / "stack", say=say, fsync=False, environment=given)
        stop.callback(stack.stop)
        stack.start()
        yield stack, server


async def _database(server: ArchivedPostgres, service: str) -> DatabaseAddress:
    password = secrets.database_passwords(server.state_dir / "secrets")[service]
    return await databases.ensure_service_database(server.admin_dsn, service, password)


def drill(
    service: str,
    folder: Path,
    quarter: Path,
    say: Callable[[str], None] = print,
    day_ended: DayEnded | None = None,
    *,
    older: bool = False,
) -> Report:
    """Runs the drill over the days of the sample in `quarter`; `day_ended` is told of each day's close."""
    report = Report(checked(service, 1) and service, loss=Loss() if older else None)
    with drilled_stack(service, folder, say) as (stack, server):
        run = _Run(stack, server, report, quarter, say, day_ended)
        run.to_the_end()
        assert stack.info is not None
        report.audit = _audit(stack.info)
    return report


class _Run:
    """The feed on a thread of its own; backup, loss and restore on this one, whose children the processes are."""

    def __init__(
        self,
        stack: LocalStack,
        server: ArchivedPostgres,
        report: Report,
        quarter: Path,
        say: Callable[[str], None],
        day_ended: DayEnded | None,
    ) -> None:
        self._stack, self._server, self._report = stack, server, report
        self._quarter, self._say, self._day_ended = quarter, say, day_ended
        self._day, self._began, self._backup = -1, 0.0, None
        self._lost = False
        self._problem: BaseException | None = None
        self._closed = -1
        self._began_again_s, self._gone_on = 0.0, threading.Event()

    def to_the_end(self) -> None:
        folders = sorted((self._quarter / "days").iterdir())
        thread = threading.Thread(target=self._feed, args=(folders,))
        thread.start()
        while thread.is_alive():
            self._stack.watch()
            middle, in_a_day = len(folders) // 2, time.monotonic() > self._began + LOSS_AFTER_S
            loss = self._report.loss
            if self._backup is None and self._day == 0:
                self._backup = self._back_up()
            if self._lost or self._backup is None:
                pass
            elif loss is not None and self._closed == middle:
                self._lose_and_go_back(loss)
            elif loss is None and self._day == middle and in_a_day:
                self._lose_and_restore()
            time.sleep(WATCH_EVERY_S)
        thread.join()
        if self._problem is not None:
            raise self._problem
        if not self._lost:
            raise StackError("The days were over before the database was lost: drill with a larger sample.")

    def _feed(self, folders: list[Path]) -> None:
        try:
            asyncio.run(self._fed(folders))
        except BaseException as problem:  # raised again on the main thread
            self._problem = problem

    async def _fed(self, folders: list[Path]) -> None:
        assert self._stack.info is not None
        company = json.loads((self._quarter / "company.json").read_text(encoding="utf-8"))
        client, book = open_client(self._stack.info), feed.Book(company["company"])
        try:
            await feed.configure(client, company)
            for day, folder in enumerate(folders):
                self._began, self._day = time.monotonic(), day
                await feed.feed_day(client, company, book, self._quarter, folder)
                if self._day_ended is not None:
                    await self._day_ended(day, self._stack.info)
                self._closed = day
                if self._report.loss is not None and day == len(folders) // 2:
                    await asyncio.to_thread(self._gone_on.wait)
                    book.disputes.clear()  # nobody can resolve what the store has lost
            if self._report.loss is not None:
                await self._release(client, self._report.loss)
        finally:
            await client.http.aclose()

    async def _release(self, client: Client, loss: Loss) -> None:
        """What was done for frozen keys until now, and then a person lets them all go on."""
        assert self._stack.info is not None
        info, service = self._stack.info, self._report.service
        loss.acts = await older_backup.acts_since(info, service, loss.frozen, self._began_again_s)
        loss.released, loss.left = await older_backup.release_all(client, service)
        await client.until_quiet(service)

    def _lose_and_go_back(self, loss: Loss) -> None:
        """The service is stopped, its store becomes what it was at the backup, and the service is started on it."""
        assert self._backup is not None and self._stack.info is not None
        service = self._report.service
        dsn = self._stack.info.databases[service].dsn
        child = self._stack.child(f"{service}-0")
        self._stack.children.remove(child)
        child.stop()
        before = asyncio.run(older_backup.heads(dsn, service))
        self._bring_back(older=True)
        loss.expected = older_backup.beyond(before, asyncio.run(older_backup.heads(dsn, service)))
        began_s = time.time()
        again = self._stack.start_service(service)
        readiness.wait_ready([(again, self._stack.info.services[service])])
        loss.frozen = asyncio.run(older_backup.frozen_keys(dsn))
        self._say(f"{service} started on the older store: {len(loss.frozen)} keys are frozen")
        self._began_again_s = began_s
        self._gone_on.set()

    def _back_up(self) -> Backup:
        backup = self._server.back_up("base")
        self._report.backup_bytes, self._report.backup_s = backup.size_bytes, backup.took_s
        self._say(f"base backup of {backup.size_bytes / 2**20:.0f} MB in {backup.took_s:.1f} s")
        return backup

    def _lose_and_restore(self) -> None:
        self._bring_back(older=False)
        self._say(f"restored to its last commit after {self._report.away_s:.1f} s")

    def _bring_back(self, *, older: bool) -> None:
        assert self._backup is not None
        self._lost, began = True, time.monotonic()
        self._server.lose()
        self._say(f"the database of {self._report.service} is lost")
        self._server.restore(self._backup, older=older)
        self._server.launch()
        self._server.wait_ready()
        asyncio.run(self._server.until_recovered())
        self._report.away_s = time.monotonic() - began


def _audit(info: StackInfo) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "audit", "--json"],
        cwd=REPOSITORY,
        env=service_settings.of_audit(info),
        capture_output=True,
        text=True,
        timeout=AUDIT_TIMEOUT_S,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise StackError(f"The auditor could not look: {done.stderr[-600:]}")
    return json.loads(done.stdout)


def main(
    service: Annotated[str, typer.Argument()] = "cash_application",
    days: Annotated[int, typer.Option(envvar="RECOUP_SAMPLE_DAYS", min=3)] = DAYS,
    seed: Annotated[int, typer.Option(envvar="RECOUP_SAMPLE_SEED")] = SEED,
    backup: Annotated[str, typer.Option(help="`older`: without the WAL behind the backup")] = "",
) -> None:
    """Lose the service's database under load, restore it, go on, audit; 1 when something is not as it must be."""
    if backup not in ("", "older"):
        raise typer.BadParameter("there is one kind: BACKUP=older; without it the store comes back to its last commit")
    folder = Path(tempfile.mkdtemp(prefix="recoup-drill-"))
    folder.chmod(0o755)
    try:
        sample.generate(seed, days, folder / "sample")
        report = drill(service, folder, folder / "sample", older=backup == "older")
        print(report.text(), flush=True)
        raise typer.Exit(0 if report.passed else 1)
    except StackError as problem:
        print(problem, file=sys.stderr, flush=True)
        raise typer.Exit(1) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
