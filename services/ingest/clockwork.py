"""The markers: ticks and closed days, written into every partition of our topics behind everything taken in before.

Invariant: numbers rise without gap, instants never go back, and a day is closed once.
"""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from services.ingest import intake
from services.ingest.domain.days import days_to_close, tick_due, window_open
from services.ingest.store import reach
from shared.errors import Rejected
from shared.events.catalogue import TOPICS_OF
from shared.events.markers import ClockTicked, DayClosed
from shared.ids import derive
from shared.runtime import statements as sql
from shared.runtime.commands import earlier_reply
from shared.runtime.effects import Moment
from shared.runtime.loops import forever
from shared.runtime.markers import write_markers

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

LIVE_EVERY_S = 1.0
TOPICS = TOPICS_OF["ingest"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A command of a feeder, as `shared.runtime.commands` identifies one: by principal, route and key, and its body.

    It leaves no `command.accepted`: the marker is the record of what it did, and nothing may stand between a marker
    and what it closes.
    """

    identity: UUID
    body_sha256: str


async def _answered(db: asyncpg.Connection, asked: Asked | None) -> dict[str, int | None] | None:
    """The reply of the same command before; None for a new one, which is noted. Raises Rejected for another body."""
    if asked is None or await db.fetchval(sql.TAKE_COMMAND, asked.identity, asked.body_sha256) is not None:
        return None
    return await earlier_reply(db, asked.identity, asked.body_sha256)


async def _answer(db: asyncpg.Connection, asked: Asked | None, number: int | None) -> int | None:
    if asked is not None:
        await db.execute(sql.ANSWER_COMMAND, asked.identity, {"reply": {"number": number}})
    return number


async def tick(
    runtime: "Runtime", at: datetime, asked: Asked | None = None, *, only_if_due: bool = False
) -> int | None:
    """Write `clock.ticked` at an instant; returns its number, the last one if the very same instant was written.

    Raises Rejected `clock_goes_back`. With `only_if_due`, None when another process has just ticked.
    """
    async with runtime.pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_EXCLUSIVE)
        if (reply := await _answered(db, asked)) is not None:
            return reply["number"]
        number, last_at = await reach.head(db)
        moment = await runtime.unit.control.moment(db)
        if only_if_due and not _due(runtime, moment, last_at, at):
            return None
        if moment.now is not None and at <= moment.now:
            if at == moment.now:
                return await _answer(db, asked, moment.number)
            raise Rejected("clock_goes_back", f"the clock stands at {moment.now.isoformat()} and cannot go back")
        number = await reach.next_number(db, at)
        companies = await reach.companies(db, _accounts(moment))
        marker = ClockTicked(marker_id=derive("tick", number), number=number, at=at, companies=companies)
        await write_markers(db, runtime.service, TOPICS, marker, known_at=at, business_date=at.date())
        await reach.set_clock(db, at, number, companies)
        await _answer(db, asked, number)
    runtime.relay_wanted.set()
    return number


async def close_day(runtime: "Runtime", company: str, on: date, asked: Asked | None = None) -> int | None:
    """Write `day.closed` of a company; returns its number, None when the day was closed before.

    Raises Rejected: `company_unknown`, `day_not_over` for a day in the future, `day_passed` behind a later closed day,
    `clock_not_started` before the first tick.
    """
    async with runtime.pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_EXCLUSIVE)
        if (reply := await _answered(db, asked)) is not None:
            return reply["number"]
        moment = await runtime.unit.control.moment(db)
        at = moment.now if runtime.settings.clock == "stream" else runtime.clock.now()
        if not _may_close(moment, company, on, at):
            return await _answer(db, asked, None)
        number = await reach.next_number(db, at)
        bank_accounts = (await reach.companies(db, _accounts(moment)))[company].bank_accounts
        marker = DayClosed(
            marker_id=derive("day", number), number=number, company=company, date=on, at=at, bank_accounts=bank_accounts
        )
        await write_markers(db, runtime.service, TOPICS, marker, known_at=at, business_date=on)
        await reach.set_closed(db, company, on, number)
        await _answer(db, asked, number)
    runtime.relay_wanted.set()
    return number


def _may_close(moment: Moment, company: str, on: date, at: datetime | None) -> bool:
    if company not in moment.companies:
        what_to_do = f"PUT /v1/companies/{company} first"
        raise Rejected("company_unknown", f"company {company!r} is not configured", 404, what_to_do=what_to_do)
    if at is None:
        raise Rejected("clock_not_started", "the stream clock has no tick yet; POST /v1/clock first")
    if on > at.astimezone(ZoneInfo(moment.companies[company].time_zone)).date():
        raise Rejected("day_not_over", f"{on} has not come yet by the clock, which stands at {at.isoformat()}")
    closed = moment.closed_on.get(company)
    if closed is not None and on < closed:
        raise Rejected("day_passed", f"{closed} is closed already; days are closed in order")
    return closed != on


def _accounts(moment: Moment) -> dict[str, list[str]]:
    return {name: [account.id for account in config.bank_accounts] for name, config in moment.companies.items()}


def _due(runtime: "Runtime", moment: Moment, last_at: datetime | None, now: datetime) -> bool:
    busy = window_open(moment.companies.values(), now)
    settings = runtime.settings
    last = moment.now or last_at
    return tick_due(last, now, busy_s=settings.tick_busy_s, idle_s=settings.tick_idle_s, busy=busy)


async def live_once(runtime: "Runtime") -> int:
    """Write what is due by the wall clock: closes of days first, then a tick."""
    now = runtime.clock.now()
    async with runtime.pool.acquire() as db:
        moment = await runtime.unit.control.moment(db)
    if not moment.companies:
        return 0
    done = 0
    for company, config in moment.companies.items():
        for on in days_to_close(config, moment.closed_on.get(company), now):
            done += await close_day(runtime, company, on) is not None
    if _due(runtime, moment, None, now) and now > (moment.now or datetime.min.replace(tzinfo=now.tzinfo)):
        done += await tick(runtime, now, only_if_due=True) is not None
    return done


async def run_live(runtime: "Runtime", stop: asyncio.Event) -> None:
    """Loop of the role `timers` in live mode."""
    if runtime.settings.clock == "live":
        await forever(runtime, "clockwork", lambda: live_once(runtime), until=stop, pause_s=LIVE_EVERY_S)


async def stream_tick(runtime: "Runtime", at: datetime, asked: Asked) -> int | None:
    """A tick from the feeder: everything that was accepted before it is written before it."""
    await intake.write_all(runtime)
    return await tick(runtime, at, asked)


async def stream_close(runtime: "Runtime", company: str, on: date, asked: Asked) -> int | None:
    await intake.write_all(runtime)
    return await close_day(runtime, company, on, asked)
