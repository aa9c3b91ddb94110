"""The command `rebuild` of a service: its projections anew from the log, beside the live ones, then swapped."""

import asyncio
import gc
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from shared.bus.kafka_log import KafkaReader
from shared.errors import Stop, Transient
from shared.runtime.lifecycle import Service
from shared.runtime.rebuild import Projection, Rebuild, Report
from shared.settings import ServiceSettings

PROCESSES_MAX = 4
"""More than these wait for PostgreSQL, not for each other."""


def add_rebuild(
    app: typer.Typer,
    build: Callable[[Any], Service],
    settings_type: type[ServiceSettings],
    projection: Projection,
) -> typer.Typer:
    """Give the commands of a service one more."""

    @app.command("rebuild")
    def rebuild_command(
        accept_differences: Annotated[
            bool, typer.Option(help="swap although the rows differ from the live ones")
        ] = False,
    ) -> None:
        """Build the projections anew from the log beside the live ones, compare, and swap them in one transaction."""
        settings = settings_type()
        try:
            report = asyncio.run(_rebuild(build(settings), settings, projection, accept_differences))
        except (Stop, Transient) as problem:
            typer.echo(f"stopped: {problem}", err=True)
            raise typer.Exit(1) from None
        typer.echo(said(report))

    return app


async def _rebuild(service: Service, settings: ServiceSettings, projection: Projection, accept: bool) -> Report:
    collect_less_often()
    reader = KafkaReader(settings.kafka_bootstrap, f"{service.name}-rebuild")
    work = Rebuild(
        service.name,
        service.handler,
        projection,
        settings.owner_dsn(),
        reader,
        typer.echo,
        accept,
        processes=min(PROCESSES_MAX, os.cpu_count() or 1),
        bootstrap=settings.kafka_bootstrap,
    )
    return await work.run()


def collect_less_often() -> None:
    """As in the service itself (shared.runtime.lifecycle): batches are short-lived values without cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def said(report: Report) -> str:
    """What a rebuild did, in sentences."""
    rows = sum(report.rows.values())
    differing = ", ".join(f"{d.table} ({d.only_live}/{d.only_rebuilt})" for d in report.differences)
    return (
        f"{report.records} records in {report.replay_s:.1f} s, {report.per_s} a second. "
        f"{rows} rows in {len(report.rows)} tables compared: "
        f"{'they differ in ' + differing + ' (live/rebuilt), as accepted' if differing else 'all the same'}. "
        f"Swapped; the service waited {report.held_s:.2f} s. What stood before is in the schema `retired`."
    )
