"""How the channels speak to the handler: claimed rows become events, each decided in a transaction of its own batch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from services.notifications.domain.commands import Answered, Delivered, JudgeHold, JudgeNotice
from shared.events.codec import Event
from shared.ids import derive
from shared.runtime.day import envelope_of
from shared.runtime.effects import Effects, Moment
from shared.runtime.transaction import apply_alone

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

SERVICE = "notifications"
Told = JudgeNotice | Delivered | JudgeHold | Answered
_NAMES = {
    JudgeNotice: "notice.judge",
    Delivered: "notice.delivered",
    JudgeHold: "hold.judge",
    Answered: "hold.answered",
}


def errand(claimed: asyncpg.Record, data: Told, moment: Moment) -> Event:
    """Event that tells the handler `data` of a claimed row. Its id follows from the row, the claim and the kind."""
    name = _NAMES[type(data)]
    subject: UUID = data.effect_id if isinstance(data, JudgeHold | Answered) else data.notice_id
    kind = f"{name}.binding" if isinstance(data, JudgeNotice) and data.binding else name
    body: dict[str, Any] = dict(claimed["envelope"])
    on = moment.business_date(data.company)
    if on is not None:
        body["business_date"] = on.isoformat()
    if str(body.get("actor", "")).startswith("user:"):
        body["on_behalf_of"] = body["actor"]
    body["actor"] = f"service:{SERVICE}"
    event_id = derive("errand", kind, data.company, subject, data.claim)
    return Event(envelope_of(SERVICE, event_id, kind, data.company, str(subject), body), data)


async def tell(runtime: "Runtime", events: Sequence[Event]) -> Effects:
    """Decide the events in one transaction and wake the relay."""
    try:
        effects = await apply_alone(runtime.pool, runtime.unit, events)
    except BaseException:
        runtime.unit.control.forget()
        raise
    runtime.relay_wanted.set()
    return effects


async def moment_of(runtime: "Runtime") -> Moment:
    async with runtime.pool.acquire() as db:
        return await runtime.unit.control.moment(db)
