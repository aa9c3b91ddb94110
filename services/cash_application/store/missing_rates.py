"""What is parked because a rate was missing, and how many rates there are by now."""

import asyncpg

from services.cash_application.domain.exchange import RateMissing

WAITING = """
select (select count(*) from rate) as rates,
  array(select key from parked_key where code = $1 order by key) as keys
"""


async def waiting_for_rates(db: asyncpg.Connection) -> tuple[int, list[str]]:
    """Number of rates published, and the keys that wait for one."""
    row = await db.fetchrow(WAITING, RateMissing.code)
    return row["rates"], row["keys"]
