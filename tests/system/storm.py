"""Faults against a stack of processes while it is fed the quarter: what strikes, when, and what stands afterwards.

A fault is a generator: it strikes, yields how many seconds later it wants to go on, and puts right what it did when it
ends. All run on the main thread, whose children the processes are; the feed runs on a thread of its own.
"""

import asyncio
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.local import readiness
from deploy.local.databases import SERVICES, on_database
from deploy.local.errors import StackError
from deploy.local.kafka import KafkaServer
from deploy.local.local_stack import LocalStack
from deploy.local.ports import HOST
from deploy.local.postgres import PostgresServer, outside_home
from deploy.local.state import StackInfo
from shared.settings import Role
from tests.servers import remove_folder
from tests.system.fault_proxy import FaultProxy
from tests.system.quarter import feed_quarter, stack_in

CASH = "cash_application"
PARTS: list[Role] = ["api", "worker", "worker", "relay", "timers"]
PAUSE_S = 0.05
DATABASE_STARTS_MAX = 20
IN_THE_MIDDLE = "select count(*) from notice where status = 'sending'"
# 53100 is what PostgreSQL says when the disk is full.
FAIL_WRITES = """
create or replace function no_room() returns trigger language plpgsql as
    $$ begin raise exception 'no room for the outbox' using errcode = '53100'; end $$;
create or replace trigger no_room before insert on outbox for each statement execute function no_room();
"""
WRITE_AGAIN = "drop trigger if exists no_room on outbox; drop function if exists no_room()"

THE_WAY = {"posting_id", "tried_on", "accounted_on", "cause"}
CASH_OF_ACCOUNTS = ("account_cash", "cash")

Fault = Callable[["Site"], Iterator[float]]
Plan = Mapping[int, Sequence[tuple[float, Fault]]]


