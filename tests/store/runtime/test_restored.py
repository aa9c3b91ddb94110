"""A service that starts on a store older than what it has published freezes what it has lost; a new one acts on nothing
that was before it.

A backup is the whole of the toy service's tables, kept and put back.
"""

import json
from datetime import date
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared.bus.log import MemoryReader
from shared.bus.port import Partition
from shared.errors import Rejected, Stop
from shared.events.catalogue import ACCOUNTS, CONTROL, INVOICES, LEDGER, PARTITIONS
from shared.events.codec import Event
from shared.events.control import CompanyConfigured
from shared.events.envelope import Envelope, sequence_text
from shared.runtime import dead_letters, loops, start
from shared.runtime.effects import Effects, PoisonEvent
from shared.runtime.lifecycle import NotBeforeStart
from tests.builders import event
from tests.store.runtime.conftest import SERVICE, World
from tests.store.runtime.test_commands import call
from tests.store.runtime.toy import contact, metadata

DAY = date(2026, 1, 5)


async def backup(world: World) -> dict[str, list[str]]:
    return {
        table: [row[0] for row in await world.rows(f'select to_jsonb(t)::text from "{table}" t')]
        for table in metadata.tables
    }


async def restore(world: World, kept: dict[str, list[str]]) -> None:
    async with world.pool.acquire() as db:
        for table in metadata.tables:
            await db.execute(f'delete from "{table}"')
            await db.execute(
                f'insert into "{table}" overriding system value '
                f"select r.* from unnest($1::text[]) as j(body), "
                f'jsonb_populate_record(null::"{table}", j.body::jsonb) as r',
                kept.get(table, []),
            )


async def begin(world: World) -> tuple[Any, start.Found]:
    """A process of the service that looks back first, as every process does."""
    runtime = world.runtime()
    found = await start.look(world.pool, MemoryReader(world.log), SERVICE)
    runtime.unit.start = found.start
    return runtime, found


async def run(world: World, runtime: Any) -> None:
    source = await world.member(runtime)
    await world.settle(runtime, source)
    await source.stop()


def told(world: World, account: str) -> list[int]:
    """The versions that the log tells of an account, a duplicate counted once."""
    found = {}
    for record in world.published(LEDGER):
        envelope = Envelope.from_headers(record.headers)
        if envelope.type == "cash.changed" and envelope.subject == account:
            found.setdefault(envelope.id, json.loads(record.value)["version"])
    return list(found.values())


def sequences(world: World, key: str) -> list[int]:
    found = {}
    for record in world.published(LEDGER):
        if (record.key or b"").decode() == key:
            envelope = Envelope.from_headers(record.headers)
            found.setdefault(envelope.id, int(envelope.sequence))
    return list(found.values())


def lengths(world: World) -> dict[Partition, int]:
    return {partition: len(lane) for partition, lane in world.log.records.items() if partition.topic == LEDGER}


def since(world: World, before: dict[Partition, int]) -> list[Envelope]:
    """What was published after `before`."""
    return [
        Envelope.from_headers(record.headers)
        for partition, begin in before.items()
        for record in world.log.records[partition][begin:]
    ]


async def lived(world: World) -> dict[str, list[str]]:
    """Accounts a1 and a2 are told of, then a backup is taken, then a1 gets one more fact and a3 its first."""
    runtime, _ = await begin(world)
    world.configure()
    world.put(event(contact("a1")))
    world.put(event(contact("a2")))
    world.mark()
    await run(world, runtime)
    kept = await backup(world)
    world.put(event(contact("a1")))
    world.put(event(contact("a3")))
    world.mark()
    await run(world, runtime)
    return kept


async def test_a_store_as_old_as_its_log_goes_on_with_nothing_frozen(world: World) -> None:
    await lived(world)
    _, found = await begin(world)
    assert found == start.Found(start.NOTHING_BEFORE)
    assert await world.rows("select * from parked_key") == []


async def test_what_the_relay_sent_and_did_not_delete_before_a_crash_is_not_lost(world: World) -> None:
    await lived(world)
    records = world.published(LEDGER)
    last = next(r for r in reversed(records) if Envelope.from_headers(r.headers).type == "cash.changed")
    envelope = Envelope.from_headers(last.headers)
    async with world.pool.acquire() as db:
        await db.execute(
            "insert into outbox (topic, key, headers, value, event_id) values ($1, $2, '', '', $3)",
            LEDGER, last.key.decode(), envelope.id,
        )  # fmt: skip
    _, found = await begin(world)
    assert found.frozen == () and not found.start.restored


