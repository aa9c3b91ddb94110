"""The local issuer as a process: its tokens pass the real checks, and it hands none to the wrong one."""

import base64
import hashlib
import json
import secrets
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import APIRouter, Depends
from prometheus_client import CollectorRegistry

from deploy.local.errors import StackError
from deploy.local.issuer import is_loopback
from deploy.local.persons import check_roles, load_persons
from deploy.local.ports import free_ports
from shared.auth import Authenticator, AuthSettings, Principal, require
from shared.http import make_app
from shared.permissions import CASH_APPLY, duty_conflicts
from shared.problems import Problem
from tests.stack.programs import REPOSITORY, running

BACK = "http://127.0.0.1:9/login/callback"
PERSONS = {"ana", "colin", "sue", "conrad", "audrey", "otto", "feeder"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("issuer")


@pytest.fixture(scope="module")
def url(state: Path):
    with running("deploy.local.issuer", state, "--port", "{port}", "--state", str(state)) as (_, ports):
        yield f"http://127.0.0.1:{ports[0]}"


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as opened:
        yield opened


def secret_of(state: Path, person: str) -> str:
    return json.loads((state / "persons.json").read_text())["persons"][person]["secret"]


def settings(url: str) -> AuthSettings:
    return AuthSettings(jwks_url=f"{url}/jwks.json", token_issuer=url)


async def person_token(client: httpx.AsyncClient, state: Path, person: str) -> str:
    answer = await client.post(
        "/token", data={"grant_type": "person", "person": person, "secret": secret_of(state, person)}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


async def test_every_sample_person_gets_a_token_that_the_services_accept(
    url: str, state: Path, client: httpx.AsyncClient
) -> None:
    proven = Authenticator(settings(url))
    principals = {}
    for person in json.loads((state / "persons.json").read_text())["persons"]:
        principals[person] = await proven.by_token(await person_token(client, state, person))
    assert set(principals) == PERSONS
    assert {p.kind for name, p in principals.items() if name != "feeder"} == {"person"}
    assert principals["feeder"].kind == "service" and principals["feeder"].roles == {"feeder", "clock"}
    assert all(p.companies == {"vdr-eu"} and not duty_conflicts(p.roles) for p in principals.values())
    assert principals["sue"].limits["write_off"] == {"EUR": 100_000}
    assert principals["conrad"].limits["credit_memo"] == {"EUR": 10_000_000}
    assert principals["ana"].limits == {}


async def test_a_real_app_reads_the_keys_over_http(url: str, state: Path, client: httpx.AsyncClient) -> None:
    router = APIRouter()

    @router.get("/companies/{company}/x")
    async def x(company: str, principal: Principal = Depends(require(CASH_APPLY))) -> str:  # noqa: B008
        return principal.actor

    app = make_app("cash_application", "1", routers=[router], auth=settings(url), registry=CollectorRegistry())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as api:
        for person, status in (("ana", 200), ("audrey", 403)):
            bearer = {"Authorization": f"Bearer {await person_token(client, state, person)}"}
            assert (await api.get("/companies/vdr-eu/x", headers=bearer)).status_code == status


@pytest.mark.parametrize(
    ("given", "status", "error"),
    [
        ({"grant_type": "person", "person": "ana", "secret": "wrong"}, 401, "invalid_grant"),
        ({"grant_type": "person", "person": "nobody", "secret": "wrong"}, 401, "invalid_grant"),
        ({"grant_type": "person", "person": "ana"}, 401, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, 400, "invalid_grant"),
        ({}, 400, "unsupported_grant_type"),
    ],
)
async def test_a_wrong_request_for_a_token_gets_none(
    client: httpx.AsyncClient, given: dict[str, str], status: int, error: str
) -> None:
    for answer in (await client.post("/token", data=given), await client.post("/token", json=given)):
        assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_damaged_bodies_are_refused(client: httpx.AsyncClient) -> None:
    as_json = {"Content-Type": "application/json"}
    for content in (b"{", b"[]", b"\xff", b"[" * 9_000):
        assert (await client.post("/token", content=content, headers=as_json)).status_code == 400
    assert (await client.post("/token", content=b"x" * 20_000)).status_code == 413
    assert (await client.post("/token", content=b"\xff=1")).status_code == 400


class Form(HTMLParser):
    """Hidden fields and persons of the login page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.persons: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input":
            self.fields[given["name"] or ""] = given["value"] or ""
        if tag == "button":
            self.persons.add(given["value"] or "")


def asked(verifier: str, **changes: str) -> dict[str, str]:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return {
        "response_type": "code",
        "client_id": "recoup-pages",
        "redirect_uri": BACK,
        "state": 's"><script>',
        "nonce": "n-1",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "scope": "openid",
    } | changes


async def test_a_browser_logs_in_by_code_and_pkce_and_a_code_works_once(url: str, client: httpx.AsyncClient) -> None:
    verifier = secrets.token_urlsafe(48)
    page = await client.get("/authorize", params=asked(verifier))
    assert page.status_code == 200 and "<script>" not in page.text
    form = Form(page.text)
    assert form.persons == PERSONS - {"feeder"}
    sent = await client.post("/authorize", data=form.fields | {"person": "sue"}, headers={"Origin": url})
    assert sent.status_code == 303
    back = urlsplit(sent.headers["location"])
    answer = {name: values[0] for name, values in parse_qs(back.query).items()}
    assert f"{back.scheme}://{back.netloc}{back.path}" == BACK and answer["state"] == 's"><script>'
    redeem = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "code_verifier": verifier,
        "redirect_uri": BACK,
        "client_id": "recoup-pages",
    }
    tokens = (await client.post("/token", data=redeem)).json()
    proven = Authenticator(settings(url))
    assert (await proven.by_token(tokens["access_token"])).subject == "sue"
    with pytest.raises(Problem):
        await proven.by_token(tokens["id_token"])
    assert (await client.post("/token", data=redeem)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 64},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:9/other"},
        {"client_id": "another"},
    ],
)
async def test_a_code_with_a_wrong_proof_is_spent_for_nothing(
    client: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    verifier = secrets.token_urlsafe(48)
    sent = await client.post("/authorize", data=asked(verifier) | {"person": "ana"})
    code = parse_qs(urlsplit(sent.headers["location"]).query)["code"][0]
    right = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": BACK,
        "client_id": "recoup-pages",
    }
    for given in (right | changes, right):
        assert (await client.post("/token", data=given)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "http://evil.test/"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"response_type": "token"},
        {"state": ""},
        {"client_id": "recoup"},
        {"client_id": "<b>"},
    ],
)
async def test_a_login_that_could_be_stolen_is_refused(client: httpx.AsyncClient, changes: dict[str, str]) -> None:
    given = asked("v" * 64, **changes)
    for answer in (
        await client.get("/authorize", params=given),
        await client.post("/authorize", data=given | {"person": "ana"}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_form_of_another_site_and_another_host_name_are_refused(client: httpx.AsyncClient) -> None:
    given = asked("v" * 64) | {"person": "ana"}
    for origin in ("http://evil.test", "null"):
        answer = await client.post("/authorize", data=given, headers={"Origin": origin})
        assert answer.status_code == 400
    assert (await client.get("/jwks.json", headers={"Host": "evil.test"})).status_code == 400
    unknown = await client.post("/authorize", data=given | {"person": "nobody"})
    assert unknown.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("uri", "stays"),
    [
        ("http://127.0.0.1:8080/cb", True),
        ("http://localhost/cb?x=1", True),
        ("http://[::1]:9/cb", True),
        ("https://127.0.0.1/cb", False),
        ("http://127.0.0.1.evil.test/", False),
        ("http://127.0.0.1@evil.test/", False),
        ("http://evil.test\\@127.0.0.1/", False),
        ("http://user@127.0.0.1/", False),
        ("http://127.0.0.1/#x", False),
        ("//evil.test", False),
        ("javascript:alert(1)", False),
        ("http://127.0.0.1:port/", False),
        ("http://[::1", False),
        ("http://127.0.0.1/\r\nSet-Cookie: a", False),
        ("", False),
    ],
)
def test_redirects_stay_on_this_machine(uri: str, stays: bool) -> None:
    assert is_loopback(uri) is stays


async def test_discovery_names_the_endpoints_and_the_key_set_no_private_part(
    url: str, client: httpx.AsyncClient
) -> None:
    found = (await client.get("/.well-known/openid-configuration")).json()
    assert found["issuer"] == url
    keys = (await client.get(found["jwks_uri"])).json()["keys"]
    assert set(keys[0]) <= {"kty", "n", "e", "kid", "use", "alg"}


def test_keys_and_secrets_are_private_kept_and_not_in_the_log(url: str, state: Path) -> None:
    for name in ("key.json", "persons.json"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600
    log = (state / "program.log").read_text()
    assert "persons.json" in log
    assert not any(secret_of(state, person) in log for person in PERSONS)


def test_a_second_start_keeps_keys_and_persons_and_shows_them(state: Path, url: str) -> None:
    before = (state / "key.json").read_text(), (state / "persons.json").read_text()
    command = [sys.executable, "-m", "deploy.local.issuer", "--state", str(state)]
    shown = subprocess.run([*command, "--show"], capture_output=True, text=True, check=True, cwd=REPOSITORY, timeout=30)
    assert secret_of(state, "ana") in shown.stdout
    taken = urlsplit(url).port
    second = subprocess.run(
        [*command, "--port", str(taken)], capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=30
    )
    assert second.returncode == 1 and f"port {taken} is taken" in second.stderr and "Traceback" not in second.stderr
    assert before == ((state / "key.json").read_text(), (state / "persons.json").read_text())


def test_a_person_with_conflicting_duties_stops_the_issuer(tmp_path: Path) -> None:
    load_persons(tmp_path / "persons.json")
    content = json.loads((tmp_path / "persons.json").read_text())
    content["persons"]["ana"]["roles"] = ["analyst", "controller"]
    (tmp_path / "persons.json").write_text(json.dumps(content))
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "deploy.local.issuer", "--state", str(tmp_path), "--port", str(port)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=30)
    assert ended.returncode == 1
    assert "ana: one person may not be analyst (apply_cash) with controller" in ended.stderr
    with pytest.raises(StackError, match="does not exist"):
        check_roles("ana", ["root"])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"persons": {"ana": {}}}', '{"persons": []}', "\x00"])
def test_a_damaged_file_of_persons_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "persons.json").write_text(content)
    with pytest.raises(StackError, match="remove it to have it made anew"):
        load_persons(tmp_path / "persons.json")
