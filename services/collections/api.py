"""The HTTP API of collections: lists, the overview of an account, and what people do. Prefix /v1/companies/{company}.

Invariant: every route names its action; commands carry an Idempotency-Key and run through the service's transaction.
"""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query
from pydantic import BaseModel, ValidationError

from services.collections import queries
from services.collections import schemas as s
from services.collections.domain import commands as c
from services.collections.domain.rows import Activity, Dispute, Escalation, Hold, Notice, Promise, WorklistRow
from services.collections.schemas import EXAMPLES
from shared.auth import Principal, require
from shared.errors import Rejected
from shared.http import IdempotencyKey, Page, Paging, page_of, paging
from shared.permissions import (
    COLLECTIONS_ACT,
    COLLECTIONS_APPROVE_HOLD,
    COLLECTIONS_READ,
    COLLECTIONS_RESOLVE_DISPUTE,
)
from shared.runtime.commands import run_command
from shared.runtime.lifecycle import Runtime, get_runtime

router = APIRouter(prefix="/v1/companies/{company}", tags=["collections"])

Running = Annotated[Runtime, Depends(get_runtime)]
Asked = Annotated[Paging, Depends(paging)]
Reader = Annotated[Principal, Depends(require(COLLECTIONS_READ))]
AccountFilter = Annotated[str | None, Query(max_length=60, description="only this account")]
StatusFilter = Annotated[str | None, Query(max_length=20, description="only this status")]


def _example(name: str) -> Any:
    return Body(openapi_examples=EXAMPLES[name])


async def _listed(runtime: Runtime, name: str, company: str, asked: Paging, filters: dict[str, Any]) -> Page[Any]:
    scope = f"{name}:{company}:{sorted(filters.items(), key=lambda f: f[0])}"
    rows = await queries.page(runtime.engine, name, company, filters, asked.after(scope), asked.fetch)
    keys = _KEYS_OF[name]
    shown, cursor = page_of(rows, asked, scope, keys)
    return Page(items=list(shown), next=cursor)


_KEYS_OF = {
    "worklist": lambda row: (row.priority, -row.score_minor, row.account_id),
    "promises": lambda row: (row.due_on, row.promise_id),
    "disputes": lambda row: (row.due_on, row.dispute_id),
    "holds": lambda row: (row.proposed_on, row.hold_id),
    "notices": lambda row: (row.decided_on, row.notice_id),
    "escalations": lambda row: (row.raised_on, row.escalation_id),
    "activities": lambda row: (row.logged_at, row.activity_id),
}


@dataclass(frozen=True, slots=True)
class Acting:
    """A person who gives a command, with its company and key: what every command needs beside its body."""

    company: str
    key: str
    runtime: Runtime
    principal: Principal

    async def run(self, route: str, command: c.OnAccount) -> Any:
        """The handler's reply. `route` is the part of the path behind the company, without ids."""
        route = f"POST /v1/companies/{self.company}/{route}"
        name = type(command).__name__
        return await run_command(
            self.runtime, self.principal, route, self.key, name, command, self.company, command.account_id
        )

    async def account_of(self, name: str, thing_id: UUID) -> str:
        """The account of one thing of the list `name`. Raises Rejected 404."""
        found = await queries.account_of(self.runtime.engine, name, self.company, thing_id)
        if found is None:
            one, what_to_do = name.removesuffix("s"), f"use an id of GET /v1/companies/{self.company}/{name}"
            raise Rejected(
                f"{one}_unknown", f"company {self.company!r} has no {one} {thing_id}", 404, what_to_do=what_to_do
            )
        return found


def _acting(action: str) -> Any:
    async def acting(
        company: str, key: IdempotencyKey, runtime: Running, principal: Annotated[Principal, Depends(require(action))]
    ) -> Acting:
        return Acting(company, key, runtime, principal)

    return Depends(acting)


Actor = Annotated[Acting, _acting(COLLECTIONS_ACT)]
Supervisor = Annotated[Acting, _acting(COLLECTIONS_RESOLVE_DISPUTE)]
Approver = Annotated[Acting, _acting(COLLECTIONS_APPROVE_HOLD)]


