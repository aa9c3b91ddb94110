"""HTTP commands: the same transaction as a batch, without a cursor. Idempotent by principal, route and key.

The same key with the same body gives the stored reply; with another body it is refused. Every command leaves
`command.accepted` with its actor and body.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from shared import tracing
from shared.auth import Principal
from shared.errors import Rejected
from shared.events.catalogue import key_of
from shared.events.codec import Event
from shared.events.control import CommandAccepted
from shared.events.envelope import Envelope
from shared.http import body_hash
from shared.ids import command_id
from shared.runtime import outbox
from shared.runtime import statements as sql
from shared.runtime.effects import Emission, Moment
from shared.runtime.transaction import apply

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime


async def run_command(
    runtime: "Runtime",
    principal: Principal,
    route: str,
    key: str,
    name: str,
    body: BaseModel,
    company: str,
    account_id: str | None = None,
    *,
    new_company: bool = False,
) -> Any:
    """Decide `body` through the service's handler as an event `command.<name>` and return the handler's reply.

    `body` is what the person sent and nothing else: it is what a repeated key is compared by. Who sent it, with the
    limits of the token, is the event's `principal`.

    Raises Rejected 409 `idempotency_conflict` for the key with another body, `account_parked` while the account's
    events are parked, 404 `company_unknown` (unless the command may bring a `new_company`), and whatever the handler
    refuses.
    """
    identity = command_id(principal.actor, route, key)
    digest = body_hash(body)
    async with runtime.pool.acquire() as db, db.transaction():
        await db.execute(sql.LOCK_SHARED)
        if await db.fetchval(sql.TAKE_COMMAND, identity, digest) is None:
            return await earlier_reply(db, identity, digest)
        moment = await runtime.unit.control.moment(db)
        await _check(db, moment, company, account_id, new_company)
        event = command_event(runtime, moment, identity, principal, name, body, company, account_id)
        effects = await apply(db, runtime.unit, [event], moment)
        await outbox.publish(db, runtime.service, [accepted(event, runtime.service, route, key, digest, body)])
        await db.execute(sql.ANSWER_COMMAND, identity, {"reply": effects.reply})
    runtime.relay_wanted.set()
    runtime.timers_wanted.set()
    return effects.reply


async def earlier_reply(db: asyncpg.Connection, identity: UUID, digest: str) -> Any:
    """What a command that was taken before was answered. Raises Rejected `idempotency_conflict` for another body."""
    row = await db.fetchrow(sql.KNOWN_COMMAND, identity)
    if row["body_sha256"] != digest:
        raise Rejected(
            "idempotency_conflict", "this Idempotency-Key was used with another body; send a new key for a new command"
        )
    return row["reply"]["reply"]


async def _check(
    db: asyncpg.Connection, moment: Moment, company: str, account_id: str | None, new_company: bool
) -> None:
    if company not in moment.companies and not new_company:
        what_to_do = f"configure it at ingest first: PUT /v1/companies/{company}"
        raise Rejected("company_unknown", f"company {company!r} is not configured here", 404, what_to_do=what_to_do)
    if account_id and await db.fetch(sql.PARKED_AMONG, [key_of(company, account_id)]):
        raise Rejected(
            "account_parked",
            f"events of account {account_id!r} could not be digested and wait; have an operator mend and redrive them",
        )


def command_event(
    runtime: "Runtime",
    moment: Moment,
    identity: UUID,
    principal: Principal,
    name: str,
    body: BaseModel,
    company: str,
    account_id: str | None,
) -> Event:
    """The event by which a command reaches the handler. In stream mode it happens at the last complete tick."""
    known_at: datetime = runtime.clock.now()
    if runtime.settings.clock == "stream" and moment.now is not None:
        known_at = moment.now
    envelope = Envelope(
        id=identity,
        source=runtime.service,
        type=f"command.{name}",
        subject=account_id or company,
        time=known_at,
        company=company,
        actor=principal.actor,
        on_behalf_of=principal.on_behalf_of or "",
        business_date=moment.business_date(company) or known_at.date(),
        known_at=known_at,
        correlation_id=identity,
        causation_id=identity,
        traceparent=tracing.at_the_door(identity),
    )
    return Event(envelope, body, key_of(company, account_id), principal=principal)


def accepted(event: Event, service: str, route: str, key: str, digest: str, body: BaseModel) -> Emission:
    """The trail of a command: who sent what."""
    fact = CommandAccepted(
        company=event.company,
        service=service,
        route=route,
        key=key,
        body_sha256=digest,
        body=body.model_dump(mode="json"),
        at=event.envelope.known_at,
        command_id=event.envelope.id,
    )
    return Emission(event, fact, str(event.envelope.id))
