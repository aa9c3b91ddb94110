"""The work of a closed day, cut into parts that replicas share: phase 1 by account range, phase 2 once."""

from datetime import date, datetime
from typing import Any
from uuid import UUID
from zlib import crc32

from shared.events.codec import Event
from shared.events.envelope import Envelope
from shared.ids import derive
from shared.runtime.effects import DayWork, Handler

DAY_WORK = "day.work"


def part_of(account_id: str, parts: int) -> int:
    """The part of phase 1 to which an account belongs."""
    return crc32(account_id.encode()) % parts


def parts_of(service: str, handler: Handler, work: DayWork, envelope: Envelope) -> list[dict[str, Any]]:
    """Timer rows for the first phase that the handler has; empty when it has no work on closed days."""
    if handler.day_parts:
        parts = [
            work.model_copy(update={"phase": 1, "part": n, "parts": handler.day_parts})
            for n in range(handler.day_parts)
        ]
    elif handler.day_phase2:
        parts = [work.model_copy(update={"phase": 2})]
    else:
        parts = []
    return [part_row(service, part, envelope_body(envelope)) for part in parts]


def second_phase(service: str, work: DayWork, body: dict[str, Any]) -> dict[str, Any]:
    return part_row(service, work.model_copy(update={"phase": 2, "part": 0, "parts": 1}), body)


def part_row(service: str, work: DayWork, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": f"{work.number:018d}/{work.phase}/{work.part:04d}",
        "company": work.company,
        "payload": work.model_dump(mode="json"),
        "envelope": {**body, "business_date": work.date.isoformat(), "actor": f"service:{service}"},
    }


def envelope_body(envelope: Envelope) -> dict[str, Any]:
    """What a timer row keeps of the envelope of its cause."""
    return {
        "known_at": envelope.known_at.isoformat(),
        "business_date": envelope.business_date.isoformat(),
        "correlation_id": str(envelope.correlation_id),
        "causation_id": str(envelope.id),
        "actor": envelope.actor,
        "on_behalf_of": envelope.on_behalf_of,
        "traceparent": envelope.traceparent,
    }


def envelope_of(
    service: str, event_id: UUID, event_type: str, company: str, subject: str, body: dict[str, Any]
) -> Envelope:
    known_at = datetime.fromisoformat(body["known_at"])
    return Envelope(
        id=event_id,
        source=service,
        type=event_type,
        subject=subject,
        time=known_at,
        company=company,
        actor=body.get("actor") or f"service:{service}",
        on_behalf_of=body.get("on_behalf_of", ""),
        business_date=date.fromisoformat(body["business_date"]),
        known_at=known_at,
        correlation_id=UUID(body["correlation_id"]),
        causation_id=UUID(body.get("causation_id") or body["correlation_id"]),
        traceparent=body.get("traceparent", ""),
    )


def work_event(service: str, work: DayWork, body: dict[str, Any]) -> Event:
    """The event by which one part of the day's work reaches the handler."""
    event_id = derive("day", service, work.number, work.phase, work.part)
    return Event(envelope_of(service, event_id, DAY_WORK, work.company, f"{work.company}/{work.date}", body), work)
