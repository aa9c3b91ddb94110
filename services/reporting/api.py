"""The API of reporting: every figure with its date, in JSON or CSV. Reads only.

Invariant: every path names its company and answers for no other.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from services.reporting import reports
from services.reporting.answers import CSV_RESPONSE, CSV_ROWS_MAX, AsCsv, csv_response
from services.reporting.domain.aging import Basis
from services.reporting.domain.days_sales import shown
from services.reporting.domain.ratios import share
from services.reporting.domain.snapshot import shown_row
from services.reporting.exceptions import exceptions_of
from services.reporting.queries import accounts, as_of, lists
from services.reporting.queries.as_of import By
from services.reporting.queries.lists import Window
from services.reporting.schemas import (
    AccountRow,
    AccountStatement,
    AgingReport,
    CashDay,
    DayRow,
    DisputeRow,
    DsoReport,
    Exceptions,
    HoldRow,
    ItemRow,
    NoticeRow,
    PromiseRow,
    PromiseSummary,
    ReconciliationRow,
    WithheldSummary,
)
from shared.auth import require
from shared.http import Page, Paging, Problem, page_of, paging
from shared.permissions import REPORTING_READ
from shared.runtime.lifecycle import Runtime, get_runtime

Process = Annotated[Runtime, Depends(get_runtime)]
Company = Annotated[str, Path(max_length=64, examples=["vdr-eu"])]
AsOf = Annotated[date | None, Query(description="state as of this day by accounted_on; default: the last closed day")]
KnownAt = Annotated[datetime | None, Query(description="only what was known at this instant")]
Asked = Annotated[Paging, Depends(paging)]
Account = Annotated[str, Path(max_length=60)]
STATEMENT_DAYS = 90

router = APIRouter(
    prefix="/v1/companies/{company}", tags=["reporting"], dependencies=[Depends(require(REPORTING_READ))]
)


def window(
    from_on: date | None = None,
    to_on: date | None = None,
    account_id: Annotated[str | None, Query(max_length=60)] = None,
    status: Annotated[str | None, Query(max_length=30)] = None,
) -> Window:
    return Window(from_on, to_on, account_id, status)


Chosen = Annotated[Window, Depends(window)]


@router.get("/aging", response_model=AgingReport, responses=CSV_RESPONSE)
async def show_aging(
    runtime: Process,
    company: Company,
    page: Asked,
    csv: AsCsv,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    by: By = "currency",
    basis: Basis = "due",
) -> AgingReport | Response:
    """Open items by days past due, or by age of the document; groups by currency, account, country and so on.

    The rows are paged by group and currency; `in_base` is over all of them.
    """
    async with runtime.engine.connect() as db:
        place = await reports.place_of(db, company, as_of, known_at)
        rows, total = await reports.aging(db, place, by, basis)
    shown_rows = [shown_row(row) for row in rows]
    if csv:
        names = [f"{name}_minor" for name in (rows[0].buckets if rows else ())]
        flat = [row | {f"{name}_minor": minor for name, minor in row["buckets"].items()} for row in shown_rows]
        columns = ["group", "currency", *names, "disputed_minor", "gross_minor", "credits_minor", "net_minor"]
        return csv_response(f"aging-{company}-{place.cut.on}", columns, flat)
    scope = f"aging/{place.cut}/{by}/{basis}"
    behind = page.after(scope)
    left = [row for row in shown_rows if behind is None or (row["group"], row["currency"]) > behind]
    on_page, following = page_of(left[: page.fetch], page, scope, lambda row: (row["group"], row["currency"]))
    return AgingReport.model_validate(
        {
            "as_of": place.cut.on,
            "known_at": known_at,
            "by": by,
            "basis": basis,
            "base_currency": place.base,
            "rows": on_page,
            "next": following,
            "in_base": shown_row(total) if total else None,
        }
    )


@router.get("/items", response_model=Page[ItemRow], responses=CSV_RESPONSE)
async def list_items(
    runtime: Process,
    company: Company,
    page: Asked,
    csv: AsCsv,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    account_id: Annotated[str | None, Query(max_length=60)] = None,
    currency: Annotated[str | None, Query(pattern="^[A-Z]{3}$")] = None,
    overdue: bool = False,
    disputed: bool = False,
) -> Page[ItemRow] | Response:
    """Open items at a cut, by due date: what stands behind every aging figure."""
    async with runtime.engine.connect() as db:
        place = await reports.place_of(db, company, as_of, known_at)
        scope = f"items/{place.cut}/{account_id}/{currency}/{overdue}/{disputed}"
        rows = await as_of_items(db, place, account_id, currency, overdue, disputed, page, scope, csv)
    if csv:
        return csv_response(f"items-{company}-{place.cut.on}", list(ItemRow.model_fields), rows)
    shown_rows, following = page_of(rows, page, scope, lambda row: (row["due_on"], row["item_id"]))
    return Page(items=[ItemRow.model_validate(dict(row)) for row in shown_rows], next=following)


async def as_of_items(
    db: Any,
    place: reports.Place,
    account_id: str | None,
    currency: str | None,
    overdue: bool,
    disputed: bool,
    page: Paging,
    scope: str,
    csv: bool,
) -> Sequence[Mapping[str, Any]]:
    return await as_of.items_at(
        db,
        place.cut,
        account_id=account_id,
        currency=currency,
        overdue_only=overdue,
        disputed_only=disputed,
        after=None if csv else page.after(scope),
        limit=CSV_ROWS_MAX + 1 if csv else page.fetch,
    )


@router.get("/accounts")
async def list_accounts(
    runtime: Process, company: Company, page: Asked, q: Annotated[str, Query(max_length=100)] = "", as_of: AsOf = None
) -> Page[AccountRow]:
    """Accounts by part of name or number, or by a document's number, with what is open."""
    async with runtime.engine.connect() as db:
        place = await reports.place_of(db, company, as_of)
        scope = f"accounts/{place.cut}/{q}"
        rows = await accounts.search(db, place.cut, q.strip(), page.after(scope), page.fetch)
    shown_rows, following = page_of(rows, page, scope, lambda row: (row["name"], row["account_id"]))
    return Page(items=[AccountRow.model_validate(dict(row)) for row in shown_rows], next=following)


