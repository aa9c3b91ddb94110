"""OpenAPI of every service: errors declared on each route, and walks over the routes that tests hold to the rules.

Invariant: every operation declares the same errors in problem+json, and shows an example of its body and its answer.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from shared.examples import NoExample, example_of
from shared.problems import MEDIA_TYPE, ProblemDetails

_PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
COMMON_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": _PROBLEM_CONTENT}
    for status, description in {
        400: "The request is malformed, or `Idempotency-Key` is missing",
        401: "No valid token or key came with the request",
        403: "The company is not the caller's, or the role does not allow the action",
        404: "There is no such thing",
        405: "The path does not take this method",
        409: "A rule of the business, or the state of the thing, stands against it",
        413: "The body is too large",
        422: "Fields of the request were refused; `errors` names each",
        500: "The service failed",
        503: "Something the service depends on does not answer; try again",
    }.items()
}


def complete_openapi(app: FastAPI) -> None:
    """Makes `app.openapi()` carry the problem schema, and `Idempotency-Key` as required exactly where it is."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["ProblemDetails"] = problem
    demanding = {(path, method.lower()) for method, path in _routes_that_demand_a_key(app)}
    for path, method, operation in _operations(document):
        _show_answers(operation, schemas)
        key_required = (path, method) in demanding
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "Idempotency-Key":
                parameter["required"] = key_required
                parameter["schema"] = {"type": "string", "minLength": 8, "maxLength": 200, "pattern": "^[!-~]+$"}
                parameter["example"] = "2026-03-31-invoices-001"
    return document


def _show_answers(operation: dict[str, Any], models: dict[str, Any]) -> None:
    """Puts an example beside each successful answer in JSON; where one cannot be made, a test names the field."""
    for media in _json_answers(operation):
        if "example" not in media and "examples" not in media:
            with contextlib.suppress(NoExample):
                media["example"] = example_of(media.get("schema", {}), models)


def _json_answers(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The contents of the answers 2xx in JSON."""
    good = [answer for status, answer in operation["responses"].items() if str(status).startswith("2")]
    return [answer["content"]["application/json"] for answer in good if "application/json" in answer.get("content", {})]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method in small letters, operation."""
    for path, methods in document.get("paths", {}).items():
        yield from ((path, method, operation) for method, operation in methods.items() if isinstance(operation, dict))


def _routes_that_demand_a_key(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, path) of the routes that depend on `shared.http.idempotency_key`."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute) and _has_mark(route.dependant, "demands_idempotency_key"):
            yield from ((method, _path(route)) for method in route.methods or ())


def _path(route: RouteContext) -> str:
    """The path as the document shows it: without the converters of its parameters."""
    return route.path_format or route.path or ""


def _has_mark(dependant: Dependant, mark: str) -> bool:
    return hasattr(dependant.call, mark) or any(_has_mark(part, mark) for part in dependant.dependencies)


def route_actions(app: FastAPI) -> dict[tuple[str, str], str | None]:
    """(method, path) -> action that `require` guards it with, None where there is none. Health paths are left out."""
    return {
        (method, _path(route)): _action(route.dependant)
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute) and route.include_in_schema
        for method in sorted(route.methods or ())
    }


def _action(dependant: Dependant) -> str | None:
    found = [getattr(dependant.call, "action", None), *map(_action, dependant.dependencies)]
    return next((action for action in found if action), None)


def answers_without_examples(app: FastAPI) -> list[str]:
    """Operations whose answer shows no example, with the field that has neither example nor word."""
    document = app.openapi()
    missing = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = _json_answers(operation)
            for media in (media for media in answers if "example" not in media and "examples" not in media):
                try:
                    example_of(media.get("schema", {}), document["components"]["schemas"])
                except NoExample as problem:
                    missing.append(f"{method.upper()} {path}: {problem}")
    return missing


def routes_without_examples(app: FastAPI) -> list[str]:
    """Operations whose JSON body shows no example.

    Convention: the body's model has `model_config = ConfigDict(json_schema_extra={"examples": [{...}]})`.
    """
    document = app.openapi()
    schemas = document["components"]["schemas"]
    return [
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not _has_example(operation, schemas)
    ]


def _has_example(operation: dict[str, Any], schemas: dict[str, Any]) -> bool:
    content = operation.get("requestBody", {}).get("content", {})
    json_body = content.get("application/json")
    if json_body is None:
        return True
    name = json_body.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return any("example" in part or "examples" in part for part in (json_body, schemas.get(name, {})))
