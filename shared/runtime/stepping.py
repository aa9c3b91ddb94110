"""Moving the cursor of a stopped partition: one person asks with a reason, another approves, and it is an event.

Invariant: the cursor moves only from where it was asked to move, by what was shown (its hash), never for the one who
asked alone. It concerns every company, so callers act for none.
"""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from shared.approval import Refused, as_actor, decide
from shared.auth import Principal, require
from shared.errors import Rejected
from shared.events.catalogue import READS
from shared.events.codec import Event
from shared.events.control import PartitionMoved
from shared.http import IdempotencyKey, body_hash
from shared.permissions import OPERATE, RUNTIME_APPROVE_SKIP
from shared.runtime import outbox
from shared.runtime import parked_statements as parked_sql
from shared.runtime import statements as sql
from shared.runtime.commands import accepted, command_event
from shared.runtime.dead_letters import NO_COMPANY
from shared.runtime.effects import Emission
from shared.runtime.markers import ALL_COMPANIES
from shared.runtime.skipping import (
    REASON_CHARS_MAX,
    SHA_EXAMPLE,
    SHA_PATTERN,
    Command,
    answered,
    checker_of,
    request_of,
)

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

router = APIRouter(prefix="/partitions", tags=["runtime"])
HERE = "/v1/runtime/partitions"
REASON_EXAMPLE = "The broker's disk is lost, and what lay there with it; agreed with Sue."
Operator = Annotated[Principal, Depends(require(OPERATE))]
Checker = Annotated[Principal, Depends(require(RUNTIME_APPROVE_SKIP))]
Topic = Annotated[str, Path(min_length=1, max_length=249, examples=["ar.accounts"])]
Number = Annotated[int, Path(ge=0, le=100_000, examples=[3])]


class StepBody(BaseModel):
    """From the offset `at`, where the cursor stands, to the offset `to`: what lies between is not taken."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"at": 17, "to": 19, "reason": REASON_EXAMPLE}]})
    at: int = Field(ge=0)
    to: int = Field(ge=0)
    reason: str = Field(min_length=10, max_length=REASON_CHARS_MAX)


class StepDecision(BaseModel):
    """`sha256` is that of the request as the approver saw it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"at": 17, "to": 19, "sha256": SHA_EXAMPLE}]})
    at: int = Field(ge=0)
    to: int = Field(ge=0)
    sha256: str = Field(pattern=SHA_PATTERN)


class StepReply(BaseModel):
    """What was asked for; `sha256` is what the approver must name."""

    topic: str = Field(examples=["ar.accounts"])
    partition: int = Field(examples=[3])
    at: int = Field(examples=[17])
    to: int = Field(examples=[19])
    reason: str = Field(examples=[REASON_EXAMPLE])
    sha256: str = Field(examples=[SHA_EXAMPLE])
    approval_id: UUID
    requested_by: str = Field(examples=["user:otto"])


class Stepped(StepReply):
    """The cursor was moved."""

    approved_by: str = Field(examples=["user:conrad"])


class _Asked(BaseModel):
    """What an approval is bound to."""

    service: str
    topic: str
    partition: int
    at: int
    to: int
    reason: str


@router.post("/{topic}/{partition}/step-over")
async def ask_step_over(
    request: Request,
    principal: Operator,
    idempotency_key: IdempotencyKey,
    topic: Topic,
    partition: Number,
    body: StepBody,
) -> StepReply:
    """Ask that a stopped partition goes on behind offsets that nobody can read; another person has to approve it."""
    command = Command(
        request.app.state.runtime.service,
        principal,
        f"{HERE}/{topic}/{partition}/step-over",
        idempotency_key,
        "ask_step_over",
        body,
    )
    return StepReply(**await ask(request.app.state.runtime, command, topic, partition))


@router.post("/{topic}/{partition}/approve")
async def approve_step_over(
    request: Request,
    principal: Checker,
    idempotency_key: IdempotencyKey,
    topic: Topic,
    partition: Number,
    body: StepDecision,
) -> Stepped:
    """Move the cursor, as was asked for; the running service takes it up within seconds."""
    command = Command(
        request.app.state.runtime.service,
        principal,
        f"{HERE}/{topic}/{partition}/approve",
        idempotency_key,
        "approve_step_over",
        body,
    )
    return Stepped(**await approve(request.app.state.runtime, command, topic, partition))


