"""Event to effect of each service alone, as a process with all its loops, at half of what it reaches by itself.

What it reaches is measured first: a burst that waits on the log, from the first effect to the last. An effect is what
the next one sees: an acknowledged event, an answered webhook, for reporting the committed row.
"""

import asyncio
from typing import Any

from deploy.local.local_stack import LocalStack
from deploy.local.processes import Child
from tests.bench.figures import Row, judged, percentile, plain, rate_behind_first
from tests.bench.latency import Watch, arrived
from tests.bench.service_loads import LOADS, Load
from tests.bench.stacks import begin_behind_others, one_service

P99_MAX_MS = 250
WARM_S, LATENCY_S = 2, 8
SETTLE_S = 1.0


def run(stack: LocalStack, *, service: str) -> dict[str, Any]:
    """On the main thread, outside any event loop: it starts a process."""
    load = LOADS[service](stack)
    if service != "ingest":
        asyncio.run(begin_behind_others(stack, service))
    asyncio.run(load.before())
    with one_service(stack, service) as child:
        return asyncio.run(_measure(load, child))


def rows(found: dict[str, Any]) -> list[Row]:
    service, per_s = found["service"], found["load_per_s"]
    return [
        judged(f"{service}, {found['what']}, p99", found["p99_ms"], "at most", P99_MAX_MS, "ms"),
        plain(f"p50 / p99 / max at {per_s:,}/s, half of {found['reached_per_s']:,}/s", found["spread_ms"], "ms"),
    ]


async def _measure(load: Load, child: Child) -> dict[str, Any]:
    await load.begin()
    async with load.watch() as watch:
        reached = await _burst(load, watch, child)
        per_s = max(1, reached // 2)
        for seconds in (WARM_S, LATENCY_S):
            await asyncio.sleep(SETTLE_S)
            watch.seen.clear()
            await load.send(per_s * seconds, per_s, watch)
            await arrived(watch, child)
    seen = [1000 * seconds for seconds in watch.seen]
    return {
        "service": load.service,
        "what": load.what,
        "reached_per_s": reached,
        "load_per_s": per_s,
        "measured": len(seen),
        "p99_ms": round(percentile(seen, 0.99)),
        "spread_ms": [round(percentile(seen, share)) for share in (0.5, 0.99, 1.0)],
    }


async def _burst(load: Load, watch: Watch, child: Child) -> int:
    """Effects per second behind the first that came, of a burst after a shorter one that warms up."""
    for count in (load.burst // 4, load.burst):
        watch.at.clear()
        await load.send(count, None, watch)
        await arrived(watch, child)
    return round(rate_behind_first(watch.at))
