"""The gauges of a process: lag, outbox, parked keys, marker age, looked up every few seconds.

Invariant: a gauge shows what is, also after partitions went to another member or while the database does not answer.
"""

from typing import TYPE_CHECKING

from shared import metrics
from shared.bus.port import Source
from shared.events.catalogue import READS
from shared.runtime import statements as sql
from shared.runtime.loops import forever
from shared.runtime.policies import read_all

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

GAUGES_EVERY_S = 5.0


async def run_gauges(runtime: "Runtime", source: Source | None) -> None:
    async def step() -> int:
        await gauges_once(runtime, source)
        return 0

    await forever(runtime, "gauges", step, pause_s=GAUGES_EVERY_S)


async def gauges_once(runtime: "Runtime", source: Source | None) -> None:
    """Set every gauge; the lag first, since it needs no database. Raises what is transient."""
    _set_lag(runtime.service, source)
    async with runtime.pool.acquire() as db:
        outbox = await db.fetchrow(sql.OUTBOX_AGE)
        parked = await db.fetchval(sql.COUNT_PARKED)
        moment = await db.fetchrow(sql.MOMENT)
        known = await runtime.unit.control.moment(db)
    metrics.OUTBOX_AGE.set(outbox["age_s"])
    metrics.OUTBOX_ROWS.set(outbox["rows"])
    metrics.PARKED_KEYS.set(parked)
    metrics.POLICIES_REFUSED.set(sum(bool(read.problem) for read in read_all(runtime.handler, known.policies)))
    if moment["complete_at"] is not None:
        metrics.MARKER_AGE.set((runtime.clock.now() - moment["complete_at"]).total_seconds())
    await runtime.guard.check()


def _set_lag(service: str, source: Source | None) -> None:
    """Per topic that the service reads; a topic whose partitions all went to other members shows 0 here."""
    if source is None:
        return
    lag = dict.fromkeys(READS[service], 0)
    for partition, behind in source.lag().items():
        lag[partition.topic] = lag.get(partition.topic, 0) + behind
    for topic, behind in lag.items():
        metrics.LAG.labels(topic).set(behind)
