"""The gauges of a process: lag, progress, outbox, parked keys, timers, marker age, looked up every few seconds.

Invariant: a gauge shows what is, also after partitions went to another member, and what the log can tell is shown while
the database does not answer, and the other way round.
"""

import asyncio
import time
from typing import TYPE_CHECKING

from shared import metrics
from shared.bus.port import Partition, Source
from shared.runtime import statements as sql
from shared.runtime.effects import Measures
from shared.runtime.loops import forever
from shared.runtime.policies import read_all
from shared.runtime.watch import Watch

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

GAUGES_EVERY_S = 5.0
NO_PROGRESS_TOLD_S = 60.0


async def run_gauges(runtime: "Runtime", source: Source | None) -> None:
    watch, told = Watch(), False

    async def step() -> int:
        nonlocal told
        await gauges_once(runtime, source, watch)
        stalled_s = watch.stalled_s(time.monotonic())
        if stalled_s >= NO_PROGRESS_TOLD_S and not told:
            runtime.log.error("no_progress", since_s=int(stalled_s), what="records wait and no cursor moves")
        told = stalled_s >= NO_PROGRESS_TOLD_S
        return 0

    await forever(runtime, "gauges", step, pause_s=GAUGES_EVERY_S)


async def gauges_once(runtime: "Runtime", source: Source | None, watch: Watch | None = None) -> None:
    """Set every gauge. What fails leaves the others set; the first failure is raised behind them."""
    watch = watch or Watch()
    looks = [_look_at_store(runtime, watch)]
    if source is not None:
        looks.append(_look_at_log(source, watch))
    answers = await asyncio.gather(*reversed(looks), return_exceptions=True)
    _set_watch(watch)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    await runtime.guard.check()


async def _look_at_log(source: Source, watch: Watch) -> None:
    ends = await source.ends()
    metrics.PARTITIONS.set(len(source.assigned()))
    watch.ends = ends


async def _look_at_store(runtime: "Runtime", watch: Watch) -> None:
    now = runtime.clock.now()
    async with runtime.pool.acquire() as db:
        outbox = await db.fetchrow(sql.OUTBOX_AGE)
        parked = await db.fetchval(sql.COUNT_PARKED)
        moment = await db.fetchrow(sql.MOMENT)
        timers = await db.fetchrow(sql.TIMERS_LATE, now)
        cursors = await db.fetch(sql.CURSORS)
        known = await runtime.unit.control.moment(db)
        if isinstance(runtime.handler, Measures):
            await runtime.handler.measure(db, now)
    watch.cursors = {Partition(row["topic"], row["partition"]): row["next_offset"] for row in cursors}
    metrics.OUTBOX_AGE.set(outbox["age_s"])
    metrics.OUTBOX_ROWS.set(outbox["rows"])
    metrics.PARKED_KEYS.set(parked)
    metrics.POLICIES_REFUSED.set(sum(bool(read.problem) for read in read_all(runtime.handler, known.policies)))
    metrics.TIMERS_LATE.labels("wall").set(timers["wall_s"])
    metrics.TIMERS_LATE.labels("business").set(timers["business_s"])
    metrics.TIMERS_WAITING.set(timers["put_back"])
    metrics.MARKERS_OPEN.set(timers["markers_open"])
    if moment["complete_at"] is not None:
        metrics.MARKER_AGE.set((now - moment["complete_at"]).total_seconds())


def _set_watch(watch: Watch) -> None:
    """Partitions that went to other members are shown by those. What the consumer holds and has not taken is behind."""
    now_s = time.monotonic()
    watch.look(now_s)
    metrics.LAG.clear()
    metrics.LAG_AGE.clear()
    for partition, lane in watch.lanes.items():
        metrics.LAG.labels(*partition).set(lane.behind())
        metrics.LAG_AGE.labels(*partition).set(watch.age_s(partition, now_s))
    metrics.NO_PROGRESS.set(watch.stalled_s(now_s))
