"""`/v1/runtime/parked` of every service: what a person must look at, run again, or have left out.

Invariant: nobody sees or decides a key of a company that is not theirs; what has no company at all is an operator's.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from shared.auth import Principal, company_of, require
from shared.errors import Rejected
from shared.events.catalogue import READS
from shared.http import IdempotencyKey, body_hash
from shared.paging import Page, Paging, page_of, paging
from shared.permissions import OPERATE, RUNTIME_APPROVE_SKIP, RUNTIME_READ, permitted
from shared.runtime import dead_letters, outbox, skipping
from shared.runtime import parked_statements as parked_sql
from shared.runtime import statements as sql
from shared.runtime.commands import accepted, command_event, earlier_reply
from shared.runtime.dead_letters import NO_COMPANY
from shared.runtime.skipping import REASON_EXAMPLE, SHA_EXAMPLE, Command, DecisionBody, SkipBody

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

router = APIRouter(prefix="/parked", tags=["runtime"])
KEYS_PER_CALL = 100
HERE = "/v1/runtime/parked"
Reader = Annotated[Principal, Depends(require(RUNTIME_READ))]
Operator = Annotated[Principal, Depends(require(OPERATE))]
Checker = Annotated[Principal, Depends(require(RUNTIME_APPROVE_SKIP))]


class SkipAsked(BaseModel):
    """That the first event shall be left out was asked for and waits for another person."""

    requested_by: str = Field(examples=["user:otto"])
    requested_at: datetime
    reason: str = Field(examples=[REASON_EXAMPLE])


class ParkedKey(BaseModel):
    """A key whose events wait. The first cannot be digested for `error`; `behind` counts by type what waits behind it.
    `sha256` is of that first record; to leave it out, name it. A key without an event says in `error` what it is."""

    key: str
    company: str
    account_id: str | None
    code: str
    error: str
    since_at: datetime
    topic: str | None = Field(examples=["ar.invoices"])
    partition: int | None = Field(examples=[7])
    offset: int | None = Field(examples=[1041])
    event_id: UUID | None
    event_type: str | None = Field(examples=["invoice.issued"])
    sha256: str | None = Field(examples=[SHA_EXAMPLE])
    behind: dict[str, int] = Field(examples=[{"invoice.issued": 2}])
    skip: SkipAsked | None


class Redriven(BaseModel):
    """`result` is `done` when the key is free again, else why it stays; `left` counts its events that wait."""

    key: str
    result: str = Field(examples=["done"])
    left: int = Field(examples=[0])


class RedrivenKeys(BaseModel):
    """At most 100 keys, oldest first; `more`: others are left, ask again."""

    keys: list[Redriven] = Field(max_length=KEYS_PER_CALL)
    more: bool


class SkipReply(BaseModel):
    """`sha256` of the record is what the approver must name."""

    key: str
    topic: str = Field(examples=["ar.invoices"])
    partition: int = Field(examples=[7])
    offset: int = Field(examples=[1041])
    event_id: UUID | None
    event_type: str = Field(examples=["invoice.issued"])
    sha256: str = Field(examples=[SHA_EXAMPLE])
    approval_id: UUID
    requested_by: str = Field(examples=["user:otto"])
    reason: str = Field(examples=[REASON_EXAMPLE])


class Skipped(SkipReply):
    """The event was left out. `left` waited behind it; `result` is how running those went, as for redrive."""

    approved_by: str = Field(examples=["user:conrad"])
    left: int = Field(examples=[0])
    result: str = Field(examples=["done"])


class _Redrive(BaseModel):
    """Body of the trail of a redrive."""

    key: str


def _runtime(request: Request) -> "Runtime":
    return request.app.state.runtime


def companies_of(principal: Principal) -> list[str]:
    """Whose keys the caller may see."""
    alone = {NO_COMPANY} if permitted(principal, OPERATE) or permitted(principal, RUNTIME_APPROVE_SKIP) else set()
    return sorted(principal.companies | alone)


@router.get("")
async def parked_keys(
    request: Request, principal: Reader, asked: Annotated[Paging, Depends(paging)]
) -> Page[ParkedKey]:
    """Keys whose events could not be digested, of the caller's companies, oldest first."""
    runtime, companies = _runtime(request), companies_of(principal)
    scope = f"parked:{companies}"
    since_at, key = asked.after(scope) or (None, "")
    async with runtime.pool.acquire() as db:
        topics = list(READS[runtime.service])
        rows = await db.fetch(parked_sql.PARKED_OF, companies, since_at, key, asked.fetch, topics)
    shown, following = page_of(rows, asked, scope, lambda row: (row["since_at"], row["key"]))
    return Page(items=[parked_key(row) for row in shown], next=following)


def parked_key(row: Any) -> ParkedKey:
    found = dict(row)
    asked = {name: found.pop(name) for name in ("requested_by", "requested_at", "reason")}
    same = found.pop("asked_sha256") == found["sha256"] and asked["requested_by"] is not None
    return ParkedKey(**found, skip=SkipAsked(**asked) if same else None)


