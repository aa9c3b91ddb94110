"""Configuration, rates and policies: who may, two persons, and what goes onto ar.control."""

from tests.domain.shared.caller_samples import COMPANY
from tests.store.ingest.conftest import Door

POLICY = {"name": "dunning", "version": "1", "effective_on": "2026-01-01", "content": "levels: [7, 14]"}


async def test_a_company_is_configured_and_shown_with_its_reach(door: Door) -> None:
    body = (await door.get(f"/v1/companies/{COMPANY}")).json()
    assert body["complete_through_on"] == {"EUR-1": None, "GW-1": None}
    assert [e.type for e in await door.events("company.configured", "command.accepted")] == [
        "company.configured",
        "command.accepted",
    ]
    assert (await door.configure(base_currency="USD")).json()["code"] == "base_currency_fixed"
    assert (await door.configure(time_zone="Mars/Olympus")).status_code == 422


async def test_rates_are_published_for_a_company(door: Door) -> None:
    rates = [{"pair": "EUR/USD", "rate": "1.0842", "on": "2026-01-05", "source": "ECB"}]
    assert (await door.post("/v1/rates", {"rates": rates}, who="olga")).json() == {"published": 1}
    assert (await door.facts("rate.published"))[0].rate == "1.0842"


async def test_a_policy_counts_when_another_person_approved_what_it_saw(door: Door) -> None:
    draft = (await door.post("/v1/policies", POLICY, who="olga")).json()
    assert await door.facts("policy.activated") == []
    approve = f"/v1/policies/{draft['draft_id']}/approve"
    other = await door.post(approve, {"sha256": "0" * 64}, who="carl")
    assert other.status_code == 409 and other.json()["code"] == "changed_since_shown"
    assert (await door.post(approve, {"sha256": draft["sha256"]}, who="olga")).status_code == 403
    done = await door.post(approve, {"sha256": draft["sha256"]}, who="carl")
    assert done.json() == {"name": "dunning", "version": "1", "state": "activated"}
    event = (await door.events("policy.activated"))[0]
    activated = event.data
    assert event.envelope.actor == "user:olga", "the actor is who proposed it"
    assert activated.approver == "user:carl" and activated.content == {"levels": [7, 14]}
    assert (await door.post("/v1/policies", POLICY, who="olga")).json()["code"] == "policy_version_known"
    listed = (await door.get("/v1/policies")).json()["items"]
    assert [(p["state"], p["decided_by"]) for p in listed] == [("activated", "user:carl")]


async def test_a_command_twice_is_once_and_its_key_with_another_body_is_refused(door: Door) -> None:
    first = await door.post("/v1/policies", POLICY, who="olga", key="policy-0001")
    again = await door.post("/v1/policies", POLICY, who="olga", key="policy-0001")
    assert first.json() == again.json()
    other = await door.post("/v1/policies", POLICY | {"version": "2"}, who="olga", key="policy-0001")
    assert other.status_code == 409


async def test_a_broken_policy_is_refused_with_its_line(door: Door) -> None:
    answer = await door.post("/v1/policies", POLICY | {"content": "a: 1\nb: ["}, who="olga")
    assert answer.status_code == 422 and "line" in answer.json()["detail"]
