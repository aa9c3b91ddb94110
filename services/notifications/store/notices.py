"""Writes of notices and gate records, claims of the dispatcher. Claims use the wall clock; the gate never does."""

from datetime import datetime

import asyncpg

from services.notifications.domain.rows import GateRecord, NoticeRow
from services.notifications.store.lists import columns
from shared.runtime.start_statements import FROZEN

CLAIM_MAX = 200
IS_FROZEN = FROZEN.format(key="notice.company || '/' || notice.account_id")
EFFECT_IS_FROZEN = FROZEN.format(key="effect.company || '/' || effect.account_id")
"""What has output beyond the store waits for a person."""
HAS_LOST_OUTPUT = "exists (select from lost_output l where l.subject = notice.notice_id::text)"
"""The log tells of the notice what this store does not know: nobody here can say whether it left."""

NEW = (
    "company, notice_id, account_id, contact_id, level, kind, channel, decided_on, not_before_at, "
    "expires_at, request, envelope, retry_of"
)
ADD_NOTICES = f"""
insert into notice ({NEW})
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::date[],
                     $9::timestamptz[], $10::timestamptz[], $11::jsonb[], $12::jsonb[], $13::uuid[])
on conflict (company, notice_id) do nothing
"""

SAVED = (
    "company, notice_id, status, reasons, items, judged_at_number, attempts, claimed_by, lease_until_at, "
    "next_try_at, message_id, decided_at, sent_at, sent_on, content, code"
)
SAVE_NOTICES = f"""
update notice n set status = s.status, reasons = s.reasons::jsonb, items = s.items::jsonb,
    judged_at_number = s.judged_at_number, attempts = s.attempts, claimed_by = s.claimed_by,
    lease_until_at = s.lease_until_at, next_try_at = s.next_try_at, message_id = s.message_id,
    decided_at = s.decided_at, sent_at = s.sent_at, sent_on = s.sent_on, content = s.content, code = s.code
from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::int[], $8::text[],
            $9::timestamptz[], $10::timestamptz[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::date[],
            $15::jsonb[], $16::text[])
    as s({SAVED})
where n.company = s.company and n.notice_id = s.notice_id
"""

GATE = (
    "company, subject_id, claim, of, account_id, outcome, decided_at, judged_at, tick_number, tick_at, "
    "banks, items, reasons, policy"
)
ADD_GATE_RECORDS = f"""
insert into gate_record ({GATE})
select company, subject_id, claim, of, account_id, outcome, decided_at, judged_at, tick_number, tick_at, banks::jsonb,
       items::jsonb, reasons::jsonb, policy
from unnest($1::text[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
            $8::timestamptz[], $9::bigint[], $10::timestamptz[], $11::text[], $12::text[], $13::text[], $14::text[])
    as g({GATE})
on conflict (company, subject_id, claim) do nothing
"""

CLAIM_NOTICES = f"""
with due as (
    select company, notice_id from notice
    where status = 'requested' and not_before_at <= $1 and judged_at_number < $2
      and (next_try_at is null or next_try_at <= $3) and (lease_until_at is null or lease_until_at <= $3)
      and not {IS_FROZEN} and not {HAS_LOST_OUTPUT}
    order by not_before_at, company, notice_id limit $6 for update skip locked)
update notice n set lease_until_at = $4, claimed_by = $5, claims = n.claims + 1
from due where n.company = due.company and n.notice_id = due.notice_id
returning n.company, n.notice_id, n.account_id, n.contact_id, n.claims, n.envelope
"""

CLAIM_LOST = f"""
update notice n set claims = n.claims + 1, lease_until_at = $2
from (select company, notice_id from notice
      where (status = 'sending' and (lease_until_at <= $1 or claimed_by = $3)
             or status = 'requested' and {HAS_LOST_OUTPUT}) and not {IS_FROZEN}
      order by company, notice_id limit $4 for update skip locked) lost
where n.company = lost.company and n.notice_id = lost.notice_id
returning n.company, n.notice_id, n.account_id, n.contact_id, n.claims, n.envelope
"""

RELEASE_NOTICES = """
update notice n set lease_until_at = null, next_try_at = $4
from unnest($1::text[], $2::uuid[], $3::int[]) as r(company, notice_id, claim)
where n.company = r.company and n.notice_id = r.notice_id and n.claims = r.claim and n.status = 'requested'
"""

PENDING = f"""
select (select count(*) from notice where company = $1 and status = 'sending' and not {IS_FROZEN})
     + (select count(*) from notice
        where company = $1 and status = 'requested' and not_before_at <= $2 and judged_at_number < $3
          and next_try_at is null and not {IS_FROZEN})
     + (select count(*) from effect
        where company = $1 and status = 'due' and next_try_at is null and not {EFFECT_IS_FROZEN}
          and (not gated or (from_at <= $2 and judged_at_number < $3 and read_at_number < $3)))
"""
COUNT_STATUSES = """
select 'notices' as of, status, count(*) from notice where company = $1 group by status
union all
select 'effects', status, count(*) from effect where company = $1 group by status
"""


async def add_notices(db: asyncpg.Connection, rows: list[NoticeRow]) -> None:
    if not rows:
        return
    await db.execute(
        ADD_NOTICES,
        *columns(rows, NEW),
    )


async def save_notices(db: asyncpg.Connection, rows: list[NoticeRow]) -> None:
    if not rows:
        return
    await db.execute(
        SAVE_NOTICES,
        *columns(rows, SAVED),
    )


async def add_gate_records(db: asyncpg.Connection, rows: list[GateRecord]) -> None:
    if not rows:
        return
    await db.execute(
        ADD_GATE_RECORDS,
        *columns(rows, GATE),
    )


async def claim_notices(
    db: asyncpg.Connection,
    *,
    business_now: datetime,
    number: int,
    wall_now: datetime,
    lease_until_at: datetime,
    owner: str,
    limit: int = CLAIM_MAX,
) -> list[asyncpg.Record]:
    """Take due notices that no tick up to `number` has judged, for `owner` until the lease ends."""
    return await db.fetch(CLAIM_NOTICES, business_now, number, wall_now, lease_until_at, owner, limit)


async def claim_lost(
    db: asyncpg.Connection, *, wall_now: datetime, lease_until_at: datetime, owner: str = "", limit: int = CLAIM_MAX
) -> list[asyncpg.Record]:
    """Notices left in `sending`: by anyone whose lease ended, or by `owner` before it was started again; and those of
    which the log tells what this store has lost."""
    return await db.fetch(CLAIM_LOST, wall_now, lease_until_at, owner, limit)


async def release_notices(
    db: asyncpg.Connection, claimed: list[asyncpg.Record], next_try_at: datetime | None = None
) -> None:
    """Give claimed notices back that were not let go, to be taken again at `next_try_at` of the wall clock."""
    await db.execute(
        RELEASE_NOTICES,
        [c["company"] for c in claimed],
        [c["notice_id"] for c in claimed],
        [c["claims"] for c in claimed],
        next_try_at,
    )


async def count_pending(db: asyncpg.Connection, company: str, until: datetime, number: int) -> int:
    """Notices and deliveries that are due by `until`, were not judged at tick `number` and do not wait for a retry."""
    return await db.fetchval(PENDING, company, until, number)


async def count_statuses(db: asyncpg.Connection, company: str) -> dict[str, dict[str, int]]:
    """Counts of notices and of deliveries by status."""
    counts: dict[str, dict[str, int]] = {"notices": {}, "effects": {}}
    for row in await db.fetch(COUNT_STATUSES, company):
        counts[row["of"]][row["status"]] = row["count"]
    return counts