@router.post("/redrive")
async def redrive_all(request: Request, principal: Operator, idempotency_key: IdempotencyKey) -> RedrivenKeys:
    """Run the events of the caller's parked keys again, in order, each key until it is free or fails."""
    runtime = _runtime(request)

    async def work() -> dict[str, Any]:
        await _retry(request)
        async with runtime.pool.acquire() as db:
            rows = await db.fetch(parked_sql.KEYS_OF, companies_of(principal), KEYS_PER_CALL + 1)
        keys = [row["key"] for row in rows]
        done = [await _redriven(runtime, key) for key in keys[:KEYS_PER_CALL]]
        return {"keys": done, "more": len(keys) > KEYS_PER_CALL}

    company = min(principal.companies, default=NO_COMPANY)
    return RedrivenKeys(**await _command(runtime, principal, idempotency_key, f"{HERE}/redrive", "ALL", company, work))


@router.post("/{parked:path}/redrive")
async def redrive(request: Request, principal: Operator, idempotency_key: IdempotencyKey, parked: str) -> Redriven:
    """Run the key's events again, in order, until it is free or one fails."""
    runtime = _runtime(request)
    company = await _company(runtime, principal, parked)

    async def work() -> dict[str, Any]:
        async with runtime.pool.acquire() as db:
            if await db.fetchval(parked_sql.COMPANY_OF, parked) is None:
                raise Rejected("key_not_parked", f"the key {parked!r} is not parked here", 404)
            waits = await db.fetchval(parked_sql.COUNT_LETTERS, parked)
        if not waits:
            await _retry(request)
        return await _redriven(runtime, parked)

    route = f"{HERE}/{parked}/redrive"
    return Redriven(**await _command(runtime, principal, idempotency_key, route, parked, company, work))


@router.post("/{parked:path}/skip")
async def ask_skip(
    request: Request, principal: Operator, idempotency_key: IdempotencyKey, parked: str, body: SkipBody
) -> SkipReply:
    """Ask that the event which stands first of the key is left out for good; another person has to approve it."""
    runtime = _runtime(request)
    await _company(runtime, principal, parked)
    command = Command(_runtime(request).service, principal, f"{HERE}/{parked}/skip", idempotency_key, "ask_skip", body)
    return SkipReply(**await skipping.ask(runtime, command, parked))


@router.post("/{parked:path}/approve")
async def approve_skip(
    request: Request, principal: Checker, idempotency_key: IdempotencyKey, parked: str, body: DecisionBody
) -> Skipped:
    """Leave the event out, as was asked for, and run what waits behind it."""
    runtime = _runtime(request)
    await _company(runtime, principal, parked)
    command = Command(
        _runtime(request).service, principal, f"{HERE}/{parked}/approve", idempotency_key, "approve_skip", body
    )
    reply = await skipping.approve(runtime, command, parked)
    result = (await dead_letters.redrive(runtime.pool, runtime.unit, [parked]))[parked] if reply["left"] else "done"
    _wake(runtime)
    return Skipped(**reply, result=result)


@router.post("/{parked:path}/refuse")
async def refuse_skip(
    request: Request, principal: Checker, idempotency_key: IdempotencyKey, parked: str, body: DecisionBody
) -> SkipReply:
    """Refuse that the event is left out; it stays parked until it is mended or asked for anew."""
    runtime = _runtime(request)
    await _company(runtime, principal, parked)
    command = Command(
        _runtime(request).service, principal, f"{HERE}/{parked}/refuse", idempotency_key, "refuse_skip", body
    )
    return SkipReply(**await skipping.refuse(runtime, command, parked))


async def _company(runtime: "Runtime", principal: Principal, key: str) -> str:
    """The company of a key if it is the caller's. Raises Problem 403, whether the key is parked or not."""
    named = key.partition("/")[0]
    if named in principal.companies:
        return named
    async with runtime.pool.acquire() as db:
        company = await db.fetchval(parked_sql.COMPANY_OF, key)
    if company in companies_of(principal):
        return company
    return company_of(principal, named)


async def _retry(request: Request) -> None:
    """What the service holds back by itself goes into its queue again."""
    retry = getattr(request.app.state, "retry", None)
    if retry is not None:
        await retry(_runtime(request))


async def _redriven(runtime: "Runtime", key: str) -> dict[str, Any]:
    result = (await dead_letters.redrive(runtime.pool, runtime.unit, [key]))[key]
    _wake(runtime)
    async with runtime.pool.acquire() as db:
        return {"key": key, "result": result, "left": await db.fetchval(parked_sql.COUNT_LETTERS, key)}


def _wake(runtime: "Runtime") -> None:
    runtime.relay_wanted.set()
    runtime.timers_wanted.set()


async def _command(
    runtime: "Runtime",
    principal: Principal,
    idempotency_key: str,
    route: str,
    key: str,
    company: str,
    work: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Work of several transactions as one command: its trail and its reply are written when it is done. Done twice it
    does no harm, so a crash in between leaves nothing to mend."""
    body = _Redrive(key=key)
    identity = Command(runtime.service, principal, route, idempotency_key, "redrive", body).identity
    digest = body_hash(body)
    async with runtime.pool.acquire() as db:
        if await db.fetchrow(sql.KNOWN_COMMAND, identity) is not None:
            return await earlier_reply(db, identity, digest)
    reply = await work()
    async with runtime.pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_SHARED)
        if await db.fetchval(sql.TAKE_COMMAND, identity, digest) is None:
            return await earlier_reply(db, identity, digest)
        moment = await runtime.unit.control.moment(db)
        event = command_event(runtime, moment, identity, principal, "redrive", body, company[:40], None)
        emission = accepted(event, runtime.service, route, idempotency_key, digest, body)
        await outbox.publish(db, runtime.service, [emission])
        await db.execute(sql.ANSWER_COMMAND, identity, {"reply": reply})
    runtime.relay_wanted.set()
    return reply
