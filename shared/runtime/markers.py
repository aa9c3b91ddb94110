"""Markers: counting those that are read, doing a closed day's work, writing our own behind it.

A marker is complete when every upstream partition has shown it; completions come in the order of `number`, and so
are the service's own markers written, in a transaction that holds the outbox lock exclusively.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from shared import tracing
from shared.errors import Stop
from shared.events.catalogue import EVENT_BYTES_MAX, PARTITIONS, TOPICS_OF
from shared.events.codec import Event, encode
from shared.events.envelope import Envelope
from shared.events.markers import ClockTicked, CompanyReach, DayClosed, Marker, Parked
from shared.ids import derive
from shared.runtime import statements as sql
from shared.runtime.day import parts_of
from shared.runtime.effects import DayWork, Handler
from shared.runtime.outbox import CODE_VERSION, OutboxRow, write_rows
from shared.runtime.start import NOTHING_BEFORE, Start

PARKED_NAMED_MAX = 100
ALL_COMPANIES = "*"


async def count(
    db: asyncpg.Connection,
    service: str,
    handler: Handler,
    expected: int,
    events: Sequence[Event],
    start: Start = NOTHING_BEFORE,
) -> None:
    """Count the markers of a batch; a complete tick moves the clock, a complete day.closed starts the day's work,
    unless it is older than the `start`."""
    if not events:
        return
    places = {(e.data.number, e.topic, int(e.key)): e for e in events}
    order = sorted(places)
    seen = await db.fetch(sql.SEE_MARKERS, [n for n, _, _ in order], [t for _, t, _ in order], [p for _, _, p in order])
    fresh: dict[int, list[Event]] = defaultdict(list)
    for row in seen:
        fresh[row["number"]].append(places[row["number"], row["topic"], row["partition"]])
    if not fresh:
        return
    numbers = sorted(fresh)
    first = [fresh[number][0] for number in numbers]
    counted = await db.fetch(
        sql.COUNT_MARKERS,
        numbers,
        [e.data.marker_id for e in first],
        [e.type for e in first],
        [e.company for e in first],
        [len(fresh[number]) for number in numbers],
        [{e.topic: e.data.model_dump(mode="json") for e in fresh[number]} for number in numbers],
        expected,
        [_envelope_body(e) for e in first],
    )
    complete = sorted((row for row in counted if row["left"] == 0), key=lambda row: row["number"])
    if complete:
        await _complete(db, service, handler, complete, {n: fresh[n][0] for n in numbers}, start)


async def _complete(
    db: asyncpg.Connection,
    service: str,
    handler: Handler,
    rows: list[asyncpg.Record],
    events: dict[int, Event],
    start: Start,
) -> None:
    ticks = [row for row in rows if row["type"] == ClockTicked.TYPE]
    days = [row for row in rows if row["type"] == DayClosed.TYPE]
    if ticks:
        last = merged_tick(ticks[-1]["bodies"])
        reach = {c: r.model_dump(mode="json") for c, r in last.companies.items()}
        await db.execute(sql.SET_CLOCK, last.at, last.number, reach)
    if days:
        bodies = [DayClosed.model_validate(next(iter(row["bodies"].values()))) for row in days]
        latest = {b.company: b for b in bodies}
        await db.execute(
            sql.CLOSE_DAYS, list(latest), [b.date for b in latest.values()], [b.number for b in latest.values()]
        )
    acts = {row["number"] for row in rows if row["number"] > start.acts_after}
    work = [_first_work(service, handler, row, events[row["number"]]) if row["number"] in acts else [] for row in rows]
    await db.execute(
        sql.SET_MARKER_STATES,
        [row["number"] for row in rows],
        [_state(row["number"], timers, start) for row, timers in zip(rows, work, strict=True)],
        [len(timers) for timers in work],
    )
    await add_day_parts(db, [timer for timers in work for timer in timers])


def _state(number: int, work: list[dict[str, Any]], start: Start) -> str:
    if number <= start.written_through:
        return "written"
    return "working" if work else "ready"


def _first_work(service: str, handler: Handler, row: asyncpg.Record, event: Event) -> list[dict[str, Any]]:
    if row["type"] != DayClosed.TYPE:
        return []
    body = DayClosed.model_validate(next(iter(row["bodies"].values())))
    work = DayWork(
        company=body.company,
        date=body.date,
        number=body.number,
        phase=1,
        bank_accounts=body.bank_accounts,
        bodies=row["bodies"],
    )
    return parts_of(service, handler, work, event.envelope)


async def add_day_parts(db: asyncpg.Connection, timers: list[dict[str, Any]]) -> None:
    if not timers:
        return
    await db.execute(
        sql.ADD_TIMERS_ONCE,
        ["day.part"] * len(timers),
        [t["key"] for t in timers],
        [t["company"] for t in timers],
        ["wall"] * len(timers),
        [datetime(1970, 1, 1, tzinfo=UTC)] * len(timers),
        [t["payload"] for t in timers],
        [t["envelope"] for t in timers],
    )


def merged_tick(bodies: dict[str, Any]) -> ClockTicked:
    """One tick from those of all upstream services: what any of them has parked counts, the earliest reach counts."""
    ticks = [ClockTicked.model_validate(body) for _, body in sorted(bodies.items())]
    companies: dict[str, CompanyReach] = {}
    for company in sorted({c for tick in ticks for c in tick.companies}):
        found = [tick.companies[company] for tick in ticks if company in tick.companies]
        parked = {(p.kind, p.id): p for reach in found for p in reach.parked}
        accounts = {a for reach in found for a in reach.bank_accounts}
        companies[company] = CompanyReach(
            bank_accounts={a: _earliest([r.bank_accounts[a] for r in found if a in r.bank_accounts]) for a in accounts},
            parked=[parked[k] for k in sorted(parked)][:PARKED_NAMED_MAX],
            parked_more=any(r.parked_more for r in found) or len(parked) > PARKED_NAMED_MAX,
        )
    return ticks[0].model_copy(update={"companies": companies})


def _earliest(days: list[date | None]) -> date | None:
    known = [day for day in days if day is not None]
    return min(known) if len(known) == len(days) and known else None


def _envelope_body(event: Event) -> dict[str, str]:
    e = event.envelope
    return {
        "known_at": e.known_at.isoformat(),
        "business_date": e.business_date.isoformat(),
        "correlation_id": str(e.correlation_id),
    }


async def forward_once(pool: asyncpg.Pool, service: str, handler: Handler, start: Start = NOTHING_BEFORE) -> bool:
    """Write this service's own form of the next marker whose work is done. False when there is none.

    False too while timers wait that the last tick has made due: more than one loop fires at once, or due since the
    loop looked. What they do belongs before the marker; one that fails waits on the wall clock and holds nothing up.
    """
    async with pool.acquire() as db, db.transaction():
        if not await db.fetchval(sql.TRY_FORWARD):
            return False
        row = await db.fetchrow(sql.NEXT_MARKER)
        if row is None or row["state"] != "ready":
            return False
        await db.execute(sql.LOCK_EXCLUSIVE)
        if await db.fetchval(sql.BUSINESS_TIMERS_DUE):
            return False
        marker = await _own_marker(db, handler, row)
        known_at = datetime.fromisoformat(row["envelope"]["known_at"])
        business_date = date.fromisoformat(row["envelope"]["business_date"])
        await write_markers(
            db,
            service,
            TOPICS_OF[service],
            marker,
            known_at=known_at,
            business_date=business_date,
            restored=start.restored,
        )
        await db.execute(sql.MARK_WRITTEN, row["number"])
        await db.execute(sql.FORGET_SEEN, row["number"])
        await db.execute(sql.FORGET_MARKERS, row["number"])
    return True


async def _own_marker(db: asyncpg.Connection, handler: Handler, row: asyncpg.Record) -> Marker:
    if row["type"] == ClockTicked.TYPE:
        tick = merged_tick(row["bodies"])
        return tick.model_copy(
            update={"companies": _with_own_parked(tick.companies, await db.fetch(sql.PARKED_BY_COMPANY))}
        )
    body = DayClosed.model_validate(next(iter(row["bodies"].values())))
    work = DayWork(
        company=body.company,
        date=body.date,
        number=body.number,
        phase=2,
        bank_accounts=body.bank_accounts,
        bodies=row["bodies"],
    )
    return body.model_copy(update={"totals": await handler.totals(db, work)})


def _with_own_parked(companies: dict[str, CompanyReach], rows: list[asyncpg.Record]) -> dict[str, CompanyReach]:
    own: dict[str, list[Parked]] = defaultdict(list)
    for row in rows:
        own[row["company"]].append(
            Parked(kind="key", id=row["key"], company=row["company"], account_id=row["account_id"])
        )
    result = dict(companies)
    for company, parked in own.items():
        reach = result.get(company, CompanyReach())
        together = [*reach.parked, *parked]
        result[company] = reach.model_copy(
            update={
                "parked": together[:PARKED_NAMED_MAX],
                "parked_more": reach.parked_more or len(together) > PARKED_NAMED_MAX,
            }
        )
    return result


async def write_markers(
    db: asyncpg.Connection,
    service: str,
    topics: Sequence[str],
    marker: Marker,
    *,
    known_at: datetime,
    business_date: date,
    restored: bool = False,
) -> None:
    """Write `marker` into every partition of `topics`. The caller holds the outbox lock exclusively."""
    value = _bounded(marker)
    company = getattr(marker, "company", ALL_COMPANIES)
    rows = [
        _marker_row(service, topic, number, marker, value, company, known_at, business_date)
        for topic in topics
        for number in range(PARTITIONS)
    ]
    await write_rows(db, rows, restored=restored)


def _bounded(marker: Marker) -> bytes:
    """Value bytes of a marker. A tick that is too large names nothing of the companies with most that is parked, which
    stops all notices of theirs. Raises Stop where that is not enough: nobody could read it."""
    value = encode(marker)
    if len(value) <= EVENT_BYTES_MAX:
        return value
    companies = dict(getattr(marker, "companies", {}))
    over = len(value) - EVENT_BYTES_MAX
    for company, reach in sorted(companies.items(), key=lambda item: (-len(item[1].parked), item[0])):
        if over <= 0 or not reach.parked:
            break
        companies[company] = reach.model_copy(update={"parked": [], "parked_more": True})
        over -= len(encode(reach)) - len(encode(companies[company]))
    if over > 0:
        what = f"{marker.TYPE} {marker.number} of {len(companies)} companies has {len(value)} bytes"
        raise Stop(f"{what}, at most {EVENT_BYTES_MAX} go; serve fewer companies with one ingest")
    return encode(marker.model_copy(update={"companies": companies}))


def _marker_row(
    service: str,
    topic: str,
    partition: int,
    marker: Marker,
    value: bytes,
    company: str,
    known_at: datetime,
    business_date: date,
) -> OutboxRow:
    event_id = marker_event_id(service, topic, partition, marker.marker_id)
    envelope = Envelope(
        id=event_id,
        source=service,
        type=marker.TYPE,
        subject=str(marker.marker_id),
        time=known_at,
        company=company,
        actor=f"service:{service}",
        business_date=business_date,
        known_at=known_at,
        correlation_id=marker.marker_id,
        causation_id=marker.marker_id,
        code_version=CODE_VERSION,
        traceparent=tracing.continued("", marker.marker_id, event_id),
    )
    return OutboxRow(topic, partition, str(partition), f"~m{partition}", envelope, value, marker.marker_id)


def marker_event_id(service: str, topic: str, partition: int, marker_id: UUID) -> UUID:
    return derive("marker", service, topic, partition, marker_id)
