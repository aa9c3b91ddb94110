"""The customer's access system as a process: signatures, versions, leases, and every way to lose an answer."""

import asyncio
import base64
import json
import secrets
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from deploy.local.access_system import load_webhooks
from deploy.local.errors import StackError
from deploy.local.hold_journal import Journal
from deploy.local.hold_register import Conflict, HoldOrder, HoldRegister
from deploy.local.ports import free_ports
from tests.stack.programs import REPOSITORY, running

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
OLD_SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    (folder / "webhooks.json").write_text(json.dumps({"access_system": [SECRET, OLD_SECRET]}))
    return folder


def arguments(state: Path) -> tuple[str, ...]:
    return ("--port", "{port}", "--state", str(state), "--secrets", str(state / "webhooks.json"))


@pytest.fixture(scope="module")
def url(state: Path) -> Iterator[str]:
    with running("deploy.local.access_system", state, *arguments(state)) as (_, ports):
        yield f"http://127.0.0.1:{ports[0]}"


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as opened:
        yield opened


def order(hold_id: str, version: int = 1, state: str = "ordered", **changes: Any) -> dict[str, Any]:
    return {
        "hold_id": hold_id,
        "version": version,
        "company": "vdr-eu",
        "account_id": "A1",
        "kind": "access",
        "grade": "restrict",
        "targets": ["room-7"],
        "lease_s": 3_600,
        "state": state,
    } | changes


def signed(body: bytes, secret: str = SECRET, webhook_id: str = "", at: datetime | None = None) -> dict[str, str]:
    at, webhook_id = at or datetime.now(UTC), webhook_id or uuid4().hex
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, at, body.decode()),
        "content-type": "application/json",
    }


async def send(client: httpx.AsyncClient, hold: dict[str, Any], webhook_id: str = "") -> httpx.Response:
    body = json.dumps(hold).encode()
    return await client.post("/holds", content=body, headers=signed(body, webhook_id=webhook_id))


async def shown(client: httpx.AsyncClient, hold_id: str) -> dict[str, Any]:
    return (await client.get("/state", params={"hold_id": hold_id})).json()


async def control(client: httpx.AsyncClient, state: Path, **how: Any) -> None:
    secret = (state / "control-secret").read_text()
    answer = await client.post("/_control", json=how, headers={"X-Control-Secret": secret})
    assert answer.status_code == 200, answer.text


async def test_a_hold_is_applied_renewed_and_lifted(client: httpx.AsyncClient) -> None:
    hold = uuid4().hex
    assert (await send(client, order(hold))).json() == {"applied": True, "version": 1, "state": "ordered"}
    found = await shown(client, hold)
    assert [r["targets"] for r in found["restrictions"]] == [["room-7"]]
    assert 3_590 < found["restrictions"][0]["remaining_s"] <= 3_600
    assert (await send(client, order(hold, 2, "renewed"))).json()["state"] == "renewed"
    lifted = order(hold, 3, "lifted", lease_s=0)
    assert (await send(client, lifted)).json() == {"applied": True, "version": 3, "state": "lifted"}
    found = await shown(client, hold)
    assert found["restrictions"] == []
    assert [(e["what"], e["version"], e["applied"]) for e in found["log"]] == [("received", n, True) for n in (1, 2, 3)]


async def test_an_older_version_never_overrides_a_newer_one(client: httpx.AsyncClient) -> None:
    hold = uuid4().hex
    await send(client, order(hold, 3, "lifted"))
    for old in (order(hold, 1), order(hold, 2, "renewed")):
        answer = await send(client, old)
        assert (answer.status_code, answer.json()) == (200, {"applied": False, "version": 3, "state": "lifted"})
    assert (await shown(client, hold))["restrictions"] == []


async def test_the_same_message_twice_is_one_effect(client: httpx.AsyncClient) -> None:
    hold, key = uuid4().hex, uuid4().hex
    answers = [(await send(client, order(hold), key)).json() for _ in range(3)]
    assert answers == [{"applied": True, "version": 1, "state": "ordered"}] * 3
    answer = await send(client, order(hold, grade="deny"), key)
    assert answer.status_code == 409 and "webhook-id" in answer.json()["error"]
    answer = await send(client, order(hold, grade="deny"))
    assert answer.status_code == 409 and "other content" in answer.json()["error"]
    assert (await shown(client, hold))["holds"][0]["grade"] == "restrict"


