"""Dead letters: what could not be digested is parked with its Kafka key, later events of the key queue behind it.

Redrive runs a key's letters in the order of their arrival through the normal handler; the key is free when none is
left. What stands first is what the key waits for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import orjson

from shared.bus.port import Headers, Partition, Record
from shared.errors import Poison, Stop
from shared.events.catalogue import PAYMENTS, READS
from shared.failure_text import failure_text
from shared.ids import read_id
from shared.runtime import statements as sql
from shared.runtime.outbox import pack, unpack

if TYPE_CHECKING:
    from shared.runtime.transaction import Taken, Unit

LETTERS_PER_PAGE = 5_000
KEYS_PER_PAGE = 1_000
TYPE_CHARS_MAX = 100
TYPE_MISSING = "?"
NO_COMPANY = "~"
"""In the place of a company where neither key nor envelope names one; an operator of any company looks after it."""


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
        [_company_of(key, taken.record) for key, (taken, _) in keys.items()],
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
        [_event_id(taken) for taken, _ in letters],
        [_header(taken.record, "ce_type")[:TYPE_CHARS_MAX] or TYPE_MISSING for taken, _ in letters],
        [_packed(taken.record.headers) for taken, _ in letters],
        [taken.record.value for taken, _ in letters],
        [fault.error[:2000] for _, fault in letters],
    )


def _packed(headers: Headers) -> bytes:
    """As the outbox packs them where they are text, else in hex, so that a letter is what the record was."""
    try:
        return pack(headers)
    except (UnicodeDecodeError, AttributeError):  # a header without a value is None
        return orjson.dumps([(name, None if value is None else [value.hex()]) for name, value in headers])


def _unpacked(packed: bytes) -> Headers:
    found = orjson.loads(packed)
    if all(isinstance(value, str) for _, value in found):
        return unpack(packed)
    return [(name, None if value is None else bytes.fromhex(value[0])) for name, value in found]


def _header(record: Record, name: str) -> str:
    """A header as text that the store can keep, "" where it is missing."""
    found = next((value for header, value in record.headers if header == name and value), b"")
    return found.decode(errors="replace").replace("\x00", "\ufffd")


def _event_id(taken: "Taken") -> UUID | None:
    try:
        return taken.event.envelope.id if taken.event else read_id(_header(taken.record, "ce_id"))
    except ValueError:
        return None


def _company_of(key: str, record: Record) -> str:
    return key.partition("/")[0] or _header(record, "ce_company") or NO_COMPANY


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
    last: str | None = None
    while page := await _keys_after(pool, last):
        results |= {key: await _redrive_key(pool, unit, key) for key in page}
        last = page[-1]
    return results


async def _keys_after(pool: asyncpg.Pool, last: str | None) -> list[str]:
    async with pool.acquire() as db:
        return [row["key"] for row in await db.fetch(sql.PARKED_AFTER, last, KEYS_PER_PAGE)]


async def _redrive_key(pool: asyncpg.Pool, unit: "Unit", key: str) -> str:
    """A page of letters per transaction until the key is free; what went through before a failure stays done.

    A page that fails is cut in half until the letter that fails stands alone and first. Before it is called the
    culprit, the page is tried in the order of one batch: topics are read side by side, so a letter may have come before
    one of another topic that it needs.
    """
    from shared.runtime.transaction import TRANSIENT  # the transaction parks through this module

    limit = LETTERS_PER_PAGE
    while True:
        try:
            if not await _redrive_page(pool, unit, key, limit):
                return "done"
        except TRANSIENT as problem:
            unit.control.forget()
            return failure_text(problem)
        except Exception as problem:  # shown to the person who redrives, and kept beside the key
            unit.control.forget()
            if limit > 1:
                limit //= 2
                continue
            if await _goes_as_one_batch(pool, unit, key):
                limit = LETTERS_PER_PAGE
                continue
            fault = Fault.of(problem)
            async with pool.acquire() as db:
                await db.execute(sql.NOTE_PARK_ERROR, key, fault.code, fault.error[:2000])
            return fault.error


async def _goes_as_one_batch(pool: asyncpg.Pool, unit: "Unit", key: str) -> bool:
    """Whether a page ran topic by topic; all of it or nothing, so that nothing overtakes what cannot be digested."""
    try:
        await _redrive_page(pool, unit, key, LETTERS_PER_PAGE, by_topic=True)
    except Exception:  # the caller tells the failure of the first letter
        unit.control.forget()
        return False
    return True


async def _redrive_page(pool: asyncpg.Pool, unit: "Unit", key: str, limit: int, *, by_topic: bool = False) -> bool:
    """Whether letters are left."""
    async with pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_SHARED)
        if await db.fetchval(sql.PARKED_KEY_FOR_UPDATE, key) is None:
            return False
        return await _run_letters(db, unit, key, limit, by_topic) == limit


async def _run_letters(db: asyncpg.Connection, unit: "Unit", key: str, limit: int, by_topic: bool) -> int:
    """Decide a page of the key's letters in order; the key is free when none is left. Their number."""
    from shared.runtime.transaction import apply, decoded, fresh_among

    topics = list(READS[unit.service])
    rows = await db.fetch(sql.LETTERS_OF, key, topics, limit)
    if by_topic:
        rows = sorted(rows, key=lambda row: (topics.index(row["topic"]), row["partition"], row["offset"]))
    batch = [decoded(_record(row)) for row in rows]
    for taken in batch:
        if taken.problem is not None:
            raise taken.problem
        if taken.halt:
            raise Stop(taken.halt)
    facts = await fresh_among(db, [taken.event for taken in batch if taken.event is not None])
    if facts:
        await apply(db, unit, facts)
    await db.execute(
        sql.DROP_LETTERS, [r["topic"] for r in rows], [r["partition"] for r in rows], [r["offset"] for r in rows]
    )
    await db.execute(sql.UNPARK, key)
    return len(rows)


def _record(row: asyncpg.Record) -> Record:
    place = Partition(row["topic"], row["partition"])
    return Record(place, row["offset"], row["key"].encode(), _unpacked(row["headers"]), row["value"])
