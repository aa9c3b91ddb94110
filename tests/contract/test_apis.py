"""What every API of Recoup promises, on every route: proof, role, company, Idempotency-Key, examples.

No service runs behind the apps: a route that lets a caller through fails for want of a runtime.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter

from services.cash_application import api as cash_application
from services.collections import api as collections
from services.ingest import api as ingest
from services.notifications import api as notifications
from services.reporting import api as reporting
from services.reporting.pages import login, routes
from shared.http import HEALTH_PATHS, make_app
from shared.openapi import answers_without_examples, route_actions, routes_without_examples
from shared.permissions import APPROVALS, ROLE_ACTIONS
from shared.runtime.progress import router as progress
from tests.domain.shared.caller_samples import COMPANY, authenticator, token

FOREIGN = "other-co"
PARKED_VERBS = ("redrive", "skip", "approve", "refuse")
UUID = "00000000-0000-0000-0000-000000000001"
BROWSER = {"login_path": "/login", "public_paths": login.PUBLIC_PATHS}


def app_of(service: str, *routers: Any, **options: Any) -> FastAPI:
    app = make_app(service, "0.1.0", routers=[progress, *routers], authenticator=authenticator(), **options)
    app.state.runtime = SimpleNamespace(settings=SimpleNamespace(clock="stream"))
    return app


APPS = {
    "cash_application": app_of("cash_application", cash_application.router),
    "collections": app_of("collections", collections.router),
    "ingest": app_of("ingest", *ingest.routers),
    "notifications": app_of("notifications", notifications.router),
    "reporting": app_of("reporting", reporting.router, login.router, routes.router, **BROWSER),
}


@dataclass(frozen=True)
class Route:
    service: str
    method: str
    path: str
    action: str | None

    @property
    def operation(self) -> dict[str, Any]:
        return APPS[self.service].openapi()["paths"][self.path][self.method.lower()]

    @property
    def model(self) -> Any:
        """Model of the successful answer in JSON, None for answers of another form."""
        has_json = "application/json" in next(iter(self.operation["responses"].values())).get("content", {})
        return MODELS[self.service, self.method, self.path] if has_json else None

    @property
    def answer(self) -> dict[str, Any]:
        """The successful answer in JSON, as the document shows it."""
        return next(iter(self.operation["responses"].values()))["content"]["application/json"]

    @property
    def role(self) -> str:
        return next(role for role, actions in sorted(ROLE_ACTIONS.items()) if self.action in actions)

    @property
    def needs_key(self) -> bool:
        return any(p["name"] == "Idempotency-Key" and p["required"] for p in self.operation.get("parameters", []))

    def url(self, company: str) -> str:
        url = self.path.replace("{company}", company)
        for parameter in self.operation.get("parameters", []):
            if parameter["in"] == "path":
                text = UUID if parameter["schema"].get("format") == "uuid" else "X1"
                url = url.replace("{" + parameter["name"] + "}", text)
        return url

    def example(self) -> Any:
        """The first example of the JSON body, {} where there is none."""
        body = self.operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
        schema = APPS[self.service].openapi()["components"]["schemas"].get(name, {})
        named = [found["value"] for found in body.get("examples", {}).values()]
        return next(iter([*named, *schema.get("examples", [])]), {})


MODELS = {
    (service, method, route.path_format or route.path): route.original_route.response_model
    for service, app in APPS.items()
    for route in iter_route_contexts(app.routes)
    if isinstance(route.original_route, APIRoute)
    for method in route.methods or ()
}
ROUTES = [
    Route(service, method, path, action)
    for service, app in APPS.items()
    for (method, path), action in sorted(route_actions(app).items())
]
GUARDED = [route for route in ROUTES if route.path not in login.PUBLIC_PATHS]
PAGES = {route.path for route in routes.router.routes}
NO_KEY_NEEDED = {
    ("ingest", "/v1/companies/{company}/submissions"): "a file is known by its content; a key may come with it",
    ("ingest", "/v1/companies/{company}/inspect"): "nothing is taken",
}
COMMANDS = [route for route in GUARDED if route.needs_key]


def each(found: list[Route]) -> Any:
    names = [f"{route.service} {route.method} {route.path}" for route in found]
    return pytest.mark.parametrize("route", found, ids=names)


async def ask(
    route: Route, company: str = COMPANY, *, key: bool = True, body: Any = None, **claims: Any
) -> httpx.Response:
    """The route asked for `company`, with a token of `claims` if there are any."""
    headers = {"Authorization": f"Bearer {token(**claims)}"} if claims else {}
    headers |= {"Idempotency-Key": "contract-0001"} if key else {}
    body = route.example() if body is None else body
    in_body = isinstance(body, dict) and "company" in body
    body = {**body, "company": company} if in_body else body
    params = {} if in_body or "{company}" in route.path else {"company": company}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APPS[route.service]), base_url="http://test") as client:
        return await client.request(route.method, route.url(company), params=params, headers=headers, json=body)


def test_every_command_demands_a_key_and_shows_so_exactly_where_it_does() -> None:
    changing = {(route.service, route.path) for route in GUARDED if route.method != "GET"}
    assert {(route.service, route.path) for route in COMMANDS} == changing - set(NO_KEY_NEEDED)


def test_every_path_names_its_company_in_the_same_place() -> None:
    """`/v1/companies/{company}/…`, but for the process itself, the clock of all companies, the login and the pages."""
    apis = [route for route in GUARDED if route.path not in PAGES]
    others = {route.path for route in apis if not route.path.startswith("/v1/companies/{company}")}
    parked = {f"/v1/runtime/parked/{rest}" for rest in ("redrive", *(f"{{parked}}/{verb}" for verb in PARKED_VERBS))}
    stopped = {f"/v1/runtime/partitions/{{topic}}/{{partition}}/{verb}" for verb in ("step-over", "approve")}
    assert others == parked | stopped | {
        "/metrics", "/v1/runtime/progress", "/v1/runtime/parked", "/v1/runtime/policies", "/v1/clock"
    }  # fmt: skip
    for route in apis:
        assert ("company", "query") not in {(p["name"], p["in"]) for p in route.operation.get("parameters", [])}, route


def test_every_route_but_the_login_is_guarded_by_an_action() -> None:
    assert [route for route in GUARDED if route.action is None] == []
    assert {route.service for route in COMMANDS} >= {"cash_application", "collections", "ingest", "notifications"}


@pytest.mark.parametrize("service", sorted(APPS))
def test_every_body_has_an_example(service: str) -> None:
    assert routes_without_examples(APPS[service]) == []


@pytest.mark.parametrize("service", sorted(APPS))
def test_every_answer_has_an_example(service: str) -> None:
    assert answers_without_examples(APPS[service]) == []


@each([route for route in ROUTES if route.model is not None])
def test_the_example_of_an_answer_is_one_that_the_service_could_give(route: Route) -> None:
    """It fits the model, and it leaves no field out."""
    shown = route.answer["example"]
    assert TypeAdapter(route.model).dump_python(TypeAdapter(route.model).validate_python(shown), mode="json") == shown


@each([route for route in ROUTES if route.model is not None])
def test_every_list_is_paged_within_a_written_bound(route: Route) -> None:
    """No answer is a bare list, and what carries a cursor of the next page takes it, with a limit."""
    schema = route.answer["schema"]
    assert schema.get("type") != "array"
    fields = APPS[route.service].openapi()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    asked = {parameter["name"]: parameter["schema"] for parameter in route.operation.get("parameters", [])}
    assert ("next" in fields) == ({"limit", "cursor"} <= set(asked))
    if "next" in fields:
        assert (asked["limit"]["minimum"], asked["limit"]["maximum"], asked["limit"]["default"]) == (1, 500, 50)
        assert asked["cursor"]["anyOf"][0]["maxLength"] == 1_000


@each(GUARDED)
async def test_nobody_is_answered_without_a_token(route: Route) -> None:
    assert (await ask(route)).status_code == 401


def test_health_is_three_paths() -> None:
    assert {"/livez", "/readyz", "/startupz"} == HEALTH_PATHS


@pytest.mark.parametrize("service", sorted(APPS))
async def test_only_health_and_the_login_answer_without_proof(service: str) -> None:
    """Every path of the app, the document itself and what it leaves out too."""
    paths = {route.path.replace("{", "").replace("}", "") for route in iter_route_contexts(APPS[service].routes)}
    assert {"/metrics", "/openapi.json"} < paths
    transport = httpx.ASGITransport(APPS[service])
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in sorted(paths - HEALTH_PATHS - login.PUBLIC_PATHS):
            for headers in ({}, {"Authorization": "Bearer nonsense"}, {"X-API-Key": "rcp_nonsense"}):
                answer = await client.get(path, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), path


@pytest.mark.parametrize("service", sorted(APPS))
async def test_metrics_are_for_operators_and_scrapers(service: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APPS[service]), base_url="http://test") as client:
        for role in sorted(ROLE_ACTIONS):
            headers = {"Authorization": f"Bearer {token(roles=[role], companies=[])}"}
            answer = await client.get("/metrics", headers=headers)
            assert answer.status_code == (200 if role in ("operator", "scraper") else 403), role


@each(GUARDED)
async def test_nobody_is_answered_without_the_role(route: Route) -> None:
    lacking = sorted(role for role, actions in ROLE_ACTIONS.items() if route.action not in actions)
    for roles in ([], lacking[:1]):
        assert (await ask(route, roles=roles)).status_code == 403


@each(GUARDED)
async def test_nobody_is_answered_for_a_foreign_company(route: Route) -> None:
    answer = await ask(route, FOREIGN, roles=[route.role])
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_company"), answer.text


@each([route for route in GUARDED if route.action in APPROVALS])
async def test_only_a_person_approves(route: Route) -> None:
    assert (await ask(route, roles=[route.role], kind="service")).status_code == 403


@each(COMMANDS)
async def test_a_command_without_its_key_is_refused(route: Route) -> None:
    answer = await ask(route, roles=[route.role], key=False)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing"), answer.text