@router.get("/worklist")
async def worklist(
    company: str,
    runtime: Running,
    principal: Reader,
    asked: Asked,
    collector: Annotated[str | None, Query(max_length=60)] = None,
    cause: Annotated[str | None, Query(max_length=30)] = None,
) -> Page[WorklistRow]:
    """Accounts by what matters most: broken promises of today first, then by value at risk."""
    filters = {"collector": collector, "cause": cause, "listed": True}
    return await _listed(runtime, "worklist", company, asked, filters)


@router.get("/accounts/{account_id}")
async def account(company: str, account_id: str, runtime: Running, principal: Reader) -> queries.Overview:
    """Everything that collections knows of an account."""
    found = await queries.overview(runtime.engine, company, account_id)
    if found is None:
        what_to_do = "feed the customer or an invoice of it to ingest first"
        raise Rejected(
            "account_unknown", f"company {company!r} has no account {account_id!r} here", 404, what_to_do=what_to_do
        )
    return found


@router.get("/promises")
async def promises(
    company: str, runtime: Running, principal: Reader, asked: Asked, account_id: AccountFilter = None,
    status: StatusFilter = None,
) -> Page[Promise]:  # fmt: skip
    """Promises by promised date."""
    return await _listed(runtime, "promises", company, asked, {"account_id": account_id, "status": status})


@router.get("/disputes")
async def disputes(
    company: str, runtime: Running, principal: Reader, asked: Asked, account_id: AccountFilter = None,
    status: StatusFilter = None, owner: Annotated[str | None, Query(max_length=20)] = None,
) -> Page[Dispute]:  # fmt: skip
    """Disputes by the day on which they are to be decided."""
    filters = {"account_id": account_id, "status": status, "owner": owner}
    return await _listed(runtime, "disputes", company, asked, filters)


@router.get("/holds")
async def holds(
    company: str, runtime: Running, principal: Reader, asked: Asked, account_id: AccountFilter = None,
    status: StatusFilter = None,
) -> Page[Hold]:  # fmt: skip
    """Holds, oldest first; `status=proposed` are those that wait for approval."""
    return await _listed(runtime, "holds", company, asked, {"account_id": account_id, "status": status})


@router.get("/notices")
async def notices(
    company: str, runtime: Running, principal: Reader, asked: Asked, account_id: AccountFilter = None,
    status: StatusFilter = None,
) -> Page[Notice]:  # fmt: skip
    """Notices asked for and what became of them, newest first."""
    return await _listed(runtime, "notices", company, asked, {"account_id": account_id, "status": status})


@router.get("/escalations")
async def escalations(
    company: str, runtime: Running, principal: Reader, asked: Asked, account_id: AccountFilter = None,
    open: bool | None = None,
) -> Page[Escalation]:  # fmt: skip
    """Cases handed to a manager."""
    return await _listed(runtime, "escalations", company, asked, {"account_id": account_id, "open": open})


@router.get("/activities")
async def activities(
    company: str, runtime: Running, principal: Reader, asked: Asked, account_id: AccountFilter = None,
    addressee: Annotated[str | None, Query(max_length=120)] = None,
) -> Page[Activity]:  # fmt: skip
    """Activities, newest first."""
    return await _listed(runtime, "activities", company, asked, {"account_id": account_id, "addressee": addressee})


@router.post("/promises", status_code=201, response_model=s.PromiseReply)
async def make_promise(body: Annotated[c.MakePromise, _example("promise")], by: Actor) -> Any:
    """Record a promise to pay. What is promised twice supersedes; the third on a debt needs an allowance."""
    return await by.run("promises", body)


@router.post("/promises/{promise_id}/cancel", response_model=s.PromiseStatus)
async def cancel_promise(promise_id: UUID, body: Annotated[s.Why, _example("reason")], by: Actor) -> Any:
    """Take back an open promise."""
    account_id = await by.account_of("promises", promise_id)
    command = c.CancelPromise(account_id=account_id, promise_id=promise_id, reason=body.reason)
    return await by.run("promises/cancel", command)