@router.get("/accounts/{account_id}/statement", response_model=AccountStatement, responses=CSV_RESPONSE)
async def show_statement(
    runtime: Process,
    company: Company,
    account_id: Account,
    csv: AsCsv,
    from_on: date | None = None,
    to_on: date | None = None,
    known_at: KnownAt = None,
) -> AccountStatement | Response:
    """Opening balance, documents, cash and other relief, closing balance; by default 90 days up to the last close."""
    async with runtime.engine.connect() as db:
        place = await reports.place_of(db, company, to_on, known_at)
        begin = from_on or place.cut.on - timedelta(days=STATEMENT_DAYS)
        if begin > place.cut.on:
            raise Problem(422, "window_not_valid", "from_on is after to_on", "exchange the two dates")
        found = await accounts.account_by_id(db, company, account_id)
        if found is None:
            raise unknown_account(company, account_id)
        report = await reports.statement(db, place, account_id, begin)
    if csv:
        columns = ["day", "kind", "reference", "currency", "amount_minor", "due_on", "balance_minor"]
        return csv_response(f"statement-{place.cut.on}", columns, report["lines"])
    head = {"company": company, "account_id": account_id, "name": found["name"], "known_at": known_at}
    return AccountStatement.model_validate(head | report)


def unknown_account(company: str, account_id: str) -> Problem:
    return Problem(
        404, "account_unknown", f"there is no account {account_id[:60]!r} in company {company!r}",
        "search under /v1/companies/{company}/accounts?q=",
    )  # fmt: skip


Fetch = Callable[..., Awaitable[Sequence[Mapping[str, Any]]]]


async def _listed(
    runtime: Runtime,
    fetch: Fetch,
    company: str,
    chosen: Window,
    page: Paging,
    csv: bool,
    model: type[Any],
    key: tuple[str, ...],
) -> Any:
    name = fetch.__name__
    scope = f"{name}/{company}/{chosen}"
    async with runtime.engine.connect() as db:
        after, limit = (None, CSV_ROWS_MAX + 1) if csv else (page.after(scope), page.fetch)
        rows = await fetch(db, company, chosen, after, limit)
    if csv:
        return csv_response(f"{name}-{company}", list(model.model_fields), rows)
    shown_rows, following = page_of(rows, page, scope, lambda row: tuple(row[column] for column in key))
    return Page(items=[model.model_validate(dict(row)) for row in shown_rows], next=following)


@router.get("/promises", response_model=Page[PromiseRow], responses=CSV_RESPONSE)
async def list_promises(runtime: Process, company: Company, chosen: Chosen, page: Asked, csv: AsCsv) -> Any:
    """Promises by due date, newest first."""
    return await _listed(runtime, lists.promises, company, chosen, page, csv, PromiseRow, ("due_on", "promise_id"))


@router.get("/promises/kept")
async def show_promises_kept(runtime: Process, company: Company, chosen: Chosen) -> PromiseSummary:
    """How promises ended that were due in the window; by value only promises of one currency can be summed."""
    async with runtime.engine.connect() as db:
        rows = await lists.promise_outcomes(db, company, chosen)
    return promise_summary(rows)


