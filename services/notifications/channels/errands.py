"""How the channels speak to the handler: claimed rows become events, each decided in a transaction of its own batch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from services.notifications.domain.commands import Answered, Delivered, JudgeHold, JudgeNotice
from services.notifications.domain.rows import Rows
from shared import metrics
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
    _count(events, effects.rows)
    return effects


def _count(events: Sequence[Event], rows: Rows) -> None:
    """Metrics of what was decided, behind the commit: a judgement that was rolled back was none."""
    for record in rows.gate_records:
        _count_reasons(record.of, record.outcome, record.reasons)
    for event in events:
        if isinstance(event.data, Delivered):
            metrics.MAILS.labels(event.data.result).inc()
        elif isinstance(event.data, JudgeNotice | JudgeHold):
            _count_wait(event.data, rows)


def _count_wait(told: JudgeNotice | JudgeHold, rows: Rows) -> None:
    """Of what has to wait no record is kept: it is judged again at the next tick, and counted again."""
    if isinstance(told, JudgeNotice):
        key = (told.company, told.notice_id)
        notice = rows.notices.get(key)
        if notice is not None and notice.status == "requested" and key not in rows.letters:
            _count_reasons("notice", "wait", notice.reasons)
        return
    effect = rows.effects.get((told.company, told.effect_id))
    if effect is not None and effect.status == "due" and effect.reasons:
        _count_reasons("hold", "wait", effect.reasons)


def _count_reasons(of: str, outcome: str, reasons: Sequence[Mapping[str, Any]]) -> None:
    for code in sorted({str(reason["code"]) for reason in reasons}) or [""]:
        metrics.GATE_DECISIONS.labels(of, outcome, code).inc()


async def moment_of(runtime: "Runtime") -> Moment:
    async with runtime.pool.acquire() as db:
        return await runtime.unit.control.moment(db)
