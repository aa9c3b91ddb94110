"""One contract for the two stores of the simulation: what holds of PostgreSQL holds of the store in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from shared.ids import derive
from shared.runtime import statements as sql
from shared.runtime.transaction import TRANSIENT
from tests.sim import points, toy
from tests.sim.driver import play, prepared
from tests.sim.statements import KNOWN, make_store
from tests.sim.stores import postgres_store

pytestmark = pytest.mark.sim

BLOCKED = asyncpg.LockNotAvailableError
PAST = datetime(2026, 1, 1, tzinfo=UTC)
SEEDS = range(10)
"""One of each profile, free draws between them."""
DATABASE_ONLY = {
    "singleton",
    "taken_at",
    "written_at",
    "first_failed_at",
    "since_at",
    "seen_at",
    "complete_at",
    "accepted_at",
}


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, make_database: Callable[..., Awaitable[str]]) -> AsyncIterator[Any]:
    if request.param == "memory":
        yield make_store()
        return
    made = await postgres_store(await make_database())
    yield made
    await made.close()


async def timer(db: Any, *keys: str, statement: str = sql.WRITE_TIMERS) -> None:
    n = len(keys)
    bodies = [{"n": key} for key in keys]
    await db.execute(statement, ["late"] * n, list(keys), ["acme"] * n, ["wall"] * n, [PAST] * n, bodies, bodies)


async def due(db: Any) -> bool:
    _, timers, _ = await db.fetchrow(sql.ANYTHING_TO_DO, PAST)
    return timers


async def test_a_write_is_seen_by_others_only_when_it_is_committed(store: Any) -> None:
    async with store.acquire() as one, store.acquire() as other:
        async with one.transaction():
            await timer(one, "a")
            assert await due(one)
            assert not await due(other)
        assert await due(other)


async def test_what_is_rolled_back_never_was_and_a_savepoint_takes_back_its_own_part(store: Any) -> None:
    async with store.acquire() as db:
        with pytest.raises(RuntimeError):
            async with db.transaction():
                await timer(db, "a")
                raise RuntimeError
        async with db.transaction():
            await timer(db, "b")
            with pytest.raises(RuntimeError):
                async with db.transaction():
                    await timer(db, "b", "c")
                    raise RuntimeError
    assert [row["key"] for row in await store.table("timer")] == ["b"]


async def test_who_would_wait_for_a_row_is_told_that_it_is_locked(store: Any) -> None:
    async with store.acquire() as one, store.acquire() as other:
        await one.fetch(sql.LOAD_CURSORS, ["t"], [0])
        async with one.transaction():
            assert len(await one.fetch(sql.MOVE_CURSORS, ["t"], [0], [0], [4])) == 1
            with pytest.raises(BLOCKED):
                await other.fetch(sql.MOVE_CURSORS, ["t"], [0], [0], [4])
            with pytest.raises(BLOCKED):
                await other.fetch(sql.LOAD_CURSORS, ["t"], [0])
            assert await other.fetch(sql.MOVE_CURSORS, ["t"], [0], [9], [9]) == []
        assert await other.fetch(sql.MOVE_CURSORS, ["t"], [0], [0], [4]) == []
        assert [dict(row) for row in await other.fetch(sql.LOAD_CURSORS, ["t"], [0])] == [
            {"topic": "t", "partition": 0, "next_offset": 5}
        ]


async def test_an_id_that_another_is_writing_blocks_and_a_committed_one_is_known(store: Any) -> None:
    first, second = derive("x", 1), derive("x", 2)
    async with store.acquire() as one, store.acquire() as other:
        async with one.transaction():
            assert len(await one.fetch(sql.TAKE_INBOX, [first, first])) == 1
            with pytest.raises(BLOCKED):
                await other.fetch(sql.TAKE_INBOX, [first])
        rows = await other.fetch(sql.TAKE_INBOX, [first, second])
        assert [row["event_id"] for row in rows] == [second]
        rows = await other.fetch(sql.KNOWN_IN_INBOX, [derive("event", "third"), second])
        assert [row["event_id"] for row in rows] == [second]


async def test_writers_share_the_outbox_lock_and_a_marker_wants_it_alone(store: Any) -> None:
    async with store.acquire() as one, store.acquire() as other, store.acquire() as third:
        async with one.transaction():
            await one.execute(sql.LOCK_SHARED)
            async with other.transaction():
                await other.execute(sql.LOCK_SHARED)
            with pytest.raises(BLOCKED):
                async with third.transaction():
                    await third.execute(sql.LOCK_EXCLUSIVE)
        async with third.transaction():
            await third.execute(sql.LOCK_EXCLUSIVE)


async def test_a_lock_that_is_only_tried_says_whether_it_was_free(store: Any) -> None:
    async with store.acquire() as one, store.acquire() as other:
        async with one.transaction():
            assert await one.fetchval(sql.TRY_RELAY) and await one.fetchval(sql.TRY_FORWARD)
            async with other.transaction():
                assert not await other.fetchval(sql.TRY_RELAY)
                assert not await other.fetchval(sql.TRY_FORWARD)
        async with other.transaction():
            assert await other.fetchval(sql.TRY_RELAY)


async def test_claims_skip_what_another_holds_and_come_back_when_it_fails(store: Any) -> None:
    async with store.acquire() as one, store.acquire() as other:
        await timer(one, "a", "b")
        with pytest.raises(RuntimeError):
            async with one.transaction():
                assert [r["key"] for r in await one.fetch(sql.CLAIM_TIMERS, PAST, PAST, 1)] == ["a"]
                async with other.transaction():
                    assert [r["key"] for r in await other.fetch(sql.CLAIM_TIMERS, PAST, PAST, 9)] == ["b"]
                raise RuntimeError
        assert [r["key"] for r in await other.fetch(sql.CLAIM_TIMERS, PAST, PAST, 9)] == ["a"]


async def test_a_parked_key_may_be_read_by_many_and_is_redriven_by_one(store: Any) -> None:
    async with store.acquire() as one, store.acquire() as other, store.acquire() as third:
        await one.execute(sql.PARK_KEYS, ["acme/a"], ["acme"], ["a"], ["poison"], ["why"])
        async with one.transaction():
            assert len(await one.fetch(sql.PARKED_AMONG, ["acme/a", "acme/b"])) == 1
            async with other.transaction():
                assert len(await other.fetch(sql.PARKED_AMONG, ["acme/a"])) == 1
            with pytest.raises(BLOCKED):
                async with third.transaction():
                    await third.fetchval(sql.PARKED_KEY_FOR_UPDATE, "acme/a")
        async with third.transaction():
            assert await third.fetchval(sql.PARKED_KEY_FOR_UPDATE, "acme/a") == "acme/a"
            with pytest.raises(BLOCKED):
                await other.fetch(sql.PARKED_AMONG, ["acme/a"])


async def test_ids_of_the_outbox_follow_the_rows_and_a_rollback_leaves_a_gap(store: Any) -> None:
    rows = [("t", None, "k", b"[]", name, None, derive("x", name.decode())) for name in (b"a", b"b", b"c")]
    async with store.acquire() as db:
        with pytest.raises(RuntimeError):
            async with db.transaction():
                await db.copy_records_to_table("outbox", records=rows[:1], columns=sql.OUTBOX_COLUMNS)
                raise RuntimeError
        await db.copy_records_to_table("outbox", records=rows[1:], columns=sql.OUTBOX_COLUMNS)
        found = await db.fetch(sql.TAKE_OUTBOX, 9)
    assert [(row["id"], row["value"]) for row in found] == [(2, b"b"), (3, b"c")]


async def test_sequences_of_a_key_wait_for_who_has_taken_the_last_one(store: Any) -> None:
    async with store.acquire() as one, store.acquire() as other:
        async with one.transaction():
            assert [r["sequence"] for r in await one.fetch(sql.ADVANCE_HEADS, ["t", "t"], ["b", "a"], [2, 1])] == [1, 2]
            with pytest.raises(BLOCKED):
                await other.fetch(sql.ADVANCE_HEADS, ["t"], ["a"], [1])
            assert [r["sequence"] for r in await other.fetch(sql.ADVANCE_HEADS, ["t"], ["c"], [1])] == [1]
        assert [r["sequence"] for r in await other.fetch(sql.ADVANCE_HEADS, ["t"], ["a"], [1])] == [2]


async def test_markers_are_counted_together_and_never_below_none_left(store: Any) -> None:
    async def count(db: Any, seen: int) -> int:
        given = ([1], [derive("m")], ["clock.ticked"], ["*"], [seen], [{f"t{seen}": {}}], 3, [{}])
        return (await db.fetchrow(sql.COUNT_MARKERS, *given))["left"]

    async with store.acquire() as db:
        assert [await count(db, 1), await count(db, 2)] == [2, 0]
        with pytest.raises(asyncpg.CheckViolationError):
            await count(db, 1)
        row = await db.fetchrow(sql.NEXT_MARKER)
        assert (row["number"], row["state"], row["bodies"]) == (1, "counting", {"t1": {}, "t2": {}})


async def test_a_session_that_the_server_ends_leaves_nothing_and_its_client_learns_it(store: Any) -> None:
    async with store.acquire() as one:
        strike = points.Strike("freeze", 1, only="commit.before")

        async def frozen() -> None:
            async with store.acquire() as db, db.transaction():
                await timer(db, "a")

        task = points.start(frozen(), strike)
        await strike.frozen
        with pytest.raises(BLOCKED):
            await timer(one, "a", statement=sql.ADD_TIMERS_ONCE)
        assert await store.end_sessions(strike.sessions)
        await timer(one, "b")
        strike.gate.set_result(None)
        with pytest.raises(TRANSIENT):
            await task
    assert [row["key"] for row in await store.table("timer")] == ["b"]


async def test_a_statement_that_fails_ends_its_transaction(store: Any) -> None:
    async with store.acquire() as one, store.acquire() as other:
        await one.fetch(sql.LOAD_CURSORS, ["t"], [0])
        async with one.transaction():
            await one.fetch(sql.MOVE_CURSORS, ["t"], [0], [0], [0])
            with pytest.raises(asyncpg.InFailedSQLTransactionError):
                async with other.transaction():
                    with pytest.raises(BLOCKED):
                        await other.fetch(sql.MOVE_CURSORS, ["t"], [0], [0], [0])
                    await other.fetch(sql.OUTBOX_WAITS)


async def test_jsonb_and_instants_come_back_as_postgres_gives_them(store: Any) -> None:
    async with store.acquire() as db:
        body = {"at": PAST + timedelta(days=1), "id": derive("x"), 1: [None, 2]}
        await db.execute(sql.ADD_TIMERS_ONCE, ["late"], ["a"], ["acme"], ["wall"], [PAST], [body], [{}])
        (row,) = await db.fetch(sql.CLAIM_TIMERS, PAST, PAST, 9)
    assert row["payload"]["1"] == [None, 2] and row["payload"]["id"] == str(derive("x"))
    assert (row["due_at"], row["attempts"]) == (PAST, 0)


def plain(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in DATABASE_ONLY} for row in rows]


async def test_whole_seeds_leave_the_same_log_and_the_same_rows_on_both_stores(make_database: Any) -> None:
    """The strongest form of the contract: every statement of the runtime under faults, row for row."""
    postgres = await postgres_store(await make_database())
    try:
        async with prepared():
            for seed in SEEDS:
                await postgres.reset()
                memory = make_store()
                there, here = await play(seed, postgres), await play(seed, memory)
                assert (there.violation, here.violation) == ("", ""), (seed, there.found, here.found)
                assert (there.digest, there.blocked) == (here.digest, here.blocked), seed
                for name in toy.metadata.tables:
                    assert plain(await postgres.table(name)) == plain(await memory.table(name)), (seed, name)
    finally:
        await postgres.close()


def test_the_store_in_memory_knows_every_statement_that_the_steps_send() -> None:
    reads_of_people = {"COUNT_PARKED", "COUNT_PARKED_OF", "OUTBOX_AGE", "OUTBOX_HOLDS", "LAST_WRITTEN", "TIMERS_LATE"}
    reads_of_people |= {"CURSORS"}
    unused_here = {"SAVE_POLICIES", "SAVE_RATES"}
    texts = {name for name, value in vars(sql).items() if name.isupper() and isinstance(value, str)}
    known = {name for name, _ in KNOWN.values()}
    assert texts - known <= reads_of_people | unused_here
