"""HTTP commands through the transaction: idempotent by key, refused with another body, refused for parked accounts."""

from dataclasses import replace

import pytest

from shared.auth import Principal
from shared.errors import Rejected
from shared.runtime import loops
from shared.runtime.commands import run_command
from tests.builders import event
from tests.store.runtime.conftest import World
from tests.store.runtime.toy import contact

ANA = Principal("ana", "person", frozenset({"acme"}), frozenset({"analyst"}))


async def ready(world: World):
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    return runtime, source


async def call(runtime, key: str = "key-00000001", account: str = "a1", **changes):
    body = contact(account, **changes)
    return await run_command(runtime, ANA, "/v1/contacts", key, "contact", body, "acme", account)


async def test_a_command_acts_once_however_often_it_is_sent(world: World) -> None:
    runtime, source = await ready(world)
    for _ in range(3):
        await call(runtime)
    assert [tuple(r) for r in await world.rows("select * from toy_account")] == [("a1", 1)]


async def test_the_same_key_with_another_body_is_refused(world: World) -> None:
    runtime, _ = await ready(world)
    await call(runtime)
    with pytest.raises(Rejected) as refused:
        await call(runtime, name="Other")
    assert (refused.value.code, refused.value.status) == ("idempotency_conflict", 409)


async def test_the_same_key_after_a_changed_token_gives_the_stored_answer(world: World) -> None:
    runtime, _ = await ready(world)
    body = contact("a1")
    for limits in ({}, {"refund": {"EUR": 500}}):
        caller = replace(ANA, limits=limits, token_id=f"t-{len(limits)}", roles=frozenset({"supervisor"}))
        await run_command(runtime, caller, "/v1/contacts", "key-00000001", "contact", body, "acme", "a1")
    assert [tuple(r) for r in await world.rows("select * from toy_account")] == [("a1", 1)]
    assert world.handler.principals == [replace(ANA, token_id="t-0", roles=frozenset({"supervisor"}))]


async def test_a_command_leaves_its_trail_with_actor_and_body(world: World) -> None:
    runtime, source = await ready(world)
    await call(runtime)
    await world.settle(runtime, source)
    trail = [r for r in world.published("ar.control") if dict(r.headers)["ce_type"] == b"command.accepted"]
    assert len(trail) == 1
    assert dict(trail[0].headers)["ce_actor"] == b"user:ana"
    assert b'"account_id":"a1"' in trail[0].value


async def test_a_command_on_a_parked_account_is_refused_until_it_is_redriven(world: World) -> None:
    runtime, source = await ready(world)
    world.handler.poison = "bad"
    world.put(event(contact("a1", name="bad")))
    await world.settle(runtime, source)
    with pytest.raises(Rejected) as refused:
        await call(runtime)
    assert refused.value.code == "account_parked"
    await call(runtime, key="key-00000002", account="a2")


async def test_a_refused_command_changes_nothing_and_its_key_stays_free(world: World) -> None:
    runtime, _ = await ready(world)
    with pytest.raises(ZeroDivisionError):
        await call(runtime, name="unnamed failure")
    assert await world.rows("select * from command") == []
    await call(runtime, name="Ann")


async def test_an_unknown_company_is_named(world: World) -> None:
    runtime, _ = await ready(world)
    body = contact("a1", company="elsewhere")
    with pytest.raises(Rejected, match="elsewhere"):
        await run_command(runtime, ANA, "/v1/contacts", "key-00000001", "contact", body, "elsewhere", "a1")
    assert await loops.due_once(runtime) == 0
