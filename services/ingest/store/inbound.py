"""Messages of foreign feeds: position, keys and records in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.ingest.store.submissions import STAGED_COLUMNS

Lane = tuple[str, int]
"""Topic and number of a partition."""

POSITIONS = """
select topic, partition, next_offset from feed_position
where (topic, partition) in (select * from unnest($1::text[], $2::int[]))
"""
MOVE = """
insert into feed_position (topic, partition, next_offset)
select * from unnest($1::text[], $2::int[], $3::bigint[]) as p(topic, partition, next_offset) order by 1, 2
on conflict (topic, partition) do update set next_offset = excluded.next_offset
where feed_position.next_offset <= excluded.next_offset returning topic
"""
LOCK = """
select topic, partition, next_offset from feed_position
where (topic, partition) in (select * from unnest($1::text[], $2::int[])) order by topic, partition for update
"""
STEP_OVER = """
insert into feed_position (topic, partition, next_offset)
select $1::text, $2::int, $4::bigint where $3::bigint = coalesce(
    (select next_offset from feed_position where topic = $1::text and partition = $2::int), 0)
on conflict (topic, partition) do update set next_offset = excluded.next_offset
where feed_position.next_offset = $3::bigint returning next_offset
"""
NOTE_KEYS = """
insert into command (command_id, body_sha256) select * from unnest($1::uuid[], $2::text[]) as c(id, sha) order by 1
on conflict do nothing returning command_id
"""
KEY_BODIES = "select command_id, body_sha256 from command where command_id = any($1::uuid[])"
ADD_SUBMISSIONS = """
insert into submission (submission_id, company, actor, idempotency_key, sha256, bytes, format, state, records, staged,
    business_date, bank_from_on, received_at, known_at)
select s.submission_id, s.company, s.actor, s.key, '', 0, 'feed', 'accepted', s.records, s.records, s.business_date,
    s.bank_from_on, $8, $9
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::date[], $7::date[])
    as s(submission_id, company, actor, key, records, business_date, bank_from_on)
"""


async def positions(db: asyncpg.Connection, partitions: Sequence[Lane]) -> dict[Lane, int]:
    """Own positions; a partition seen for the first time begins at 0."""
    rows = await db.fetch(POSITIONS, [topic for topic, _ in partitions], [number for _, number in partitions])
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def move(db: asyncpg.Connection, spans: Mapping[Lane, tuple[int, int]]) -> bool:
    """Move positions over (first, last) of each partition; False when another process was ahead.

    A foreign topic may have holes, so a batch may begin behind the position, but never before it.
    """
    lanes = sorted(spans)
    topics, numbers = [topic for topic, _ in lanes], [number for _, number in lanes]
    kept = {(row["topic"], row["partition"]): row["next_offset"] for row in await db.fetch(LOCK, topics, numbers)}
    if any(kept.get(lane, 0) > spans[lane][0] for lane in lanes):
        return False
    moved = await db.fetch(MOVE, topics, numbers, [spans[lane][1] + 1 for lane in lanes])
    return len(moved) == len(lanes)


async def fresh_keys(db: asyncpg.Connection, keys: Mapping[UUID, str]) -> tuple[set[UUID], dict[UUID, str]]:
    """Which commands are new, and the body hash of those that are not."""
    order = sorted(keys)
    fresh = {row["command_id"] for row in await db.fetch(NOTE_KEYS, order, [keys[key] for key in order])}
    known = await db.fetch(KEY_BODIES, [key for key in order if key not in fresh])
    return fresh, {row["command_id"]: row["body_sha256"] for row in known}


async def add_submissions(
    db: asyncpg.Connection,
    rows: Sequence[tuple[UUID, str, str, str, int, date, date | None]],
    staged: Sequence[tuple[Any, ...]],
    received_at: datetime,
    known_at: datetime,
) -> None:
    """Accepted submissions (id, company, actor, key, records, business date, bank_from_on) with their records."""
    await db.execute(ADD_SUBMISSIONS, *[[row[n] for row in rows] for n in range(7)], received_at, known_at)
    await db.copy_records_to_table("staged_record", records=staged, columns=(*STAGED_COLUMNS, "traceparent"))
