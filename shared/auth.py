"""Callers: who is asking (a person's or service's token, a feed's or scraper's key) and whether this may be done.

Invariant: nothing is answered to a caller who was not proven, and nothing across the companies of the caller.
Use `require(ACTION)` on every route; its company is the path or query parameter `company`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.api_keys import PREFIX as KEY_PREFIX
from shared.api_keys import ApiKey, KeyRefused, KeysFileError, check_key, read_keys
from shared.errors import Transient
from shared.permissions import ROLES, Kind, duty_conflicts, permitted
from shared.problems import Problem
from shared.tokens import Claims, IssuerKeys, TokenRefused, TokenVerifier, fetch_over_http

KEYS_FILE_CHECK_EVERY_S = 2.0
SESSION_COOKIE = "recoup_session"
ANY_RECORD_TYPE = frozenset({"*"})
_ACTOR_PREFIX: dict[Kind, str] = {"person": "user", "feed": "feed", "service": "service"}


class AuthSettings(BaseSettings):
    """Whose tokens count (environment, prefix RECOUP_). Without `jwks_url` no token counts, without a file no key."""

    model_config = SettingsConfigDict(env_prefix="RECOUP_", extra="ignore", frozen=True)

    jwks_url: str = ""
    token_issuer: str = ""
    token_audience: str = "recoup"
    api_keys_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """A proven caller. `limits`: kind of approval -> currency -> minor units. Feeds carry their `record_types`."""

    subject: str
    kind: Kind
    companies: frozenset[str]
    roles: frozenset[str]
    limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    token_id: str = ""
    on_behalf_of: str | None = None
    record_types: frozenset[str] = ANY_RECORD_TYPE

    @property
    def actor(self) -> str:
        """Form of the envelope: `user:ana`, `feed:erp`, `service:feeder`."""
        return f"{_ACTOR_PREFIX[self.kind]}:{self.subject}"

    def may_write(self, record_type: str) -> bool:
        """Whether this caller may submit records of `record_type`."""
        return "*" in self.record_types or record_type in self.record_types


def principal_of_claims(claims: Claims) -> Principal:
    """Principal of a verified token; roles that Recoup does not know are left out."""
    return Principal(
        subject=claims.sub,
        kind=claims.kind,
        companies=frozenset(claims.companies),
        roles=frozenset(claims.roles) & ROLES,
        limits=claims.limits,
        token_id=claims.jti,
        on_behalf_of=claims.on_behalf_of,
    )


def principal_of_key(key: ApiKey) -> Principal:
    """Principal of a valid API key: a feed (or scraper), whatever the key says."""
    return Principal(
        subject=key.feed,
        kind="feed",
        companies=key.companies,
        roles=key.roles,
        token_id=key.key_id,
        record_types=key.record_types,
    )


class Authenticator:
    """Proves callers of one process: tokens against the issuer's keys, API keys against the keys file.

    The file is looked at every 2 s, so a removed key stops working without a restart.
    """

    def __init__(self, settings: AuthSettings, verifier: TokenVerifier | None = None) -> None:
        self._file = settings.api_keys_file
        self._verifier = verifier or _verifier(settings)
        self._keys: dict[str, ApiKey] = {}
        self._stamp: tuple[int, int] | None = None
        self._looked_at = float("-inf")

    async def by_token(self, text: str) -> Principal:
        """Principal of a token. Raises Problem 401, or 403 for duties that exclude each other, or Transient."""
        if self._verifier is None:
            raise unauthenticated("tokens are not accepted here: RECOUP_JWKS_URL is not set")
        try:
            principal = principal_of_claims(await self._verifier.verify(text))
        except TokenRefused as refused:
            raise unauthenticated(str(refused)) from None
        _check_duties(principal)
        return principal

    def by_key(self, text: str, at: datetime) -> Principal:
        """Principal of an API key at the instant `at`. Raises Problem 401, or Transient for an unusable keys file."""
        checked = check_key(text, self._current_keys(), at)
        if isinstance(checked, KeyRefused):
            raise unauthenticated(checked.reason)
        return principal_of_key(checked)

    def _current_keys(self) -> Mapping[str, ApiKey]:
        if self._file is None or monotonic() - self._looked_at < KEYS_FILE_CHECK_EVERY_S:
            return self._keys
        try:
            stat = self._file.stat()
            if self._stamp != (stamp := (stat.st_mtime_ns, stat.st_ino)):
                self._keys, self._stamp = read_keys(self._file), stamp
        except (KeysFileError, OSError) as error:
            self._keys, self._stamp = {}, None
            raise Transient(f"API keys cannot be checked: {error}") from error
        self._looked_at = monotonic()
        return self._keys


def _verifier(settings: AuthSettings) -> TokenVerifier | None:
    if not settings.jwks_url:
        return None
    keys = IssuerKeys(fetch_over_http(settings.jwks_url))
    return TokenVerifier(keys, settings.token_issuer, settings.token_audience)


def _check_duties(principal: Principal) -> None:
    conflicts = duty_conflicts(principal.roles)
    if conflicts:
        raise Problem(
            403,
            "incompatible_duties",
            f"the roles of this token exclude each other: {'; '.join(map(str, conflicts[:5]))}",
            "have the administrator split the roles between two persons",
        )


def unauthenticated(detail: str) -> Problem:
    """401 with the two ways to prove oneself."""
    return Problem(
        401,
        "not_authenticated",
        detail,
        "send 'Authorization: Bearer <token>', or 'X-API-Key: <key>' for a feed",
        headers={"WWW-Authenticate": 'Bearer realm="recoup"'},
    )


async def authenticate(request: Request, authenticator: Authenticator, *, cookie_session: bool) -> Principal:
    """Principal of the request's one credential. Raises Problem 401 or 403, or Transient.

    An API key counts in `X-API-Key` and as bearer alike: its form tells it from a token. A session cookie counts for
    GET and HEAD only, so that no other site can make a browser act.
    """
    bearer = request.headers.get("authorization")
    key = request.headers.get("x-api-key")
    if bearer is not None and key is not None:
        raise unauthenticated("a token and an API key came together; send one")
    if bearer is not None:
        scheme, _, text = bearer.partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise unauthenticated("the Authorization header is not of the form 'Bearer <token>'")
        text = text.strip()
        if text.startswith(f"{KEY_PREFIX}_"):  # programs such as Prometheus can send this header only
            return authenticator.by_key(text, datetime.now(UTC))
        return await authenticator.by_token(text)
    if key is not None:
        return authenticator.by_key(key, datetime.now(UTC))
    session = request.cookies.get(SESSION_COOKIE)
    if session and cookie_session and request.method in ("GET", "HEAD"):
        return await authenticator.by_token(session)
    raise unauthenticated("no token or API key came with the request")


_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="Signed token of a person or service.")
_api_key = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="apiKey", description="API key of a feed.")


async def caller(
    request: Request, _token: Annotated[Any, Security(_bearer)], _key: Annotated[Any, Security(_api_key)]
) -> Principal:
    """FastAPI dependency: the proven caller, put on the request by the edge of `shared.http.make_app`."""
    principal = getattr(request.state, "principal", None)
    if not isinstance(principal, Principal):
        raise unauthenticated("no token or API key came with the request")
    return principal


Caller = Annotated[Principal, Depends(caller)]


def company_of(principal: Principal, company: str) -> str:
    """`company` if it is the caller's, for a company that stands in a body. Raises Problem 403, existing or not."""
    if company not in principal.companies:
        raise Problem(
            403,
            "foreign_company",
            f"company {company[:64]!r} is not among the companies of your token or key",
            "use a token or key that names this company",
        )
    return company


def permit(principal: Principal, action: str) -> Principal:
    """`principal` if its roles allow `action`. Raises Problem 403."""
    if not permitted(principal, action):
        raise Problem(
            403,
            "action_not_permitted",
            f"{principal.actor} may not do {action}",
            "ask someone whose role allows it; roles and actions stand in shared/permissions.py",
            action=action,
        )
    return principal


def require(action: str) -> Callable[..., Any]:
    """FastAPI dependency for a route that needs `action`: 401, 403, or the Principal.

    A path or query parameter named `company` is checked too. KeyError at import for an action of no table.
    """
    permitted(Principal("~", "person", frozenset(), frozenset()), action)

    async def required(request: Request, principal: Caller) -> Principal:
        permit(principal, action)
        for company in (request.path_params.get("company"), *request.query_params.getlist("company")):
            if company is not None:
                company_of(principal, company)
        return principal

    required.action = action  # type: ignore[attr-defined]
    return required
