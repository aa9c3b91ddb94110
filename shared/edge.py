"""The outer layers of every API: correlation id, headers, the last net for errors, body limit, proof of the caller.

Invariant: whatever happens inside, the answer carries a correlation id and an error is a problem; and no path
outside `public` is reached, not even a 404, by a caller who was not proven.
"""

import re
import time
from collections.abc import Mapping
from urllib.parse import quote
from uuid import uuid4
from weakref import WeakKeyDictionary

import structlog
from prometheus_client import CollectorRegistry, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import tracing
from shared.auth import Authenticator, authenticate
from shared.problems import Problem, problem_of, problem_response

CORRELATION_HEADER = "X-Correlation-Id"
BODY_BYTES_MAX = 1_000_000
_CORRELATION_FORM = re.compile(r"[A-Za-z0-9._:-]{8,64}")
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Set where the answer has not set its own: pages bring their own Content-Security-Policy."""

logger = structlog.get_logger(__name__)
_histograms: WeakKeyDictionary[CollectorRegistry, Histogram] = WeakKeyDictionary()


def _histogram(registry: CollectorRegistry) -> Histogram:
    if registry not in _histograms:
        _histograms[registry] = Histogram(
            "recoup_http_request_seconds",
            "Time from request to the end of its answer.",
            ("service", "method", "route", "status"),
            buckets=_BUCKETS_S,
            registry=registry,
        )
    return _histograms[registry]


class Edge:
    """Outermost layer: correlation id in and out, security headers, metrics, and every error as a problem."""

    def __init__(self, app: ASGIApp, *, service: str, registry: CollectorRegistry) -> None:
        self._app, self._service, self._seconds = app, service, _histogram(registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        correlation_id = _correlation_id(headers)
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        traceparent = tracing.accepted(headers.get(tracing.HEADER, ""))
        told = {"correlation_id": correlation_id, "trace_id": tracing.trace_id(traceparent)}
        with (
            structlog.contextvars.bound_contextvars(**{name: text for name, text in told.items() if text}),
            tracing.within(traceparent),
        ):
            await self._answer(scope, receive, send, correlation_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, correlation_id: str) -> None:
        began, status = time.monotonic(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[CORRELATION_HEADER] = correlation_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if status:
                raise
            await answer_error(error, correlation_id)(scope, receive, send_with_headers)
        finally:
            self._note(scope, status, time.monotonic() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._seconds.labels(self._service, method, route, str(status)).observe(seconds)
        logger.debug("http_request", method=method, route=route, status=status, seconds=round(seconds, 4))


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _correlation_id(headers: Headers) -> str:
    given = headers.get(CORRELATION_HEADER, "")
    return given if _CORRELATION_FORM.fullmatch(given) else uuid4().hex


def answer_error(error: Exception, correlation_id: str | None) -> Response:
    """The problem for any exception; what is our failure is logged."""
    problem = problem_of(error)
    if problem.status_code == 503:
        logger.warning("http_request_not_available", reason=type(error).__name__, detail=str(error)[:500])
    elif problem.status_code >= 500:
        logger.error("http_request_failed", exc_info=error)
    return problem_response(problem, correlation_id)


class BodyLimit:
    """Refuses a body over the limit of its path with 413: by its declared length, else while it streams in.

    `by_ending` gives other limits to paths that end with its keys; the longest ending counts.
    """

    def __init__(self, app: ASGIApp, *, limit_bytes: int, by_ending: Mapping[str, int]) -> None:
        self._app, self._limit_bytes = app, limit_bytes
        self._by_ending = sorted(by_ending.items(), key=lambda entry: -len(entry[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next((size for ending, size in self._by_ending if scope["path"].endswith(ending)), self._limit_bytes)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        seen = 0

        async def receive_within_limit() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, receive_within_limit, send)


def _too_large(limit: int) -> Problem:
    detail = f"the body is larger than {limit} bytes"
    return Problem(413, "body_too_large", detail, "split it into smaller parts", headers={"Connection": "close"})


class Authentication:
    """Proves the caller before anything else is looked at, the path included; puts `principal` on the request.

    With `login_path`, a browser that asks for a page without a session is sent there.
    """

    def __init__(
        self, app: ASGIApp, *, authenticator: Authenticator, public: frozenset[str], login_path: str | None
    ) -> None:
        self._app, self._authenticator, self._public, self._login_path = app, authenticator, public, login_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] in self._public):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope)
        try:
            principal = await authenticate(request, self._authenticator, cookie_session=self._login_path is not None)
        except Problem as problem:
            if problem.status_code != 401 or self._login_path is None or not _is_page_view(request):
                raise
            await RedirectResponse(self._login_url(request), status_code=303)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        with structlog.contextvars.bound_contextvars(actor=principal.actor):
            await self._app(scope, receive, send)

    def _login_url(self, request: Request) -> str:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return f"{self._login_path}?next={quote(here, safe='')}"


def _is_page_view(request: Request) -> bool:
    return (
        request.method == "GET"
        and "text/html" in request.headers.get("accept", "")
        and "authorization" not in request.headers
        and "x-api-key" not in request.headers
    )
