"""Pages: what they show, that hostile names stay text, that nobody sees another company, and the login."""

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from services.reporting.pages.login import LOGIN_COOKIE, challenge_of, inside, unpack
from shared.auth import SESSION_COOKIE
from tests.domain.shared.caller_samples import token
from tests.store.reporting.world import World

HTML = {"Accept": "text/html"}


def session(company: str = "acme", **changes: object) -> dict[str, str]:
    return {"Cookie": f"{SESSION_COOKIE}={token(companies=[company], **changes)}"}


class Tags(HTMLParser):
    """Every opening tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


async def get(browser: httpx.AsyncClient, path: str, company: str = "acme") -> httpx.Response:
    return await browser.get(path, headers=HTML | session(company))


@pytest.fixture
def dsn(lived_dsn: str) -> str:
    """These tests read only, so they share one database."""
    return lived_dsn


@pytest.fixture
def lived(world: World) -> World:
    return world


async def test_pages_show_the_figures_of_the_last_closed_day(browser: httpx.AsyncClient, lived: World) -> None:
    text = (await get(browser, "/")).text
    assert "Aging by due date" in text and "61–90 days" in text
    assert "figures agree with the ledger" in text
    assert "Cash that may be theirs is not applied yet" in text
    assert "In force" in text and "no statement yet" in text


@pytest.mark.parametrize("path", ["/", "/accounts", "/accounts?q=", "/accounts/C-1001", "/exceptions"])
async def test_hostile_names_stay_text(browser: httpx.AsyncClient, lived: World, path: str) -> None:
    answer = await get(browser, path)
    assert answer.status_code == 200
    tags = Tags(answer.text).found
    assert not [tag for tag, _ in tags if tag in ("script", "iframe", "object", "i", "img")]
    assert "<b>Said</b>" not in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on") or name == "style"]


async def test_everything_that_a_page_loads_is_its_own(browser: httpx.AsyncClient, lived: World) -> None:
    for path in ("/", "/accounts/C-1001"):
        for _, attrs in Tags((await get(browser, path)).text).found:
            for name in ("src", "href", "action"):
                assert not (attrs.get(name) or "/").startswith(("http", "//", "javascript", "data"))


async def test_every_input_has_a_label_and_every_chart_a_table(browser: httpx.AsyncClient, lived: World) -> None:
    for path in ("/", "/accounts", "/accounts/C-1001"):
        tags = Tags((await get(browser, path)).text).found
        labelled = {attrs.get("for") for tag, attrs in tags if tag == "label"}
        inputs = [attrs for tag, attrs in tags if tag in ("input", "select") and attrs.get("type") != "hidden"]
        assert inputs and all(attrs.get("id") in labelled for attrs in inputs)
        ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
        assert len(ids) == len(set(ids))
    tags = Tags((await get(browser, "/")).text).found
    assert all(attrs.get("aria-label") for tag, attrs in tags if tag == "svg")


async def test_the_account_page_shows_everything_of_one_account(browser: httpx.AsyncClient, lived: World) -> None:
    text = (await get(browser, "/accounts/C-1001")).text
    for heading in ("Open items", "Payments", "Notices", "Promises", "Disputes", "Holds", "Contacts", "Statement"):
        assert f">{heading}</h2>" in text
    assert "Closing balance" in text and "Not explained by lines" not in text
    assert "ap1@debtor.example" in text and "format=csv" in text


async def test_an_unknown_account_answers_with_a_page(browser: httpx.AsyncClient, lived: World) -> None:
    answer = await get(browser, "/accounts/nobody")
    assert answer.status_code == 404 and "There is no account nobody" in answer.text


async def test_search_finds_by_name_number_and_document_and_takes_wildcards_as_text(
    browser: httpx.AsyncClient, lived: World
) -> None:
    assert "C-1001" in (await get(browser, "/accounts?q=s%C3%B6hne")).text
    assert "C-1003" in (await get(browser, "/accounts?q=C-1003")).text
    assert "C-1002" in (await get(browser, "/accounts?q=INV-0201")).text
    assert "No account fits" in (await get(browser, "/accounts?q=%25%25")).text


async def test_another_company_sees_nothing_of_it(browser: httpx.AsyncClient, lived: World) -> None:
    assert (await get(browser, "/?company=acme", "other")).status_code == 403
    other = await get(browser, "/", "other")
    assert other.status_code in (200, 409) and "Alder" not in other.text and "C-1001" not in other.text
    assert (await get(browser, "/accounts/C-1001", "other")).status_code in (404, 409)


async def test_a_refusal_is_a_page_that_says_what_to_do(browser: httpx.AsyncClient, lived: World) -> None:
    answer = await browser.get("/", headers=HTML | session(roles=["operator"]))
    assert answer.status_code == 403 and answer.headers["content-type"].startswith("text/html")
    assert "Action not permitted" in answer.text and "What to do" in answer.text
    cursor = await get(browser, "/accounts?cursor=%3Cb%3E")
    assert (
        cursor.status_code == 400 and "Cursor not valid" in cursor.text and "<b>" not in cursor.text.split("<main")[1]
    )


async def test_without_a_session_browsers_are_sent_to_the_login(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/accounts?q=x", headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Faccounts%3Fq%3Dx"


async def test_login_goes_to_the_issuer_with_pkce_and_back_with_a_session(
    app: FastAPI, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await browser.get("/login/start?next=/exceptions")
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    kept = unpack(begun.cookies[LOGIN_COOKIE])
    assert kept is not None
    assert asked["code_challenge"] == [challenge_of(kept["verifier"])]
    assert asked["redirect_uri"] == ["http://pages.test/login/callback"]
    sent: dict[str, str] = {}

    def issuer(request: httpx.Request) -> httpx.Response:
        sent.update({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        return httpx.Response(200, json={"access_token": token(companies=["acme"])})

    client = httpx.AsyncClient
    monkeypatch.setattr(
        "services.reporting.pages.login.httpx.AsyncClient",
        lambda **options: client(transport=httpx.MockTransport(issuer)),
    )
    answer = await browser.get(f"/login/callback?code=c0de&state={kept['state']}")
    assert answer.status_code == 303 and answer.headers["location"] == "/exceptions"
    assert sent["code"] == "c0de" and sent["code_verifier"] == kept["verifier"]
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(SESSION_COOKIE))
    assert "HttpOnly" in cookie and re.search("samesite=lax", cookie, re.I)


async def test_a_callback_with_another_state_is_refused(browser: httpx.AsyncClient) -> None:
    await browser.get("/login/start")
    answer = await browser.get("/login/callback?code=c&state=other")
    assert answer.status_code == 400 and "not begun here" in answer.text
    assert SESSION_COOKIE not in answer.cookies


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil", "/login", "javascript:x", "/a\nb"]
)
def test_next_never_leaves_the_pages(target: str) -> None:
    assert inside(target) == "/"
    assert inside("/accounts?q=a%20b") == "/accounts?q=a%20b"


async def test_logging_out_ends_the_session(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/logout")
    assert answer.status_code == 303
    assert 'recoup_session=""' in answer.headers["set-cookie"]
