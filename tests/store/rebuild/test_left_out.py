"""What no log tells of a store survives its rebuild: events that persons left out, their commands, unsent facts."""

from datetime import date
from typing import Any

import httpx
import pytest

from services.collections.main import REBUILT as OF_COLLECTIONS
from services.reporting.main import REBUILT
from shared.bus.port import Outgoing
from shared.errors import Transient
from shared.http import make_app
from shared.runtime.progress import router
from shared.runtime.rebuild import Projection
from shared.runtime.statements import TRY_RELAY
from tests.builders import event, headers_and_value
from tests.domain.shared.caller_samples import authenticator, token
from tests.store.rebuild.conftest import Live
from tests.store.rebuild.living import Living

ROLES = {"otto": "operator", "conrad": "controller"}
LATER = date(2026, 6, 1)
UNREADABLE = {"value": b'{"company": "acme"}'}
WITHOUT_HEADERS = {"headers": []}


async def call(world: Living, who: str, method: str, path: str, body: Any = None, at: str = "parked") -> dict[str, Any]:
    app = make_app(world.service, "0.1.0", routers=[router], authenticator=authenticator())
    app.state.runtime = world.runtime
    bearer = token(sub=who, roles=[ROLES[who]], companies=[world.company])
    headers = {"Authorization": f"Bearer {bearer}", "Idempotency-Key": f"{who}-{path}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.request(method, f"/v1/runtime/{at}{path}", headers=headers, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def spoilt(world: Living, broken: dict[str, Any]) -> None:
    """Item A, a record of the same key that cannot be read, item B behind it."""
    await world.tell(world.item("A", 1_000, due_on=LATER))
    made = event(world.item("BAD", 1, due_on=LATER), on=world.on)
    world.log.append(Outgoing(made.topic, **(headers_and_value(made) | broken)))
    await world.tell(world.item("B", 1_000, due_on=LATER))


async def asked(world: Living) -> tuple[str, dict[str, str]]:
    (row,) = (await call(world, "otto", "GET", ""))["items"]
    shown = {"sha256": row["sha256"]}
    await call(world, "otto", "POST", f"/{row['key']}/skip", {"reason": "Sent twice by the ERP."} | shown)
    await world.settle()
    return row["key"], shown


async def left_out(world: Living) -> None:
    key, shown = await asked(world)
    await call(world, "conrad", "POST", f"/{key}/approve", shown)
    await world.settle()


async def numbers(world: Living) -> list[str]:
    return [row["number"] for row in await world.rows("select number from item order by number")]


@pytest.mark.parametrize("broken", [UNREADABLE, WITHOUT_HEADERS])
async def test_an_event_that_was_left_out_is_left_out_of_what_is_rebuilt_too(live: Live, broken: dict) -> None:
    world = await live("reporting")
    await spoilt(world, broken)
    await left_out(world)
    await world.close()
    for _ in range(2):
        report = await world.rebuild(REBUILT).run()
        assert report.swapped and report.differences == []
        assert await world.rows("select key from parked_key") == []
        assert await numbers(world) == ["A", "B"]


async def test_an_event_that_was_left_out_has_no_effect_when_it_could_be_digested_now(live: Live) -> None:
    world = await live("reporting")
    await world.tell(world.item("A", 1_000, due_on=LATER))
    decide = world.handler.decide

    def refuses(state: Any, events: Any, moment: Any) -> Any:
        if any(getattr(e.data, "number", "") == "BAD" for e in events):
            raise ValueError("not digestible for now")
        return decide(state, events, moment)

    world.handler.decide = refuses  # type: ignore[method-assign]
    await world.tell(world.item("BAD", 1, due_on=LATER))
    await left_out(world)
    del world.handler.decide  # type: ignore[attr-defined]
    assert (await world.rebuild(REBUILT).run()).differences == []
    assert await numbers(world) == ["A"]


async def test_a_copy_leaves_out_what_was_left_out(live: Live) -> None:
    world = await live("collections")
    await world.tell(world.account("C-1"))
    await spoilt(world, UNREADABLE)
    await left_out(world)
    assert (await world.rebuild(OF_COLLECTIONS).run()).differences == []


@pytest.mark.parametrize(("service", "projection"), [("reporting", REBUILT), ("collections", OF_COLLECTIONS)])
async def test_a_rebuild_steps_over_what_persons_stepped_over(live: Live, service: str, projection: Projection) -> None:
    world = await live(service)
    await world.tell(world.account("C-1"))
    await world.tell(world.item("A", 1_000, due_on=LATER))
    made = event(world.configured(), on=world.on)
    lane = world.log.append(Outgoing(made.topic, **(headers_and_value(made) | UNREADABLE)))
    await world.tell(world.configured())
    await world.tell(world.item("B", 1_000, due_on=LATER))
    place = f"/{lane.partition.topic}/{lane.partition.number}"
    move = {"at": lane.offset, "to": lane.offset + 1}
    reason = {"reason": "Spoilt by the tool that wrote it."}
    shown = await call(world, "otto", "POST", f"{place}/step-over", move | reason, at="partitions")
    await call(world, "conrad", "POST", f"{place}/approve", move | {"sha256": shown["sha256"]}, at="partitions")
    assert world.source is not None
    world.source.retried_at_s = float("-inf")
    await world.settle()
    await world.close()
    for _ in range(2):
        report = await world.rebuild(projection).run()
        assert report.swapped and report.differences == []
    assert len(await world.rows("select 1 from item")) == 2


async def test_facts_of_the_service_that_are_not_sent_yet_and_the_answers_to_commands_are_kept(live: Live) -> None:
    world = await live("reporting")
    await spoilt(world, UNREADABLE)
    key, shown = await asked(world)
    answer = await call(world, "conrad", "POST", f"/{key}/approve", shown)
    waiting = await world.rows("select event_id from outbox order by id")
    assert len(waiting) == 2
    await world.rebuild(REBUILT).run()
    assert await world.rows("select event_id from outbox order by id") == waiting
    await world.settle()
    sent = [dict(record.headers) for lane in world.log.records.values() for record in lane]
    assert [int(h["ce_sequence"]) for h in sent if h["ce_source"] == b"reporting"] == [1, 2, 3]
    again = await call(world, "conrad", "POST", f"/{key}/approve", shown)
    assert again["approval_id"] == answer["approval_id"]


async def test_nothing_is_swapped_while_a_relay_is_in_the_middle_of_a_cycle(live: Live) -> None:
    world = await live("reporting")
    async with world.pool.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        await db.execute(TRY_RELAY)
        work = world.rebuild(REBUILT)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("shared.runtime.rebuild.SWAP_TRIES", 2)
            with pytest.raises(Transient, match="never rested"):
                await work.run()
        await transaction.rollback()
    assert (await world.rebuild(REBUILT).run()).swapped
