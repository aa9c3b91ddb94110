"""Commands for whoever operates a service, beside it and on its store: parked, redrive, step-over.

They need no running service. Invariant: nothing is left out here, but what a log no longer has: leaving out an event
takes two persons (`/v1/runtime/parked`).
"""

import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import asyncpg
import typer

from shared.errors import Stop
from shared.events.catalogue import READS
from shared.events.codec import Event
from shared.events.control import PartitionMoved
from shared.events.envelope import Envelope
from shared.ids import derive
from shared.paging import LIMIT_MAX
from shared.runtime import dead_letters, outbox
from shared.runtime import parked_statements as parked_sql
from shared.runtime import statements as sql
from shared.runtime.dead_letters import TYPE_MISSING
from shared.runtime.effects import Emission
from shared.runtime.markers import ALL_COMPANIES

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime, Service

ALL = "ALL"
Work = Callable[["Service", "Runtime"], Awaitable[int]]
Run = Callable[[Work], int]


def add_commands(app: typer.Typer, run: Run) -> None:
    """`run` opens the service's runtime for a piece of work and gives the exit code."""

    @app.command("parked")
    def parked_command() -> None:
        """List parked keys with reason, event, and what waits behind."""
        raise typer.Exit(run(parked))

    @app.command("redrive")
    def redrive_command(key: Annotated[str, typer.Argument(help="one key, or ALL")] = ALL) -> None:
        """Run parked events again, key by key, in order."""
        raise typer.Exit(run(lambda service, runtime: redrive(service, runtime, key)))

    @app.command("step-over")
    def step_over_command(
        topic: str,
        partition: int,
        at: Annotated[int, typer.Option(help="where the cursor stands")],
        to: Annotated[int, typer.Option(help="where it goes on")],
        reason: Annotated[str, typer.Option(help="why nothing between is needed")],
    ) -> None:
        """Move the cursor of a stopped partition over offsets that the log no longer gives; it is an event."""
        raise typer.Exit(run(lambda _, runtime: step_over(runtime, topic, partition, at, to, reason)))


async def parked(service: "Service", runtime: "Runtime") -> int:
    """0 whether something is parked or not."""
    async with runtime.pool.acquire() as db:
        await show_parked(service.name, db)
    return 0


async def show_parked(service: str, db: asyncpg.Connection) -> None:
    """Prints every parked key, oldest first. `db` is prepared as those of a pool are."""
    since_at, key, shown = None, "", 0
    while True:
        companies = await db.fetchval(parked_sql.ALL_COMPANIES)
        rows = await db.fetch(parked_sql.PARKED_OF, companies, since_at, key, LIMIT_MAX, list(READS[service]))
        for row in rows:
            typer.echo(described(service, row))
        shown += len(rows)
        if len(rows) < LIMIT_MAX:
            break
        since_at, key = rows[-1]["since_at"], rows[-1]["key"]
    count = "1 key is" if shown == 1 else f"{shown} keys are"
    typer.echo(f"{service}: {count} parked" if shown else f"{service}: nothing is parked")


def described(service: str, row: Any) -> str:
    """A parked key in a few lines, with the commands that deal with it."""
    lines = [f"{service}: {row['key']} since {row['since_at']:%Y-%m-%d %H:%M:%S} [{row['code']}]: {row['error']}"]
    if row["topic"] is not None:
        place = f"{row['topic']}/{row['partition']} offset {row['offset']}"
        lines.append(f"  first: {named(row['event_type'], row['event_id'])} at {place}")
        lines.append(f"  sha256: {row['sha256']}")
    if row["behind"]:
        lines.append("  behind it: " + ", ".join(f"{n} {kind}" for kind, n in sorted(row["behind"].items())))
    if row["requested_by"] and row["asked_sha256"] == row["sha256"]:
        lines.append(f"  {row['requested_by']} asked to leave it out: {row['reason']}")
    return "\n".join(lines)


def named(event_type: str, event_id: object) -> str:
    """How a person calls a record, also one that does not say what it is."""
    what = "a record without a type" if event_type == TYPE_MISSING else event_type
    return f"{what} {event_id}" if event_id else f"{what}, without an id"


async def redrive(service: "Service", runtime: "Runtime", key: str) -> int:
    """0 when all that was asked for is free again."""
    again = await service.retry(runtime) if service.retry else 0
    keys = None if key == ALL else [key]
    if keys is not None:
        async with runtime.pool.acquire() as db:
            if await db.fetchval(parked_sql.COMPANY_OF, key) is None and not again:
                raise Stop(f"{key} is not parked in {service.name}; `make parked SERVICE={service.name}` lists what is")
    results = await dead_letters.redrive(runtime.pool, runtime.unit, keys)
    if again:
        typer.echo(f"{again} that were stuck are tried again by the running service")
    for each, result in results.items():
        typer.echo(f"{each}: {result}")
    typer.echo(f"{sum(r == 'done' for r in results.values())} of {len(results)} parked keys are free again")
    return 0 if all(result == "done" for result in results.values()) else 1


async def step_over(runtime: "Runtime", topic: str, partition: int, at: int, to: int, reason: str) -> int:
    """Move the cursor from `at` to `to`, if it stands at `at`. Raises Stop when it does not, or without a reason."""
    if len(reason.strip()) < 10:
        raise Stop("say why in a sentence: --reason")
    fact = PartitionMoved(
        company=ALL_COMPANIES,
        service=runtime.service,
        topic=topic,
        partition=partition,
        from_offset=at,
        to_offset=to,
        reason=reason.strip()[:500],
        actor=f"user:{getpass.getuser()}",
    )
    async with runtime.pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_SHARED)
        if await _move(db, runtime, fact) is None:
            raise Stop(f"the cursor of {topic}/{partition} in {runtime.service} does not stand at {at}")
        place = f"{topic}/{partition}@{at}"
        await outbox.publish(db, runtime.service, [Emission(_cause(runtime, fact, place), fact, place)])
    typer.echo(f"{topic}/{partition} goes on at {to}; the running service takes it up by itself within seconds")
    return 0


async def _move(db: asyncpg.Connection, runtime: "Runtime", fact: PartitionMoved) -> int | None:
    statement = getattr(runtime.handler, "step_over_sql", "") if fact.topic not in READS[runtime.service] else ""
    return await db.fetchval(
        statement or parked_sql.STEP_OVER, fact.topic, fact.partition, fact.from_offset, fact.to_offset
    )


def _cause(runtime: "Runtime", fact: PartitionMoved, place: str) -> Event:
    now = runtime.clock.now()
    identity = derive("partition_moved", runtime.service, place, fact.to_offset)
    envelope = Envelope(
        id=identity,
        source=runtime.service,
        type="command.step_over",
        subject=place,
        time=now,
        company=fact.company,
        actor=fact.actor,
        business_date=now.date(),
        known_at=now,
        correlation_id=identity,
        causation_id=identity,
    )
    return Event(envelope, None)
