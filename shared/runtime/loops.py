"""The loops of a process: consumer, relay, timers. Each step is also callable alone, for scenarios and simulation.

Transient failures are tried again in place with backoff; anything else stops the process with its reason.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from shared import metrics
from shared.bus.port import LoadPositions, Partition, Sink, Source
from shared.errors import Leaving
from shared.events.codec import Event
from shared.failure_text import failure_text
from shared.runtime import failpoints, halts, markers, timers
from shared.runtime import statements as sql
from shared.runtime.batches import Batches
from shared.runtime.day import second_phase, work_event
from shared.runtime.effects import DayWork
from shared.runtime.relay import relay_once
from shared.runtime.shares import in_shares
from shared.runtime.transaction import TRANSIENT, NotConfigured, Stale, apply

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

T = TypeVar("T")

FETCH_TIMEOUT_S = 1.0
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.1, 5.0
CONFIGURATION_WAIT_S = 0.2
# A relay that shares its process with all that writes is woken by it; one on its own has to look.
RELAY_IDLE_S, RELAY_IDLE_SHARED_S = 0.25, 1.0
TIMERS_IDLE_S = 1.0


async def load_positions(runtime: "Runtime", partitions: list[Partition]) -> dict[Partition, int]:
    """Cursors of the store; a partition seen for the first time starts at 0."""
    async with runtime.pool.acquire() as db:
        rows = await db.fetch(sql.LOAD_CURSORS, [p.topic for p in partitions], [p.number for p in partitions])
    return {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def consume_once(runtime: "Runtime", source: Source, timeout_s: float = FETCH_TIMEOUT_S) -> int:
    """Fetch and take one batch. Returns the number of records taken; raises transient failures for the loop."""
    batches = Batches(source, runtime.service, runtime.settings.batch_records, ahead=False)
    return await take_next(runtime, batches, timeout_s)


async def take_next(runtime: "Runtime", batches: Batches, timeout_s: float = FETCH_TIMEOUT_S) -> int:
    """`consume_once` on the batches of a consumer that reads ahead."""
    await halts.retry(runtime, batches.source, lambda lanes: load_positions(runtime, list(lanes)), batches.place)
    batch = await batches.next(timeout_s)
    halts.show(runtime, batches.source)
    if not batch.taken:
        return 0
    metrics.BATCH.observe(len(batch.taken))
    started = time.monotonic()
    try:
        outcome, stopped = await halts.take_before_halts(runtime, batch)
    except Stale:
        try:
            positions = await load_positions(runtime, sorted(batches.assigned()))
        except BaseException:  # a frozen owner may still hold a cursor: the batch is met again, not passed over
            await batches.seek(batch.begins())
            raise
        await halts.look_again(runtime, batches, batch, positions)
        return 0
    except NotConfigured:
        await batches.seek(batch.begins())
        await asyncio.sleep(CONFIGURATION_WAIT_S)
        return 0
    except BaseException:
        await batches.seek(batch.begins())
        raise
    metrics.TRANSACTION.observe(time.monotonic() - started)
    metrics.FACTS.inc(outcome.facts)
    metrics.EMITTED.inc(outcome.emitted)
    runtime.relay_wanted.set()
    runtime.timers_wanted.set()
    if outcome.parked:
        runtime.log.error("parked", records=outcome.parked)
    if outcome.waiting:
        await batches.seek(outcome.waiting)
        await asyncio.sleep(CONFIGURATION_WAIT_S)
    if stopped:
        await halts.stop_at(runtime, batches, stopped)
    await failpoints.hit("consumer.taken")
    gone_on = {p: end for p, end in batch.ends().items() if p not in outcome.waiting and p not in stopped}
    halts.moved(runtime, frozenset(gone_on))
    await batches.commit(gone_on)
    return len(batch.taken)


async def timers_once(runtime: "Runtime") -> int:
    """Fire what is due: one part of a closed day first, then ordinary timers, then markers that are ready."""
    async with runtime.pool.acquire() as db:
        part, due, marker = await db.fetchrow(sql.ANYTHING_TO_DO, runtime.clock.now())
    done = await day_part_once(runtime) if part else 0
    done += await due_once(runtime) if due else 0
    while (marker or done) and await markers.forward_once(
        runtime.pool, runtime.service, runtime.handler, runtime.unit.start
    ):
        runtime.relay_wanted.set()
        done += 1
    return done


async def day_part_once(runtime: "Runtime") -> int:
    """Do one part of a closed day in a transaction of its own; the last part opens phase 2 or frees the marker.

    A part that fails is put back with its error and a growing delay. The work of other companies goes on, but markers
    go in the order of their numbers, so its own and all that come behind it wait.
    """
    async with runtime.pool.acquire() as db, db.transaction():
        rows = await db.fetch(sql.CLAIM_DAY_PART, runtime.clock.now())
        if not rows:
            return 0
        work = DayWork.model_validate(rows[0]["payload"])
        await db.execute(sql.LOCK_SHARED)
        event = work_event(runtime.service, work, rows[0]["envelope"])
        if not await _fire_alone(runtime, db, [event], rows[0], runtime.clock.now()):
            return 0
        if await db.fetchval(sql.FINISH_PART, work.number) == 0:
            again = work.phase == 1 and runtime.handler.day_phase2
            if again:
                await markers.add_day_parts(db, [second_phase(runtime.service, work, rows[0]["envelope"])])
            state = "working" if again else "ready"
            await db.execute(sql.SET_MARKER_STATES, [work.number], [state], [1 if again else 0])
    metrics.DAY_PARTS.inc()
    runtime.relay_wanted.set()
    return 1


async def due_once(runtime: "Runtime") -> int:
    """Fire due timers together; when that fails, one by one, and the culprit is put back with its error."""
    try:
        return await _fire(runtime, None)
    except TRANSIENT:
        raise
    except Exception as problem:  # sorted out below, one timer at a time
        runtime.log.warning("timers_one_by_one", error=failure_text(problem))
    fired = 0
    while await _fire(runtime, 1):
        fired += 1
    return fired


async def _fire(runtime: "Runtime", limit: int | None) -> int:
    now = runtime.clock.now()
    async with runtime.pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_SHARED)
        moment = await runtime.unit.control.moment(db)
        rows = await timers.claim(db, now, moment.now, limit or timers.CLAIM_MAX)
        if not rows:
            return 0
        today = {company: moment.business_date(company) for company in moment.companies}
        events = timers.events_of(runtime.service, rows, today)
        if limit is None:
            await apply(db, runtime.unit, events, moment)
        else:
            await _fire_alone(runtime, db, events, rows[0], now)
    _note_lateness(rows, {"wall": now, "business": moment.now})
    metrics.TIMERS_FIRED.inc(len(rows))
    runtime.relay_wanted.set()
    return len(rows)


def _note_lateness(rows: Sequence[asyncpg.Record], clocks: Mapping[str, datetime | None]) -> None:
    """How late each timer fired by the clock that it keeps; a tick of the business clock may jump over hours."""
    for row in rows:
        now = clocks[row["clock"]]
        if now is not None:
            metrics.TIMER_LATENESS.labels(row["clock"]).observe(max(0.0, (now - row["due_at"]).total_seconds()))


async def _fire_alone(runtime: "Runtime", db, events: list[Event], row, now) -> bool:  # noqa: ANN001
    """Whether the events of one timer could be decided; if not, the timer is put back with its error."""
    try:
        async with db.transaction():
            await apply(db, runtime.unit, events)
        return True
    except TRANSIENT:
        raise
    except Exception as problem:  # kept beside the timer, shown by metrics and log
        runtime.unit.control.forget()
        metrics.TIMERS_FAILED.inc()
        runtime.log.error("timer_failed", kind=row["kind"], key=row["key"], error=failure_text(problem))
        await timers.put_back(db, row, now, failure_text(problem))
        return False


async def relay_step(runtime: "Runtime", sink: Sink) -> int:
    sent = await relay_once(runtime.pool, sink)
    metrics.RELAYED.inc(sent)
    return sent


async def run_consumer(runtime: "Runtime", source: Source) -> None:
    load = patient_load(runtime, "consumer.positions", lambda lanes: load_positions(runtime, list(lanes)))
    await patiently(runtime, "consumer.start", lambda: source.start(load))

    async def consume(share: Source, name: str) -> None:
        batches = Batches(share, runtime.service, runtime.settings.batch_records, ahead=True)
        await forever(runtime, name, lambda: take_next(runtime, batches))
        with suppress(Leaving):
            await batches.drop()

    try:
        await in_shares(runtime, source, runtime.settings.consumer_shares, consume)
    finally:
        await source.stop()


def patient_load(runtime: "Runtime", name: str, load: LoadPositions) -> LoadPositions:
    """`load` for a source: tried again while the store is away. Raises Leaving when the process is to end meanwhile."""

    async def loaded(partitions: Sequence[Partition]) -> dict[Partition, int]:
        found = await patiently(runtime, name, lambda: load(partitions))
        if found is None:
            raise Leaving("the process ends before its positions were loaded")
        return found

    return loaded


async def run_relay(runtime: "Runtime", sink: Sink) -> None:
    await patiently(runtime, "relay.start", sink.start)

    idle_s = RELAY_IDLE_SHARED_S if runtime.settings.role == "all" else RELAY_IDLE_S

    async def step() -> int:
        sent = await relay_step(runtime, sink)
        if not sent:
            await _wait(runtime.relay_wanted, idle_s)
        return sent

    try:
        await forever(runtime, "relay", step, until=runtime.relay_stop)
        await _drain(runtime, sink)
    finally:
        await sink.stop()


async def _drain(runtime: "Runtime", sink: Sink) -> None:
    """After the last transaction of this process, what it wrote goes out as far as the budget allows."""
    try:
        async with asyncio.timeout(runtime.settings.drain_timeout_s / 2):
            while await relay_step(runtime, sink):
                pass
    except TRANSIENT as problem:
        runtime.log.warning("relay_not_drained", error=failure_text(problem), what="the rows stay in the outbox")


async def run_timers(runtime: "Runtime") -> None:
    async def step() -> int:
        done = await timers_once(runtime)
        if not done:
            await _wait(runtime.timers_wanted, TIMERS_IDLE_S)
        return done

    await forever(runtime, "timers", step)


async def _wait(wanted: asyncio.Event, timeout_s: float) -> None:
    """Until work is announced in this process, at most `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            await wanted.wait()
    except TimeoutError:
        return
    finally:
        wanted.clear()


async def forever(
    runtime: "Runtime",
    name: str,
    step: Callable[[], Awaitable[int]],
    *,
    until: asyncio.Event | None = None,
    pause_s: float = 0.0,
) -> None:
    """Run `step` until no new work is wanted. Transient failures back off; the last failure is shown by readiness."""
    until = until or runtime.no_new_work
    delay_s = BACKOFF_FIRST_S
    while not until.is_set():
        try:
            await step()
        except Leaving:
            return
        except TRANSIENT as problem:
            runtime.unit.control.forget()
            runtime.failing[name] = failure_text(problem)
            metrics.RETRIES.labels(name).inc()
            runtime.log.warning("transient", loop=name, error=failure_text(problem), retry_in_s=delay_s)
            await _sleep(until, delay_s)
            delay_s = min(delay_s * 2, BACKOFF_MAX_S)
            continue
        runtime.failing.pop(name, None)
        delay_s = BACKOFF_FIRST_S
        await _sleep(until, pause_s)


async def patiently(runtime: "Runtime", name: str, step: Callable[[], Awaitable[T]]) -> T | None:
    """What `step` gives, tried again while it fails transiently; None when the process is no longer wanted."""
    delay_s = BACKOFF_FIRST_S
    while not runtime.no_new_work.is_set():
        try:
            result = await step()
        except TRANSIENT as problem:
            what = failure_text(problem)
            if runtime.failing.get(name) != what:
                runtime.log.warning("waits", step=name, error=what)
            runtime.failing[name] = what
            await _sleep(runtime.no_new_work, delay_s)
            delay_s = min(delay_s * 2, BACKOFF_MAX_S)
            continue
        if runtime.failing.pop(name, None):
            runtime.log.info("waited", step=name)
        return result
    return None


async def _sleep(until: asyncio.Event, timeout_s: float) -> None:
    if timeout_s <= 0:
        return
    try:
        async with asyncio.timeout(timeout_s):
            await until.wait()
    except TimeoutError:
        return