class ProxiedKafka(KafkaServer):
    """A broker whose clients are told the port of a proxy before it."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self.way = FaultProxy(self.port)

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.way.port}"

    def prepare(self) -> None:
        super().prepare()
        told = f"advertised.listeners=PLAINTEXT://{HOST}:"
        text = self._settings_path.read_text(encoding="utf-8")
        assert f"{told}{self.port}" in text
        self._settings_path.write_text(text.replace(f"{told}{self.port}", f"{told}{self.way.port}"), encoding="utf-8")


@dataclass
class Site:
    """A stack, its two servers, the proxies on all its ways, how many mails were in the middle of a send when
    something that can hurt a send struck, and which processes ended though nobody killed them."""

    stack: LocalStack
    kafka: ProxiedKafka
    postgres: PostgresServer
    ways: dict[str, FaultProxy]
    sends_hurt: int = 0
    struck: list[str] = field(default_factory=list)
    gave_up: list[str] = field(default_factory=list)

    @property
    def info(self) -> StackInfo:
        assert self.stack.info is not None
        return self.stack.info

    def signal(self, name: str, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # another fault was quicker
            os.kill(self.stack.child(name).pid, number)

    def is_ready(self, name: str) -> bool:
        service, _, instance = name.rpartition("-")
        return readiness.ready_answer(self.info.instances[service][int(instance)]) is None

    def count_sends(self) -> None:
        """Nothing new is sent while the database is away: what was being sent was counted when it went."""
        with suppress(OSError, asyncpg.CannotConnectNowError):
            self.sends_hurt += self.query("notifications", IN_THE_MIDDLE)

    def query(self, service: str, statement: str) -> Any:
        """The one value of a query, past the proxy, as the superuser."""
        return asyncio.run(self._run(service, lambda connection: connection.fetchval(statement)))

    def execute(self, service: str, script: str) -> None:
        asyncio.run(self._run(service, lambda connection: connection.execute(script)))

    async def _run(self, service: str, work: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        connection = await asyncpg.connect(on_database(self.postgres.admin_dsn, f"recoup_{service}"))
        try:
            return await work(connection)
        finally:
            await connection.close()

    def revive(self) -> None:
        """What ended is started again, however often: here that is the purpose. What ended by itself is remembered."""
        ended = [(child.name, code) for child in self.stack.children if (code := child.poll()) is not None]
        self.gave_up += [f"{name} with {code}" for name, code in ended if code not in (0, -signal.SIGKILL)]
        self.stack.restarted_at.clear()
        self.stack.restart_ended()


@contextmanager
def site_in(folder: Path, *, parts: bool = False, replicas: int = 1) -> Iterator[Site]:
    """A stack with a proxy on every way; cash application as five processes with `parts`, or as `replicas`."""
    folder.chmod(0o755)
    (folder / "stack").mkdir()
    kafka, postgres = ProxiedKafka(folder / "broker"), PostgresServer(folder / "store", fsync=False)
    with ExitStack() as stop:
        stop.callback(remove_folder, outside_home(folder / "store"))
        stop.callback(postgres.stop)
        stop.callback(kafka.stop)
        postgres.start()
        ways = {"kafka": kafka.way, "postgres": FaultProxy(postgres.port)}
        for way in ways.values():
            stop.callback(way.start().stop)
        kafka.start()
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "RECOUP_POSTGRES_DSN": _by_way_of(postgres.admin_dsn, ways["postgres"]),
        }
        instances = {CASH: len(PARTS) if parts else replicas}
        stack = stop.enter_context(
            stack_in(folder / "stack", services=False, instances=instances, environment=settings)
        )
        assert stack.info is not None
        ways["smtp"] = FaultProxy(stack.info.smtp_port).start()
        stop.callback(ways["smtp"].stop)
        stack.info = replace(stack.info, smtp_port=ways["smtp"].port)
        start_services(stack, PARTS if parts else ["all"] * replicas)
        yield Site(stack, kafka, postgres, ways)


def start_services(stack: LocalStack, roles: Sequence[Role]) -> None:
    assert stack.info is not None
    plan: list[tuple[str, int, Role]] = [(service, 0, "all") for service in SERVICES if service != CASH]
    plan += [(CASH, instance, role) for instance, role in enumerate(roles)]
    started = [(stack.start_service(*each), stack.info.instances[each[0]][each[1]]) for each in plan]
    readiness.wait_ready(started)


def _by_way_of(dsn: str, way: FaultProxy) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{way.port}")))


def settled(state: str) -> str:
    """The state without the way to it: with two workers, or when the broker was away, a payment may be tried before its
    invoices are read, stands as unidentified for a moment, and is applied then. What is applied, open and owed is the
    same; journal lines of one kind are added up, which posting it was is left out, and so is that an account had cash
    for that moment."""
    lines: list[str] = []
    journal: Counter[str] = Counter()
    for line in state.splitlines():
        service, table, text = line.split(" ", 2)
        row = json.loads(text)
        if table == "journal_line":
            amounts = {name: row.pop(name) for name in ("amount_minor", "base_minor")}
            kind = json.dumps({k: v for k, v in row.items() if k not in THE_WAY}, sort_keys=True)
            journal[kind] += amounts["amount_minor"]
        elif table in CASH_OF_ACCOUNTS and not any(row[name] for name in row if name.endswith("_minor")):
            continue
        elif isinstance(row, dict):
            kept = {k: v for k, v in row.items() if k not in THE_WAY}
            lines.append(f"{service} {table} {json.dumps(kept, sort_keys=True)}")
        else:
            lines.append(line)
    lines += [f"cash_application journal {kind} {amount}" for kind, amount in journal.items() if amount]
    return "\n".join(sorted(lines))


class Storm:
    """One run of the quarter with faults; `states` has what stands at each day's close."""

    def __init__(self, site: Site, quarter: Path, plan: Plan) -> None:
        self._site, self._quarter, self._plan = site, quarter, plan
        self._begun: dict[int, float] = {}
        self._over: set[int] = set()
        self._result: dict[str, Any] = {}

    def blow(self) -> list[str]:
        thread = threading.Thread(target=self._feed)
        thread.start()
        try:
            while thread.is_alive():
                self._let_strike()
                self._site.revive()
                time.sleep(PAUSE_S)
        except BaseException as problem:  # raised below; the feed is told to end first
            self._result.setdefault("problem", problem)
        thread.join()
        if "problem" in self._result:
            raise self._result["problem"]
        return self._result["states"]

    def _feed(self) -> None:
        try:
            self._result["states"] = asyncio.run(feed_quarter(self._site.info, self._quarter, self._disturb))
        except BaseException as problem:  # raised on the main thread
            self._result.setdefault("problem", problem)

    async def _disturb(self, day: int) -> None:
        """The day is over for the comparison when its faults are."""
        self._begun[day] = time.monotonic()
        while day not in self._over and "problem" not in self._result:  # noqa: ASYNC110 - told by another thread
            await asyncio.sleep(PAUSE_S)

    def _let_strike(self) -> None:
        """All faults of the day that has begun, to their end."""
        for day in [day for day in self._begun if day not in self._over]:
            began = self._begun[day]
            waiting = [(began + at_s, fault(self._site)) for at_s, fault in self._plan.get(day, ())]
            try:
                while waiting:
                    waiting = [later for each in waiting for later in _go_on(*each)]
                    self._site.revive()
                    time.sleep(PAUSE_S)
            finally:
                for _, fault in waiting:
                    fault.close()
            self._over.add(day)


