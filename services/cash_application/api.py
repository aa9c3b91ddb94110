"""The HTTP API of the subledger: items, payments with their why, and what a person does with cash.

Invariant: every route names its action; commands carry an Idempotency-Key and run through the service's transaction.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.cash_application import queries
from services.cash_application import schemas as s
from services.cash_application.domain import commands as c
from shared.auth import Principal, require
from shared.errors import Rejected
from shared.http import IdempotencyKey, Page, Paging, page_of, paging
from shared.permissions import CASH_APPLY, CASH_APPROVE_ADJUSTMENT, CASH_READ
from shared.runtime.commands import run_command
from shared.runtime.lifecycle import Runtime, get_runtime

router = APIRouter(prefix="/v1/companies/{company}", tags=["cash application"])

Running = Annotated[Runtime, Depends(get_runtime)]
Asked = Annotated[Paging, Depends(paging)]
Reader = Annotated[Principal, Depends(require(CASH_READ))]
Analyst = Annotated[Principal, Depends(require(CASH_APPLY))]
Approver = Annotated[Principal, Depends(require(CASH_APPROVE_ADJUSTMENT))]
AccountFilter = Annotated[str | None, Query(max_length=60, description="only this account")]
PaymentState = Literal["waiting", "unapplied", "unidentified", "suggested"]


async def _listed(
    runtime: Runtime,
    name: str,
    company: str,
    asked: Paging,
    filters: str,
    conditions: list[Any],
    model: type[BaseModel],
) -> Page[Any]:
    scope = f"{name}:{company}:{filters}"
    rows = await queries.page(runtime.engine, name, company, conditions, asked.after(scope), asked.fetch)
    keys = [key.name for key in queries.LISTINGS[name].keys]
    shown, cursor = page_of(rows, asked, scope, lambda row: tuple(row[key] for key in keys))
    return Page(items=queries.rows_of(model, shown), next=cursor)


def _unknown(noun: str, company: str, thing_id: UUID, listed_under: str) -> Rejected:
    what_to_do = f"use an id of GET /v1/companies/{company}/{listed_under}"
    return Rejected(f"{noun}_unknown", f"company {company!r} has no {noun} {thing_id}", 404, what_to_do=what_to_do)


@router.get("/accounts/{account_id}/items")
async def items_of_account(
    company: str,
    account_id: str,
    runtime: Running,
    principal: Reader,
    asked: Asked,
    status: Annotated[Literal["open", "all"], Query(description="open items only, or all")] = "open",
) -> Page[s.Item]:
    """Items of an account by due date."""
    conditions = queries.item_conditions(account_id, status == "open")
    return await _listed(runtime, "items", company, asked, f"{account_id}:{status}", conditions, s.Item)


@router.get("/accounts/{account_id}/cash")
async def cash_of_account(company: str, account_id: str, runtime: Running, principal: Reader) -> s.AccountCash:
    """Cash of an account that is not on items: unapplied (waiting) and on account (left by decision)."""
    return s.AccountCash(account_id=account_id, cash=await queries.cash(runtime.engine, company, account_id))


@router.get("/items/{item_id}")
async def item(company: str, item_id: UUID, runtime: Running, principal: Reader) -> s.ItemDetail:
    """An item with its relief by funding and every entry that touched it."""
    found = await queries.item(runtime.engine, company, item_id)
    if found is None:
        raise _unknown("item", company, item_id, "accounts/<account_id>/items")
    return found


@router.get("/payments")
async def payments(
    company: str,
    runtime: Running,
    principal: Reader,
    asked: Asked,
    state: Annotated[PaymentState | None, Query(description="where cash of the payment stands")] = None,
    account_id: AccountFilter = None,
    bank_account: Annotated[str | None, Query(max_length=60)] = None,
) -> Page[s.Payment]:
    """Payments, newest first. `state=waiting` is the list to work through."""
    conditions = queries.payment_conditions(state, account_id, bank_account)
    return await _listed(
        runtime, "payments", company, asked, f"{state}:{account_id}:{bank_account}", conditions, s.Payment
    )


@router.get("/payments/{payment_id}")
async def payment(company: str, payment_id: UUID, runtime: Running, principal: Reader) -> s.PaymentDetail:
    """A payment with its split, applications, suggestions, candidates, and the certificate that says why."""
    found = await queries.payment(runtime.engine, company, payment_id)
    if found is None:
        raise _unknown("payment", company, payment_id, "payments")
    return found


@router.get("/candidates")
async def candidates(
    company: str, runtime: Running, principal: Reader, asked: Asked, account_id: AccountFilter = None
) -> Page[s.Candidate]:
    """Cash that evidence connects with accounts but that is not applied, oldest first."""
    conditions = queries.candidate_conditions(account_id)
    return await _listed(runtime, "candidates", company, asked, str(account_id), conditions, s.Candidate)


@router.get("/debits")
async def debits(company: str, runtime: Running, principal: Reader, asked: Asked) -> Page[s.Debit]:
    """Debits of the bank that nothing explains yet."""
    return await _listed(runtime, "debits", company, asked, "", queries.debit_conditions(), s.Debit)


@router.get("/refunds")
async def refunds(
    company: str,
    runtime: Running,
    principal: Reader,
    asked: Asked,
    status: Annotated[Literal["requested", "approved", "paid"] | None, Query()] = None,
) -> Page[s.Refund]:
    """Refunds, newest first; `status=requested` are those that wait for approval."""
    return await _listed(runtime, "refunds", company, asked, str(status), queries.refund_conditions(status), s.Refund)


async def _run(
    runtime: Runtime, principal: Principal, key: str, command: c.Command, company: str, account_id: str | None = None
) -> Any:
    route = f"POST /v1/companies/{company}/payments/{command.NAME}"
    return await run_command(runtime, principal, route, key, command.NAME, command, company, account_id)


@router.post("/payments/{payment_id}/identify")
async def identify(
    company: str, payment_id: UUID, body: s.IdentifyBody, key: IdempotencyKey, runtime: Running, principal: Analyst
) -> s.CommandReply:
    """Say whose payment it is; its unidentified cash waits on that account."""
    command = c.Identify(payment_id=payment_id, account_id=body.account_id)
    return await _run(runtime, principal, key, command, company, body.account_id)


@router.post("/payments/{payment_id}/apply")
async def apply(
    company: str, payment_id: UUID, body: s.ApplyBody, key: IdempotencyKey, runtime: Running, principal: Analyst
) -> s.CommandReply:
    """Put cash of the payment on items, with discount, small difference, bank charge or deduction where granted."""
    command = c.Apply(payment_id=payment_id, currency=body.currency, lines=body.lines)
    return await _run(runtime, principal, key, command, company)


@router.post("/payments/{payment_id}/apply-suggestion")
async def apply_suggestion(
    company: str, payment_id: UUID, body: s.SuggestionBody, key: IdempotencyKey, runtime: Running, principal: Analyst
) -> s.CommandReply:
    """Take a suggestion as it stands."""
    return await _run(runtime, principal, key, c.ApplySuggestion(payment_id=payment_id, rank=body.rank), company)


@router.post("/payments/{payment_id}/unapply")
async def unapply(
    company: str, payment_id: UUID, body: s.UnapplyBody, key: IdempotencyKey, runtime: Running, principal: Analyst
) -> s.CommandReply:
    """Reverse one application entry; the cash waits unapplied. MISAPPLIED counts as a wrong decision of its rule."""
    command = c.Unapply(payment_id=payment_id, posting_id=body.posting_id, reason_code=body.reason_code)
    return await _run(runtime, principal, key, command, company)


@router.post("/payments/{payment_id}/put-on-account")
async def put_on_account(
    company: str, payment_id: UUID, body: s.OnAccountBody, key: IdempotencyKey, runtime: Running, principal: Analyst
) -> s.CommandReply:
    """Leave cash on an account by decision; it waits no more."""
    command = c.PutOnAccount(payment_id=payment_id, **body.model_dump())
    return await _run(runtime, principal, key, command, company, body.account_id)


@router.post("/payments/{payment_id}/refunds", status_code=201)
async def request_refund(
    company: str, payment_id: UUID, body: s.RefundBody, key: IdempotencyKey, runtime: Running, principal: Analyst
) -> s.CommandReply:
    """Ask for a refund; no cash moves until another person approves it."""
    command = c.RequestRefund(payment_id=payment_id, **body.model_dump())
    return await _run(runtime, principal, key, command, company, body.account_id)


@router.post("/payments/{payment_id}/explain-debit")
async def explain_debit(
    company: str, payment_id: UUID, body: s.ExplainBody, key: IdempotencyKey, runtime: Running, principal: Analyst
) -> s.CommandReply:
    """Say that a return which waits without a payment took back this one."""
    return await _run(runtime, principal, key, c.ExplainDebit(payment_id=payment_id, debit_id=body.debit_id), company)


@router.post("/refunds/{refund_id}/approve")
async def approve_refund(
    company: str, refund_id: UUID, body: s.ApprovalBody, key: IdempotencyKey, runtime: Running, principal: Approver
) -> s.CommandReply:
    """Approve a refund that another person asked for, within the limits of your token over 30 days."""
    found = await queries.refund_payment(runtime.engine, company, refund_id)
    if found is None:
        raise _unknown("refund", company, refund_id, "refunds")
    command = c.ApproveRefund(
        payment_id=found[0],
        refund_id=refund_id,
        shown_amount_minor=body.shown_amount_minor,
    )
    return await _run(runtime, principal, key, command, company, found[1])
