"""Leaving out an event that cannot be digested: one person asks with a reason, another approves, and it is an event.

Invariant: only what stands first of a parked key can be left out, only the very letter that was shown (its hash), never
by the one who asked; what is left out is known to the inbox, so that a copy of it is not taken later.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from shared.approval import ApprovalRequest, Refused, as_actor, decide, may_decide
from shared.auth import Principal
from shared.errors import Rejected
from shared.events.catalogue import READS
from shared.events.control import EventSkipped
from shared.http import body_hash
from shared.ids import command_id
from shared.runtime import outbox
from shared.runtime import parked_statements as parked_sql
from shared.runtime import statements as sql
from shared.runtime.commands import accepted, command_event, earlier_reply
from shared.runtime.dead_letters import NO_COMPANY
from shared.runtime.effects import Emission

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

REASON_CHARS_MAX = 500
SHA_PATTERN = "^[0-9a-f]{64}$"
SHA_EXAMPLE = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
REASON_EXAMPLE = "Sent twice by the ERP under another number; agreed with Sue."


class SkipBody(BaseModel):
    """`sha256` is that of the letter as it was shown; what stands first now must be the same."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": REASON_EXAMPLE, "sha256": SHA_EXAMPLE}]})
    reason: str = Field(min_length=10, max_length=REASON_CHARS_MAX)
    sha256: str = Field(pattern=SHA_PATTERN)


class DecisionBody(BaseModel):
    """`sha256` is that of the letter as the approver saw it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sha256": SHA_EXAMPLE}]})
    sha256: str = Field(pattern=SHA_PATTERN)


@dataclass(frozen=True, slots=True)
class Command:
    """Who asks which service for what, under which key; `route` names the parked key, so that one key never answers for
    another."""

    service: str
    principal: Principal
    route: str
    idempotency_key: str
    name: str
    body: BaseModel

    @property
    def identity(self) -> UUID:
        """Of this service alone: all have these routes, and what is decided at two of them are two events."""
        return command_id(self.principal.actor, f"{self.service} {self.route}", self.idempotency_key)


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked key, held against others, and what stands first of it."""

    key: str
    company: str
    account_id: str | None
    head: asyncpg.Record


async def ask(runtime: "Runtime", command: Command, key: str) -> dict[str, Any]:
    """Note that what stands first of `key` shall be left out. Raises Rejected 404 for a key that is not parked, 409
    when something else stands first or when it was asked for already."""
    async with runtime.pool.acquire() as db, db.transaction():
        taken = await answered(db, command)
        if taken is not None:
            return taken
        parked = await _held(runtime, db, key)
        body: SkipBody = command.body  # type: ignore[assignment]
        _check_shown(parked, body.sha256)
        principal = command.principal
        identity = command.identity
        asked = await db.fetchval(
            parked_sql.ASK_SKIP,
            parked.company,
            identity,
            parked.head["place"],
            parked.head["sha256"],
            key,
            principal.actor,
            as_actor(principal.on_behalf_of),
            runtime.clock.now(),
            body.reason,
        )
        if asked is None:
            raise Rejected("skip_already_asked", "leaving this event out was asked for already; it waits for approval")
        reply = _shown(parked) | {"approval_id": str(identity), "requested_by": principal.actor, "reason": body.reason}
        await _finish(runtime, db, command, parked, reply, [])
    runtime.relay_wanted.set()
    return reply


async def approve(runtime: "Runtime", command: Command, key: str) -> dict[str, Any]:
    """Leave out what stands first of `key`. Raises Rejected 404 or 409 as `ask`, 403 for who may not approve it."""
    async with runtime.pool.acquire() as db, db.transaction():
        taken = await answered(db, command)
        if taken is not None:
            return taken
        parked = await _held(runtime, db, key)
        request = await _pending(db, parked)
        principal = command.principal
        shown_sha256 = command.body.sha256  # type: ignore[attr-defined]
        decision = decide(
            request_of(request),
            checker_of(principal),
            {},
            (),
            runtime.clock.now(),
            shown_hash=shown_sha256,
            current_hash=parked.head["sha256"],
        )
        if isinstance(decision, Refused):
            raise Rejected(decision.code, decision.reason, decision.status)
        await _decide(db, request, "approved", decision.decided_by, decision.decided_on_behalf_of, decision.decided_at)
        await _leave_out(db, parked)
        reply = _shown(parked) | {"approval_id": str(request["id"]), "requested_by": request["requested_by"]}
        reply |= {"approved_by": principal.actor, "reason": request["reason"]}
        reply["left"] = await db.fetchval(parked_sql.COUNT_LETTERS, key)
        await _finish(runtime, db, command, parked, reply, [_fact(runtime, parked, request, principal.actor)])
    runtime.relay_wanted.set()
    return reply


async def refuse(runtime: "Runtime", command: Command, key: str) -> dict[str, Any]:
    """Refuse that what stands first of `key` is left out; it stays parked. Raises Rejected as `approve`."""
    async with runtime.pool.acquire() as db, db.transaction():
        taken = await answered(db, command)
        if taken is not None:
            return taken
        parked = await _held(runtime, db, key)
        request = await _pending(db, parked)
        principal = command.principal
        if refusal := may_decide(request_of(request), checker_of(principal)):
            raise Rejected(refusal.code, refusal.reason, refusal.status)
        behalf = as_actor(principal.on_behalf_of)
        await _decide(db, request, "refused", principal.actor, behalf, runtime.clock.now())
        reply = _shown(parked) | {"approval_id": str(request["id"]), "requested_by": request["requested_by"]}
        reply["reason"] = request["reason"]
        await _finish(runtime, db, command, parked, reply, [])
    runtime.relay_wanted.set()
    return reply


async def answered(db: asyncpg.Connection, command: Command) -> dict[str, Any] | None:
    """None for a command that was not taken before, else what it was answered."""
    identity = command.identity
    digest = body_hash(command.body)
    await db.execute(sql.LOCK_SHARED)
    if await db.fetchval(sql.TAKE_COMMAND, identity, digest) is None:
        return await earlier_reply(db, identity, digest)
    return None


async def _held(runtime: "Runtime", db: asyncpg.Connection, key: str) -> Parked:
    row = await db.fetchrow(parked_sql.PARKED_FOR_UPDATE, key)
    if row is None:
        raise Rejected("key_not_parked", f"the key {key!r} is not parked here", 404)
    head = await db.fetchrow(parked_sql.HEAD, key, list(READS[runtime.service]))
    if head is None:
        what_to_do = "mend the cause and redrive the key"
        raise Rejected("nothing_to_skip", f"no event stands behind the key {key!r}", what_to_do=what_to_do)
    return Parked(key, row["company"], row["account_id"], head)


async def _pending(db: asyncpg.Connection, parked: Parked) -> asyncpg.Record:
    request = await db.fetchrow(parked_sql.PENDING_SKIP, parked.company, parked.head["place"])
    if request is None:
        what_to_do = "have an operator ask for it with a reason: POST /v1/runtime/parked/{parked}/skip"
        what = "nobody asked to leave out what stands first of this key"
        raise Rejected("skip_not_asked", what, what_to_do=what_to_do)
    return request


def _check_shown(parked: Parked, sha256: str) -> None:
    if sha256 != parked.head["sha256"]:
        raise Rejected("changed_since_shown", "another event stands first of this key now; look at it and ask anew")


def checker_of(principal: Principal) -> Principal:
    """Whoever may act for the key's company, or for a key that names none: the route has asked before."""
    return replace(principal, companies=principal.companies | {NO_COMPANY})


def request_of(row: asyncpg.Record) -> ApprovalRequest:
    return ApprovalRequest(**{name: value for name, value in row.items() if name != "reason"})


async def _decide(db: asyncpg.Connection, request: asyncpg.Record, outcome: str, by: Any, behalf: Any, at: Any) -> None:
    await db.execute(parked_sql.DECIDE_SKIP, request["company"], request["id"], outcome, by, behalf, at)


async def _leave_out(db: asyncpg.Connection, parked: Parked) -> None:
    head = parked.head
    await db.execute(sql.DROP_LETTERS, [head["topic"]], [head["partition"]], [head["offset"]])
    if head["event_id"] is not None:
        await db.execute(sql.TAKE_INBOX, [head["event_id"]])
    await db.execute(sql.UNPARK, parked.key)


def _shown(parked: Parked) -> dict[str, Any]:
    head = parked.head
    found = {name: head[name] for name in ("topic", "partition", "offset", "event_type", "sha256")}
    return found | {"key": parked.key, "event_id": str(head["event_id"]) if head["event_id"] else None}


def _fact(runtime: "Runtime", parked: Parked, request: asyncpg.Record, approver: str) -> EventSkipped:
    return EventSkipped(
        company=parked.company[:40],
        service=runtime.service,
        actor=request["requested_by"],
        approver=approver,
        approval_id=request["id"],
        reason=request["reason"],
        **_shown(parked),
    )


async def _finish(
    runtime: "Runtime",
    db: asyncpg.Connection,
    command: Command,
    parked: Parked,
    reply: dict[str, Any],
    facts: list[EventSkipped],
) -> None:
    """Publish what was done with the command behind it, and keep the reply for a repetition."""
    moment = await runtime.unit.control.moment(db)
    identity = command.identity
    company, account_id = parked.company[:40], parked.account_id
    event = command_event(runtime, moment, identity, command.principal, command.name, command.body, company, account_id)
    emissions = [Emission(event, fact, parked.head["place"]) for fact in facts]
    digest = body_hash(command.body)
    emissions.append(accepted(event, runtime.service, command.route, command.idempotency_key, digest, command.body))
    await outbox.publish(db, runtime.service, emissions)
    await db.execute(sql.ANSWER_COMMAND, identity, {"reply": reply})
