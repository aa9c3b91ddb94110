"""Configuration, rates and policies: who may, two persons, and what goes onto ar.control."""

from tests.domain.shared.caller_samples import COMPANY
from tests.store.ingest.conftest import BASE, START, Door

POLICY = {"name": "dunning", "version": "1", "effective_on": "2026-01-01", "content": "levels: [7, 14]"}


async def test_a_company_is_configured_and_shown_with_its_reach(door: Door) -> None:
    body = (await door.get("")).json()
    assert body["complete_through_on"] == {"EUR-1": None, "GW-1": None}
    assert [e.type for e in await door.events("company.configured", "command.accepted")] == [
        "company.configured",
        "command.accepted",
    ]
    assert (await door.configure(base_currency="USD")).json()["code"] == "base_currency_fixed"
    assert (await door.configure(time_zone="Mars/Olympus")).status_code == 422


async def test_rates_are_published_for_a_company(door: Door) -> None:
    rates = [{"pair": "EUR/USD", "rate": "1.0842", "on": "2026-01-05", "source": "ECB"}]
    assert (await door.post("/rates", {"rates": rates}, who="olga")).json() == {"published": 1}
    assert (await door.facts("rate.published"))[0].rate == "1.0842"


async def test_a_policy_counts_when_another_person_approved_what_it_saw(door: Door) -> None:
    draft = (await door.post("/policies", POLICY, who="olga")).json()
    assert await door.facts("policy.activated") == []
    approve = f"/policies/{draft['draft_id']}/approve"
    other = await door.post(approve, {"sha256": "0" * 64}, who="carl")
    assert other.status_code == 409 and other.json()["code"] == "changed_since_shown"
    assert (await door.post(approve, {"sha256": draft["sha256"]}, who="olga")).status_code == 403
    done = await door.post(approve, {"sha256": draft["sha256"]}, who="carl")
    assert done.json() == {"name": "dunning", "version": "1", "state": "activated"}
    event = (await door.events("policy.activated"))[0]
    activated = event.data
    assert event.envelope.actor == "user:olga", "the actor is who proposed it"
    assert activated.approver == "user:carl" and activated.content == {"levels": [7, 14]}
    assert (await door.post("/policies", POLICY, who="olga")).json()["code"] == "policy_version_known"
    listed = (await door.get("/policies")).json()["items"]
    assert [(p["state"], p["decided_by"]) for p in listed] == [("activated", "user:carl")]


async def test_a_command_twice_is_once_and_its_key_with_another_body_is_refused(door: Door) -> None:
    first = await door.post("/policies", POLICY, who="olga", key="policy-0001")
    again = await door.post("/policies", POLICY, who="olga", key="policy-0001")
    assert first.json() == again.json()
    other = await door.post("/policies", POLICY | {"version": "2"}, who="olga", key="policy-0001")
    assert other.status_code == 409


async def test_a_broken_policy_is_refused_with_its_line(door: Door) -> None:
    answer = await door.post("/policies", POLICY | {"content": "a: 1\nb: ["}, who="olga")
    assert answer.status_code == 422 and "line" in answer.json()["detail"]


async def test_a_tick_and_a_close_are_commands_answered_once_by_their_key(door: Door) -> None:
    noon = START.replace(hour=12)
    first = await door.tick(noon, key="tick-0001")
    await door.tick(noon.replace(hour=13))
    again = await door.tick(noon, key="tick-0001")
    assert first.json() == again.json() and again.status_code == 200
    other = await door.tick(noon.replace(hour=14), key="tick-0001")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    closed = await door.close("2026-01-05", key="close-0001")
    assert (await door.close("2026-01-05", key="close-0001")).json() == closed.json() != {"number": None}
    assert (await door.close("2026-01-05", key="close-0002")).json() == {"number": None}
    assert (await door.close("2026-01-02", key="close-0001")).json()["code"] == "idempotency_conflict"


async def test_a_refused_tick_leaves_its_key_free(door: Door) -> None:
    await door.tick(START.replace(hour=12))
    back = await door.tick(START.replace(hour=8), key="tick-0001")
    assert back.json()["code"] == "clock_goes_back"
    assert (await door.tick(START.replace(hour=15), key="tick-0001")).status_code == 200


async def test_what_is_not_there_is_named_with_where_to_look(door: Door) -> None:
    """Every 404: what was looked for, by which id, in which company, and the list to look into."""
    nobody = "00000000-0000-0000-0000-000000000001"
    released = {"outcome": "booked", "reason": "the bank said so"}
    for answer, listed in (
        (await door.get(f"/submissions/{nobody}"), "submissions"),
        (await door.get(f"/submissions/{nobody}/records"), "submissions"),
        (await door.get(f"/quarantine/{nobody}"), "quarantine"),
        (await door.post(f"/quarantine/{nobody}/release"), "quarantine"),
        (await door.post(f"/quarantine/{nobody}/discard", {"reason": "a test"}), "quarantine"),
        (await door.post(f"/statements/{nobody}/release", released), "statements"),
        (await door.post(f"/policies/{nobody}/approve", {"sha256": "0" * 64}, who="carl"), "policies"),
    ):
        problem = answer.json()
        assert answer.status_code == 404 and COMPANY in problem["detail"], problem
        assert nobody.replace("-", "") in problem["detail"].replace("-", ""), problem
        assert f"{BASE}/{listed}" in problem["what_to_do"], problem
