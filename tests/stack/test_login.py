"""The login of the pages against the real local issuer: a browser that began it gets in, nobody else does."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from shared.auth import SESSION_COOKIE, AuthSettings, Caller
from shared.http import make_app
from shared.login import CALLBACK_PATH, LOGIN_COOKIE, LOGIN_PATH, LOGIN_PATHS, LoginSettings, login_router, own_path
from tests.stack.programs import running

PAGES = "http://127.0.0.1:8604"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("issuer")
    with running("deploy.local.issuer", folder, "--port", "{port}", "--state", str(folder)) as (_, ports):
        yield f"http://127.0.0.1:{ports[0]}"


def pages_app(issuer: str) -> FastAPI:
    router = APIRouter()

    @router.get("/overview")
    async def overview(who: Caller) -> str:
        return who.subject

    @router.post("/act")
    async def act(who: Caller) -> str:
        return who.subject

    return make_app(
        "reporting",
        "1",
        routers=[router, login_router(LoginSettings(issuer_url=issuer))],
        auth=AuthSettings(jwks_url=f"{issuer}/jwks.json", token_issuer=issuer),
        registry=CollectorRegistry(),
        public_paths=LOGIN_PATHS,
        login_path=LOGIN_PATH,
    )


@pytest.fixture
async def browser(issuer: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(pages_app(issuer)), base_url=PAGES, headers={"Accept": "text/html"}
    ) as opened:
        yield opened


async def at_issuer(location: str, person: str = "audrey") -> str:
    """Clicks the person on the issuer's page; where the browser is sent back to."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    async with httpx.AsyncClient(trust_env=False) as client:
        sent = await client.post(location.partition("?")[0], data=asked | {"person": person})
    assert sent.status_code == 303, sent.text
    return sent.headers["location"]


async def begin(browser: httpx.AsyncClient, path: str = "/overview?as_of=2026-03-31") -> httpx.Response:
    first = await browser.get(path)
    assert first.status_code == 303
    return await browser.get(first.headers["location"])


async def test_a_browser_gets_in_and_comes_back_to_the_page_it_wanted(browser: httpx.AsyncClient) -> None:
    back = await at_issuer((await begin(browser)).headers["location"])
    assert back.startswith(PAGES + CALLBACK_PATH)
    inside = await browser.get(back)
    assert (inside.status_code, inside.headers["location"]) == (303, "/overview?as_of=2026-03-31")
    cookie = next(c for c in inside.headers.get_list("set-cookie") if c.startswith(SESSION_COOKIE))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
    assert (await browser.get("/overview")).json() == "audrey"
    assert (await browser.post("/act")).status_code == 401
    assert (await browser.get(back)).json()["code"] == "login_not_begun"
    await browser.get("/logout")
    assert (await browser.get("/overview")).status_code == 303


async def test_a_login_begun_elsewhere_or_damaged_is_refused(browser: httpx.AsyncClient, issuer: str) -> None:
    back = await at_issuer((await begin(browser)).headers["location"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pages_app(issuer)), base_url=PAGES) as other:
        assert (await other.get(back)).json()["code"] == "login_not_begun"
        for damaged in ("", "x", "e30=", "W10=", "eyJzdGF0ZSI6MX0="):
            answer = await other.get(back, headers={"Cookie": f"{LOGIN_COOKIE}={damaged}"})
            assert answer.json()["code"] == "login_not_begun"
    assert (await browser.get(back + "x")).json()["code"] == "login_not_begun"
    wrong_code = back.replace("code=", "code=x")
    answer = await browser.get(wrong_code)
    assert (answer.status_code, answer.json()["code"]) == (400, "login_refused")
    assert SESSION_COOKIE not in browser.cookies


async def test_an_issuer_that_is_away_is_said_to_be_away() -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(pages_app("http://127.0.0.1:9")), base_url=PAGES
    ) as browser:
        begun = await browser.get(LOGIN_PATH)
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        answer = await browser.get(CALLBACK_PATH, params={"code": "c", "state": state})
        assert (answer.status_code, answer.json()["code"]) == (503, "not_available_now")


async def test_cookies_are_secure_where_the_pages_are(issuer: str) -> None:
    router = login_router(LoginSettings(issuer_url=issuer, public_url="https://recoup.example"))
    app = make_app("reporting", "1", routers=[router], registry=CollectorRegistry(), public_paths=LOGIN_PATHS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PAGES) as browser:
        begun = await browser.get(LOGIN_PATH)
    assert "Secure" in begun.headers["set-cookie"]
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["redirect_uri"] == ["https://recoup.example/login/callback"]


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/accounts/A1?x=1#y", "/accounts/A1?x=1#y"),
        ("//evil.test/", "/"),
        ("///evil.test/", "/"),
        ("/\\evil.test", "/"),
        ("http://evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: b", "/"),
        ("/\t/evil.test", "/"),
        ("accounts", "/"),
        ("", "/"),
    ],
)
def test_after_the_login_the_browser_stays_on_our_site(wanted: str, path: str) -> None:
    assert own_path(wanted) == path


async def test_the_way_back_is_checked_again_after_the_round_trip(browser: httpx.AsyncClient) -> None:
    begun = await browser.get(LOGIN_PATH, params={"next": "//evil.test"})
    inside = await browser.get(await at_issuer(begun.headers["location"]))
    assert inside.headers["location"] == "/"
    answer: Any = await browser.get("/overview")
    assert answer.json() == "audrey"
