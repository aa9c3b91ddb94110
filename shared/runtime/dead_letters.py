"""Dead letters: what could not be digested is parked with its Kafka key, later events of the key queue behind it.

Redrive runs a key's letters in order through the normal handler; the key is free when none is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from shared.bus.port import Partition, Record
from shared.errors import Poison
from shared.events.catalogue import PAYMENTS
from shared.failure_text import failure_text
from shared.runtime import statements as sql
from shared.runtime.outbox import pack, unpack

if TYPE_CHECKING:
    from shared.runtime.transaction import Taken, Unit

LETTERS_PER_PAGE = 5_000
KEYS_PER_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an event is parked. `code` is what programs look for, `error` is for people and holds no personal data."""

    error: str
    code: str = Poison.code

    @classmethod
    def of(cls, problem: Exception) -> "Fault":
        if isinstance(problem, Poison):
            return cls(problem.message, problem.code)
        return cls(failure_text(problem))


QUEUED = Fault("queued behind an event that could not be digested")


async def park(db: asyncpg.Connection, letters: Sequence[tuple["Taken", Fault]]) -> None:
    """Append to the dead letters and park the keys, in the transaction that moves the cursor: two statements."""
    keys = {taken.key: (taken, fault) for taken, fault in reversed(letters)}
    await db.execute(
        sql.PARK_KEYS,
        list(keys),
        [key.partition("/")[0] for key in keys],
        [account_of(key, taken.record.partition.topic) for key, (taken, _) in keys.items()],
        [fault.code for _, fault in keys.values()],
        [fault.error[:2000] for _, fault in keys.values()],
    )
    await db.execute(
        sql.ADD_DEAD_LETTERS,
        [taken.record.partition.topic for taken, _ in letters],
        [taken.record.partition.number for taken, _ in letters],
        [taken.record.offset for taken, _ in letters],
        [taken.key for taken, _ in letters],
        [taken.event.envelope.id if taken.event else None for taken, _ in letters],
        [dict(taken.record.headers).get("ce_type", b"?").decode(errors="replace") for taken, _ in letters],
        [pack(_printable(taken.record.headers)) for taken, _ in letters],
        [taken.record.value for taken, _ in letters],
        [fault.error[:2000] for _, fault in letters],
    )


def _printable(headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(name, value.decode(errors="replace").encode()) for name, value in headers]


def account_of(key: str, topic: str) -> str | None:
    """The account of a Kafka key `company/account`; None for keys of other things, and on ar.payments for all."""
    _, _, tail = key.partition("/")
    return tail if tail and not tail.startswith("~") and topic != PAYMENTS else None


async def redrive(pool: asyncpg.Pool, unit: "Unit", keys: Sequence[str] | None = None) -> dict[str, str]:
    """Run the letters of `keys` (of every parked key, each tried once, if none are named) in order.

    Returns per key `done` or the error at which it stays parked.
    """
    if keys is not None:
        return {key: await _redrive_key(pool, unit, key) for key in keys}
    results: dict[str, str] = {}
    last = ""
    while page := await _keys_after(pool, last):
        results |= {key: await _redrive_key(pool, unit, key) for key in page}
        last = page[-1]
    return results


async def _keys_after(pool: asyncpg.Pool, last: str) -> list[str]:
    async with pool.acquire() as db:
        return [row["key"] for row in await db.fetch(sql.PARKED_AFTER, last, KEYS_PER_PAGE)]


async def _redrive_key(pool: asyncpg.Pool, unit: "Unit", key: str) -> str:
    """A page of letters per transaction until the key is free; what went through before a failure stays done."""
    try:
        while await _redrive_page(pool, unit, key):
            pass
    except Exception as problem:  # shown to the person who redrives, and kept beside the key
        unit.control.forget()
        fault = Fault.of(problem)
        async with pool.acquire() as db:
            await db.execute(sql.NOTE_PARK_ERROR, key, fault.code, fault.error[:2000])
        return fault.error
    return "done"


async def _redrive_page(pool: asyncpg.Pool, unit: "Unit", key: str) -> bool:
    """Whether letters are left."""
    async with pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_SHARED)
        if await db.fetchval(sql.PARKED_KEY_FOR_UPDATE, key) is None:
            return False
        return await _run_letters(db, unit, key) == LETTERS_PER_PAGE


async def _run_letters(db: asyncpg.Connection, unit: "Unit", key: str) -> int:
    """Decide a page of the key's letters in order; the key is free when none is left. Their number."""
    from shared.runtime.transaction import apply, fresh_among, read  # the transaction parks through this module

    rows = await db.fetch(sql.LETTERS_OF, key, LETTERS_PER_PAGE)
    lanes: dict[Partition, list[Record]] = {}
    for row in rows:
        lane = Partition(row["topic"], row["partition"])
        record = Record(lane, row["offset"], row["key"].encode(), unpack(row["headers"]), row["value"])
        lanes.setdefault(lane, []).append(record)
    for lane in lanes.values():
        lane.sort(key=lambda record: record.offset)
    batch = read(lanes, unit.service)
    broken = next((taken.problem for taken in batch if taken.problem), None)
    if broken is not None:
        raise broken
    facts = await fresh_among(db, [taken.event for taken in batch if taken.event is not None])
    if facts:
        await apply(db, unit, facts)
    await db.execute(
        sql.DROP_LETTERS, [r["topic"] for r in rows], [r["partition"] for r in rows], [r["offset"] for r in rows]
    )
    await db.execute(sql.UNPARK, key)
    return len(rows)