def _go_on(due_at: float, fault: Iterator[float]) -> list[tuple[float, Any]]:
    if time.monotonic() < due_at:
        return [(due_at, fault)]
    pause_s = next(fault, None)
    return [] if pause_s is None else [(time.monotonic() + pause_s, fault)]


def kill(name: str) -> Fault:
    """kill -9 of one process; the stack starts it again."""

    def fault(site: Site) -> Iterator[float]:
        site.struck.append(f"kill {name}")
        site.signal(name, signal.SIGKILL)
        if name.startswith("notifications"):
            site.count_sends()
        yield 0

    return fault


def kill_broker(away_s: float = 1.0) -> Fault:
    def fault(site: Site) -> Iterator[float]:
        site.struck.append("kill broker")
        site.kafka.kill()
        try:
            yield away_s
        finally:
            _start_broker(site.kafka)

    return fault


def kill_database(away_s: float = 0.5) -> Fault:
    """kill -9 of the server; its orphaned backends must be gone before the next one may start."""

    def fault(site: Site) -> Iterator[float]:
        site.struck.append("kill database")
        site.count_sends()
        site.postgres.kill()
        try:
            yield away_s
        finally:
            _start_database(site.postgres)

    return fault


def _start_broker(server: KafkaServer) -> None:
    if server.child is not None and server.child.poll() is not None:  # another fault may have started it
        server.launch()
        server.wait_ready()


def _start_database(server: PostgresServer) -> None:
    if server.child is not None and server.child.poll() is None:
        return
    for _ in range(DATABASE_STARTS_MAX):
        server.launch()
        try:
            server.wait_ready()
            return
        except StackError:
            time.sleep(0.2)
    raise AssertionError(f"the database does not start again; see {server.log_path}")


def freeze(name: str, frozen_s: float) -> Fault:
    """SIGSTOP, and SIGCONT when others may long have taken over: a zombie."""

    def fault(site: Site) -> Iterator[float]:
        site.struck.append(f"freeze {name}")
        site.signal(name, signal.SIGSTOP)
        if name.startswith("notifications"):
            site.count_sends()
        try:
            yield frozen_s
        finally:
            site.signal(name, signal.SIGCONT)

    return fault


def way(name: str, what: str, lasts_s: float, *arguments: float) -> Fault:
    """`what` is a method of the proxy on the way to `name`: cut, refuse, half_open, delay."""

    def fault(site: Site) -> Iterator[float]:
        site.struck.append(f"{what} {name}")
        site.count_sends()
        getattr(site.ways[name], what)(*arguments)
        try:
            yield lasts_s
        finally:
            site.ways[name].heal()

    return fault


def no_room(service: str, lasts_s: float) -> Fault:
    """Every write of the outbox fails for a while, as on a full disk."""

    def fault(site: Site) -> Iterator[float]:
        site.struck.append(f"no room {service}")
        site.execute(service, FAIL_WRITES)
        try:
            yield lasts_s
        finally:
            site.execute(service, WRITE_AGAIN)

    return fault


def restart(*names: str) -> Fault:
    """SIGTERM one after the other, the next when the last is ready again: a rolling restart."""

    def fault(site: Site) -> Iterator[float]:
        for name in names:
            site.struck.append(f"restart {name}")
            child = site.stack.child(name)
            child.ask_to_stop()
            while site.stack.child(name) is child or not site.is_ready(name):
                yield 0.1

    return fault