async def test_only_fresh_messages_with_our_signature_count(client: httpx.AsyncClient) -> None:
    hold = uuid4().hex
    body = json.dumps(order(hold)).encode()
    good = signed(body)
    stranger = "whsec_" + base64.b64encode(b"x" * 24).decode()
    forged = [
        {},
        signed(body, stranger),
        signed(body, at=datetime.now(UTC) - timedelta(minutes=6)),
        signed(body, at=datetime.now(UTC) + timedelta(minutes=6)),
        signed(body + b" "),
        good | {"webhook-id": "other"},
        good | {"webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)},
        good | {"webhook-timestamp": "nan"},
        good | {"webhook-signature": "v1"},
        good | {"webhook-signature": "v1,%%%"},
        good | {"webhook-signature": "v2," + good["webhook-signature"][3:]},
    ]
    for headers in forged:
        assert (await client.post("/holds", content=body, headers=headers)).status_code == 401, headers
    assert (await client.post("/holds", content=b"\xff\xfe", headers=good)).status_code == 401
    assert (await shown(client, hold))["holds"] == []
    assert (await client.post("/holds", content=body, headers=signed(body, OLD_SECRET))).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"version": "many"},
        {"state": "maybe"},
        {"grade": "total"},
        {"lease_s": 0},
        {"lease_s": -1},
        {"lease_s": 10**9},
        {"targets": ["x"] * 101},
        {"hold_id": ""},
        {"hold_id": "a b"},
    ],
)
async def test_a_signed_message_of_the_wrong_shape_is_refused(
    client: httpx.AsyncClient, changes: dict[str, Any]
) -> None:
    answer = await send(client, order(uuid4().hex) | changes)
    assert answer.status_code == 422 and answer.json()["applied"] is False
    for body in (b"", b"{", b"[]"):
        assert (await client.post("/holds", content=body, headers=signed(body))).status_code == 422
    big = b" " * 70_000
    assert (await client.post("/holds", content=big, headers=signed(big))).status_code == 413


async def test_access_comes_back_when_nobody_renews(client: httpx.AsyncClient) -> None:
    hold = uuid4().hex
    await send(client, order(hold, lease_s=1))
    assert len((await shown(client, hold))["restrictions"]) == 1
    deadline = time.monotonic() + 5
    while (found := await shown(client, hold))["restrictions"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert found["holds"][0]["state"] == "ended"
    while "restored" not in [entry["what"] for entry in (await shown(client, hold))["log"]]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert (await send(client, order(hold, lease_s=1))).json() == {"applied": True, "version": 1, "state": "ended"}
    assert (await send(client, order(hold, 2, "renewed"))).json()["state"] == "renewed"
    assert len((await shown(client, hold))["restrictions"]) == 1


async def test_it_fails_as_often_as_it_is_told(client: httpx.AsyncClient, state: Path) -> None:
    hold = uuid4().hex
    await control(client, state, fail_next=2, fail_status=503)
    assert [(await send(client, order(hold))).status_code for _ in range(3)] == [503, 503, 200]


@pytest.mark.parametrize("applies", [False, True])
async def test_it_drops_the_connection_before_or_after_the_work(
    client: httpx.AsyncClient, state: Path, applies: bool
) -> None:
    hold, key = uuid4().hex, uuid4().hex
    await control(client, state, drop_next=1, drop_applies=applies)
    with pytest.raises(httpx.RemoteProtocolError):
        await send(client, order(hold), key)
    assert len((await shown(client, hold))["restrictions"]) == int(applies)
    assert (await send(client, order(hold), key)).json() == {"applied": True, "version": 1, "state": "ordered"}


async def test_it_answers_late_and_takes_others_meanwhile(client: httpx.AsyncClient, state: Path) -> None:
    await control(client, state, delay_s=0.4)
    began = time.monotonic()
    await send(client, order(uuid4().hex))
    assert time.monotonic() - began >= 0.4
    await control(client, state)


async def test_control_needs_the_local_secret_and_known_fields(client: httpx.AsyncClient, state: Path) -> None:
    for headers in ({}, {"X-Control-Secret": "x"}, {"X-Control-Secret": "ü".encode()}):
        assert (await client.post("/_control", json={"fail_next": 1}, headers=headers)).status_code == 401
    good = {"X-Control-Secret": (state / "control-secret").read_text()}
    for how in ({"fail": 1}, {"delay_s": 1_000}, {"fail_next": -1}):
        assert (await client.post("/_control", json=how, headers=good)).status_code == 422
    assert (await client.get("/_control", headers=good)).json()["fail_next"] == 0


async def test_a_killed_access_system_remembers_versions_and_leases(tmp_path: Path) -> None:
    (tmp_path / "webhooks.json").write_text(json.dumps({"access_system": SECRET}))
    with running("deploy.local.access_system", tmp_path, *arguments(tmp_path)) as (child, ports):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}", trust_env=False) as client:
            await send(client, order("H1", 5))
            await send(client, order("H2", 2, "lifted"), "key-2")
            child.popen.kill()
            child.popen.wait(5)
        child.popen.returncode = 0
    with (tmp_path / "received.jsonl").open("a") as journal:
        journal.write('{"boot": "cut off by the ki')
    for _ in range(2):
        with running("deploy.local.access_system", tmp_path, *arguments(tmp_path)) as (_, ports):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}", trust_env=False) as client:
                state = (await client.get("/state")).json()
                assert [(h["hold_id"], h["version"], h["restricts"]) for h in state["holds"]][:2] == [
                    ("H1", 5, True),
                    ("H2", 2, False),
                ]
                assert state["restrictions"][0]["remaining_s"] <= 3_600
                assert (await send(client, order("H1", 4))).json()["applied"] is False
                assert (await send(client, order("H2", 1), "key-2")).status_code == 409
                assert (await send(client, order("H3", 1))).json()["applied"] is True
    lines = [text for text in (tmp_path / "received.jsonl").read_text().splitlines() if text.endswith("}")]
    assert [json.loads(text)["order"]["hold_id"] for text in lines] == ["H1", "H2", "H3"]


