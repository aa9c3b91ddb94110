"""The pages: overview, accounts, one account, exceptions, and the one style sheet. Reads only.

Invariant: a page shows one company, which is the caller's.
"""

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from services.reporting import reports
from services.reporting.exceptions import exceptions_of
from services.reporting.pages import views
from services.reporting.pages.render import FOLDER, PageRoute, page
from services.reporting.queries import accounts, as_of
from shared.auth import Principal, company_of, require
from shared.http import Paging, page_of
from shared.permissions import REPORTING_READ
from shared.problems import Problem
from shared.runtime.lifecycle import Runtime, get_runtime

router = APIRouter(include_in_schema=False, route_class=PageRoute)
Process = Annotated[Runtime, Depends(get_runtime)]
Reader = Annotated[Principal, Depends(require(REPORTING_READ))]
Company = Annotated[str | None, Query(max_length=64)]
ACCOUNTS_PER_PAGE = 50
STYLE = FOLDER.parent / "static" / "recoup.css"


def chosen(reader: Principal, company: str | None) -> str:
    """The company that was asked for, else the caller's first."""
    if company:
        return company_of(reader, company)
    if not reader.companies:
        raise Problem(403, "no_company", "your token names no company", "ask the administrator for one")
    return sorted(reader.companies)[0]


def _standing(reader: Principal, company: str, place: reports.Place) -> dict[str, Any]:
    return {"company": company, "companies": sorted(reader.companies), "place": place, "base": place.base}


@router.get("/")
async def overview(runtime: Process, request: Request, reader: Reader, company: Company = None) -> HTMLResponse:
    """Where the company's money is, as of the last closed day."""
    name = chosen(reader, company)
    async with runtime.engine.connect() as db:
        clock = await as_of.clock_of(db, name)
        if clock["closed_on"] is None and clock["tick_at"] is None:
            return page(request, "waiting.html", company=name, companies=sorted(reader.companies))
        place = await reports.place_of(db, name)
        content = await views.overview(db, place)
    return page(request, "overview.html", **_standing(reader, name, place), **content)


@router.get("/accounts")
async def search(
    runtime: Process,
    request: Request,
    reader: Reader,
    company: Company = None,
    q: Annotated[str, Query(max_length=100)] = "",
    cursor: Annotated[str | None, Query(max_length=1_000)] = None,
) -> HTMLResponse:
    """Accounts by name, number, or a document's number."""
    name = chosen(reader, company)
    asked = Paging(ACCOUNTS_PER_PAGE, cursor)
    scope = f"page/accounts/{name}/{q}"
    async with runtime.engine.connect() as db:
        place = await reports.place_of(db, name)
        rows = await accounts.search(db, place.cut, q.strip(), asked.after(scope), asked.fetch)
    shown, following = page_of(rows, asked, scope, lambda row: (row["name"], row["account_id"]))
    return page(request, "accounts.html", **_standing(reader, name, place), q=q, rows=shown, following=following)


@router.get("/accounts/{account_id}")
async def account(
    runtime: Process,
    request: Request,
    reader: Reader,
    account_id: str,
    company: Company = None,
    from_on: date | None = None,
    to_on: date | None = None,
) -> HTMLResponse:
    """Everything about one account."""
    name = chosen(reader, company)
    async with runtime.engine.connect() as db:
        place = await reports.place_of(db, name, to_on)
        found = await accounts.account_by_id(db, name, account_id)
        if found is None:
            standing = _standing(reader, name, place)
            return page(request, "missing.html", 404, **standing, what=f"account {account_id[:60]}")
        content = await views.account(db, place, account_id, from_on or place.cut.on - timedelta(days=90))
    return page(request, "account.html", **_standing(reader, name, place), account=found, **content)


@router.get("/exceptions")
async def exceptions(runtime: Process, request: Request, reader: Reader, company: Company = None) -> HTMLResponse:
    """What waits for a person."""
    name = chosen(reader, company)
    async with runtime.engine.connect() as db:
        place = await reports.place_of(db, name)
        found = await exceptions_of(db, name)
    return page(request, "exceptions.html", **_standing(reader, name, place), found=found)


@router.get("/static/recoup.css")
async def style() -> FileResponse:
    return FileResponse(STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=300"})


@router.get("/favicon.ico")
async def no_icon() -> Response:
    """Browsers ask for it; there is none."""
    return Response(status_code=204, headers={"Cache-Control": "public, max-age=86400"})
