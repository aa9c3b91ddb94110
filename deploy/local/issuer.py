"""Token issuer of the local stack: an OpenID provider with named sample persons, on the loopback address only.

`python -m deploy.local.issuer --port 8400 --state .local/issuer`. Anyone at this machine's browser may become any
sample person; production names a real provider in RECOUP_JWKS_URL and RECOUP_TOKEN_ISSUER.
"""

import argparse
import base64
import hashlib
import hmac
import json
import re
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.local.errors import StackError
from deploy.local.persons import Person, load_persons
from deploy.local.ports import HOST
from deploy.local.serve import only_loopback_names, require_free, run, write_private

AUDIENCE = "recoup"
TOKEN_LIFETIME_S = 8 * 3_600
CODE_LIFETIME_S = 60
CODES_MAX = 1_000
BODY_BYTES_MAX = 16_384
KEY_BITS = 2_048
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CLIENT = re.compile(r"[a-z0-9-]{1,64}")
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


class Refused(Exception):
    """An OAuth error: `code` as in RFC 6749, and a sentence."""

    def __init__(self, code: str, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.code, self.sentence, self.status = code, sentence, status


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked authorization request."""

    client_id: str
    redirect_uri: str
    state: str
    code_challenge: str
    nonce: str

    @staticmethod
    def of(given: Mapping[str, Any]) -> "Asked":
        """Raises Refused; a redirect goes to this machine only, and PKCE with S256 is required."""
        text = {name: str(given.get(name) or "") for name in (*_ASKED, "response_type", "code_challenge_method")}
        if text["response_type"] != "code" or text["code_challenge_method"] != "S256":
            raise Refused("invalid_request", "only response_type=code with code_challenge_method=S256 is served")
        if not _CLIENT.fullmatch(text["client_id"]) or text["client_id"] == AUDIENCE:
            raise Refused("invalid_request", "client_id must be a lower-case name other than that of the API")
        if not is_loopback(text["redirect_uri"]):
            raise Refused("invalid_request", "redirect_uri must be http on 127.0.0.1, localhost or [::1]")
        if not _CHALLENGE.fullmatch(text["code_challenge"]):
            raise Refused("invalid_request", "code_challenge must be the base64url SHA-256 of the verifier")
        if not 1 <= len(text["state"]) <= 512 or len(text["nonce"]) > 512:
            raise Refused("invalid_request", "state is required; state and nonce have at most 512 characters")
        return Asked(**{name: text[name] for name in _ASKED})


_ASKED = ("client_id", "redirect_uri", "state", "code_challenge", "nonce")


def is_loopback(uri: str) -> bool:
    """Whether a redirect stays on this machine: plain http, loopback host, no user, no fragment, no odd characters."""
    if not re.fullmatch(r"[!-~]{1,500}", uri) or "\\" in uri:
        return False
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme == "http" and host in _LOOPBACK_HOSTS and "@" not in parts.netloc and not parts.fragment


class Issuer:
    """Keys, persons and the codes in flight of one running issuer."""

    def __init__(self, url: str, state: Path) -> None:
        self.url = url
        self.persons = load_persons(state / "persons.json")
        self._key = load_key(state / "key.json")
        self._codes: dict[str, tuple[Asked, str, float]] = {}

    def own_origins(self) -> tuple[str, str]:
        """Origins that our own page may have."""
        return self.url, self.url.replace(HOST, "localhost")

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def code_for(self, asked: Asked, subject: str) -> str:
        """A code for one use within 60 s."""
        if subject not in self.persons:
            raise Refused("invalid_request", "there is no such person")
        now = time.monotonic()
        self._codes = {code: entry for code, entry in self._codes.items() if entry[2] > now}
        if len(self._codes) >= CODES_MAX:
            raise Refused("temporarily_unavailable", "too many logins at once; try again in a minute", 503)
        code = secrets.token_urlsafe(32)
        self._codes[code] = (asked, subject, now + CODE_LIFETIME_S)
        return code

    def redeem(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Tokens for a code, whose verifier must hash to the challenge. The code is spent in any case."""
        entry = self._codes.pop(str(given.get("code") or ""), None)
        if entry is None or entry[2] <= time.monotonic():
            raise Refused("invalid_grant", "this code is unknown, used or older than 60 s")
        asked, subject, _ = entry
        verifier = str(given.get("code_verifier") or "")
        if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(challenge_of(verifier), asked.code_challenge):
            raise Refused("invalid_grant", "the code_verifier does not fit the code_challenge")
        if given.get("redirect_uri") != asked.redirect_uri or given.get("client_id") != asked.client_id:
            raise Refused("invalid_grant", "redirect_uri or client_id is not that of the authorization request")
        return self._tokens(subject) | {"id_token": self._id_token(subject, asked)}

    def by_secret(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A token for a sample person who proves the secret that stands in persons.json."""
        subject, secret = str(given.get("person") or ""), str(given.get("secret") or "")
        person = self.persons.get(subject)
        expected = person.secret if person else secrets.token_urlsafe(24)
        if not hmac.compare_digest(expected.encode(), secret.encode()) or person is None:
            raise Refused("invalid_grant", "person or secret is wrong; the secrets stand in persons.json", 401)
        return self._tokens(subject)

    def _tokens(self, subject: str) -> dict[str, Any]:
        claims = _claims(self.persons[subject]) | self._head(subject, AUDIENCE) | {"jti": secrets.token_hex(12)}
        return {"access_token": self._sign(claims), "token_type": "Bearer", "expires_in": TOKEN_LIFETIME_S}

    def _id_token(self, subject: str, asked: Asked) -> str:
        nonce = {"nonce": asked.nonce} if asked.nonce else {}
        return self._sign(self._head(subject, asked.client_id) | {"name": self.persons[subject].name} | nonce)

    def _head(self, subject: str, audience: str) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.url, "aud": audience, "sub": subject, "iat": now, "exp": now + TOKEN_LIFETIME_S}

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self._key.kid}, claims, self._key, algorithms=["RS256"])


def _claims(person: Person) -> dict[str, Any]:
    names = ("name", "kind", "companies", "roles", "limits", "on_behalf_of")
    return {name: value for name in names if (value := getattr(person, name)) is not None}


def challenge_of(verifier: str) -> str:
    """PKCE S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def load_key(path: Path) -> RSAKey:
    """The signing key, made at the first start, readable by its owner only. Raises StackError when it is damaged."""
    if not path.exists():
        made = RSAKey.generate_key(KEY_BITS, {"use": "sig", "alg": "RS256"}, private=True, auto_kid=True)
        write_private(path, json.dumps(made.as_dict(private=True)))
    try:
        return RSAKey.import_key(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, JoseError):
        raise StackError(f"{path} is not a private key; remove it to have a new one made (tokens in use end)") from None


def make_issuer_app(issuer: Issuer) -> Starlette:
    """The endpoints of `issuer`."""

    async def discovery(request: Request) -> Response:
        return JSONResponse(_discovery(issuer.url))

    async def jwks(request: Request) -> Response:
        return JSONResponse(issuer.jwks(), headers={"Cache-Control": "max-age=60"})

    async def authorize(request: Request) -> Response:
        if request.method == "GET":
            asked = Asked.of(request.query_params)
            return HTMLResponse(_page(issuer.persons, asked), headers=_page_headers())
        if request.headers.get("origin") not in (None, *issuer.own_origins()):
            raise Refused("invalid_request", "this form was sent by another site")
        given = await _body(request)
        asked = Asked.of(given)
        answer = urlencode({"code": issuer.code_for(asked, str(given.get("person") or "")), "state": asked.state})
        joint = "&" if urlsplit(asked.redirect_uri).query else "?"
        return RedirectResponse(f"{asked.redirect_uri}{joint}{answer}", status_code=303, headers=_page_headers())

    async def token(request: Request) -> Response:
        given = await _body(request)
        grants = {"authorization_code": issuer.redeem, "person": issuer.by_secret}
        grant = grants.get(str(given.get("grant_type")))
        if grant is None:
            raise Refused("unsupported_grant_type", f"grant_type must be one of {sorted(grants)}")
        return JSONResponse(grant(given), headers={"Cache-Control": "no-store"})

    async def livez(request: Request) -> Response:
        return JSONResponse({"alive": True})

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", discovery),
            Route("/jwks.json", jwks),
            Route("/authorize", authorize, methods=["GET", "POST"]),
            Route("/token", token, methods=["POST"]),
            Route("/livez", livez),
        ],
        middleware=[only_loopback_names()],
        exception_handlers={Refused: _answer_refused},
    )