def test_after_a_restart_of_the_machine_every_lease_counts_as_ended(tmp_path: Path) -> None:
    register = HoldRegister()
    journal = Journal(tmp_path / "received.jsonl")
    one = HoldOrder.model_validate(order("H1"))
    journal.write("k", register.keep(one, "h", time.monotonic() + 3_600))
    text = (tmp_path / "received.jsonl").read_text()
    (tmp_path / "received.jsonl").write_text(text.replace(json.loads(text)["boot"], "another-boot"))
    after = HoldRegister()
    Journal(tmp_path / "received.jsonl").read_into(after, OrderedDict())
    assert after.restricting(time.monotonic()) == [] and after.all()[0].standing(0.0) == "ended"


arrivals = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(["ordered", "renewed", "lifted"]), st.integers(0, 30)), max_size=12
)


@given(arrivals)
def test_whatever_the_order_of_arrival_the_highest_version_counts(steps: list[tuple[int, str, int]]) -> None:
    register, now = HoldRegister(), 0.0
    content: dict[int, str] = {}
    first_seen: dict[int, float] = {}
    for version, state, pause in steps:
        now += pause
        one = HoldOrder.model_validate(order("H", version, content.setdefault(version, state), lease_s=20))
        if version > max(first_seen, default=0):
            first_seen[version] = now
        answer = register.accept(one, f"hash-{version}", now)
        highest = max(first_seen)
        assert answer.version == highest and answer.applied == (version == highest)
        restricts = content[highest] != "lifted" and now < first_seen[highest] + 20
        assert bool(register.restricting(now)) == restricts
        with pytest.raises(Conflict):
            register.accept(one.model_copy(update={"version": highest}), "other", now)


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"access_system": 5}', '{"access_system": []}', '{"access_system": "whsec_"}']
)
def test_missing_or_damaged_secrets_are_one_sentence(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "webhooks.json").write_text(content)
    with pytest.raises(StackError, match=r"webhooks\.json"):
        load_webhooks(tmp_path / "webhooks.json")
    command = [sys.executable, "-m", "deploy.local.access_system", "--state", str(tmp_path)]
    command += ["--port", str(free_ports(1)[0]), "--secrets", str(tmp_path / "webhooks.json")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=30)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr


async def test_no_secret_stands_in_the_log_or_the_state(client: httpx.AsyncClient, state: Path) -> None:
    await send(client, order(uuid4().hex))
    text = (await client.get("/state")).text + (state / "program.log").read_text()
    assert SECRET not in text and SECRET[6:] not in text and (state / "control-secret").read_text() not in text
