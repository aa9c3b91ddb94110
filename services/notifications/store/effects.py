"""Writes of effects and claims of the webhook sender.

Invariant: at most one version of a hold is in flight, and never an older one after a newer.
"""

from datetime import datetime

import asyncpg

from services.notifications.domain.rows import EffectRow
from services.notifications.store.lists import columns
from shared.runtime.start_statements import FROZEN

CLAIM_MAX = 100
IS_FROZEN = FROZEN.format(key="e.company || '/' || e.account_id")

NEW = (
    "company, effect_id, hold_id, account_id, version, state, grade, target, gated, from_at, expires_at, "
    "body, envelope, read_at_number, status"
)
ADD_EFFECTS = f"""
insert into effect ({NEW})
select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
                     $9::bool[], $10::timestamptz[], $11::timestamptz[], $12::jsonb[], $13::jsonb[], $14::bigint[],
                     $15::text[])
on conflict (company, hold_id, version) do nothing
"""

SAVED = (
    "company, effect_id, status, reasons, judged_at_number, attempts, reported, lease_until_at, "
    "next_try_at, first_try_at, answered_at, code"
)
SAVE_EFFECTS = f"""
update effect e set status = s.status, reasons = s.reasons::jsonb, judged_at_number = s.judged_at_number,
    attempts = s.attempts, reported = s.reported, lease_until_at = s.lease_until_at, next_try_at = s.next_try_at,
    first_try_at = s.first_try_at, answered_at = s.answered_at, code = s.code
from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::int[], $7::bool[], $8::timestamptz[],
            $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[])
    as s({SAVED})
where e.company = s.company and e.effect_id = s.effect_id
"""

CLAIM_EFFECTS = f"""
with due as (
    select company, effect_id from effect e
    where status = 'due' and (not gated or (from_at <= $1 and judged_at_number < $2 and read_at_number < $2))
      and (next_try_at is null or next_try_at <= $3) and (lease_until_at is null or lease_until_at <= $3)
      and not exists (select from effect o where o.company = e.company and o.hold_id = e.hold_id
                      and o.version < e.version and o.lease_until_at > $3)
      and not {IS_FROZEN}
    order by company, hold_id, version limit $6 for update skip locked)
update effect e set lease_until_at = $4, claimed_by = $5, claims = e.claims + 1
from due where e.company = due.company and e.effect_id = due.effect_id
returning e.company, e.effect_id, e.hold_id, e.account_id, e.version, e.state, e.gated, e.claims, e.target, e.body,
          e.envelope
"""

BACKLOG = """
select (select count(*) from effect where status = 'due') as deliveries,
       coalesce(greatest(0, extract(epoch from $1::timestamptz - (
           select min(first_try_at) from effect where status = 'due'))), 0)::float8 as oldest_s,
       (select count(*) from notice where status = 'requested') as notices
"""


async def backlog(db: asyncpg.Connection, wall_now: datetime) -> asyncpg.Record:
    """What waits to leave: `deliveries`, the age in seconds of the oldest that was tried, and `notices`."""
    return await db.fetchrow(BACKLOG, wall_now)


async def add_effects(db: asyncpg.Connection, rows: list[EffectRow]) -> None:
    if not rows:
        return
    await db.execute(
        ADD_EFFECTS,
        *columns(rows, NEW),
    )


async def save_effects(db: asyncpg.Connection, rows: list[EffectRow]) -> None:
    if not rows:
        return
    await db.execute(
        SAVE_EFFECTS,
        *columns(rows, SAVED),
    )


async def claim_effects(
    db: asyncpg.Connection,
    *,
    business_now: datetime,
    number: int,
    wall_now: datetime,
    lease_until_at: datetime,
    owner: str,
    limit: int = CLAIM_MAX,
) -> list[asyncpg.Record]:
    """Take deliveries that are due; those that must pass the gate only at a tick that has not judged them."""
    return await db.fetch(CLAIM_EFFECTS, business_now, number, wall_now, lease_until_at, owner, limit)