async def test_keys_with_output_beyond_the_backup_are_frozen_and_listed_with_what_was_told(world: World) -> None:
    kept = await lived(world)
    await restore(world, kept)
    _, found = await begin(world)
    assert list(found.frozen) == ["acme/a1", "acme/a3"]
    rows = await world.rows("select key, company, account_id, code, error from parked_key order by key")
    assert [(r["key"], r["account_id"], r["code"]) for r in rows] == [
        ("acme/a1", "a1", "beyond_backup"), ("acme/a3", "a3", "beyond_backup"),
    ]  # fmt: skip
    assert "1 outputs" in rows[0]["error"] and "1 cash.changed" in rows[0]["error"]


async def test_nothing_leaves_for_a_frozen_key_and_the_rest_goes_on(world: World) -> None:
    kept = await lived(world)
    await restore(world, kept)
    before = lengths(world)
    runtime, _ = await begin(world)
    world.put(event(contact("a1")))
    world.put(event(contact("a2")))
    await run(world, runtime)
    assert [e.subject for e in since(world, before)] == ["a2"]
    assert told(world, "a2") == [1, 2]
    with pytest.raises(Rejected, match="a1"):
        await call(runtime)


async def test_released_keys_run_again_and_say_nothing_twice(world: World) -> None:
    kept = await lived(world)
    await restore(world, kept)
    runtime, _ = await begin(world)
    world.put(event(contact("a1")))
    await run(world, runtime)
    before = lengths(world)
    assert await dead_letters.redrive(world.pool, runtime.unit) == {"acme/a1": "done", "acme/a3": "done"}
    await run(world, runtime)
    assert await world.rows("select * from parked_key") == []
    assert told(world, "a1") == [1, 2, 3] and told(world, "a3") == [1]
    assert sequences(world, "acme/a1") == [1, 2, 3] and sequences(world, "acme/a3") == [1]
    assert [e.subject for e in since(world, before)] == ["a1"]


async def test_what_came_before_the_fact_of_another_topic_that_it_needs_runs_behind_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a restore topics are read side by side: a dispute may be read before the invoice that it names."""
    decide = world.handler._contact  # noqa: SLF001

    def needs_the_first(state: dict[str, int], each: Event, effects: Effects) -> None:
        if each.data.name == "needs the first" and not state.get("a1"):
            raise PoisonEvent(each, "names what is not in the books")
        decide(state, each, effects)

    monkeypatch.setattr(world.handler, "_contact", needs_the_first)
    runtime, _ = await begin(world)
    world.configure()
    await run(world, runtime)
    freeze = "insert into parked_key (key, company, code, error) values ('acme/a1', 'acme', 'beyond_backup', '')"
    await world.pool.execute(freeze)
    world.put(event(contact("a1", name="needs the first")), INVOICES)
    await run(world, runtime)
    assert await dead_letters.redrive(world.pool, runtime.unit) == {"acme/a1": "names what is not in the books"}
    world.put(event(contact("a1")), ACCOUNTS)
    await run(world, runtime)
    assert await dead_letters.redrive(world.pool, runtime.unit) == {"acme/a1": "done"}
    assert [tuple(r) for r in await world.rows("select * from toy_account")] == [("a1", 2)]


async def test_a_frozen_key_whose_letters_do_not_run_stays_frozen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What acts without a fact (mails, lifts, the day's work) goes by the code."""
    kept = await lived(world)
    await restore(world, kept)
    runtime, _ = await begin(world)
    await run(world, runtime)

    def refuse(state: dict[str, int], each: Event, effects: Effects) -> None:
        raise PoisonEvent(each, "cannot be run")

    monkeypatch.setattr(world.handler, "_contact", refuse)
    assert (await dead_letters.redrive(world.pool, runtime.unit, ["acme/a1"])) == {"acme/a1": "cannot be run"}
    rows = await world.rows("select code, error from parked_key where key = 'acme/a1'")
    assert [tuple(row) for row in rows] == [("beyond_backup", "cannot be run")]


