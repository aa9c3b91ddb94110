"""The whole stack as an object: servers, topics, databases, sample outside world, services; each a process of ours.

Invariant: what `start` began, `stop` ends, in reverse order and within a bound, also when `start` failed half-way or
was interrupted. All processes are started on the main thread (see processes.spawn).
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from deploy.local import contract, preparation, readiness, scaling, secrets, service_settings, state
from deploy.local.databases import SERVICES, DatabaseAddress
from deploy.local.errors import StackError
from deploy.local.paths import REPOSITORY
from deploy.local.ports import HOST, choose, free_ports
from deploy.local.processes import Child, ProcessId, spawn, stop_all
from deploy.local.servers import Servers
from deploy.local.state import StackInfo, State
from shared.settings import Role

PREFERRED_PORTS = {
    "reporting": 8600,
    "ingest": 8601,
    "cash_application": 8602,
    "collections": 8603,
    "notifications": 8604,
    "issuer": 8610,
    "access_system": 8611,
    "smtp": 8625,
    "postgres": 8632,
    "kafka": 8692,
    "kafka_controller": 8693,
}
# Of one process: more often within this time is a process that cannot run, not one that was struck.
RESTARTS_MAX, RESTARTS_WITHIN_S = 5, 600.0


class LocalStack:
    """One stack in one folder; `instances` says how many processes a service gets (default one)."""

    def __init__(
        self,
        local: Path,
        *,
        say: Callable[[str], None] = print,
        instances: Mapping[str, int] | None = None,
        clock: str = "stream",
        fsync: bool = True,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.local = local
        self.say = say
        self.clock = clock
        self.fsync = fsync
        self.environment = environment
        self.counts = {service: scaling.checked(service, (instances or {}).get(service, 1)) for service in SERVICES}
        self.children: list[Child] = []
        self.leaving: list[Child] = []
        self.info: StackInfo | None = None
        self.restarts = 0
        self.restarted_at: dict[str, list[float]] = {}
        self._lock = state.Lock(local)
        self._state: State | None = None
        self._servers: Servers | None = None
        self._again: dict[str, Callable[[], Child]] = {}

    def start(self, *, services: bool = True) -> StackInfo:
        """Starts everything (or all but the services) and returns when it serves."""
        self._lock.take()
        scaling.forget(self.local)
        resumed = self._begin()
        assert self._state is not None
        self._servers = Servers(self.local, self._state.ports, self.environment, fsync=self.fsync)
        self._servers.start(self._note, self.say)
        passwords = secrets.database_passwords(self.local / "secrets")
        self.info = self._addresses(resumed, asyncio.run(self._servers.addresses(passwords)))
        self._save(info=self.info)
        self.say(asyncio.run(preparation.make_topics(self.info.kafka_bootstrap)))
        self.start_outside()
        self.say(asyncio.run(preparation.migrate(self.info.databases)))
        if services:
            self.start_services()
        return self.info

    def start_services(self) -> None:
        """Starts every service and waits until each is ready."""
        assert self.info is not None, "start() comes first"
        waiting = []
        for service in SERVICES:
            for instance, url in enumerate(self.info.instances[service]):
                waiting.append((self.start_service(service, instance), url))
        readiness.wait_ready(waiting)
        if waiting:
            self.say("ready: " + ", ".join(child.name for child, _ in waiting))

    def start_service(self, service: str, instance: int = 0, role: Role = "all") -> Child:
        """Starts one process of a service without waiting for it."""
        assert self.info is not None, "start() comes first"
        settings = service_settings.of_service(self.info, service, instance, role, self.environment)
        command = [sys.executable, "-m", f"services.{service}.main", "serve"]
        return self._spawn(f"{service}-{instance}", command, settings)

    def start_outside(self) -> None:
        """Starts the sample outside world: a mailbox, the token issuer, the customer's access system."""
        assert self.info is not None and self._state is not None, "start() comes first"
        waiting = []
        for name, (module, arguments) in service_settings.outside_programs(self.info).items():
            port = self._state.ports[name]
            command = [sys.executable, "-m", module, "--port", str(port), *arguments]
            waiting.append((self._spawn(name, command, service_settings.of_process(self.environment)), port))
        for child, port in waiting:
            readiness.wait_listening(child, port)
        self.say("up: " + ", ".join(f"{child.name} on {HOST}:{port}" for child, port in waiting))

    def child(self, name: str) -> Child:
        """The process of that name, as in `ingest-0` or `kafka`."""
        return next(child for child in reversed(self.children) if child.name == name)

    def restart_ended(self) -> None:
        """Starts again what ended although nobody stopped it, each process at most RESTARTS_MAX times within
        RESTARTS_WITHIN_S."""
        for child in [child for child in self.children if child.poll() is not None]:
            now_s = time.monotonic()
            recent = [at for at in self.restarted_at.get(child.name, ()) if now_s - at < RESTARTS_WITHIN_S]
            if len(recent) >= RESTARTS_MAX:
                raise StackError(
                    f"{child.name} ended with code {child.poll()}, and was started again {RESTARTS_MAX} times within "
                    f"{RESTARTS_WITHIN_S / 60:.0f} minutes already; see {child.log_path}, whose last lines follow.\n"
                    f"{child.log_tail()}"
                )
            self.restarted_at[child.name] = [*recent, now_s]
            self.restarts += 1
            self.say(f"{child.name} ended with code {child.poll()} and is started again; see {child.log_path}")
            self.children.remove(child)
            self._note(self._again[child.name](), self._again[child.name])

    def watch(self) -> None:
        """To be called every second: starts again what ended by itself, and follows what `make scale` asked for."""
        self.restart_ended()
        for service, count in scaling.wished(self.local).items():
            self.scale(service, count)
        if gone := [child for child in self.leaving if child.poll() is not None]:
            self.leaving = [child for child in self.leaving if child not in gone]
            self._save(processes=self._processes())
            self.say("ended: " + ", ".join(child.name for child in gone))

    def scale(self, service: str, count: int) -> None:
        """Starts what is missing and asks the surplus to end, without waiting for either."""
        assert self.info is not None, "start() comes first"
        urls = self.info.instances[service]
        if len(urls) == scaling.checked(service, count) or self._leaves(service):
            return
        more = [f"http://{HOST}:{port}" for port in free_ports(max(0, count - len(urls)))]
        self.info = replace(self.info, instances={**self.info.instances, service: [*urls[:count], *more]})
        for instance in range(len(urls), count):
            self.start_service(service, instance)
        for instance in range(count, len(urls)):
            child = self.child(f"{service}-{instance}")
            self.children.remove(child)
            self.leaving.append(child)
            child.ask_to_stop()
        self._save(info=self.info, processes=self._processes())
        self.say(f"{service} gets {count} processes instead of {len(urls)}")

    def _leaves(self, service: str) -> bool:
        """A process that still ends keeps its name; a new one of that name would be turned away."""
        return any(child.name.rpartition("-")[0] == service for child in self.leaving)

    def stop(self) -> None:
        """Stops everything that runs, last started first; the services side by side, since each drains its own work."""
        services = [child for child in self.children if child.name.rpartition("-")[0] in SERVICES] + self.leaving
        for child in services:
            child.ask_to_stop()
        for child in services:
            child.wait_stopped()
        for child in reversed([child for child in self.children if child not in services]):
            if self._servers is None or not self._servers.stop(child):
                child.stop()
        self.children.clear()
        self.leaving.clear()
        if self._state is not None:
            state.forget_processes(self.local)
        self._lock.release()

    def _begin(self) -> bool:
        """Clears up after a killed run, checks that its data can be read, chooses ports; True when there are data."""
        last = state.read(self.local)
        now = contract.current()
        if last is not None:
            if left := last.left_over():
                self.say(f"the last run was killed: stopping what it left behind ({', '.join(p.name for p in left)})")
                stop_all(left)
            contract.check(last.contract, now)
            self.say(f"found the data of the run of {last.started_at}: going on with them (`make clean` starts anew)")
        ports = choose(PREFERRED_PORTS | (last.ports if last else {}), self.environment)
        self._state = State(ProcessId.of_this_process(), state.now_text(), now, ports)
        state.write(self.local, self._state)
        return last is not None

    def _addresses(self, resumed: bool, addresses: dict[str, DatabaseAddress]) -> StackInfo:
        assert self._state is not None and self._servers is not None
        ports = self._state.ports
        more = iter(free_ports(sum(self.counts.values())))
        instances = {
            service: [f"http://{HOST}:{next(more) if instance else ports[service]}" for instance in range(count)]
            for service, count in self.counts.items()
        }
        return StackInfo(
            local_dir=self.local,
            kafka_bootstrap=self._servers.bootstrap,
            databases=addresses,
            instances=instances,
            issuer_url=f"http://{HOST}:{ports['issuer']}",
            access_system_url=f"http://{HOST}:{ports['access_system']}",
            smtp_host=HOST,
            smtp_port=ports["smtp"],
            clock=self.clock,
            resumed=resumed,
        )

    def _spawn(self, name: str, command: list[str], environment: Mapping[str, str]) -> Child:
        def launch() -> Child:
            return spawn(name, command, self.local / "logs" / f"{name}.log", environment=environment, cwd=REPOSITORY)

        child = launch()
        self._note(child, launch)
        return child

    def _note(self, child: Child, again: Callable[[], Child]) -> None:
        """Remembers a process before anything else happens, so that a stop from outside finds it."""
        self.children.append(child)
        self._again[child.name] = again
        self._save(processes=self._processes())

    def _processes(self) -> list[ProcessId]:
        return [child.id for child in [*self.children, *self.leaving]]

    def _save(self, **changes: object) -> None:
        assert self._state is not None
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]
        state.write(self.local, self._state)