async def ask(runtime: "Runtime", command: Command, topic: str, partition: int) -> dict[str, Any]:
    """Note that the cursor shall move. Raises Rejected 409 when it stands elsewhere or this was asked for already."""
    async with runtime.pool.acquire() as db, db.transaction():
        taken = await answered(db, command)
        if taken is not None:
            return taken
        body: StepBody = command.body  # type: ignore[assignment]
        asked = _Asked(service=runtime.service, topic=topic, partition=partition, **body.model_dump())
        if await db.fetchval(_statement(runtime, topic), topic, partition, body.at, body.at) is None:
            raise await _elsewhere(db, runtime, topic, partition, body.at)
        principal = command.principal
        noted = await db.fetchval(
            parked_sql.ASK_STEP,
            NO_COMPANY,
            command.identity,
            _subject(topic, partition, body.at, body.to),
            body_hash(asked),
            f"{topic}/{partition}",
            principal.actor,
            as_actor(principal.on_behalf_of),
            runtime.clock.now(),
            body.reason,
        )
        if noted is None:
            raise Rejected("step_already_asked", "this was asked for already; it waits for approval")
        reply = asked.model_dump(exclude={"service"}) | {
            "sha256": body_hash(asked),
            "approval_id": str(command.identity),
            "requested_by": principal.actor,
        }
        await _finish(runtime, db, command, reply, [])
    runtime.relay_wanted.set()
    return reply


async def approve(runtime: "Runtime", command: Command, topic: str, partition: int) -> dict[str, Any]:
    """Move the cursor. Raises Rejected 409 when nobody asked or it stands elsewhere, 403 for who may not approve."""
    async with runtime.pool.acquire() as db, db.transaction():
        taken = await answered(db, command)
        if taken is not None:
            return taken
        body: StepDecision = command.body  # type: ignore[assignment]
        place = _subject(topic, partition, body.at, body.to)
        row = await db.fetchrow(parked_sql.PENDING_STEP, NO_COMPANY, place)
        if row is None:
            what_to_do = "have an operator ask for it with a reason: POST /v1/runtime/partitions/…/step-over"
            raise Rejected("step_not_asked", f"nobody asked for {place}", what_to_do=what_to_do)
        request = request_of(row)
        decision = decide(
            request,
            checker_of(command.principal),
            {},
            (),
            runtime.clock.now(),
            shown_hash=body.sha256,
            current_hash=request.body_hash,
        )
        if isinstance(decision, Refused):
            raise Rejected(decision.code, decision.reason, decision.status)
        by, behalf, at = decision.decided_by, decision.decided_on_behalf_of, decision.decided_at
        await db.execute(parked_sql.DECIDE_SKIP, NO_COMPANY, request.id, "approved", by, behalf, at)
        if await db.fetchval(_statement(runtime, topic), topic, partition, body.at, body.to) is None:
            raise await _elsewhere(db, runtime, topic, partition, body.at)
        reply = body.model_dump() | {
            "topic": topic,
            "partition": partition,
            "reason": row["reason"],
            "approval_id": str(request.id),
            "requested_by": request.requested_by,
            "approved_by": command.principal.actor,
        }
        await _finish(runtime, db, command, reply, [_fact(runtime, reply)])
    runtime.relay_wanted.set()
    return reply


def _identity(command: Command) -> tuple[UUID, str]:
    return command.identity, body_hash(command.body)


def _subject(topic: str, partition: int, at: int, to: int) -> str:
    return f"{topic}/{partition}@{at}-{to}"


async def _elsewhere(db: asyncpg.Connection, runtime: "Runtime", topic: str, partition: int, at: int) -> Rejected:
    stands = await db.fetchval(parked_sql.CURSOR, topic, partition)
    where = f"; it stands at {stands}" if stands is not None else ""
    what = f"the cursor of {topic}/{partition} in {runtime.service} does not stand at {at}{where}"
    return Rejected("cursor_elsewhere", what)


def _statement(runtime: "Runtime", topic: str) -> str:
    """The cursor of a topic that the service reads, or that of a feed, which ingest keeps elsewhere."""
    own = getattr(runtime.handler, "step_over_sql", "") if topic not in READS[runtime.service] else ""
    return own or parked_sql.STEP_OVER


def _fact(runtime: "Runtime", reply: dict[str, Any]) -> PartitionMoved:
    return PartitionMoved(
        company=ALL_COMPANIES,
        service=runtime.service,
        topic=reply["topic"],
        partition=reply["partition"],
        from_offset=reply["at"],
        to_offset=reply["to"],
        reason=reply["reason"],
        actor=reply["requested_by"],
        approver=reply["approved_by"],
        approval_id=reply["approval_id"],
    )


async def _finish(
    runtime: "Runtime",
    db: asyncpg.Connection,
    command: Command,
    reply: dict[str, Any],
    facts: list[PartitionMoved],
) -> None:
    """Publish what was done with the command behind it, and keep the reply for a repetition."""
    moment = await runtime.unit.control.moment(db)
    identity, digest = _identity(command)
    event: Event = command_event(
        runtime, moment, identity, command.principal, command.name, command.body, ALL_COMPANIES, None
    )
    place = _subject(reply["topic"], reply["partition"], reply["at"], reply["to"])
    emissions = [Emission(event, fact, place) for fact in facts]
    emissions.append(accepted(event, runtime.service, command.route, command.idempotency_key, digest, command.body))
    await outbox.publish(db, runtime.service, emissions)
    await db.execute(sql.ANSWER_COMMAND, identity, {"reply": reply})
