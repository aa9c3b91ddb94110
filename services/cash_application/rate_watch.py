"""A foreign fact that came before its first rate is parked; when a rate comes, what waits for one is run again."""

import asyncio

from services.cash_application.store import waiting_for_rates
from shared.runtime import dead_letters, loops
from shared.runtime.lifecycle import Runtime

LOOK_EVERY_S = 5.0


async def redrive_when_rates_come(runtime: Runtime, stop: asyncio.Event) -> None:
    """Until `stop`: look for keys parked for want of a rate, and redrive them when rates were published since."""
    tried_at = -1

    async def step() -> int:
        nonlocal tried_at
        tried_at = await look_once(runtime, tried_at)
        return 0

    await loops.forever(runtime, "rate_watch", step, until=stop, pause_s=LOOK_EVERY_S)


async def look_once(runtime: Runtime, tried_at: int) -> int:
    """One look; `tried_at` is the number of rates at which it was last tried. The number now."""
    async with runtime.pool.acquire() as db:
        rates, keys = await waiting_for_rates(db)
    if keys and rates != tried_at:
        results = await dead_letters.redrive(runtime.pool, runtime.unit, keys)
        freed = sum(result == "done" for result in results.values())
        runtime.log.info("redriven_after_rates", keys=len(results), freed=freed)
        runtime.relay_wanted.set()
    return rates