async def test_a_start_that_is_repeated_freezes_nothing_that_a_person_has_released(world: World) -> None:
    kept = await lived(world)
    await restore(world, kept)
    runtime, first = await begin(world)
    await run(world, runtime)
    await dead_letters.redrive(world.pool, runtime.unit)
    _, second = await begin(world)
    assert first.frozen and second.frozen == ()
    assert second.start == first.start and second.start.restored
    assert await world.rows("select * from parked_key") == []


async def test_a_look_back_that_dies_half_way_is_done_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await lived(world)
    await restore(world, kept)

    async def die(*_: Any) -> None:
        raise ConnectionError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(start, "_go_on", die)
        with pytest.raises(ConnectionError):
            await begin(world)
    _, found = await begin(world)
    assert list(found.frozen) == ["acme/a1", "acme/a3"]


async def test_an_older_output_behind_a_long_run_of_others_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "WINDOW_FIRST", 1)
    kept = await lived(world)
    runtime, _ = await begin(world)
    for _ in range(30):
        world.put(event(contact("a3")))
    await run(world, runtime)
    await restore(world, kept)
    _, found = await begin(world)
    assert list(found.frozen) == ["acme/a1", "acme/a3"]
    assert len(await world.rows("select * from lost_output where key = 'acme/a3'")) == 31


async def test_much_that_is_lost_may_take_longer_than_a_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await lived(world)
    await restore(world, kept)
    monkeypatch.setattr(start.sql, "ADVANCE_OVER_LOST", f"select pg_sleep(0.5); {start.sql.ADVANCE_OVER_LOST}")
    await world.pool.expire_connections()
    async with world.pool.acquire() as db:  # the one that the look is given
        await db.execute("set statement_timeout = '300ms'; set transaction_timeout = '400ms'")
    _, found = await begin(world)
    await world.pool.expire_connections()
    assert list(found.frozen) == ["acme/a1", "acme/a3"]


async def test_markers_that_stand_in_the_log_are_neither_worked_nor_written_again(world: World) -> None:
    runtime, _ = await begin(world)
    world.configure()
    world.mark()
    await run(world, runtime)
    kept = await backup(world)
    world.put(event(contact("a1")))
    world.mark(closed=DAY)
    world.mark()
    await run(world, runtime)
    await restore(world, kept)
    world.handler.days.clear()
    before = lengths(world)
    runtime, found = await begin(world)
    assert (found.start.acts_after, found.start.written_through) == (3, 3)
    await run(world, runtime)
    assert world.handler.days == [] and since(world, before) == []
    assert await world.rows("select * from closed_day") != []
    world.mark(closed=date(2026, 1, 6))
    await run(world, runtime)
    assert [w.number for w in world.handler.days] == [4, 4, 4]
    assert [e.type for e in since(world, before)] == ["day.closed"] * PARTITIONS


async def test_a_marker_that_was_written_into_some_partitions_only_is_written_into_the_others(world: World) -> None:
    runtime, _ = await begin(world)
    world.configure()
    await run(world, runtime)
    kept = await backup(world)
    world.mark()
    await run(world, runtime)
    for number in range(7, PARTITIONS):
        world.log.records[Partition(LEDGER, number)].clear()
    await restore(world, kept)
    runtime, found = await begin(world)
    assert (found.start.acts_after, found.start.written_through) == (1, 0)
    await run(world, runtime)
    assert [len(world.log.records[Partition(LEDGER, n)]) for n in range(PARTITIONS)] == [1] * PARTITIONS


async def test_work_of_a_day_in_hand_at_the_backup_is_put_aside_when_its_marker_stands_in_the_log(world: World) -> None:
    runtime, _ = await begin(world)
    world.configure()
    await run(world, runtime)
    source = await world.member(runtime)
    world.mark(closed=DAY)
    while await loops.consume_once(runtime, source, 0):
        pass
    kept = await backup(world)
    await world.settle(runtime, source)
    await source.stop()
    await restore(world, kept)
    world.handler.days.clear()
    runtime, _ = await begin(world)
    world.mark()
    await run(world, runtime)
    assert world.handler.days == []
    assert await world.rows("select * from marker where state <> 'written'") == []


