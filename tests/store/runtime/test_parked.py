"""What a person does with parked keys: look, redrive, have an event left out; by API and by command."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from shared.auth import Principal
from shared.bus.port import Outgoing
from shared.events.catalogue import ACCOUNTS, CONTROL, INVOICES
from shared.events.codec import decode
from shared.http import make_app
from shared.runtime import dead_letters, operating, statements
from shared.runtime.lifecycle import Service
from shared.runtime.progress import router
from shared.runtime.skipping import Command, SkipBody
from tests.builders import event, headers_and_value
from tests.domain.shared.caller_samples import authenticator, token
from tests.store.runtime.conftest import SERVICE, World
from tests.store.runtime.toy import contact

REASON = "Sent twice by the ERP; agreed with Sue."
WHO = {"otto": "operator", "olga": "operator", "conrad": "controller", "ana": "analyst", "audrey": "auditor"}


class Door:
    """The toy service with bad records parked, and its API."""

    def __init__(self, world: World, runtime: Any, source: Any) -> None:
        self.world, self.runtime, self.source = world, runtime, source
        self.app = make_app(SERVICE, "0.1.0", routers=[router], authenticator=authenticator())
        self.app.state.runtime, self.commands = runtime, 0

    async def call(
        self, who: str, method: str, path: str, body: Any = None, *, key: str = "", company: str = "acme"
    ) -> httpx.Response:
        self.commands += 1
        headers = {
            "Authorization": f"Bearer {token(sub=who, roles=[WHO[who]], companies=[company])}",
            "Idempotency-Key": key or f"command-{self.commands}",
        }
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, f"/v1/runtime/parked{path}", headers=headers, json=body)

    async def listed(self, who: str = "otto", company: str = "acme") -> list[dict[str, Any]]:
        return (await self.call(who, "GET", "", company=company)).json()["items"]

    async def sha256(self) -> str:
        return (await self.listed())[0]["sha256"]

    async def facts(self) -> dict[str, int]:
        return {r["account_id"]: r["facts"] for r in await self.world.rows("select account_id, facts from toy_account")}

    async def control(self, kind: str) -> list[Any]:
        await self.world.settle(self.runtime, self.source)
        found = [decode(CONTROL, r.key.decode(), r.headers, r.value) for r in self.world.published(CONTROL)]
        return [each for each in found if each.type == kind]


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    """acme/a1: a bad record, then two good ones and one of another topic; acme/b1 free; other/o1 parked."""
    world.handler.poison = "bad"
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.configure("other")
    await world.settle(runtime, source)
    for made in (contact("a1", name="bad"), contact("a1"), contact("b1")):
        world.put(event(made))
    await world.settle(runtime, source)
    world.put(event(contact("a1", name="later")))
    world.put(event(contact("o1", name="bad", company="other")))
    await world.settle(runtime, source)
    yield Door(world, runtime, source)


async def test_the_list_says_reason_event_and_what_waits_behind(door: Door) -> None:
    (found,) = await door.listed("ana")
    assert (found["key"], found["company"], found["account_id"], found["code"]) == ("acme/a1", "acme", "a1", "poison")
    assert "cannot be digested" in found["error"]
    assert (found["topic"], found["event_type"], found["behind"]) == (
        ACCOUNTS, "contact.updated", {"contact.updated": 2}
    )  # fmt: skip
    assert len(found["sha256"]) == 64 and found["skip"] is None


async def test_nobody_sees_or_decides_a_key_of_another_company(door: Door) -> None:
    assert [row["key"] for row in await door.listed(company="other")] == ["other/o1"]
    body = {"reason": REASON, "sha256": "0" * 64}
    for who, verb, sent in (
        ("otto", "redrive", None), ("otto", "skip", body), ("conrad", "approve", body), ("conrad", "refuse", body)
    ):  # fmt: skip
        for key in ("other/o1", "other/never", "nobody/x"):
            answer = await door.call(who, "POST", f"/{key}/{verb}", sent)
            assert (answer.status_code, answer.json()["code"]) == (403, "foreign_company"), (key, verb)


async def test_a_key_is_redriven_in_order_and_leaves_a_trail(door: Door) -> None:
    failed = (await door.call("otto", "POST", "/acme/a1/redrive")).json()
    assert failed["result"] != "done" and failed["left"] == 3
    door.world.handler.poison = ""
    answer = await door.call("otto", "POST", "/acme/a1/redrive", key="redrive-0001")
    assert answer.json() == {"key": "acme/a1", "result": "done", "left": 0}
    assert await door.facts() == {"a1": 3, "b1": 1}
    again = await door.call("otto", "POST", "/acme/a1/redrive", key="redrive-0001")
    assert again.json() == answer.json(), "the stored reply, though the key is free by now"
    gone = await door.call("otto", "POST", "/acme/a1/redrive")
    assert (gone.status_code, gone.json()["code"]) == (404, "key_not_parked")
    trail = [(e.envelope.actor, e.data.route) for e in await door.control("command.accepted")]
    assert trail == [("user:otto", "/v1/runtime/parked/acme/a1/redrive")] * 2


async def test_all_keys_of_the_callers_companies_are_redriven(door: Door) -> None:
    door.world.handler.poison = ""
    answer = (await door.call("otto", "POST", "/redrive")).json()
    assert answer == {"keys": [{"key": "acme/a1", "result": "done", "left": 0}], "more": False}
    assert [r["key"] for r in await door.world.rows("select key from parked_key")] == ["other/o1"]


async def test_an_event_is_left_out_by_two_persons_and_what_waited_behind_it_runs(door: Door) -> None:
    sha256 = await door.sha256()
    asked = await door.call("otto", "POST", "/acme/a1/skip", {"reason": REASON, "sha256": sha256})
    assert asked.status_code == 200 and asked.json()["requested_by"] == "user:otto", asked.text
    assert (await door.listed())[0]["skip"]["reason"] == REASON
    assert await door.facts() == {"b1": 1}, "nothing is left out before another person approves"
    answer = await door.call("conrad", "POST", "/acme/a1/approve", {"sha256": sha256}, key="approve-0001")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["left"], answer.json()["result"], answer.json()["approved_by"]) == (2, "done", "user:conrad")
    assert await door.facts() == {"a1": 2, "b1": 1}
    assert await door.listed() == []
    (skipped,) = await door.control("event.skipped")
    fact = skipped.data
    assert (fact.actor, fact.approver, fact.reason, fact.sha256) == ("user:otto", "user:conrad", REASON, sha256)
    assert (fact.service, fact.key, fact.topic, fact.event_type) == (SERVICE, "acme/a1", ACCOUNTS, "contact.updated")
    assert str(fact.event_id) == answer.json()["event_id"] and skipped.key == "acme"
    again = await door.call("conrad", "POST", "/acme/a1/approve", {"sha256": sha256}, key="approve-0001")
    assert again.json()["approval_id"] == answer.json()["approval_id"]
    assert len(await door.control("event.skipped")) == 1


async def test_a_copy_of_an_event_that_was_left_out_is_not_taken_later(door: Door) -> None:
    sha256 = await door.sha256()
    first = next(r for r in door.world.published(ACCOUNTS) if r.key == b"acme/a1")
    await door.call("otto", "POST", "/acme/a1/skip", {"reason": REASON, "sha256": sha256})
    await door.call("conrad", "POST", "/acme/a1/approve", {"sha256": sha256})
    door.world.handler.poison = ""
    door.world.log.append(Outgoing(ACCOUNTS, first.key, first.headers, first.value))
    await door.world.settle(door.runtime, door.source)
    assert (await door.facts())["a1"] == 2


@pytest.mark.parametrize("who", ["otto", "olga", "ana", "audrey"])
async def test_only_another_person_with_the_right_approves(door: Door, who: str) -> None:
    sha256 = await door.sha256()
    await door.call("otto", "POST", "/acme/a1/skip", {"reason": REASON, "sha256": sha256})
    answer = await door.call(who, "POST", "/acme/a1/approve", {"sha256": sha256})
    assert (answer.status_code, answer.json()["code"]) == (403, "action_not_permitted")
    assert len(await door.world.rows("select * from dead_letter where key = 'acme/a1'")) == 3


async def test_the_maker_does_not_check_whatever_the_roles(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = await door.sha256()
    await door.call("otto", "POST", "/acme/a1/skip", {"reason": REASON, "sha256": sha256})
    monkeypatch.setitem(WHO, "otto", "controller")
    for verb in ("approve", "refuse"):
        answer = await door.call("otto", "POST", f"/acme/a1/{verb}", {"sha256": sha256})
        assert (answer.status_code, answer.json()["code"]) == (403, "maker_is_checker")


async def test_an_approval_counts_for_the_very_letter_only(door: Door) -> None:
    sha256 = await door.sha256()
    unasked = await door.call("conrad", "POST", "/acme/a1/approve", {"sha256": sha256})
    assert (unasked.status_code, unasked.json()["code"]) == (409, "skip_not_asked")
    stale = await door.call("otto", "POST", "/acme/a1/skip", {"reason": REASON, "sha256": "0" * 64})
    assert (stale.status_code, stale.json()["code"]) == (409, "changed_since_shown")
    await door.call("otto", "POST", "/acme/a1/skip", {"reason": REASON, "sha256": sha256})
    twice = await door.call("olga", "POST", "/acme/a1/skip", {"reason": REASON, "sha256": sha256})
    assert (twice.status_code, twice.json()["code"]) == (409, "skip_already_asked")
    other = await door.call("conrad", "POST", "/acme/a1/approve", {"sha256": "0" * 64})
    assert (other.status_code, other.json()["code"]) == (409, "changed_since_shown")
    async with door.world.pool.acquire() as db:
        await db.execute("update dead_letter set value = value || ' '::bytea where key = 'acme/a1'")
    changed = await door.call("conrad", "POST", "/acme/a1/approve", {"sha256": sha256})
    assert (changed.status_code, changed.json()["code"]) == (409, "changed_since_requested")
    assert (await door.listed())[0]["skip"] is None, "what was asked for was another record"


async def test_one_decision_at_two_services_is_two_commands(door: Door) -> None:
    """All services have these routes, and a record that one cannot digest is often parked at others too."""
    body = SkipBody(reason=REASON, sha256="0" * 64)
    principal = Principal("otto", "person", frozenset({"acme"}), frozenset({"operator"}))
    here, again, there = [
        Command(name, principal, "/v1/runtime/parked/acme/a1/skip", "command-1", "ask_skip", body)
        for name in (SERVICE, SERVICE, "reporting")
    ]
    assert here.identity == again.identity != there.identity
    asked = (await door.call("otto", "POST", "/acme/a1/skip", {"reason": REASON, "sha256": await door.sha256()})).json()
    (trail,) = await door.control("command.accepted")
    assert str(trail.data.command_id) == asked["approval_id"]


async def test_a_refusal_leaves_it_parked_and_it_can_be_asked_for_anew(door: Door) -> None:
    body = {"reason": REASON, "sha256": await door.sha256()}
    await door.call("otto", "POST", "/acme/a1/skip", body)
    assert (await door.call("conrad", "POST", "/acme/a1/refuse", {"sha256": body["sha256"]})).status_code == 200
    assert (await door.listed())[0]["skip"] is None
    assert (await door.call("otto", "POST", "/acme/a1/skip", body)).status_code == 200


@pytest.mark.parametrize("reason", ["", "short"])
async def test_a_skip_needs_a_reason(door: Door, reason: str) -> None:
    answer = await door.call("otto", "POST", "/acme/a1/skip", {"reason": reason, "sha256": await door.sha256()})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.reason")


async def test_redrive_goes_up_to_the_letter_that_fails_and_only_that_one_can_be_left_out(door: Door) -> None:
    """The first was mended; the third now fails and stands first."""
    door.world.handler.poison = "later"
    failed = (await door.call("otto", "POST", "/acme/a1/redrive")).json()
    assert failed["left"] == 1 and "'later'" in failed["result"]
    assert await door.facts() == {"a1": 2, "b1": 1}
    sha256 = await door.sha256()
    await door.call("otto", "POST", "/acme/a1/skip", {"reason": REASON, "sha256": sha256})
    answer = (await door.call("conrad", "POST", "/acme/a1/approve", {"sha256": sha256})).json()
    assert (answer["left"], answer["result"]) == (0, "done")
    assert await door.world.rows("select key from parked_key where key = 'acme/a1'") == []


async def test_letters_run_in_the_order_in_which_they_were_to_be_decided(world: World) -> None:
    """Batch by batch, and in a batch by the order in which the service reads its topics, as without the failure."""
    seen: list[str] = []
    decide = world.handler._contact  # noqa: SLF001
    world.handler._contact = lambda state, each, effects: (  # type: ignore[method-assign]  # noqa: SLF001
        seen.append(each.data.name), decide(state, each, effects)
    )  # fmt: skip
    world.handler.poison = "bad"
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    await world.settle(runtime, source)
    for topic, name in ((ACCOUNTS, "bad"), (INVOICES, "2"), (ACCOUNTS, "1")):
        world.put(event(contact("a1", name=name)), topic)
    await world.settle(runtime, source)
    world.put(event(contact("a1", name="3")), ACCOUNTS)
    await world.settle(runtime, source)
    world.handler.poison = ""
    seen.clear()
    assert await dead_letters.redrive(world.pool, runtime.unit) == {"acme/a1": "done"}
    assert seen == ["bad", "1", "2", "3"]


async def test_the_command_lists_every_company_and_redrives_one_key_or_all(door: Door, capsys: Any) -> None:
    service = Service(SERVICE, door.world.handler)
    assert await operating.parked(service, door.runtime) == 0
    shown = capsys.readouterr().out
    assert "acme/a1 since" in shown and "other/o1 since" in shown and "2 keys are parked" in shown
    assert "behind it: 2 contact.updated" in shown and (await door.sha256()) in shown
    door.world.handler.poison = ""
    assert await operating.redrive(service, door.runtime, "acme/a1") == 0
    assert [r["key"] for r in await door.world.rows("select key from parked_key")] == ["other/o1"]
    assert await operating.redrive(service, door.runtime, "ALL") == 0
    assert await operating.parked(service, door.runtime) == 0
    assert "nothing is parked" in capsys.readouterr().out
    async with door.world.pool.acquire() as db:
        assert await db.fetchval(statements.COUNT_PARKED) == 0


async def test_a_record_without_a_company_is_any_operators(door: Door) -> None:
    parts = headers_and_value(event(contact("a1")))
    door.world.log.append(Outgoing(ACCOUNTS, number=0, **parts | {"key": None, "headers": []}))
    await door.world.settle(door.runtime, door.source)
    assert {row["key"] for row in await door.listed("otto")} == {"acme/a1", ""}
    assert {row["key"] for row in await door.listed("ana")} == {"acme/a1"}
    sha256 = next(row["sha256"] for row in await door.listed() if row["key"] == "")
    asked = await door.call("otto", "POST", "//skip", {"reason": REASON, "sha256": sha256})
    assert asked.status_code == 200, asked.text
    answer = await door.call("conrad", "POST", "//approve", {"sha256": sha256})
    assert answer.status_code == 200, answer.text
    (skipped,) = await door.control("event.skipped")
    assert (skipped.data.company, skipped.data.event_id) == (dead_letters.NO_COMPANY, None)