def promise_summary(rows: Sequence[Mapping[str, Any]]) -> PromiseSummary:
    count = {status: sum(r["promises"] for r in rows if r["status"] == status) for status in _STATUSES}
    matured = [row for row in rows if row["status"] in _STATUSES[:3]]
    one_currency = len({row["currency"] for row in matured}) == 1
    promised, received = (sum(row[name] for row in matured) for name in ("amount_minor", "received_minor"))
    return PromiseSummary(
        kept=count["kept"],
        partly_kept=count["partly_kept"],
        broken=count["broken"],
        open=count["open"],
        cash_waits=sum(row.get("cash_waits", 0) for row in matured),
        kept_by_count=shown(share(count["kept"], sum(row["promises"] for row in matured)), 4),
        kept_by_value=shown(share(received, promised), 4) if one_currency else None,
    )


_STATUSES = ("kept", "partly_kept", "broken", "open")


@router.get("/disputes", response_model=Page[DisputeRow], responses=CSV_RESPONSE)
async def list_disputes(runtime: Process, company: Company, chosen: Chosen, page: Asked, csv: AsCsv) -> Any:
    """Disputes by opening date, newest first."""
    return await _listed(runtime, lists.disputes, company, chosen, page, csv, DisputeRow, ("opened_on", "dispute_id"))


@router.get("/holds", response_model=Page[HoldRow], responses=CSV_RESPONSE)
async def list_holds(runtime: Process, company: Company, chosen: Chosen, page: Asked, csv: AsCsv) -> Any:
    """Holds, newest first, with what the access system confirmed."""
    return await _listed(runtime, lists.holds, company, chosen, page, csv, HoldRow, ("business_date", "hold_id"))


@router.get("/notices", response_model=Page[NoticeRow], responses=CSV_RESPONSE)
async def list_notices(runtime: Process, company: Company, chosen: Chosen, page: Asked, csv: AsCsv) -> Any:
    """Notices, newest first: asked, sent, withheld and why, failed, unknown."""
    return await _listed(runtime, lists.notices, company, chosen, page, csv, NoticeRow, ("day", "notice_id"))


@router.get("/notices/withheld")
async def show_withheld(runtime: Process, company: Company, chosen: Chosen) -> WithheldSummary:
    """What became of notices in the window, and why some were withheld."""
    async with runtime.engine.connect() as db:
        by_status, by_reason = await lists.withheld(db, company, chosen)
    return WithheldSummary.model_validate(
        {
            "by_status": {row["status"]: row["notices"] for row in by_status},
            "by_reason": [asdict(row) for row in by_reason],
        }
    )


@router.get("/cash-received", response_model=Page[CashDay], responses=CSV_RESPONSE)
async def list_cash_received(
    runtime: Process, company: Company, page: Asked, csv: AsCsv, from_on: date | None = None, to_on: date | None = None
) -> Any:
    """Credits by day of booking, bank account and currency, oldest first; by default the last 90 days."""
    async with runtime.engine.connect() as db:
        place = await reports.place_of(db, company, to_on)
    window = Window(from_on or place.cut.on - timedelta(days=STATEMENT_DAYS), place.cut.on)
    keys = ("accounted_on", "bank_account", "currency")
    return await _listed(runtime, lists.cash_received, company, window, page, csv, CashDay, keys)


@router.get("/dso")
async def show_dso(
    runtime: Process,
    company: Company,
    as_of: AsOf = None,
    days: Annotated[int, Query(ge=1, le=400)] = reports.SALES_DAYS,
) -> DsoReport:
    """Days sales outstanding at a cut: simple, best possible, average days delinquent, count-back."""
    async with runtime.engine.connect() as db:
        place = await reports.place_of(db, company, as_of)
        return DsoReport.model_validate(await reports.dso(db, place, days))


@router.get("/reconciliation", response_model=Page[ReconciliationRow], responses=CSV_RESPONSE)
async def list_reconciliation(
    runtime: Process, company: Company, page: Asked, csv: AsCsv, date: date | None = None
) -> Any:
    """Our figures of a closed day (default: the last) beside what the subledger vouched for, differences first."""
    async with runtime.engine.connect() as db:
        day = date or (await as_of.clock_of(db, company))["closed_on"]
    window, keys = Window(day, day), ("agrees", "scope", "currency", "figure")
    return await _listed(runtime, lists.reconciliations, company, window, page, csv, ReconciliationRow, keys)


@router.get("/days", response_model=Page[DayRow])
async def list_days(
    runtime: Process, company: Company, page: Asked, from_on: date | None = None, to_on: date | None = None
) -> Any:
    """Figures noted at the close of each day, newest first."""
    return await _listed(runtime, lists.days, company, Window(from_on, to_on), page, False, DayRow, ("date",))


@router.get("/exceptions")
async def show_exceptions(runtime: Process, company: Company) -> Exceptions:
    """What waits for a person."""
    async with runtime.engine.connect() as db:
        return Exceptions.model_validate(await exceptions_of(db, company))
