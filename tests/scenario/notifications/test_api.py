"""The API: what left, what was withheld and why, and asking for one notice again."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from prometheus_client import REGISTRY

from services.notifications.main import build
from shared.events.ledger import ItemSettled
from shared.runtime.gauges import gauges_once
from shared.runtime.lifecycle import create_app
from tests.domain.shared.caller_samples import authenticator, token
from tests.scenario.notifications.smtp_server import SmtpServer
from tests.scenario.notifications.world import ADDRESS, COMPANY, World, account, contact, hold, item, noted, notice

BASE = f"/v1/companies/{COMPANY}"


def headers(*roles: str, companies: tuple[str, ...] = (COMPANY,), sub: str = "sam") -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sub=sub, roles=list(roles), companies=list(companies))}"}


READER, SUPERVISOR = headers("collector"), headers("supervisor")


@pytest.fixture
async def api(world: World):
    service = build(world.runtime.settings)
    options = {**service.app_options, "authenticator": authenticator()}
    app = create_app(replace(service, app_options=options), world.runtime)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=READER) as client:
        client.app = app
        yield client


async def ready(world: World) -> None:
    await world.tell(account(), contact(), item(), notice())
    await world.tick()


async def test_a_sent_notice_shows_its_judgement_and_its_content(api, world: World, server: SmtpServer) -> None:
    await ready(world)
    await world.dispatch()
    (listed,) = (await api.get(f"{BASE}/notices")).json()["items"]
    shown = (await api.get(f"{BASE}/notices/{listed['notice_id']}")).json()
    assert (shown["status"], shown["judgements"][0]["outcome"]) == ("sent", "pass")
    assert shown["content"]["recipient"] == ADDRESS
    assert "1,000.00" in shown["content"]["text"]
    raw = await api.get(f"{BASE}/notices/{listed['notice_id']}/content")
    assert (raw.headers["content-type"], raw.content) == ("message/rfc822", server.taken[0][2])


async def test_withheld_notices_are_counted_by_reason(api, world: World) -> None:
    await ready(world)
    await world.tell(notice("n-2"), item(kind=ItemSettled, version=2, remaining_minor=0))
    await world.dispatch()
    counted = (await api.get(f"{BASE}/withheld")).json()
    assert counted == {"notices": 2, "by_reason": [{"code": "SETTLED", "notices": 2}]}
    later = (await api.get(f"{BASE}/withheld", params={"from_on": "2026-02-01"})).json()
    assert later == {"notices": 0, "by_reason": []}
    (row,) = (await api.get(f"{BASE}/notices", params={"limit": 1})).json()["items"]
    assert row["reasons"][0]["code"] == "SETTLED"


async def test_lists_come_in_pages_and_by_filter(api, world: World) -> None:
    await world.tell(*(notice(f"n-{n}", account_id=f"B-{n % 2}", items=[noted()]) for n in range(5)))
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(f"{BASE}/notices", params=query)).json()
        seen += [row["notice_id"] for row in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    filtered = await api.get(f"{BASE}/notices", params={"account_id": "B-1", "status": "requested"})
    assert len(filtered.json()["items"]) == 2
    other = await api.get(f"{BASE}/notices", params={"limit": 2, "cursor": page["next"] or "x"})
    assert other.status_code == 400


async def test_deliveries_of_holds_are_listed(api, world: World) -> None:
    await world.tick()
    await world.tell(account(), item(), hold())
    (row,) = (await api.get(f"{BASE}/effects")).json()["items"]
    assert (row["version"], row["status"], row["state"]) == (1, "due", "ordered")


async def test_a_person_asks_for_an_unknown_notice_again(api, world: World, server: SmtpServer) -> None:
    server.data_mode = "drop"
    await ready(world)
    await world.dispatch()
    (row,) = await world.notices()
    address, body = f"{BASE}/notices/{row['notice_id']}/retry", {"reason": "nothing arrived"}
    once = {**SUPERVISOR, "Idempotency-Key": "retry-0001"}
    first = await api.post(address, json=body, headers=once)
    again = await api.post(address, json=body, headers=once)
    assert (first.status_code, first.json()) == (202, again.json())
    server.data_mode = "take"
    await world.dispatch()
    assert len(server.taken) == 1
    types = [e.type for e in world.sink.events]
    assert types == ["notice.sending", "notice.unknown", "command.accepted", "notice.sending", "notice.sent"]
    sent = world.sink.events[-1]
    assert (str(sent.data.notice_id), sent.data.retry_of) == (first.json()["notice_id"], row["notice_id"])
    assert sent.envelope.on_behalf_of == "user:sam"


async def test_a_notice_is_not_asked_for_again_while_a_retry_of_it_may_arrive(api, world: World, server) -> None:
    server.data_mode = "drop"
    await ready(world)
    await world.dispatch()
    (row,) = await world.notices()
    address, body = f"{BASE}/notices/{row['notice_id']}/retry", {"reason": "nothing arrived"}
    keys = [{**SUPERVISOR, "Idempotency-Key": f"retry-{n:04}"} for n in range(5)]
    both = await asyncio.gather(*(api.post(address, json=body, headers=key) for key in keys[:2]))
    assert sorted(answer.status_code for answer in both) == [202, 409]
    server.data_mode = "take"
    await world.dispatch()
    assert len(server.taken) == 1
    late = await api.post(address, json=body, headers=keys[2])
    assert (late.status_code, late.json()["code"]) == (409, "notice_already_retried")
    await world.pool.execute("update notice set status = 'failed' where retry_of is not null")
    assert (await api.post(address, json=body, headers=keys[3])).status_code == 202


async def test_a_retry_passes_the_gate_and_only_what_may_have_failed_is_retried(api, world: World, server) -> None:
    await ready(world)
    await world.dispatch()
    (row,) = await world.notices()
    address, body = f"{BASE}/notices/{row['notice_id']}/retry", {"reason": "nothing arrived"}
    refused = await api.post(address, json=body, headers={**SUPERVISOR, "Idempotency-Key": "retry-0001"})
    assert (refused.status_code, refused.json()["code"]) == (409, "notice_not_retryable")
    await world.pool.execute("update notice set status = 'unknown'")
    await world.tell(item(kind=ItemSettled, version=2, remaining_minor=0))
    taken = await api.post(address, json=body, headers={**SUPERVISOR, "Idempotency-Key": "retry-0002"})
    assert taken.status_code == 202
    await world.dispatch()
    assert len(server.taken) == 1
    assert sorted(r["status"] for r in await world.notices()) == ["unknown", "withheld"]


async def test_who_may_not_resend_is_refused_and_so_is_a_foreign_company(api, world: World) -> None:
    await ready(world)
    (row,) = await world.notices()
    address, body = f"{BASE}/notices/{row['notice_id']}/retry", {"reason": "nothing arrived"}
    key = {"Idempotency-Key": "retry-0001"}
    assert (await api.post(address, json=body, headers={**READER, **key})).status_code == 403
    foreign = headers("supervisor", companies=("other",))
    assert (await api.post(address, json=body, headers={**foreign, **key})).status_code == 403
    for path in ("notices", "effects", "withheld", "backlog", f"notices/{row['notice_id']}"):
        assert (await api.get(f"{BASE}/{path}", headers=foreign)).status_code == 403
        assert (await api.get(f"{BASE}/{path}", headers={"Authorization": ""})).status_code == 401


async def test_what_is_not_there_says_so(api, world: World) -> None:
    await ready(world)
    missing = await api.get(f"{BASE}/notices/00000000-0000-0000-0000-000000000000")
    assert (missing.status_code, missing.json()["code"]) == (404, "notice_unknown")
    (row,) = await world.notices()
    content = await api.get(f"{BASE}/notices/{row['notice_id']}/content")
    assert (content.status_code, content.json()["code"]) == (404, "notice_has_no_content")


async def test_the_backlog_is_empty_when_all_that_is_due_was_judged(api, world: World) -> None:
    await ready(world)
    query = {"headers": headers("feeder")}
    before = (await api.get(f"{BASE}/backlog", **query)).json()
    await world.dispatch()
    after = (await api.get(f"{BASE}/backlog", **query)).json()
    assert (before["pending"], after["pending"]) == (1, 0)
    assert before["tick_number"] == after["tick_number"] > 0


async def test_a_policy_that_cannot_be_read_is_shown_to_whoever_looks_at_the_service(api, world: World) -> None:
    """In the list with its problem, in the progress, and in a gauge; the one that can be read is listed without."""
    await world.configure(content={"name": "contact", "profiles": []})
    broken, good = (await api.get("/v1/runtime/policies")).json()["items"]
    assert (good["name"], good["problem"], broken["company"]) == ("contact", "", COMPANY)
    assert broken["problem"] == "sender: Field required"
    assert (await api.get("/v1/runtime/progress")).json()["policies_refused"] == 1
    page = (await api.get("/v1/runtime/policies", params={"limit": 1})).json()
    rest = (await api.get("/v1/runtime/policies", params={"limit": 1, "cursor": page["next"]})).json()
    assert (page["items"], rest["items"], rest.get("next")) == ([broken], [good], None)
    await gauges_once(world.runtime, None)
    assert REGISTRY.get_sample_value("recoup_policies_refused") == 1
    foreign = headers("collector", companies=("other",))
    assert (await api.get("/v1/runtime/policies", headers=foreign)).json()["items"] == []
