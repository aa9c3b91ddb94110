"""What the API of ingest promises: proof on every route, examples, problems, bounds."""

import httpx
import pytest

from services.ingest import api
from services.ingest.domain.inbound import sign
from shared.http import HEALTH_PATHS, make_app, route_actions, routes_without_examples
from tests.domain.shared.caller_samples import authenticator, token

APP = make_app("ingest", "0.1.0", routers=api.routers, authenticator=authenticator())
APP.state.runtime = object()
ROUTES = sorted(route_actions(APP).items())


def test_every_route_is_guarded_by_an_action() -> None:
    assert [route for route, action in ROUTES if action is None] == []
    assert len(ROUTES) >= 20


def test_every_command_shows_an_example() -> None:
    assert routes_without_examples(APP) == []


@pytest.mark.parametrize(("method", "path"), [route for route, _ in ROUTES])
async def test_no_route_answers_without_proof_or_for_a_foreign_company(method: str, path: str) -> None:
    path = path.replace("{company}", "acme")
    for name in ("submission_id", "record_id", "statement_id", "draft_id"):
        path = path.replace("{" + name + "}", "00000000-0000-0000-0000-000000000001")
    roles = ["operator", "clock"] if "clock" in path or "close" in path else ["supervisor"]
    if path in ("/v1/submissions", "/v1/records", "/v1/payments", "/v1/inspect") and method == "POST":
        roles = ["feeder"]
    if method == "PUT" or path in ("/v1/rates",) or (path, method) == ("/v1/policies", "POST"):
        roles = ["operator"]
    if path.endswith("approve"):
        roles = ["controller"]
    headers = {"Authorization": f"Bearer {token(roles=roles[-1:])}", "Idempotency-Key": "contract-0001"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=APP), base_url="http://ingest.test") as client:
        assert (await client.request(method, path)).status_code == 401
        if path in ("/v1/clock", "/v1/days/close") or path.startswith("/v1/submissions/"):
            return
        answer = await client.request(method, path, params={"company": "acme"}, headers=headers, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_company"), answer.text


def test_only_health_is_public() -> None:
    assert {"/livez", "/readyz", "/startupz", "/metrics"} == HEALTH_PATHS


def test_the_signature_of_feeds_is_fixed() -> None:
    """A feed's own implementation must give the same: HMAC-SHA256 over feed, type, key (each with \\n) and value."""
    assert sign("secret", "erp", "invoice", "key-0001", b'{"a":1}') == (
        "6c85a43fee291a13bab5c5b7ac174881551a35726f86bde2019b3337dacb9997"
    )
