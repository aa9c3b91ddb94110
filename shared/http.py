"""The API of a service: `make_app` gives every service the same edge, errors, health endpoints and OpenAPI.

Invariant: only the three health paths and the paths named `public_paths` answer without a token or key.
"""

import hashlib
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from shared.auth import Authenticator, AuthSettings, require
from shared.edge import BODY_BYTES_MAX, CORRELATION_HEADER, Authentication, BodyLimit, Edge, answer_error
from shared.errors import Poison, Rejected, Transient
from shared.openapi import COMMON_RESPONSES, complete_openapi, route_actions, routes_without_examples
from shared.paging import Page, Paging, page_of, paging
from shared.permissions import METRICS_READ
from shared.problems import FieldProblem, Problem, correlation_of

__all__ = [
    "AuthSettings", "BODY_BYTES_MAX", "CORRELATION_HEADER", "HEALTH_PATHS", "FieldProblem", "IdempotencyKey", "Page",
    "Paging", "Problem", "body_hash", "correlation_of", "idempotency_key", "make_app", "page_of", "paging",
    "route_actions", "routes_without_examples",
]  # fmt: skip

HEALTH_PATHS = frozenset({"/livez", "/readyz", "/startupz"})
KEY_CHARS_MIN, KEY_CHARS_MAX = 8, 200
Checks = dict[str, bool | str]
Ready = Callable[[], Checks | Awaitable[Checks]]


def make_app(
    service: str,
    version: str,
    *,
    routers: Sequence[APIRouter] = (),
    lifespan: Any = None,
    auth: AuthSettings | None = None,
    authenticator: Authenticator | None = None,
    ready: Ready = dict,
    registry: CollectorRegistry = REGISTRY,
    body_limit_bytes: int = BODY_BYTES_MAX,
    body_limits: Mapping[str, int] | None = None,
    public_paths: frozenset[str] = frozenset(),
    login_path: str | None = None,
    description: str = "",
) -> FastAPI:
    """FastAPI application of `service` (snake_case name).

    `ready` returns named checks, True or why not. `body_limits`: ending of a path -> bytes, where the default
    does not fit. `login_path`: where browsers without a session go (reporting); it turns on the session cookie for GET.
    """
    app = FastAPI(
        title=f"Recoup {service}",
        version=version,
        description=description,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        responses=COMMON_RESPONSES,
    )
    app.state.service = service
    app.state.authenticator = authenticator or Authenticator(auth or AuthSettings())
    public = HEALTH_PATHS | public_paths
    app.add_middleware(Authentication, authenticator=app.state.authenticator, public=public, login_path=login_path)
    app.add_middleware(BodyLimit, limit_bytes=body_limit_bytes, by_ending=dict(body_limits or {}))
    app.add_middleware(Edge, service=service, registry=registry)
    for family in (HTTPException, RequestValidationError, Rejected, Transient, Poison):
        app.add_exception_handler(family, _answer_problem)
    app.include_router(_health_router(ready))
    app.include_router(_metrics_router(registry))
    for router in routers:
        app.include_router(router)
    complete_openapi(app)
    return app


async def _answer_problem(request: Request, error: Exception) -> Response:
    return answer_error(error, correlation_of(request))


def _metrics_router(registry: CollectorRegistry) -> APIRouter:
    router = APIRouter(tags=["runtime"], dependencies=[Depends(require(METRICS_READ))])

    @router.get("/metrics", response_class=Response, responses={200: _METRICS_ANSWER})
    async def metrics() -> Response:
        """Figures of this process in the text format of Prometheus. They name no customer."""
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


_METRICS_ANSWER: dict[str, Any] = {
    "description": "Text format of Prometheus",
    "content": {"text/plain": {"schema": {"type": "string"}, "example": "recoup_parked_keys 0.0\n"}},
}


def _health_router(ready: Ready) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    started = False

    async def checks() -> Checks:
        found = ready()
        return await found if inspect.isawaitable(found) else found

    async def livez() -> JSONResponse:
        """The event loop answers; depends on nothing else."""
        return JSONResponse({"alive": True})

    async def readyz() -> JSONResponse:
        """200 when every check is True."""
        nonlocal started
        found = await checks()
        is_ready = all(value is True for value in found.values())
        started = started or is_ready
        return JSONResponse({"ready": is_ready, "checks": found}, 200 if is_ready else 503)

    async def startupz() -> JSONResponse:
        """200 from the first time that the service was ready."""
        if not started:
            await readyz()
        return JSONResponse({"started": started}, 200 if started else 503)

    for endpoint in (livez, readyz, startupz):
        router.add_api_route(f"/{endpoint.__name__}", endpoint, methods=["GET"])
    return router


def idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description=f"{KEY_CHARS_MIN} to {KEY_CHARS_MAX} visible ASCII characters, one per intended command; "
            "the same key with the same body gives the same answer, with another body 409",
        ),
    ] = None,
) -> str:
    """FastAPI dependency for commands: the required header. Raises Problem 400 when it is missing or malformed."""
    what_to_do = f"send it with {KEY_CHARS_MIN} to {KEY_CHARS_MAX} visible ASCII characters, a new one per command"
    if key is None:
        raise Problem(400, "idempotency_key_missing", "commands need the header Idempotency-Key", what_to_do)
    if not KEY_CHARS_MIN <= len(key) <= KEY_CHARS_MAX or not all("!" <= char <= "~" for char in key):
        raise Problem(400, "idempotency_key_not_valid", "the Idempotency-Key is not of the required form", what_to_do)
    return key


idempotency_key.demands_idempotency_key = True  # type: ignore[attr-defined]
IdempotencyKey = Annotated[str, Depends(idempotency_key)]


def body_hash(body: BaseModel | Mapping[str, Any] | bytes) -> str:
    """SHA-256 in hex of a command's body: of raw bytes as they are, else of its JSON with sorted names."""
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest()
    plain = body.model_dump(mode="json") if isinstance(body, BaseModel) else body
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