@router.post("/accounts/{account_id}/promise-allowances", status_code=201, response_model=s.Allowance)
async def allow_promise(account_id: str, body: Annotated[s.Reason, _example("reason")], by: Supervisor) -> Any:
    """Allow one promise more than the policy's limit per debt."""
    command = c.AllowPromise(account_id=account_id, reason=body.reason)
    return await by.run("promise-allowances", command)


@router.post("/disputes", status_code=201, response_model=s.DisputeReply)
async def open_dispute(body: Annotated[c.OpenDispute, _example("dispute")], by: Actor) -> Any:
    """Dispute an item or a part of it; its owner gets a ticket."""
    return await by.run("disputes", body)


@router.post("/disputes/{dispute_id}/update", response_model=s.DisputeReply)
async def update_dispute(
    dispute_id: UUID, body: Annotated[s.DisputeChange, _example("dispute_change")], by: Actor
) -> Any:
    """Change an open dispute."""
    account_id = await by.account_of("disputes", dispute_id)
    command = c.UpdateDispute(account_id=account_id, dispute_id=dispute_id, **body.model_dump())
    return await by.run("disputes/update", command)


@router.post("/disputes/{dispute_id}/resolve", response_model=s.DisputeReply)
async def resolve_dispute(
    dispute_id: UUID, body: Annotated[s.DisputeDecision, _example("dispute_decision")], by: Supervisor
) -> Any:
    """Decide a dispute; a granted credit is requested from billing."""
    account_id = await by.account_of("disputes", dispute_id)
    command = _checked(c.ResolveDispute, account_id=account_id, dispute_id=dispute_id, **body.model_dump())
    return await by.run("disputes/resolve", command)


@router.post("/holds/{hold_id}/approve", response_model=s.HoldReply)
async def approve_hold(hold_id: UUID, body: Annotated[s.HoldDecision, _example("hold_decision")], by: Approver) -> Any:
    """Approve the proposal that was shown; the access systems are told."""
    return await _decide_hold(by, hold_id, body, approve=True)


@router.post("/holds/{hold_id}/refuse", response_model=s.HoldReply)
async def refuse_hold(hold_id: UUID, body: Annotated[s.HoldDecision, _example("hold_decision")], by: Approver) -> Any:
    """Refuse the proposal; it is not made again for a while."""
    return await _decide_hold(by, hold_id, body, approve=False)


@router.post("/activities", status_code=201, response_model=s.ActivityReply)
async def log_activity(body: Annotated[c.LogActivity, _example("activity")], by: Actor) -> Any:
    """Log a call, e-mail, letter, visit, meeting or note; its next step comes back on its date."""
    return await by.run("activities", body)


@router.post("/notices/{notice_id}/release", response_model=s.NoticeReply)
async def release_notice(notice_id: UUID, body: Annotated[s.Why, _example("reason")], by: Actor) -> Any:
    """A person has looked into a notice of unknown fate: its items may be asked for again."""
    account_id = await by.account_of("notices", notice_id)
    command = c.ReleaseNotice(account_id=account_id, notice_id=notice_id, reason=body.reason)
    return await by.run("notices/release", command)


@router.post("/escalations", status_code=201, response_model=s.EscalationReply)
async def raise_escalation(body: Annotated[c.RaiseEscalation, _example("escalation")], by: Actor) -> Any:
    """Hand the overdue items of an account to someone who decides."""
    return await by.run("escalations", body)


async def _decide_hold(by: Acting, hold_id: UUID, body: s.HoldDecision, *, approve: bool) -> Any:
    command = c.DecideHold(
        account_id=await by.account_of("holds", hold_id),
        hold_id=hold_id,
        body_sha256=body.body_sha256,
        approve=approve,
        reason=body.reason,
    )
    return await by.run("holds/approve" if approve else "holds/refuse", command)


def _checked(model: type[BaseModel], **values: Any) -> Any:
    """A command whose fields depend on each other. Raises Rejected 422 with the first reason."""
    try:
        return model(**values)
    except ValidationError as problem:
        raise Rejected("fields_refused", problem.errors()[0]["msg"], 422) from problem
