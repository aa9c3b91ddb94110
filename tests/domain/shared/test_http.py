"""The edge of every API: who gets in, what an error looks like, how large a request may be."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
import structlog
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import iter_route_contexts
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from starlette.responses import HTMLResponse

from shared.api_keys import add_key, new_api_key
from shared.auth import SESSION_COOKIE, AuthSettings, Caller, Principal, company_of, require
from shared.errors import Poison, Rejected, Transient
from shared.http import (
    HEALTH_PATHS,
    IdempotencyKey,
    Page,
    Paging,
    Problem,
    body_hash,
    make_app,
    page_of,
    paging,
    route_actions,
    routes_without_examples,
)
from shared.paging import decode_cursor, encode_cursor
from shared.permissions import CASH_APPLY, CASH_READ
from shared.problems import problem_of
from tests.domain.shared.caller_samples import COMPANY, authenticator, token

router = APIRouter(prefix="/v1", tags=["sample"])


class Command(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"company": COMPANY, "amount_minor": 100}]}
    )
    company: str
    amount_minor: int = Field(gt=0)


class Row(BaseModel):
    number: int


@router.post("/companies/{company}/applications", status_code=201)
async def apply(
    company: str, command: Command, key: IdempotencyKey, principal: Annotated[Principal, Depends(require(CASH_APPLY))]
) -> dict[str, str]:
    company_of(principal, command.company)
    return {"key": key, "actor": principal.actor, "hash": body_hash(command)}


@router.get("/companies/{company}/rows")
async def rows(
    company: str,
    asked: Annotated[Paging, Depends(paging)],
    principal: Annotated[Principal, Depends(require(CASH_READ))],
    kind: str = "all",
) -> Page[Row]:
    scope = f"rows:{company}:{kind}"
    after = asked.after(scope)
    found = [n for n in range(1, 121) if after is None or n > after[0]][: asked.fetch]
    shown, cursor = page_of(found, asked, scope, lambda n: (n,))
    return Page(items=[Row(number=n) for n in shown], next=cursor)


@router.get("/fail")
async def fail(how: str, principal: Annotated[Principal, Depends(require(CASH_READ))]) -> None:
    failures: dict[str, Exception] = {
        "rejected": Rejected("account_parked", "account A1 is parked", account_id="A1", what_to_do="redrive it"),
        "transient": Transient("the database does not answer"),
        "poison": Poison("secret inside"),
        "problem": Problem(404, "payment_not_found", "there is no payment pay_1", "search for it"),
        "unforeseen": RuntimeError("password=hunter2"),
    }
    raise failures[how]


@router.post("/raw")
async def raw(request: Request, principal: Annotated[Principal, Depends(require(CASH_READ))]) -> dict[str, int]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return {"size": size}


@router.get("/page")
async def page(who: Caller) -> HTMLResponse:
    return HTMLResponse("<p>hello", headers={"Content-Security-Policy": "default-src 'self'"})


@router.get("/context")
async def context(principal: Annotated[Principal, Depends(require(CASH_READ))]) -> dict[str, Any]:
    return structlog.contextvars.get_contextvars()


checks: dict[str, bool | str] = {"database": True}


@pytest.fixture
def app() -> FastAPI:
    checks.clear()
    return make_app(
        "cash_application",
        "0.1.0",
        routers=[router],
        authenticator=authenticator(),
        ready=lambda: dict(checks),
        registry=CollectorRegistry(),
        body_limit_bytes=2_000,
        body_limits={"/v1/raw": 50_000, "/v1/raw/less": 10},
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://recoup.test") as opened:
        yield opened


def bearer(**changes: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**changes)}"}


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"urn:recoup:problem:{code}"
    assert body["detail"] and body["title"]
    assert body["correlation_id"] == answer.headers["x-correlation-id"]
    return body


def every_route(app: FastAPI) -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or ()):
            yield method, (route.path or "").replace("{company}", COMPANY)


async def test_no_path_but_health_answers_without_a_proven_caller(app: FastAPI, client: httpx.AsyncClient) -> None:
    walked = [*every_route(app), ("GET", "/nowhere"), ("DELETE", "/v1/raw"), ("GET", "/docs"), ("OPTIONS", "/v1/raw")]
    assert ("GET", "/openapi.json") in walked and len(walked) > 12
    for method, path in walked:
        for headers in ({}, {"Authorization": "Bearer x"}, {"X-API-Key": "rcp_abcdefgh_" + "A" * 43}):
            answer = await client.request(method, path, headers=headers)
            if path in HEALTH_PATHS:
                assert answer.status_code == 200, path
            elif method == "HEAD":
                assert answer.status_code == 401, path
            else:
                body = is_problem(answer, 401, "not_authenticated")
                assert "Authorization: Bearer" in body["what_to_do"]
                assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_foreign_company_is_refused_in_path_query_and_body(app: FastAPI, client: httpx.AsyncClient) -> None:
    for method, path in route_actions(app):
        if "{company}" in path:
            answer = await client.request(
                method,
                path.replace("{company}", "acme"),
                headers=bearer() | {"Idempotency-Key": "k-12345678"},
                json={"company": COMPANY, "amount_minor": 1} if method == "POST" else None,
            )
            is_problem(answer, 403, "foreign_company")
    answer = await client.get("/v1/context?company=vdr-eu&company=acme", headers=bearer())
    is_problem(answer, 403, "foreign_company")
    answer = await client.post(
        f"/v1/companies/{COMPANY}/applications",
        headers=bearer() | {"Idempotency-Key": "k-12345678"},
        json={"company": "acme", "amount_minor": 1},
    )
    is_problem(answer, 403, "foreign_company")


async def test_a_role_without_the_action_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        f"/v1/companies/{COMPANY}/applications",
        headers=bearer(roles=["auditor"]) | {"Idempotency-Key": "k-12345678"},
        json={"company": COMPANY, "amount_minor": 1},
    )
    assert is_problem(answer, 403, "action_not_permitted")["facts"] == {"action": "cash.apply"}


async def test_the_guard_comes_before_validation(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/v1/companies/{COMPANY}/applications", content=b"{")
    is_problem(answer, 401, "not_authenticated")


async def test_two_credentials_at_once_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/context", headers=bearer() | {"X-API-Key": "rcp_x_y"})
    is_problem(answer, 401, "not_authenticated")


async def test_a_command_with_key_and_body_is_answered(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        f"/v1/companies/{COMPANY}/applications",
        headers=bearer() | {"Idempotency-Key": "k-12345678"},
        json={"amount_minor": 1, "company": COMPANY},
    )
    assert answer.status_code == 201
    assert answer.json()["actor"] == "user:ana"
    assert answer.json()["hash"] == body_hash({"company": COMPANY, "amount_minor": 1})


@pytest.mark.parametrize("key", [None, "", "short", "x" * 201, "has spaces in it", "ümlaut-key"])
async def test_a_command_without_a_proper_idempotency_key_is_refused(
    client: httpx.AsyncClient, key: str | None
) -> None:
    headers: Any = bearer() | ({} if key is None else {"Idempotency-Key": key.encode()})
    answer = await client.post(
        f"/v1/companies/{COMPANY}/applications", headers=headers, json={"company": COMPANY, "amount_minor": 1}
    )
    is_problem(answer, 400, "idempotency_key_missing" if key is None else "idempotency_key_not_valid")


async def test_refused_fields_are_listed_without_repeating_the_input(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        f"/v1/companies/{COMPANY}/applications",
        headers=bearer() | {"Idempotency-Key": "k-12345678"},
        json={"amount_minor": "DE89370400440532013000", "note": "private"},
    )
    body = is_problem(answer, 422, "request_not_valid")
    assert {error["field"] for error in body["errors"]} == {"body.company", "body.amount_minor", "body.note"}
    assert all(error["reason"] and error["what_to_do"] for error in body["errors"])
    assert "DE8937" not in answer.text and "private" not in answer.text


async def test_a_body_that_is_not_json_is_refused(client: httpx.AsyncClient) -> None:
    headers = bearer() | {"Idempotency-Key": "k-12345678", "Content-Type": "application/json"}
    answer = await client.post(f"/v1/companies/{COMPANY}/applications", headers=headers, content=b"\xff{")
    assert answer.status_code in (400, 422)
    is_problem(answer, answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("rejected", 409, "account_parked"),
        ("transient", 503, "not_available_now"),
        ("poison", 500, "cannot_be_processed"),
        ("problem", 404, "payment_not_found"),
        ("unforeseen", 500, "internal_error"),
    ],
)
async def test_each_family_of_errors_is_a_problem(client: httpx.AsyncClient, how: str, status: int, code: str) -> None:
    answer = await client.get("/v1/fail", params={"how": how}, headers=bearer())
    body = is_problem(answer, status, code)
    assert "hunter2" not in answer.text and "secret inside" not in answer.text
    assert body["what_to_do"]
    if how == "rejected":
        assert body["facts"] == {"account_id": "A1"} and body["what_to_do"] == "redrive it"
    if how == "transient":
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (ConnectionRefusedError("db"), True),
        (TimeoutError(), True),
        (asyncpg.InterfaceError("pool is closing"), True),
        (asyncpg.InternalClientError("CoreProtocol._set_state"), True),
        (asyncpg.CannotConnectNowError("starting up"), True),
        (asyncpg.DeadlockDetectedError("x"), True),
        (asyncpg.LockNotAvailableError("x"), True),
        (DBAPIError("select 1", {}, asyncpg.AdminShutdownError("x")), True),
        (DBAPIError("select 1", {}, asyncpg.UniqueViolationError("x")), False),
        (asyncpg.CheckViolationError("x"), False),
        (KeyError("x"), False),
    ],
)
def test_an_outage_is_503_and_a_mistake_is_500(error: Exception, outage: bool) -> None:
    problem = problem_of(error)
    assert problem.status_code == (503 if outage else 500)
    assert (problem.headers or {}).get("Retry-After") == ("5" if outage else None)


async def test_unknown_path_and_wrong_method_are_problems(client: httpx.AsyncClient) -> None:
    is_problem(await client.get("/nowhere", headers=bearer()), 404, "not_found")
    answer = await client.delete("/v1/raw", headers=bearer())
    is_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def chunks(size: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(0)
        yield b"x" * size


async def test_a_body_over_the_limit_is_refused_by_length_and_while_it_streams(client: httpx.AsyncClient) -> None:
    for content in (b"x" * 50_001, chunks(1_000, 51)):
        is_problem(await client.post("/v1/raw", headers=bearer(), content=content), 413, "body_too_large")
    unread = await client.request("GET", "/v1/context", headers=bearer(), content=b"x" * 2_001)
    is_problem(unread, 413, "body_too_large")
    answer = await client.post("/v1/raw", headers=bearer(), content=chunks(1_000, 50))
    assert answer.json() == {"size": 50_000}
    headers = bearer() | {"Idempotency-Key": "k-12345678", "Content-Type": "application/json"}
    for content in (b" " * 2_001, chunks(100, 21)):
        answer = await client.post(f"/v1/companies/{COMPANY}/applications", headers=headers, content=content)
        is_problem(answer, 413, "body_too_large")


async def test_the_correlation_id_is_taken_over_or_made_and_bound_to_the_log(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/context", headers=bearer() | {"X-Correlation-Id": "order-4711.a"})
    assert answer.headers["x-correlation-id"] == "order-4711.a"
    assert answer.json() == {"correlation_id": "order-4711.a", "actor": "user:ana"}
    made = {
        (await client.get("/v1/context", headers=bearer() | {"X-Correlation-Id": bad})).headers["x-correlation-id"]
        for bad in ("short", "x" * 65, "line break?", "<script>alert(1)")
    }
    assert len(made) == 4 and all(len(one) == 32 for one in made)
    assert structlog.contextvars.get_contextvars() == {}


async def test_every_answer_carries_the_security_headers_and_no_cors(client: httpx.AsyncClient) -> None:
    for path in ("/livez", "/nowhere", "/v1/context"):
        answer = await client.get(path, headers=bearer() | {"Origin": "http://evil.test"})
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert not any(name.startswith("access-control") for name in answer.headers)
    answer = await client.get("/v1/page", headers=bearer())
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]


async def test_readiness_tells_what_is_missing_and_start_up_happens_once(client: httpx.AsyncClient) -> None:
    checks["database"] = "the pool is not open"
    assert (await client.get("/startupz")).status_code == 503
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"database": "the pool is not open"})
    assert (await client.get("/livez")).status_code == 200
    checks["database"] = True
    assert (await client.get("/startupz")).status_code == 200
    assert (await client.get("/readyz")).json()["ready"] is True
    checks["database"] = False
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/startupz")).status_code == 200


async def test_a_key_counts_as_bearer_too_because_scrapers_send_no_other_header(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    text, record = new_api_key(
        "prometheus", frozenset(), frozenset(), datetime.now(UTC) + timedelta(days=1), frozenset({"scraper"})
    )
    add_key(path, record)
    app = make_app("cash_application", "0.1.0", routers=[router], auth=AuthSettings(api_keys_file=path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/metrics", headers={"Authorization": f"Bearer {text}"})).status_code == 200
        assert (await client.get("/metrics", headers={"X-API-Key": text})).status_code == 200
        is_problem(await client.get("/metrics", headers={"Authorization": f"Bearer {text}A"}), 401, "not_authenticated")
        refused = await client.get(f"/v1/companies/{COMPANY}/rows", headers={"Authorization": f"Bearer {text}"})
        is_problem(refused, 403, "action_not_permitted")


def test_a_thing_that_is_not_there_always_says_where_to_look() -> None:
    assert problem_of(Rejected("item_unknown", "company 'x' has no item 1", 404)).what_to_do
    own = problem_of(Rejected("item_unknown", "company 'x' has no item 1", 404, what_to_do="use an id of GET /v1/x"))
    assert own.what_to_do == "use an id of GET /v1/x" and own.facts == {}


async def test_metrics_count_requests_by_route_and_not_by_path(client: httpx.AsyncClient) -> None:
    await client.get(f"/v1/companies/{COMPANY}/rows", headers=bearer())
    await client.get("/v1/secret-looking-path", headers=bearer())
    await client.request("BREW", "/v1/raw", headers=bearer())
    text = (await client.get("/metrics", headers=bearer(roles=["scraper"], companies=[]))).text
    assert 'route="/v1/companies/{company}/rows",service="cash_application",status="200"' in text
    assert "secret-looking-path" not in text and "BREW" not in text


def test_openapi_declares_the_same_errors_everywhere_and_the_required_key(app: FastAPI) -> None:
    document = app.openapi()
    operations = [o for methods in document["paths"].values() for o in methods.values()]
    assert len(operations) == len(route_actions(app)) == 7
    for operation in operations:
        assert {"400", "401", "403", "404", "405", "409", "413", "422", "500", "503"} <= set(operation["responses"])
        assert list(operation["responses"]["422"]["content"]) == ["application/problem+json"]
        assert operation["security"] == [{"token": []}, {"apiKey": []}]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert {"ProblemDetails", "FieldProblem"} <= set(document["components"]["schemas"])
    command = document["paths"]["/v1/companies/{company}/applications"]["post"]
    key = next(p for p in command["parameters"] if p["name"] == "Idempotency-Key")
    assert key["required"] and key["schema"]["minLength"] == 8
    assert not HEALTH_PATHS & set(document["paths"])


def test_routes_tell_their_actions_and_missing_examples(app: FastAPI) -> None:
    actions = route_actions(app)
    assert actions["POST", "/v1/companies/{company}/applications"] == "cash.apply"
    assert actions["GET", "/v1/page"] is None
    assert routes_without_examples(app) == []
    bare = APIRouter()

    @bare.post("/bare")
    async def without(row: Row) -> None: ...

    assert routes_without_examples(make_app("x", "1", routers=[bare], registry=CollectorRegistry())) == ["POST /bare"]


async def test_a_list_is_walked_to_its_end_without_gap_or_double(client: httpx.AsyncClient) -> None:
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(4):
        params = {"limit": "50"} | ({"cursor": cursor} if cursor else {})
        body = (await client.get(f"/v1/companies/{COMPANY}/rows", headers=bearer(), params=params)).json()
        seen += [row["number"] for row in body["items"]]
        if not (cursor := body["next"]):
            break
    assert seen == list(range(1, 121))


async def test_a_cursor_of_another_query_and_limits_out_of_bounds_are_refused(client: httpx.AsyncClient) -> None:
    path = f"/v1/companies/{COMPANY}/rows"
    cursor = (await client.get(path, headers=bearer())).json()["next"]
    answer = await client.get(path, headers=bearer(), params={"cursor": cursor, "kind": "open"})
    is_problem(answer, 400, "cursor_not_valid")
    for limit in ("0", "501", "-1", "many"):
        is_problem(await client.get(path, headers=bearer(), params={"limit": limit}), 422, "request_not_valid")


key_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.dates(),
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
)


@given(st.lists(key_values, max_size=8), st.text(max_size=30))
def test_a_cursor_gives_back_its_values_with_their_types(values: list[Any], scope: str) -> None:
    found = decode_cursor(scope, encode_cursor(scope, tuple(values)))
    assert found == tuple(values)
    assert [type(value) for value in found] == [type(value) for value in values]


@given(st.one_of(st.text(max_size=80), st.binary(max_size=60).map(lambda raw: raw.hex())))
def test_a_damaged_cursor_is_a_problem_and_never_a_crash(text: str) -> None:
    with pytest.raises(Problem) as problem:
        decode_cursor("scope", text)
    assert problem.value.status_code == 400


@pytest.mark.parametrize("inner", ['[["v",{"a":1}]]', '[["t",5]]', '[["u","x"]]', '[["z",1]]', "[[]]", "5", "[" * 900])
def test_a_cursor_with_values_of_no_kind_is_a_problem(inner: str) -> None:
    good = encode_cursor("scope", ())
    digest = base64.urlsafe_b64decode(good + "==").decode()[1:-1]
    text = base64.urlsafe_b64encode((f"[{digest},{inner[1:-1]}]").encode()).decode().rstrip("=")
    with pytest.raises(Problem):
        decode_cursor("scope", text)


def test_body_hash_ignores_the_order_of_names_and_nothing_else() -> None:
    one = body_hash({"a": 1, "b": ["ü", date(2026, 1, 1).isoformat()]})
    assert one == body_hash({"b": ["ü", "2026-01-01"], "a": 1})
    assert one != body_hash({"a": "1", "b": ["ü", "2026-01-01"]})
    assert body_hash(b"{}") == body_hash({})
    assert body_hash(Command(company="c", amount_minor=1)) == body_hash({"company": "c", "amount_minor": 1})


async def test_a_browser_without_a_session_is_sent_to_the_login_and_comes_back(client: httpx.AsyncClient) -> None:
    app = make_app(
        "reporting",
        "1",
        routers=[router],
        authenticator=authenticator(),
        registry=CollectorRegistry(),
        login_path="/login",
        public_paths=frozenset({"/login"}),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://recoup.test") as browser:
        html = {"Accept": "text/html"}
        answer = await browser.get("/v1/page?as_of=2026-03-31", headers=html)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login?next=%2Fv1%2Fpage%3Fas_of%3D2026-03-31"
        is_problem(await browser.get("/v1/page"), 401, "not_authenticated")
        cookie = html | {"Cookie": f"{SESSION_COOKIE}={token()}"}
        assert (await browser.get("/v1/page", headers=cookie)).status_code == 200
        is_problem(await browser.post("/v1/raw", headers=cookie), 401, "not_authenticated")
    is_problem(await client.get("/v1/page", headers=cookie), 401, "not_authenticated")
