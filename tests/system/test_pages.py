"""The pages in a real browser: login at the sample issuer, overview, account, exceptions, with scripts off and on.

Skips only where no Chromium is installed. With RECOUP_SCREENSHOTS=folder the pages are kept as pictures.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright, expect

from deploy.local.issuer import Issuer, make_issuer_app
from deploy.local.ports import free_ports
from services.reporting.main import build
from services.reporting.settings import Settings
from shared.auth import AuthSettings
from shared.db.pool import create_pool
from shared.runtime.lifecycle import close_runtime, create_app, open_runtime
from tests.conftest import MakeDatabase
from tests.store.reporting import quarter
from tests.store.reporting.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
COMPANY = "vdr-eu"
pytestmark = [pytest.mark.system, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]


@dataclass
class Site:
    url: str
    browser: Browser
    problems: list[str] = field(default_factory=list)

    async def page(self, **options: Any) -> Page:
        """A fresh context that is logged in as Audrey, the auditor."""
        context = await self.browser.new_context(viewport={"width": 1360, "height": 900}, **options)
        page = await context.new_page()
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog {dialog.message}"))
        await page.goto(self.url + "/")
        await page.get_by_role("link", name="Log in").click()
        await page.get_by_role("button", name="Audrey").click()
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        return page


@contextlib.asynccontextmanager
async def serving(app: Any, port: int) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110 - uvicorn tells by an attribute only
            await asyncio.sleep(0.02)
    yield
    server.should_exit = True
    await task


@pytest.fixture
async def site(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Site]:
    dsn = await make_database("reporting")
    pool = await create_pool(dsn)
    world = World(pool, company=COMPANY)
    await world.configure()
    await quarter.live(world)
    await pool.close()
    issuer_port, port = free_ports(2)
    issuer_url = f"http://127.0.0.1:{issuer_port}"
    settings = Settings(database_dsn=dsn, kafka_bootstrap="nowhere:1", blob_dir=tmp_path, issuer_url=issuer_url)
    service = build(settings)
    service.app_options["auth"] = AuthSettings(jwks_url=f"{issuer_url}/jwks.json", token_issuer=issuer_url)
    runtime = await open_runtime(service, settings)
    (tmp_path / "issuer").mkdir()
    issuer = make_issuer_app(Issuer(issuer_url, tmp_path / "issuer"))
    async with (
        serving(issuer, issuer_port),
        serving(create_app(service, runtime), port),
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        made = Site(f"http://127.0.0.1:{port}", browser)
        yield made
        await browser.close()
    await close_runtime(runtime)
    assert made.problems == []


async def keep(page: Page, name: str) -> None:
    if folder := os.environ.get("RECOUP_SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


async def no_sideways_scroll(page: Page) -> None:
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


async def test_a_person_looks_at_the_money(site: Site) -> None:
    page = await site.page()
    await keep(page, "overview")
    await expect(page.get_by_role("heading", name="Aging by due date")).to_be_visible()
    await expect(page.get_by_role("img", name="Open amounts by days past due")).to_be_visible()
    await expect(page.get_by_text("figures agree with the ledger")).to_be_visible()
    await no_sideways_scroll(page)

    await page.get_by_role("searchbox", name="Search accounts").fill("INV-0101")
    await page.keyboard.press("Enter")
    await keep(page, "accounts-found")
    await page.get_by_role("link", name=quarter.HOSTILE).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(quarter.HOSTILE)
    await keep(page, "account")
    await no_sideways_scroll(page)
    assert await page.locator("main script, main i").count() == 0

    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download as CSV").click()
    text = Path(await (await download.value).path()).read_text()
    assert text.startswith("day,kind,reference,currency,amount,due_on,balance")

    await page.get_by_role("link", name="Exceptions").click()
    await expect(page.get_by_role("heading", name="Cash that waits")).to_be_visible()
    await keep(page, "exceptions")
    await no_sideways_scroll(page)

    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_text("You are logged out.")).to_be_visible()
    await keep(page, "login")
    await page.goto(site.url + "/exceptions")
    await expect(page.get_by_role("link", name="Log in")).to_be_visible()


async def test_the_pages_need_no_scripts_and_fit_a_phone_in_the_dark(site: Site) -> None:
    page = await site.page(java_script_enabled=False, color_scheme="dark")
    await page.set_viewport_size({"width": 420, "height": 900})
    await page.goto(site.url + "/")
    await expect(page.get_by_role("heading", name="Aging by due date")).to_be_visible()
    await keep(page, "overview-phone-dark")
    await page.goto(site.url + "/accounts/C-1001")
    await expect(page.get_by_role("heading", name="Statement")).to_be_visible()
    await keep(page, "account-phone-dark")


async def test_the_keyboard_reaches_the_content_first(site: Site) -> None:
    page = await site.page()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
