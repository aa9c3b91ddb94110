"""Timers: deadlines as rows, claimed with SKIP LOCKED, fired through the same handler, deleted in its transaction.

A timer that fails is put back with a growing delay on the wall clock and stays visible with its error.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import asyncpg

from shared.events.codec import Event
from shared.ids import derive
from shared.runtime import statements as sql
from shared.runtime.day import envelope_body, envelope_of
from shared.runtime.effects import Effects, TimerFired

CLAIM_MAX = 200
RETRY_FIRST_S, RETRY_MAX_S = 1, 600
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


async def write(db: asyncpg.Connection, effects: Effects) -> None:
    """Cancel and order timers; the last order of a batch for one (kind, key) wins."""
    if effects.cancelled:
        await db.execute(sql.CANCEL_TIMERS, [k for k, _ in effects.cancelled], [k for _, k in effects.cancelled])
    timers = list({(t.kind, t.key): t for t in effects.timers}.values())
    if timers:
        await db.execute(
            sql.WRITE_TIMERS,
            [t.kind for t in timers],
            [t.key for t in timers],
            [t.company for t in timers],
            [t.clock for t in timers],
            [t.due_at for t in timers],
            [t.payload for t in timers],
            [envelope_body(t.cause.envelope) for t in timers],
        )


async def claim(
    db: asyncpg.Connection, wall_now: datetime, business_now: datetime | None, limit: int = CLAIM_MAX
) -> list[asyncpg.Record]:
    return await db.fetch(sql.CLAIM_TIMERS, wall_now, business_now or NEVER, limit)


def events_of(service: str, rows: Sequence[asyncpg.Record], today: dict[str, date | None]) -> list[Event]:
    """Events of claimed rows, in the order in which they were due."""
    events = []
    for row in sorted(rows, key=lambda r: (r["due_at"], r["kind"], r["key"])):
        body = dict(row["envelope"])
        day = today.get(row["company"])
        if day is not None:
            body["business_date"] = day.isoformat()
        fired = TimerFired(
            kind=row["kind"],
            key=row["key"],
            company=row["company"],
            due_at=row["due_at"],
            payload=row["payload"],
            attempts=row["attempts"],
        )
        event_id = derive("timer", service, row["kind"], row["key"], row["due_at"].isoformat(), body["causation_id"])
        envelope = envelope_of(service, event_id, f"timer.{row['kind']}", row["company"], row["key"], body)
        events.append(Event(envelope, fired))
    return events


async def put_back(db: asyncpg.Connection, row: asyncpg.Record, wall_now: datetime, error: str) -> None:
    """After a failure: try again later, twice as late each time, at most every ten minutes."""
    attempts = row["attempts"] + 1
    delay_s = min(RETRY_FIRST_S * 2 ** min(attempts, 20), RETRY_MAX_S)
    await db.execute(
        sql.DELAY_TIMER,
        row["kind"],
        row["key"],
        row["company"],
        wall_now + timedelta(seconds=delay_s),
        row["payload"],
        row["envelope"],
        attempts,
        error[:2000],
    )
