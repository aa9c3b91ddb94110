"""Every way in which a record can be broken has one answer (docs/runbook.md): its key waits, alone, and the rest goes
on; what is too large to be sent waits as its input and never reaches the relay."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from shared.bus.port import Headers, Outgoing, Record
from shared.errors import Broken
from shared.events.catalogue import ACCOUNTS, EVENT_BYTES_MAX, LEDGER
from shared.events.codec import decode
from shared.runtime import dead_letters
from tests.builders import event, headers_and_value
from tests.store.runtime.conftest import World
from tests.store.runtime.toy import contact

Change = Callable[[dict[str, Any]], dict[str, Any]]


def without(name: str) -> Change:
    return lambda parts: parts | {"headers": [(n, v) for n, v in parts["headers"] if n != name]}


def header(name: str, value: bytes | None) -> Change:
    return lambda parts: parts | {"headers": [(n, value if n == name else v) for n, v in parts["headers"]]}


def put(**changed: Any) -> Change:
    return lambda parts: parts | changed


BROKEN: dict[str, tuple[str, str, Change]] = {
    "no JSON": ("undecodable", "acme/a1", put(value=b"{not json")),
    "no value": ("undecodable", "acme/a1", put(value=b"")),
    "another model": ("undecodable", "acme/a1", put(value=b'{"company": "acme", "account_id": 7}')),
    "no id": ("header_missing", "acme/a1", without("ce_id")),
    "no type": ("header_missing", "acme/a1", without("ce_type")),
    "no company": ("header_missing", "acme/a1", without("ce_company")),
    "no headers": ("header_missing", "acme/a1", put(headers=[])),
    "an id that is none": ("header_unreadable", "acme/a1", header("ce_id", b"7")),
    "a header that is no text": ("header_unreadable", "acme/a1", header("ce_subject", b"\xff\xfe")),
    "a header without a value": ("header_unreadable", "acme/a1", header("ce_actor", None)),
    "a type with a zero byte": ("header_missing", "acme/a1", header("ce_type", b"")),
    "no key": ("key_missing", "", put(key=None)),
    "key of another company": ("wrong_company", "other/a1", put(key=b"other/a1")),
    "payload of another company": (
        "wrong_company", "acme/a1", put(value=contact("a1", company="other").model_dump_json().encode())
    ),
    "envelope of another company": ("wrong_company", "acme/a1", header("ce_company", b"other")),
    "too large": ("oversized", "acme/a1", put(value=b'"' + b"x" * EVENT_BYTES_MAX + b'"')),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BROKEN))
async def test_a_broken_record_parks_its_key_alone_and_says_why(world: World, name: str) -> None:
    code, key, change = BROKEN[name]
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    world.configure("other")
    parts = change(headers_and_value(event(contact("a1"))))
    world.log.append(Outgoing(ACCOUNTS, number=0, **parts))
    world.log.append(Outgoing(ACCOUNTS, number=0, **headers_and_value(event(contact("b1")))))
    await world.settle(runtime, source)
    assert [tuple(r) for r in await world.rows("select key, code from parked_key")] == [(key, code)]
    assert [tuple(r) for r in await world.rows("select account_id, facts from toy_account")] == [("b1", 1)]
    letters = await world.rows("select value, event_id from dead_letter")
    assert [bytes(row["value"]) for row in letters] == [parts["value"]], "whole, so that it can be run again"
    again = await dead_letters.redrive(world.pool, runtime.unit)
    assert list(again) == [key] and again[key] != "done"
    assert runtime.failing == {}, "no partition stops for it"


async def test_a_record_of_nobody_is_kept_for_the_company_of_its_envelope_or_for_any_operator(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    parts = headers_and_value(event(contact("a1")))
    world.log.append(Outgoing(ACCOUNTS, number=0, **parts | {"key": None}))
    await world.settle(runtime, source)
    world.log.append(Outgoing(ACCOUNTS, number=1, **parts | {"key": b"/x", "headers": [("ce_type", b"a\x00b")]}))
    await world.settle(runtime, source)
    rows = await world.rows("select key, company from parked_key order by key")
    assert [tuple(row) for row in rows] == [("", "acme"), ("/x", dead_letters.NO_COMPANY)]
    kinds = await world.rows("select event_type from dead_letter order by key")
    assert [row["event_type"] for row in kinds] == ["contact.updated", "a\ufffdb"]


async def test_a_key_with_a_zero_byte_stops_nothing(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    parts = headers_and_value(event(contact("a1")))
    world.log.append(Outgoing(ACCOUNTS, number=0, **parts | {"key": b"acme/\x00", "value": b"{"}))
    await world.settle(runtime, source)
    assert [r["key"] for r in await world.rows("select key from parked_key")] == ["acme/\ufffd"]


async def test_an_unknown_type_is_passed_by(world: World) -> None:
    """A newer publisher may say more than this service knows; what it does not know it does not need."""
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    parts = header("ce_type", b"planet.discovered")(headers_and_value(event(contact("a1"))))
    world.log.append(Outgoing(ACCOUNTS, number=0, **parts))
    world.put(event(contact("b1")))
    await world.settle(runtime, source)
    assert await world.rows("select * from parked_key") == []
    assert [r["account_id"] for r in await world.rows("select account_id from toy_account")] == ["b1"]


async def test_the_id_of_a_record_that_cannot_be_read_is_kept_where_it_has_one(world: World) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    made = event(contact("a1"))
    world.log.append(Outgoing(ACCOUNTS, number=0, **headers_and_value(made) | {"value": b"{"}))
    await world.settle(runtime, source)
    assert [r["event_id"] for r in await world.rows("select event_id from dead_letter")] == [made.envelope.id]


@pytest.mark.parametrize("where", ["payload", "key"])
async def test_what_would_be_too_large_to_send_is_poison_of_its_input_and_never_of_the_relay(
    world: World, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    long = "x" * 120_000
    if where == "payload":
        monkeypatch.setattr("shared.runtime.outbox.ROW_BYTES_MAX", 1_000)
        long = "x" * 400
    world.put(event(contact("b1")))
    world.put(event(contact(long)))
    world.put(event(contact("b1")))
    await world.settle(runtime, source)
    rows = await world.rows("select key, code, error from parked_key")
    assert [(row["key"][:200], row["code"]) for row in rows] == [(f"acme/{long}"[:200], "too_large_out")]
    assert "follows from contact.updated" in rows[0]["error"]
    assert [tuple(r) for r in await world.rows("select account_id, facts from toy_account")] == [("b1", 2)]
    assert await world.rows("select * from outbox") == []
    assert len(world.published(LEDGER)) == 2
    monkeypatch.setattr("shared.runtime.outbox.ROW_BYTES_MAX", 10_000_000)
    assert set((await dead_letters.redrive(world.pool, runtime.unit)).values()) == {"done"}


def test_the_reason_repeats_nothing_of_the_payload() -> None:
    made = event(contact("a1"))
    headers: Headers = made.envelope.to_headers()
    with pytest.raises(Broken) as caught:
        decode(ACCOUNTS, made.key, headers, b'{"company": "acme", "account_id": ["Grace Hopper"]}')
    assert "Grace" not in caught.value.message


async def test_a_duplicate_of_a_parked_record_is_decided_once(world: World) -> None:
    world.handler.poison = "bad"
    runtime = world.runtime()
    source = await world.member(runtime)
    world.configure()
    made = event(contact("a1", name="bad"), event_id=UUID(int=7))
    world.put(made)
    world.put(made)
    await world.settle(runtime, source)
    world.handler.poison = ""
    assert await dead_letters.redrive(world.pool, runtime.unit) == {"acme/a1": "done"}
    assert [r["facts"] for r in await world.rows("select facts from toy_account")] == [1]
    assert isinstance(world.published(ACCOUNTS)[0], Record)
