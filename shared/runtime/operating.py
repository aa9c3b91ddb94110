"""Commands for whoever operates a service, beside it and on its store: parked, redrive.

They need no running service. Invariant: nothing is left out here: that takes two persons (`/v1/runtime/parked`,
`/v1/runtime/partitions`).
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import asyncpg
import typer

from shared.errors import Stop
from shared.events.catalogue import READS
from shared.paging import LIMIT_MAX
from shared.runtime import dead_letters
from shared.runtime import parked_statements as parked_sql
from shared.runtime.dead_letters import TYPE_MISSING

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