async def _answer_refused(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    content = {"error": refused.code, "error_description": refused.sentence}
    return JSONResponse(content, refused.status, headers={"Cache-Control": "no-store"})


def _discovery(url: str) -> dict[str, Any]:
    return {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "jwks_uri": f"{url}/jwks.json",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "person"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    }


async def _body(request: Request) -> Mapping[str, Any]:
    """Form or JSON object of at most 16 kB."""
    raw = b""
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > BODY_BYTES_MAX:
                raise Refused("invalid_request", f"the body is larger than {BODY_BYTES_MAX} bytes", 413)
    except ClientDisconnect:
        raise Refused("invalid_request", "the body did not arrive whole") from None
    if request.headers.get("content-type", "").startswith("application/json"):
        return _json_object(raw)
    return dict(_form_pairs(raw))


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Refused("invalid_request", "the body is not a JSON object")
    return content


def _form_pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=30)
    except ValueError:
        raise Refused("invalid_request", "the body is not a form") from None


def _page_headers() -> dict[str, str]:
    return {"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}


def _page(persons: Mapping[str, Person], asked: Asked) -> str:
    hidden = {name: getattr(asked, name) for name in _ASKED}
    hidden |= {"response_type": "code", "code_challenge_method": "S256"}
    fields = "".join(f'<input type="hidden" name="{escape(n)}" value="{escape(v)}">' for n, v in hidden.items())
    buttons = "".join(
        f'<button name="person" value="{escape(subject)}"><b>{escape(person.name)}</b><span>{escape(person.title)}'
        f" · {escape(', '.join(person.companies))}</span></button>"
        for subject, person in persons.items()
        if person.kind == "person"
    )
    return _PAGE.format(client=escape(asked.client_id), fields=fields, buttons=buttons)


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Recoup: who are you?</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:4rem auto;padding:0 1rem;color:#1c2733}}
button{{display:flex;justify-content:space-between;gap:1rem;width:100%;margin:.5rem 0;padding:.75rem 1rem;font:inherit;
background:#fff;border:1px solid #b8c4d0;border-radius:6px;cursor:pointer;text-align:left}}
button:hover,button:focus{{border-color:#1f5fa8}}span{{color:#5a6b7b}}</style></head>
<body><h1>Who are you?</h1><p>Sample persons of the local stack. You go on to <b>{client}</b>.</p>
<form method="post" action="/authorize">{fields}{buttons}</form></body></html>
"""


def main() -> int:
    """Command line: serves until a signal, or shows the secrets of the sample persons."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.issuer", description=__doc__)
    parser.add_argument("--port", type=int, default=8400)
    parser.add_argument("--state", type=Path, required=True, help="folder of the key and of persons.json")
    parser.add_argument("--show", action="store_true", help="print the persons and their secrets, and end")
    given = parser.parse_args()
    try:
        if given.show:
            _show(load_persons(given.state / "persons.json"))
            return 0
        require_free(given.port)
        issuer = Issuer(f"http://{HOST}:{given.port}", given.state)
        if sys.stdout.isatty():
            _show(issuer.persons)
        print(f"issuer at {issuer.url}; secrets of the sample persons: {given.state / 'persons.json'}", flush=True)
        run(make_issuer_app(issuer), given.port)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _show(persons: Mapping[str, Person]) -> None:
    for subject, person in persons.items():
        print(f"{subject:8} {person.secret}  {person.title}")


if __name__ == "__main__":
    sys.exit(main())
