"""Login against the OpenID provider: authorization code with PKCE, the access token kept in an HttpOnly cookie.

Invariant: a code is redeemed only for the state that this browser was given, and `next` never leaves these pages.
"""

import base64
import hashlib
import json
import secrets
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.reporting.pages.render import PageRoute, page
from services.reporting.settings import Settings
from shared.auth import SESSION_COOKIE
from shared.errors import Transient
from shared.problems import Problem
from shared.runtime.lifecycle import Runtime, get_runtime

LOGIN_COOKIE = "recoup_login"
LOGIN_LIFETIME_S = 600
SESSION_LIFETIME_S = 8 * 3_600
NEXT_CHARS_MAX = 1_000
TOKEN_BYTES_MAX = 65_536
PUBLIC_PATHS = frozenset({"/login", "/login/start", "/login/callback", "/logout", "/static/recoup.css", "/favicon.ico"})

router = APIRouter(include_in_schema=False, route_class=PageRoute)
Process = Annotated[Runtime, Depends(get_runtime)]
Next = Annotated[str, Query(max_length=NEXT_CHARS_MAX)]


@router.get("/login")
async def login(runtime: Process, request: Request, next: Next = "/", left: bool = False) -> HTMLResponse:
    """The page before the provider's own."""
    settings = _settings(runtime)
    return page(request, "login.html", next=inside(next), left=left, configured=bool(settings.issuer_url))


@router.get("/login/start")
async def start(runtime: Process, request: Request, next: Next = "/") -> RedirectResponse:
    """Send the browser to the provider with a fresh state and challenge."""
    settings = _settings(runtime)
    if not settings.issuer_url:
        raise Problem(503, "login_not_configured", "no issuer is set", "set RECOUP_ISSUER_URL to the OpenID provider")
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    asked = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": _callback(settings, request),
        "scope": "openid",
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    answer = RedirectResponse(f"{settings.issuer_url}/authorize?{urlencode(asked)}", status_code=303)
    kept = pack({"state": state, "verifier": verifier, "next": inside(next)})
    _set_cookie(answer, request, LOGIN_COOKIE, kept, LOGIN_LIFETIME_S, path="/login")
    return answer


@router.get("/login/callback")
async def callback(
    runtime: Process,
    request: Request,
    code: Annotated[str, Query(max_length=2_000)] = "",
    state: Annotated[str, Query(max_length=512)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Redeem the code; the session begins."""
    kept = unpack(request.cookies.get(LOGIN_COOKIE, ""))
    if error or not code or not kept or not secrets.compare_digest(kept["state"], state):
        return _again(
            request, f"The provider answered: {error}" if error else "This login was not begun here, or is old."
        )
    token = await _redeem(runtime, request, code, kept["verifier"])
    if token is None:
        return _again(request, "The provider did not accept the code. It counts once and for a minute.")
    await request.app.state.authenticator.by_token(token)
    answer = RedirectResponse(inside(kept["next"]), status_code=303)
    _set_cookie(answer, request, SESSION_COOKIE, token, SESSION_LIFETIME_S, path="/")
    answer.delete_cookie(LOGIN_COOKIE, path="/login")
    return answer


@router.post("/logout")
async def logout() -> RedirectResponse:
    """End the session of this browser."""
    answer = RedirectResponse("/login?left=true", status_code=303)
    answer.delete_cookie(SESSION_COOKIE, path="/")
    return answer


def inside(target: str) -> str:
    """`target` if it is a path of these pages, else the overview."""
    fine = target.startswith("/") and not target.startswith(("//", "/\\", "/login", "/logout"))
    return target if fine and all(" " < char <= "~" and char != "\\" for char in target) else "/"


def challenge_of(verifier: str) -> str:
    """PKCE S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def pack(kept: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(kept).encode()).decode().rstrip("=")


def unpack(text: str) -> dict[str, str] | None:
    """What `pack` made, None for anything else."""
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        names = ("state", "verifier", "next")
        return {name: found[name] for name in names} if all(isinstance(found[name], str) for name in names) else None
    except (ValueError, TypeError, KeyError):
        return None


async def _redeem(runtime: Runtime, request: Request, code: str, verifier: str) -> str | None:
    settings = _settings(runtime)
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "client_id": settings.client_id,
        "redirect_uri": _callback(settings, request),
    }
    try:
        async with httpx.AsyncClient(
            timeout=settings.login_timeout_s, follow_redirects=False, trust_env=False
        ) as client:
            answer = await client.post(f"{settings.issuer_url}/token", data=body)
    except httpx.HTTPError as problem:
        raise Transient(f"the login provider does not answer: {type(problem).__name__}") from problem
    if answer.status_code != 200 or len(answer.content) > TOKEN_BYTES_MAX:
        runtime.log.warning("login_refused", status=answer.status_code)
        return None
    content: Any = answer.json()
    return content.get("access_token") if isinstance(content, dict) else None


def _settings(runtime: Runtime) -> Settings:
    assert isinstance(runtime.settings, Settings), "the pages run with the settings of reporting"
    return runtime.settings


def _callback(settings: Settings, request: Request) -> str:
    return f"{settings.public_url or str(request.base_url).rstrip('/')}/login/callback"


def _again(request: Request, why: str) -> HTMLResponse:
    return page(request, "login.html", 400, next="/", left=False, configured=True, why=why)


def _set_cookie(answer: Response, request: Request, name: str, value: str, lifetime_s: int, path: str) -> None:
    answer.set_cookie(
        name, value, max_age=lifetime_s, path=path, httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )
