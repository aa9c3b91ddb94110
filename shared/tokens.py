"""Signed tokens: verified locally against the issuer's public keys, which are cached within written bounds.

Invariant: only RS256 and ES256 with a public key of the issuer count; whatever the token itself says about its
algorithm or key is never trusted.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.errors import Transient
from shared.permissions import Kind

ALGORITHMS = ("RS256", "ES256")
TOKEN_BYTES_MAX = 8_192
LIFETIME_S_MAX = 86_400
LEEWAY_S = 30
KEYS_FRESH_S = 300
KEYS_USABLE_S = 3_600
REFRESH_EVERY_S = 10
FETCH_TIMEOUT_S = 2.0
JWKS_BYTES_MAX = 65_536
JWKS_KEYS_MAX = 20
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})

Subject = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
Company = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Claims(BaseModel):
    """What a token must say. Without `kind: person` it is a service's token and can approve nothing.

    `limits`: kind of approval -> currency -> minor units. `on_behalf_of`: who delegated, when `sub` acts for another.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    sub: Subject
    exp: int
    iat: int
    companies: list[Company] = Field(max_length=500)
    roles: list[str] = Field(max_length=50)
    kind: Kind = "service"
    limits: dict[str, dict[str, Annotated[int, Field(ge=0)]]] = Field(default_factory=dict, max_length=50)
    on_behalf_of: Subject | None = None
    jti: str = Field(default="", max_length=128)


class TokenRefused(Exception):
    """The token does not count; the text says why without repeating it."""


Fetch = Callable[[], Awaitable[bytes]]


def fetch_over_http(url: str) -> Fetch:
    """Reads the issuer's key set from `url`: 2 s, 64 kB, no redirects."""

    async def fetch() -> bytes:
        async with (
            httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            response.raise_for_status()
            content = b""
            async for chunk in response.aiter_bytes(8_192):
                content += chunk
                if len(content) > JWKS_BYTES_MAX:
                    raise ValueError(f"key set is larger than {JWKS_BYTES_MAX} bytes")
            return content

    return fetch


class IssuerKeys:
    """The issuer's public keys: fresh for 300 s, asked for at most every 10 s, usable for 1 h if the issuer is away."""

    def __init__(self, fetch: Fetch, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._monotonic = fetch, monotonic
        self._lock = asyncio.Lock()
        self._keys: KeySet | None = None
        self._read_at = self._asked_at = float("-inf")
        self._failure = "the issuer was not asked yet"

    async def current(self) -> KeySet:
        """Keys to verify with. Raises Transient when there are none that may still be used."""
        if self._monotonic() - self._read_at > KEYS_FRESH_S:
            await self._refresh()
        if self._keys is None or self._monotonic() - self._read_at > KEYS_USABLE_S:
            raise Transient(f"the keys of the token issuer cannot be read ({self._failure}); see RECOUP_JWKS_URL")
        return self._keys

    async def after_unknown_kid(self) -> KeySet:
        """Keys read again, unless the issuer was asked within the last 10 s."""
        await self._refresh()
        return await self.current()

    async def _refresh(self) -> None:
        async with self._lock:
            if self._monotonic() - self._asked_at < REFRESH_EVERY_S:
                return
            self._asked_at = self._monotonic()
            try:
                async with asyncio.timeout(2 * FETCH_TIMEOUT_S):
                    self._keys = public_keys(await self._fetch())
                self._read_at = self._monotonic()
            except (httpx.HTTPError, ValueError, TimeoutError, JoseError) as error:
                self._failure = str(error) or type(error).__name__


def public_keys(content: bytes) -> KeySet:
    """Signature keys of a JWKS: RSA of at least 2,048 bits and P-256. Raises ValueError when none is left."""
    listed = json.loads(content)
    if not isinstance(listed, dict) or not isinstance(listed.get("keys"), list):
        raise ValueError("not a key set: the member 'keys' is missing")
    usable = [key for key in listed["keys"][:JWKS_KEYS_MAX] if _is_signature_key(key)]
    if not usable:
        raise ValueError("the key set has no RSA or P-256 signature key with a kid")
    keys = KeySet.import_key_set({"keys": usable})
    small = [key.kid for key in keys if key.key_type == "RSA" and key.raw_value.key_size < 2_048]
    if small:
        raise ValueError(f"RSA keys under 2,048 bits are refused: {small}")
    return keys


def _is_signature_key(key: Any) -> bool:
    if not isinstance(key, dict) or not key.get("kid") or key.get("use", "sig") != "sig" or _PRIVATE_MEMBERS & set(key):
        return False
    return key.get("kty") == "RSA" or (key.get("kty") == "EC" and key.get("crv") == "P-256")


class TokenVerifier:
    """Turns the text of a token into Claims, or says why not. `issuer` and `audience` must match exactly."""

    def __init__(self, keys: IssuerKeys, issuer: str, audience: str, now: Callable[[], float] = time.time) -> None:
        self._keys, self._now = keys, now
        self._registry = jwt.JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )

    async def verify(self, text: str) -> Claims:
        """Claims of a valid token. Raises TokenRefused, or Transient when the issuer's keys cannot be read."""
        if len(text) > TOKEN_BYTES_MAX:
            raise TokenRefused(f"a token has at most {TOKEN_BYTES_MAX} characters")
        try:
            return self._claims(text, await self._keys.current())
        except InvalidKeyIdError:
            return await self._verify_with_new_keys(text)

    async def _verify_with_new_keys(self, text: str) -> Claims:
        try:
            return self._claims(text, await self._keys.after_unknown_kid())
        except InvalidKeyIdError:
            raise TokenRefused("the token is signed by a key that the issuer does not publish") from None

    def _claims(self, text: str, keys: KeySet) -> Claims:
        try:
            token = jwt.decode(text, keys, algorithms=list(ALGORITHMS))
            self._registry.validate(token.claims)
            claims = Claims.model_validate(token.claims)
        except InvalidKeyIdError:
            raise
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise TokenRefused(f"claim {place!r}: {first['msg']}") from None
        except (JoseError, ValueError, TypeError) as error:
            raise TokenRefused(f"the token is not valid: {_reason(error)}") from None
        if claims.exp - claims.iat > LIFETIME_S_MAX:
            raise TokenRefused(f"a token may live {LIFETIME_S_MAX} s at most")
        return claims


def _reason(error: Exception) -> str:
    return getattr(error, "description", "") or getattr(error, "error", "") or type(error).__name__