async def test_an_added_service_reads_all_and_does_no_days_work_of_before_its_start(world: World) -> None:
    world.configure()
    world.put(event(contact("a1")))
    world.mark(closed=DAY)
    world.mark()
    runtime, found = await begin(world)
    assert found.start == start.Start(acts_after=2, written_through=0, restored=False) and not found.frozen
    await run(world, runtime)
    assert world.handler.days == [] and told(world, "a1") == [1]
    kinds = [Envelope.from_headers(r.headers).type for r in world.published(LEDGER)]
    assert kinds.count("day.closed") == kinds.count("clock.ticked") == PARTITIONS, "who waits for its markers goes on"
    world.mark(closed=date(2026, 1, 6))
    await run(world, runtime)
    assert sorted((w.phase, w.part) for w in world.handler.days) == [(1, 0), (1, 1), (2, 0)]
    assert {w.number for w in world.handler.days} == {3}


async def test_the_start_of_a_new_store_is_kept_for_later_starts(world: World) -> None:
    world.configure()
    world.mark(closed=DAY)
    await begin(world)
    world.mark(closed=date(2026, 1, 6))
    runtime, again = await begin(world)
    assert again.start.acts_after == 1
    await run(world, runtime)
    assert {w.number for w in world.handler.days} == {2}


async def test_of_two_that_are_first_at_once_the_later_puts_no_work_of_the_earlier_aside(world: World) -> None:
    """Both have seen an empty store; while the second still looked, the first went on and a day was closed."""
    world.configure()
    runtime, _ = await begin(world)
    source = await world.member(runtime)
    world.mark(closed=DAY)
    while await loops.consume_once(runtime, source, 0):
        pass
    found = await start._go_on(world.pool, SERVICE, 1)  # noqa: SLF001
    assert found.start == start.NOTHING_BEFORE
    await world.settle(runtime, source)
    assert sorted((w.phase, w.part) for w in world.handler.days) == [(1, 0), (1, 1), (2, 0)]


async def test_an_emptied_service_freezes_everything_it_has_told_and_acts_on_no_old_marker(world: World) -> None:
    await lived(world)
    world.mark(closed=DAY)
    await restore(world, {})
    runtime, found = await begin(world)
    assert list(found.frozen) == ["acme/a1", "acme/a2", "acme/a3"]
    assert (found.start.acts_after, found.start.written_through) == (3, 2)
    before = lengths(world)
    await run(world, runtime)
    assert [e.type for e in since(world, before)] == ["day.closed"] * PARTITIONS and world.handler.days == []


async def test_a_command_of_before_moves_the_sequence_of_its_trail_and_freezes_no_company(world: World) -> None:
    kept = await lived(world)
    runtime, _ = await begin(world)
    await call(runtime, "key-00000001", "a8")
    await run(world, runtime)
    await restore(world, kept)
    runtime, found = await begin(world)
    assert "acme" not in found.frozen and "acme/a8" in found.frozen
    await call(runtime, "key-00000002", "a9")
    await run(world, runtime)
    trail = [
        Envelope.from_headers(r.headers)
        for r in world.published(CONTROL)
        if dict(r.headers)["ce_type"] == b"command.accepted"
    ]
    assert [int(e.sequence) for e in trail] == [1, 2]


async def test_ingest_refuses_to_start_on_a_store_older_than_its_log(world: World) -> None:
    made = event(contact("a1"))
    known = made._replace(envelope=made.envelope._replace(source="ingest", sequence=sequence_text(1)))
    world.put(known)
    with pytest.raises(Stop, match="ingest"):
        await start.look(world.pool, MemoryReader(world.log), "ingest")


async def test_ingest_refuses_to_start_when_all_that_it_has_lost_stands_in_control(world: World) -> None:
    """As a policy that was activated after the backup, before the next marker."""
    fact = CompanyConfigured(
        company="acme", name="Acme", base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB"
    )
    made = event(fact)
    world.put(made._replace(envelope=made.envelope._replace(source="ingest", sequence=sequence_text(1))), CONTROL)
    with pytest.raises(Stop, match="ingest"):
        await start.look(world.pool, MemoryReader(world.log), "ingest")


async def test_a_process_that_still_looks_back_takes_no_command_and_answers_questions() -> None:
    app = FastAPI()
    app.add_api_route("/thing", lambda: {"asked": True}, methods=["GET", "POST"])
    runtime = SimpleNamespace(starting=True)
    app.add_middleware(NotBeforeStart, runtime=runtime)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/thing")).status_code == 200
        refused = await client.post("/thing")
        assert refused.status_code == 503 and "looks what it has published" in refused.text
        runtime.starting = False
        assert (await client.post("/thing")).status_code == 200
