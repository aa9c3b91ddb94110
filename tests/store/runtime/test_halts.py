"""A partition that cannot go on stops alone, says so, and goes on by itself when the cause is mended."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from shared.auth import Principal
from shared.bus.memory import MemorySource
from shared.bus.partitioner import partition_of
from shared.bus.port import Partition, Record
from shared.errors import Rejected
from shared.events.catalogue import ACCOUNTS, CONTROL
from shared.events.control import PartitionMoved
from shared.events.envelope import Envelope
from shared.runtime import loops, stepping
from shared.runtime.batches import Batches
from shared.runtime.skipping import Command
from shared.runtime.stepping import StepBody, StepDecision
from tests.builders import event
from tests.store.runtime.conftest import SERVICE, World
from tests.store.runtime.toy import contact

STOPPED = "recoup_partition_stopped"


def command(who: str, number: int, body: Any) -> Command:
    role = "operator" if who == "otto" else "controller"
    principal = Principal(who, "person", frozenset({"acme"}), frozenset({role}))
    route = f"/v1/runtime/partitions/{type(body).__name__}"
    return Command(SERVICE, principal, route, f"command-{number}", "step", body)


class Service:
    """One member that keeps what it remembers from batch to batch."""

    def __init__(self, world: World, runtime: Any, source: MemorySource) -> None:
        self.world, self.runtime, self.source = world, runtime, source
        self.batches = Batches(source, runtime.service, runtime.settings.batch_records, ahead=False)

    async def consume(self, times: int = 6) -> None:
        for _ in range(times):
            await loops.take_next(self.runtime, self.batches, 0)

    async def retry(self) -> None:
        """As if the time to try again had come."""
        self.source.retried_at_s = float("-inf")
        await self.consume()

    async def facts(self) -> dict[str, int]:
        return {r["account_id"]: r["facts"] for r in await self.world.rows("select account_id, facts from toy_account")}

    def alarm(self, lane: Partition) -> float | None:
        return REGISTRY.get_sample_value(STOPPED, {"topic": lane.topic, "partition": str(lane.number)})

    def readiness(self, lane: Partition) -> str:
        return self.runtime.failing.get(f"partition {lane.topic}/{lane.number}", "")


@pytest.fixture
async def service(world: World) -> Service:
    runtime = world.runtime()
    made = Service(world, runtime, await world.member(runtime))
    world.configure()
    await made.consume()
    return made


def lane_of(account: str) -> Partition:
    return Partition(ACCOUNTS, partition_of(f"acme/{account}".encode(), 12))


def others(account: str) -> Iterator[str]:
    """Accounts of other partitions."""
    return (name for name in (f"b{n}" for n in range(100)) if lane_of(name) != lane_of(account))


def lose(service: Service, monkeypatch: pytest.MonkeyPatch, *offsets: int) -> None:
    """The log does not give these offsets of the lane of a1 any more."""
    fetch = service.source.fetch

    async def with_hole(max_records: int, timeout_s: float) -> dict[Partition, list[Record]]:
        fetched = await fetch(max_records, timeout_s)
        kept = {p: [r for r in rs if p != lane_of("a1") or r.offset not in offsets] for p, rs in fetched.items()}
        return {p: records for p, records in kept.items() if records}

    monkeypatch.setattr(service.source, "fetch", with_hole)


@pytest.mark.parametrize(("missing", "taken"), [((1,), 1), ((0,), 0), ((0, 1), 0)])
async def test_a_hole_stops_its_partition_alone_with_an_alarm(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch, missing: tuple[int, ...], taken: int
) -> None:
    lane, other = lane_of("a1"), next(others("a1"))
    lose(service, monkeypatch, *missing)
    for _ in range(3):
        world.put(event(contact("a1")))
    world.put(event(contact(other)))
    await service.consume()
    assert await service.facts() == ({"a1": taken} if taken else {}) | {other: 1}
    assert service.alarm(lane) == 1
    assert f"a hole: the log does not give the offsets {missing[0]} to {missing[-1]}" in service.readiness(lane)
    world.put(event(contact(other)))
    await service.retry()
    assert (await service.facts())[other] == 2, "the others go on, also when the hole is tried again"
    assert service.alarm(lane) == 1


async def test_two_persons_step_over_a_hole_and_that_is_an_event(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane, reason = lane_of("a1"), "the record was lost with the disk"
    lose(service, monkeypatch, 1)
    for _ in range(3):
        world.put(event(contact("a1")))
    await service.consume()
    with pytest.raises(Rejected, match="does not stand at 0; it stands at [1-9]"):
        await stepping.ask(service.runtime, command("otto", 1, StepBody(at=0, to=2, reason=reason)), *lane)
    asked = await stepping.ask(service.runtime, command("otto", 2, StepBody(at=1, to=2, reason=reason)), *lane)
    await service.retry()
    assert await service.facts() == {"a1": 1}, "nothing moves before another person has approved it"
    shown = StepDecision(at=1, to=2, sha256=asked["sha256"])
    with pytest.raises(Rejected) as alone:
        await stepping.approve(service.runtime, command("otto", 3, shown), *lane)
    assert alone.value.status == 403
    with pytest.raises(Rejected):
        other = shown.model_copy(update={"sha256": "0" * 64})
        await stepping.approve(service.runtime, command("conrad", 4, other), *lane)
    moved = await stepping.approve(service.runtime, command("conrad", 5, shown), *lane)
    assert (moved["requested_by"], moved["approved_by"]) == ("user:otto", "user:conrad")
    assert await stepping.approve(service.runtime, command("conrad", 5, shown), *lane) == moved, "sent twice"
    with pytest.raises(Rejected, match="nobody asked"):
        await stepping.approve(service.runtime, command("conrad", 6, shown), *lane)
    await service.retry()
    assert await service.facts() == {"a1": 2}
    assert (service.alarm(lane), service.readiness(lane)) == (0, "")
    await loops.relay_step(service.runtime, world.sink)
    events = [r for r in world.published(CONTROL) if Envelope.from_headers(r.headers).type == "partition.moved"]
    (told,) = [PartitionMoved.model_validate_json(r.value) for r in events]
    assert (told.actor, told.approver, told.reason) == ("user:otto", "user:conrad", reason)


async def test_a_hole_that_is_gone_at_the_next_look_stops_nothing_for_long(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = service.source.fetch
    lose(service, monkeypatch, 1)
    for _ in range(3):
        world.put(event(contact("a1")))
    await service.consume(2)
    assert service.alarm(lane_of("a1")) == 1
    monkeypatch.setattr(service.source, "fetch", fetch)
    await service.consume()
    assert await service.facts() == {"a1": 1}, "not before it is tried again"
    await service.retry()
    assert await service.facts() == {"a1": 3}
    assert service.readiness(lane_of("a1")) == ""


@pytest.mark.parametrize(("cursor", "what"), [(7, "beyond the end 2"), (-1, "before the beginning 0")])
async def test_a_cursor_out_of_range_stops_its_partition_alone(
    service: Service, world: World, cursor: int, what: str
) -> None:
    lane, other = lane_of("a1"), next(others("a1"))
    async with world.pool.acquire() as db:
        await db.execute("update kafka_cursor set next_offset = $3 where topic = $1 and partition = $2", *lane, cursor)
    for account in ("a1", "a1", other):
        world.put(event(contact(account)))
    world.log.rebalance(service.source.group)
    await service.consume()
    assert await service.facts() == {other: 1}
    assert service.alarm(lane) == 1 and what in service.readiness(lane)
    async with world.pool.acquire() as db:
        await db.execute("update kafka_cursor set next_offset = 0 where topic = $1 and partition = $2", *lane)
    await service.retry()
    assert await service.facts() == {other: 1, "a1": 2}
    assert (service.alarm(lane), service.readiness(lane)) == (0, "")


async def test_a_cursor_that_the_log_lost_while_the_process_runs_is_found_too(service: Service, world: World) -> None:
    """A client that is reset to the beginning gives records before the cursor, again and again."""
    world.put(event(contact("a1")))
    await service.consume()
    lane = lane_of("a1")
    world.log.records[lane].clear()
    world.put(event(contact("a1")))
    async with world.pool.acquire() as db:
        await db.execute("update kafka_cursor set next_offset = 9 where topic = $1 and partition = $2", *lane)
    await service.source.seek({lane: 0})
    await service.consume()
    assert "beyond the end 1" in service.readiness(lane)


@pytest.mark.parametrize("kind", ["newer version", "broken marker", "poison in control"])
async def test_what_may_not_be_decided_stops_its_partition_behind_what_stands_before(
    service: Service, world: World, kind: str
) -> None:
    other = next(others("a1"))
    lane = Partition(CONTROL, partition_of(b"acme", 12)) if kind == "poison in control" else lane_of("a1")
    world.put(event(contact("a1")))
    made = event(contact("a1"))
    headers = dict(made.envelope.to_headers())
    changed = {
        "newer version": headers | {"ce_dataschema": b"recoup:contact.updated:99"},
        "broken marker": headers | {"ce_type": b"clock.ticked"},
        "poison in control": headers | {"ce_type": b"company.configured"},
    }[kind]
    value = made.data.model_dump_json().encode()
    records = world.log.records[lane]
    records.append(Record(lane, len(records), b"acme", list(changed.items()), value))
    world.put(event(contact("a1")))
    world.put(event(contact(other)))
    await service.consume()
    behind = 2 if lane.topic == CONTROL else 1
    assert await service.facts() == {"a1": behind, other: 1}
    assert service.alarm(lane) == 1
    expected = "newer version" if kind == "newer version" else "cannot be read and nothing behind it may be decided"
    assert expected in service.readiness(lane)
    assert await world.rows("select * from parked_key") == []


async def test_a_partition_that_goes_to_another_member_takes_its_alarm_along(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = lane_of("a1")
    lose(service, monkeypatch, 0)
    world.put(event(contact("a1")))
    world.put(event(contact("a1")))
    await service.consume()
    assert service.alarm(lane) == 1
    world.log.members[service.source.group].remove(service.source)
    service.source.pending_assignment = frozenset(p for p in world.log.records if p.number != lane.number)
    await service.consume()
    assert (service.alarm(lane), service.readiness(lane)) == (0, "")
