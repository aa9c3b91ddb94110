"""Login for server-rendered pages: OpenID code flow with PKCE; afterwards the token itself is the session cookie.

Invariant: the cookie is HttpOnly, SameSite=Lax and counts for GET and HEAD only (`shared.auth.authenticate`), a login
that this browser did not begin is refused, and a redirect after it stays on our own site.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

import httpx
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.auth import SESSION_COOKIE, Authenticator
from shared.errors import Transient
from shared.problems import Problem

LOGIN_PATH = "/login"
CALLBACK_PATH = "/login/callback"
LOGOUT_PATH = "/logout"
LOGIN_PATHS = frozenset({LOGIN_PATH, CALLBACK_PATH, LOGOUT_PATH})
LOGIN_COOKIE = "recoup_login"
LOGIN_LIFETIME_S = 600
SESSION_LIFETIME_S = 8 * 3_600
TOKEN_TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 65_536
NEXT_CHARS_MAX = 1_000


class LoginSettings(BaseSettings):
    """The OpenID provider (environment, prefix RECOUP_). `issuer_url` alone serves the local issuer; a provider with
    other paths names them. `public_url` is the address of the pages as browsers know it, else that of the request."""

    model_config = SettingsConfigDict(env_prefix="RECOUP_", extra="ignore", frozen=True)

    issuer_url: str = ""
    authorize_url: str = ""
    token_url: str = ""
    login_client_id: str = "recoup-pages"
    login_scope: str = "openid"
    public_url: str = ""

    def authorize(self) -> str:
        return self.authorize_url or f"{self.issuer_url}/authorize"

    def token(self) -> str:
        return self.token_url or f"{self.issuer_url}/token"


def login_router(settings: LoginSettings) -> APIRouter:
    """Routes /login, /login/callback and /logout; give their paths to `make_app` as `public_paths=LOGIN_PATHS` and
    `login_path=LOGIN_PATH`."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN_PATH)
    async def login(request: Request, next: Annotated[str, Query(max_length=NEXT_CHARS_MAX)] = "/") -> Response:
        begun = {"state": secrets.token_urlsafe(24), "verifier": secrets.token_urlsafe(48), "next": own_path(next)}
        asked = {
            "response_type": "code",
            "client_id": settings.login_client_id,
            "redirect_uri": _redirect_uri(settings, request),
            "scope": settings.login_scope,
            "state": begun["state"],
            "code_challenge": _challenge(begun["verifier"]),
            "code_challenge_method": "S256",
        }
        answer = RedirectResponse(f"{settings.authorize()}?{urlencode(asked)}", status_code=303)
        _set_cookie(answer, request, settings, LOGIN_COOKIE, _pack(begun), LOGIN_LIFETIME_S)
        return answer

    @router.get(CALLBACK_PATH)
    async def callback(
        request: Request,
        code: Annotated[str, Query(max_length=2_000)] = "",
        state: Annotated[str, Query(max_length=512)] = "",
    ) -> Response:
        begun = _unpack(request.cookies.get(LOGIN_COOKIE, ""))
        if not begun or not code or not hmac.compare_digest(begun["state"].encode(), state.encode()):
            raise _not_begun_here()
        token = await _redeem(settings, code, begun["verifier"], _redirect_uri(settings, request))
        authenticator: Authenticator = request.app.state.authenticator
        await authenticator.by_token(token)
        answer = RedirectResponse(own_path(begun["next"]), status_code=303)
        _set_cookie(answer, request, settings, SESSION_COOKIE, token, SESSION_LIFETIME_S)
        answer.delete_cookie(LOGIN_COOKIE, path=LOGIN_PATH)
        return answer

    @router.get(LOGOUT_PATH)
    async def logout() -> Response:
        answer = RedirectResponse("/", status_code=303)
        answer.delete_cookie(SESSION_COOKIE, path="/")
        return answer

    return router


def own_path(wanted: str) -> str:
    """`wanted` if it is a path of our own site, else `/`; `//host`, schemes and backslashes lead elsewhere."""
    parts = urlsplit(wanted) if wanted.isprintable() and wanted.isascii() else None
    is_own = parts and not parts.scheme and not parts.netloc and wanted.startswith("/")
    return wanted if is_own and not wanted.startswith("//") and "\\" not in wanted else "/"


def _redirect_uri(settings: LoginSettings, request: Request) -> str:
    return (settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}") + CALLBACK_PATH


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _set_cookie(answer: Response, request: Request, settings: LoginSettings, name: str, value: str, age_s: int) -> None:
    secure = settings.public_url.startswith("https:") or request.url.scheme == "https"
    path = "/" if name == SESSION_COOKIE else LOGIN_PATH
    answer.set_cookie(name, value, max_age=age_s, path=path, secure=secure, httponly=True, samesite="lax")


def _pack(begun: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(begun).encode()).decode()


def _unpack(text: str) -> dict[str, str] | None:
    try:
        content = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return None
    is_whole = isinstance(content, dict) and all(isinstance(content.get(n), str) for n in ("state", "verifier", "next"))
    return content if is_whole else None


def _not_begun_here() -> Problem:
    return Problem(
        400, "login_not_begun", "this login was not begun in this browser, or took too long", "open the page again"
    )


async def _redeem(settings: LoginSettings, code: str, verifier: str, redirect_uri: str) -> str:
    """The access token for a code. Raises Problem 400 when the provider refuses it, Transient when it is away."""
    given = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": redirect_uri,
        "client_id": settings.login_client_id,
    }
    try:
        async with httpx.AsyncClient(timeout=TOKEN_TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
            answer = await client.post(settings.token(), data=given)
    except httpx.HTTPError as error:
        raise Transient(f"the login provider does not answer ({type(error).__name__})") from error
    token = _access_token(answer)
    if token is None:
        raise Problem(400, "login_refused", "the login provider refused this login", "open the page again")
    return token


def _access_token(answer: httpx.Response) -> str | None:
    if answer.status_code != 200 or len(answer.content) > ANSWER_BYTES_MAX:
        return None
    try:
        content: Any = answer.json()
    except ValueError:
        return None
    token = content.get("access_token") if isinstance(content, dict) else None
    return token if isinstance(token, str) else None
