"""A service's process: settings, pools, loops by role, HTTP server, signals. Wiring only, no rules.

On SIGTERM or Ctrl-C: readiness off, no new work, the batch in hand ends, the relay drains, everything stops in time.
"""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import structlog
import typer
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.blob import BlobStore
from shared.bus.kafka import KafkaSink, KafkaSource
from shared.bus.kafka_log import KafkaReader
from shared.bus.port import Sink, Source
from shared.clock import WallClock
from shared.db.migrate import head_reached, upgrade
from shared.db.pool import create_engine, create_pool
from shared.edge import answer_error
from shared.errors import Stop, Transient
from shared.events.catalogue import READS
from shared.failure_text import failure_text
from shared.http import make_app
from shared.logs import configure
from shared.runtime import gauges, halts, loops, operating, start
from shared.runtime.bells import Bell
from shared.runtime.effects import Handler
from shared.runtime.guard import InstanceGuard
from shared.runtime.progress import router as progress_router
from shared.runtime.transaction import TRANSIENT, Unit
from shared.settings import Role, ServiceSettings

STOP_TIMEOUT_S = 20.0
READING = frozenset({"GET", "HEAD", "OPTIONS"})
Background = Callable[["Runtime", asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of a service's own, run by processes of `role` until its event is set."""

    run: Background
    role: Role = "worker"


@dataclass(frozen=True, slots=True)
class Service:
    """What a service consists of. `app_options` go to shared.http.make_app.

    `retry` puts what the service holds back by itself into its queue again and returns how many; part of a redrive.
    """

    name: str
    handler: Handler
    routers: Sequence[APIRouter] = ()
    loops: Sequence[Loop] = ()
    version: str = "0.1.0"
    app_options: dict[str, Any] = field(default_factory=dict)
    retry: Callable[["Runtime"], Awaitable[int]] | None = None


@dataclass(slots=True)
class Runtime:
    """Everything that API routes and loops of one process share."""

    service: str
    settings: ServiceSettings
    handler: Handler
    unit: Unit
    pool: asyncpg.Pool
    engine: AsyncEngine
    blobs: BlobStore
    clock: WallClock
    log: structlog.stdlib.BoundLogger
    guard: InstanceGuard
    source: Source | None = None
    sink: Sink | None = None
    relay_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    timers_wanted: Bell = field(default_factory=Bell)
    no_new_work: asyncio.Event = field(default_factory=asyncio.Event)
    relay_stop: asyncio.Event = field(default_factory=asyncio.Event)
    failing: dict[str, str] = field(default_factory=dict)
    starting: bool = False
    """Whether it is not known yet if the store is as old as what was published: nothing may be decided."""

    async def ready(self) -> dict[str, bool | str]:
        """Named checks for readiness: True, or what is wrong."""
        checks: dict[str, bool | str] = {"accepting": "stopping" if self.no_new_work.is_set() else True}
        try:
            async with asyncio.timeout(2), self.pool.acquire() as db:
                await db.fetchval("select 1")
            checks["database"] = True
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
            checks["database"] = f"does not answer: {failure_text(problem)}"
        if self.starting:
            checks["log"] = "looks in the log for what this service has published"
        if self.source is not None:
            checks["partitions"] = bool(self.source.assigned()) or "no partition assigned yet"
        return checks | {halts.check_name(name): error for name, error in self.failing.items()}


def get_runtime(request: Request) -> Runtime:
    """FastAPI dependency: the runtime of this process."""
    return request.app.state.runtime


async def open_runtime(service: Service, settings: ServiceSettings) -> Runtime:
    """Pools and stores of a process; no loop runs yet."""
    log = configure(service.name, settings.log_level)
    pool = await create_pool(settings.dsn(), application=f"{service.name}-{settings.instance}")
    return Runtime(
        service=service.name,
        settings=settings,
        handler=service.handler,
        unit=Unit(service.name, service.handler),
        pool=pool,
        engine=create_engine(settings.dsn(), application=f"{service.name}-{settings.instance}"),
        blobs=BlobStore(Path(settings.blob_dir)),
        clock=WallClock(),
        log=log,
        guard=InstanceGuard(settings.dsn(), f"{service.name}-{settings.instance}"),
    )


async def close_runtime(runtime: Runtime) -> None:
    await runtime.guard.release()
    await runtime.engine.dispose()
    try:
        async with asyncio.timeout(5):
            await runtime.pool.close()
    except TimeoutError:
        runtime.pool.terminate()


def create_app(service: Service, runtime: Runtime) -> FastAPI:
    """The API of the service, bound to its runtime; in a process without the role `api` health and metrics only."""
    app = make_app(
        service.name,
        service.version,
        routers=[progress_router, *service.routers] if runtime.settings.has("api") else [],
        ready=runtime.ready,
        **service.app_options,
    )
    app.state.runtime, app.state.retry = runtime, service.retry
    app.add_middleware(NotBeforeStart, runtime=runtime)
    return app


class NotBeforeStart:
    """Refuses with 503 whatever may change something while the process does not know yet from where it goes on."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app, self._runtime = app, runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._runtime.starting and scope["method"] not in READING:
            problem = Transient("the service starts and looks what it has published; ask again in a moment")
            await answer_error(problem, None)(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def serve(service: Service, settings: ServiceSettings) -> int:
    """Run until a signal or a fatal failure. Returns the exit code."""
    runtime = await open_runtime(service, settings)
    _collect_less_often()
    stop_on_signals(runtime)
    try:
        return await _run(service, settings, runtime)
    finally:
        await close_runtime(runtime)


def _collect_less_often() -> None:
    """A batch makes tens of thousands of short-lived values without cycles; at the default thresholds looking for
    cycles among them took a third of the processor time of cash application (measured). What is loaded now stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


async def _run(service: Service, settings: ServiceSettings, runtime: Runtime) -> int:
    failures: list[BaseException] = []
    runtime.starting = True
    server = _server(service, settings, runtime)
    tail = [asyncio.ensure_future(_watched(runtime, server.serve(), failures))]
    tasks: list[asyncio.Future[None]] = []
    try:
        if await _store_is_there(service, settings, runtime) and await _past_is_known(settings, runtime):
            working = _working_loops(service, settings, runtime)
            tasks = [asyncio.ensure_future(_watched(runtime, job, failures)) for job in working]
            tail += [asyncio.ensure_future(_watched(runtime, job, failures)) for job in _relay(settings, runtime)]
            await runtime.no_new_work.wait()
    finally:
        runtime.no_new_work.set()
        await _finish(tasks, settings.drain_timeout_s)
        server.should_exit = True
        runtime.relay_stop.set()
        await _finish(tail, STOP_TIMEOUT_S)
    for failure in failures:
        runtime.log.error("stopped", error=failure_text(failure), kind=type(failure).__name__)
    return 1 if failures else 0


def _server(service: Service, settings: ServiceSettings, runtime: Runtime) -> "_QuietServer":
    """It listens from the first moment: a process that waits is alive, not ready, and says what it waits for."""
    return _QuietServer(
        uvicorn.Config(
            create_app(service, runtime),
            host=settings.http_host,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            lifespan="off",
        )
    )


async def _store_is_there(service: Service, settings: ServiceSettings, runtime: Runtime) -> bool:
    """Wait for the database, saying so in the log and by readiness. False when the process is no longer wanted.

    Raises Stop when the store is not at the newest schema, or another process runs as this one.
    """

    async def look() -> bool:
        try:
            async with runtime.pool.acquire() as db:
                await db.fetchval("select 1")
            if not await head_reached(settings.owner_dsn(), service.name):
                raise Stop(f"the store of {service.name} is not at the newest schema; run `migrate` first")
            if settings.has("worker") and READS[service.name]:
                await runtime.guard.hold()
        except (*TRANSIENT, DBAPIError) as problem:
            place = urlsplit(settings.dsn())
            where = f"{place.hostname}:{place.port or 5432}"
            raise Transient(f"waits for PostgreSQL at {where}: {failure_text(problem)}") from problem
        return True

    return bool(await loops.patiently(runtime, "start", look))


async def _past_is_known(settings: ServiceSettings, runtime: Runtime) -> bool:
    """Compare the store with what stands in the log under our name, before anything works. False when the process is
    no longer wanted. Raises Stop when it must not go on."""

    async def look() -> start.Found:
        reader = KafkaReader(settings.kafka_bootstrap, f"{runtime.service}-{settings.instance}-start")
        return await start.look(runtime.pool, reader, runtime.service)

    found = await loops.patiently(runtime, "start.log", look)
    if found is None:
        return False
    if found.frozen:
        told = f"{len(found.frozen)} keys are frozen: `make parked SERVICE={runtime.service}`"
        runtime.log.error("store_is_older_than_its_output", keys=len(found.frozen), what_to_do=told)
    runtime.unit.start = found.start
    runtime.starting = False
    return True


def _relay(settings: ServiceSettings, runtime: Runtime) -> list[Awaitable[None]]:
    if not settings.has("relay"):
        return []
    runtime.sink = KafkaSink(settings.kafka_bootstrap, f"{runtime.service}-{settings.instance}")
    return [loops.run_relay(runtime, runtime.sink)]


def _working_loops(service: Service, settings: ServiceSettings, runtime: Runtime) -> list[Awaitable[None]]:
    jobs: list[Awaitable[None]] = []
    if settings.has("worker") and READS[service.name]:
        instance = f"{service.name}-{settings.instance}"
        runtime.source = KafkaSource(settings.kafka_bootstrap, service.name, READS[service.name], instance)
        jobs.append(loops.run_consumer(runtime, runtime.source))
    if settings.has("timers"):
        jobs.append(loops.run_timers(runtime))
    jobs.append(gauges.run_gauges(runtime, runtime.source))
    jobs.extend(loop.run(runtime, runtime.no_new_work) for loop in service.loops if settings.has(loop.role))
    return jobs


async def _watched(runtime: Runtime, job: Awaitable[None], failures: list[BaseException]) -> None:
    """A loop that fails for good takes the process down, with its reason; one that has nothing to do may end."""
    try:
        await job
    except SystemExit:  # uvicorn's way to say that it cannot listen; the line before says why
        failures.append(Stop(f"nothing can listen on {runtime.settings.http_host}:{runtime.settings.http_port}"))
        runtime.no_new_work.set()
    except Exception as failure:
        runtime.log.exception("loop_failed", error=failure_text(failure))
        failures.append(failure)
        runtime.no_new_work.set()


async def _finish(tasks: Sequence[asyncio.Task], timeout_s: float) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=timeout_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)


def stop_on_signals(runtime: Runtime) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runtime.no_new_work.set)


class _QuietServer(uvicorn.Server):
    """uvicorn without signal handlers of its own."""

    @contextlib.contextmanager
    def capture_signals(self):  # noqa: ANN201
        yield


def cli(build: Callable[[Any], Service], settings_type: type[ServiceSettings]) -> typer.Typer:
    """The commands that every service has; a service adds its own to the result."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

    @app.command("serve")
    def serve_command() -> None:
        """Run the service with the role in RECOUP_ROLE."""
        settings = settings_type()
        raise typer.Exit(_guarded(lambda: serve(build(settings), settings)))

    @app.command("migrate")
    def migrate_command() -> None:
        """Bring the store to the newest schema."""
        settings = settings_type()
        raise typer.Exit(_guarded(lambda: _migrate(build(settings).name, settings)))

    def run(work: operating.Work) -> int:
        settings = settings_type()
        return _guarded(lambda: _beside(build(settings), settings, work))

    operating.add_commands(app, run)

    @app.command("config")
    def config_command() -> None:
        """Print the effective settings; secrets are hidden."""
        typer.echo(settings_type().model_dump_json(indent=2))

    return app


def _guarded(work: Callable[[], Awaitable[int]]) -> int:
    try:
        return asyncio.run(work())
    except Stop as stop:
        typer.echo(f"stopped: {stop}", err=True)
        return 1


async def _migrate(name: str, settings: ServiceSettings) -> int:
    await upgrade(settings.owner_dsn(), name)
    return 0


async def _beside(service: Service, settings: ServiceSettings, work: operating.Work) -> int:
    """A piece of work on the store, beside the running service."""
    runtime = await open_runtime(service, settings)
    try:
        return await work(service, runtime)
    finally:
        await close_runtime(runtime)


def main(build: Callable[[Any], Service], settings_type: type[ServiceSettings]) -> None:
    cli(build, settings_type)()
