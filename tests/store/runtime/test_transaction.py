"""The transaction around a batch, on PostgreSQL: nothing lost, nothing twice, poison parks its key alone."""

import asyncio

import asyncpg
import pytest

from shared.bus.port import Partition
from shared.errors import Stop
from shared.events.catalogue import ACCOUNTS, LEDGER
from shared.events.envelope import Envelope
from shared.runtime import dead_letters, failpoints, loops
from shared.runtime import statements as sql
from shared.runtime.parked_statements import PARKED_OF
from shared.runtime.transaction import TRANSIENT, Stale, read, take
from tests.builders import event
from tests.store.runtime.conftest import World
from tests.store.runtime.toy import contact


@pytest.fixture(autouse=True)
def disarm():
    yield
    failpoints.armed.clear()


async def test_facts_become_rows_and_events_with_gap_free_sequences(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    for n in range(30):
        world.put(event(contact(f"a{n % 3}")))
    await world.settle(runtime, source)
    assert {r["account_id"]: r["facts"] for r in await world.rows("select * from toy_account")} == {
        "a0": 10, "a1": 10, "a2": 10,
    }  # fmt: skip
    sequences: dict[bytes, list[str]] = {}
    for record in world.published(LEDGER):
        sequences.setdefault(record.key, []).append(Envelope.from_headers(record.headers).sequence)
    assert {key: [int(s) for s in found] for key, found in sequences.items()} == {
        f"acme/a{n}".encode(): list(range(1, 11)) for n in range(3)
    }


async def test_the_same_event_at_two_offsets_counts_once(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    made = event(contact("a1"))
    world.put(made)
    world.put(made)
    await world.settle(runtime, source)
    world.put(made)
    await world.settle(runtime, source)
    assert [tuple(r) for r in await world.rows("select * from toy_account")] == [("a1", 1)]
    assert len(world.published(LEDGER)) == 1


async def test_a_crash_before_the_commit_changes_nothing_and_the_batch_comes_again(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.put(event(contact("a1")))

    async def crash() -> None:
        raise ConnectionError("killed")

    failpoints.armed["transaction.before_commit"] = crash
    with pytest.raises(ConnectionError):
        await loops.consume_once(runtime, source, 0)
    assert await world.rows("select * from toy_account") == []
    assert await world.rows("select * from outbox") == []
    failpoints.armed.clear()
    await world.settle(runtime, source)
    assert [tuple(r) for r in await world.rows("select * from toy_account")] == [("a1", 1)]


@pytest.mark.parametrize("place", ["transaction.saved", "transaction.before_commit"])
async def test_a_backend_that_is_ended_in_the_middle_of_a_batch_is_transient(world: World, place: str) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    for account in ("a1", "a2", "a1"):
        world.put(event(contact(account)))

    async def end_it() -> None:
        failpoints.armed.clear()
        await world.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and state = 'idle in transaction'"
        )
        await asyncio.sleep(0.05)

    failpoints.armed[place] = end_it
    with pytest.raises(TRANSIENT):
        await loops.consume_once(runtime, source, 0)
    assert await world.rows("select * from toy_account") == []
    await world.settle(runtime, source)
    assert [tuple(r) for r in await world.rows("select * from toy_account order by 1")] == [("a1", 2), ("a2", 1)]
    assert await world.rows("select * from parked_key") == []


async def test_two_owners_of_one_partition_only_one_commits(world: World) -> None:
    runtime, zombie = world.runtime(), world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    world.put(event(contact("a1")))
    fetched = await source.fetch(500, 0)
    batch = read(fetched, runtime.service)
    await take(runtime.pool, runtime.unit, batch)
    with pytest.raises(Stale):
        await take(zombie.pool, zombie.unit, batch)
    assert [tuple(r) for r in await world.rows("select * from toy_account")] == [("a1", 1)]


async def test_a_batch_ahead_of_the_cursor_is_refused_though_nobody_else_owns_the_partition(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    for _ in range(3):
        world.put(event(contact("a1")))
    fetched = await source.fetch(500, 0)
    ahead = {lane: records[1:] for lane, records in fetched.items()}
    with pytest.raises(Stale):
        await take(runtime.pool, runtime.unit, read(ahead, runtime.service))


async def test_a_batch_with_a_hole_stops_the_partition(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    for _ in range(3):
        world.put(event(contact("a1")))
    fetched = await source.fetch(500, 0)
    holed = {lane: [records[0], records[2]] for lane, records in fetched.items()}
    with pytest.raises(Stop, match="hole"):
        await take(runtime.pool, runtime.unit, read(holed, runtime.service))


async def test_facts_of_a_company_that_is_not_configured_wait_and_others_go_on(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure("acme")
    world.put(event(contact("a1", company="later")))
    world.put(event(contact("b1", company="acme")))
    await world.settle(runtime, source)
    assert [r["account_id"] for r in await world.rows("select * from toy_account")] == ["b1"]
    world.configure("later")
    await world.settle(runtime, source)
    assert [r["account_id"] for r in await world.rows("select * from toy_account order by 1")] == ["a1", "b1"]


async def test_a_full_partition_of_facts_that_wait_keeps_the_configuration_out_of_no_batch(world: World) -> None:
    runtime = world.runtime(batch_records=10)
    source = await world.member(runtime)
    for _ in range(25):
        world.put(event(contact("a1", company="later")))
    assert await loops.consume_once(runtime, source, 0) == 0
    world.configure("later")
    for _ in range(10):
        await loops.consume_once(runtime, source, 0)
    assert [r["facts"] for r in await world.rows("select facts from toy_account")] == [25]


@pytest.mark.parametrize("name", ["named poison", "unnamed failure"])
async def test_poison_parks_its_key_and_what_follows_while_other_keys_go_on(world: World, name: str) -> None:
    world.handler.poison = "named poison"
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.put(event(contact("bad")))
    world.put(event(contact("bad", name=name)))
    world.put(event(contact("bad")))
    world.put(event(contact("good")))
    await world.settle(runtime, source)
    assert {r["account_id"]: r["facts"] for r in await world.rows("select * from toy_account")} == {"bad": 1, "good": 1}
    assert [r["key"] for r in await world.rows("select key from parked_key")] == ["acme/bad"]
    world.put(event(contact("bad")))
    await world.settle(runtime, source)
    assert len(await world.rows("select * from dead_letter")) == 3

    still = await dead_letters.redrive(world.pool, runtime.unit)
    assert "done" not in still.values()
    world.handler.poison = ""
    if name == "unnamed failure":
        await _rename_letters(world)
    assert await dead_letters.redrive(world.pool, runtime.unit) == {"acme/bad": "done"}
    await world.settle(runtime, source)
    assert {r["account_id"]: r["facts"] for r in await world.rows("select * from toy_account")} == {"bad": 4, "good": 1}
    assert await world.rows("select * from parked_key") == []
    versions = [int(Envelope.from_headers(r.headers).sequence) for r in world.published(LEDGER) if r.key == b"acme/bad"]
    assert versions == [1, 2, 3, 4]


async def _rename_letters(world: World) -> None:
    async with world.pool.acquire() as db:
        await db.execute(
            "update dead_letter set value = "
            "convert_to(replace(convert_from(value, 'utf8'), 'unnamed failure', 'x'), 'utf8')"
        )


async def test_an_undecodable_record_parks_its_key(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    made = event(contact("a1"))
    world.put(made)
    lane = next(p for p, records in world.log.records.items() if p.topic == ACCOUNTS and records)
    broken = world.log.records[lane][0]
    world.log.records[lane].append(type(broken)(lane, 1, broken.key, broken.headers, b"{not json"))
    await world.settle(runtime, source)
    assert [r["key"] for r in await world.rows("select key from parked_key")] == ["acme/a1"]


async def test_what_is_parked_says_what_failed_and_repeats_nothing_of_the_record(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    async with world.pool.acquire() as db:
        await db.execute("create unique index one_fact_each on toy_fact (account_id)")
    world.put(event(contact("a1")))
    world.put(event(contact("a1")))
    world.put(event(contact("b1", name="unnamed failure")))
    await world.settle(runtime, source)
    errors = {r["key"]: r["error"] for r in await world.rows("select key, error from parked_key")}
    assert errors["acme/a1"] == "UniqueViolationError (23505, constraint one_fact_each)"
    assert errors["acme/b1"].startswith("ZeroDivisionError at _contact")
    again = await dead_letters.redrive(world.pool, runtime.unit)
    assert again == errors


async def test_redrive_goes_through_every_key_and_every_letter_however_many(world: World, monkeypatch) -> None:
    monkeypatch.setattr(dead_letters, "KEYS_PER_PAGE", 2)
    monkeypatch.setattr(dead_letters, "LETTERS_PER_PAGE", 2)
    world.handler.poison = "bad"
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    for n in range(5):
        world.put(event(contact(f"a{n}", name="bad")))
    for _ in range(4):
        world.put(event(contact("a3")))
    await world.settle(runtime, source)
    assert len(await dead_letters.redrive(world.pool, runtime.unit)) == 5, "each is tried once, though none gets free"
    world.handler.poison = ""
    assert set((await dead_letters.redrive(world.pool, runtime.unit)).values()) == {"done"}
    assert await world.rows("select * from dead_letter") == [] == await world.rows("select * from parked_key")
    assert {r["account_id"]: r["facts"] for r in await world.rows("select * from toy_account")}["a3"] == 5


async def test_figures_count_every_parked_key_and_each_company_names_its_own(world: World) -> None:
    async with world.pool.acquire() as db:
        await db.execute(
            "insert into parked_key (key, company, error) select c || '/' || n, c, 'x'"
            " from unnest(array['acme', 'other']) as c, generate_series(1, 1500) as n"
        )
        assert await db.fetchval(sql.COUNT_PARKED) == 3_000
        assert await db.fetchval(sql.COUNT_PARKED_OF, ["acme"]) == 1_500
        named = [row["company"] for row in await db.fetch(sql.PARKED_BY_COMPANY)]
        assert (named.count("acme"), named.count("other")) == (1_001, 1_001)
        rows = await db.fetch(PARKED_OF, ["other"], None, "", 1_000, [])
        assert {row["company"] for row in rows} == {"other"}


async def test_the_number_of_statements_does_not_grow_with_the_batch(world: World) -> None:
    runtime = world.runtime(batch_records=5000)
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    counts = []
    for size in (2, 1, 10, 400):
        for n in range(size):
            world.put(event(contact(f"a{n}")))
        counts.append(await _statements(world, loops.consume_once(runtime, source, 0)))
    assert counts[1] == counts[2] == counts[3] <= 10, "the first batch also loads type information"


async def _statements(world: World, work) -> int:
    seen: list[str] = []

    async with world.pool.acquire() as db:
        connection = db._con  # noqa: SLF001

    def note(record) -> None:
        seen.append(record.query)

    connection.add_query_logger(note)
    await work
    connection.remove_query_logger(note)
    return len([q for q in seen if not q.lower().startswith(("begin", "commit", "reset", "select pg_advisory_unlock"))])


async def test_rebalanced_members_share_partitions_and_count_every_fact_once(world: World) -> None:
    first, second = world.runtime(), world.runtime()
    one = await world.member(first)
    world.configure()
    for n in range(50):
        world.put(event(contact(f"a{n}")))
    await loops.consume_once(first, one, 0)
    two = await world.member(second)
    for n in range(50):
        world.put(event(contact(f"a{n}")))
    for _ in range(10):
        await loops.consume_once(first, one, 0)
        await loops.consume_once(second, two, 0)
    assert {r["facts"] for r in await world.rows("select facts from toy_account")} == {2}
    assert len(one.assigned()) + len(two.assigned()) == len({p for p in world.log.records if p.topic in one.topics})
    assert isinstance(next(iter(one.assigned())), Partition)


async def test_a_disk_that_fails_the_server_is_no_fault_of_the_event(world: World, monkeypatch) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)

    async def load(*given: object) -> None:
        raise asyncpg.PostgresIOError("could not read block 7 in file: Input/output error")

    monkeypatch.setattr(world.handler, "load", load)
    world.put(event(contact("a1")))
    with pytest.raises(TRANSIENT):
        await loops.consume_once(runtime, source, 0)
    monkeypatch.undo()
    await world.settle(runtime, source)
    assert await world.rows("select * from parked_key") == []
    assert [r["account_id"] for r in await world.rows("select account_id from toy_account")] == ["a1"]
