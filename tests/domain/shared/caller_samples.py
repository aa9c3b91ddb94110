"""Keys, tokens and principals for tests: an issuer in memory with an RSA and a P-256 key."""

import json
import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from shared.auth import Authenticator, AuthSettings, Principal
from shared.tokens import IssuerKeys, TokenVerifier

ISSUER = "http://issuer.test"
COMPANY = "vdr-eu"
RSA_KEY = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})
EC_KEY = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig"})


def jwks(*keys: Any) -> bytes:
    """Public key set of `keys`, by default of both sample keys."""
    return json.dumps(KeySet(list(keys or (RSA_KEY, EC_KEY))).as_dict(private=False)).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of Ana the analyst; a change of None leaves the claim out."""
    now = int(time.time())
    plain = {
        "iss": ISSUER,
        "aud": "recoup",
        "sub": "ana",
        "kind": "person",
        "companies": [COMPANY],
        "roles": ["analyst"],
        "limits": {},
        "iat": now,
        "exp": now + 600,
        "jti": "t-1",
    } | changes
    return {name: value for name, value in plain.items() if value is not None}


def token(key: Any = RSA_KEY, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A signed token of the sample issuer."""
    return jwt.encode({"alg": algorithm, "kid": key.kid, **(header or {})}, claims(**changes), key)


class CountingFetch:
    """An issuer whose key set can be changed or be away; counts how often it was asked."""

    def __init__(self, content: bytes | Exception) -> None:
        self.content, self.asked = content, 0

    async def __call__(self) -> bytes:
        self.asked += 1
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


class SteppedTime:
    """A monotonic clock that moves by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def authenticator(settings: AuthSettings | None = None) -> Authenticator:
    """Accepts tokens of the sample issuer."""
    keys = IssuerKeys(CountingFetch(jwks()))
    return Authenticator(settings or AuthSettings(), TokenVerifier(keys, ISSUER, "recoup"))


def person(subject: str = "ana", *roles: str, **changes: Any) -> Principal:
    """A person of the sample company."""
    return Principal(subject, "person", frozenset({COMPANY}), frozenset(roles), **changes)
