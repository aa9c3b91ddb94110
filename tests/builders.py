"""Builders for tests: events with derived ids, and the runtime around a handler without a process."""

import itertools
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from shared.auth import Principal
from shared.events.catalogue import EVENTS, key_of
from shared.events.codec import Event
from shared.events.envelope import Envelope
from shared.ids import derive

_numbers = itertools.count(1)
KNOWN_AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def event(
    data: BaseModel,
    *,
    company: str | None = None,
    on: date = date(2026, 1, 5),
    known_at: datetime = KNOWN_AT,
    actor: str = "feed:test",
    event_id: UUID | None = None,
    event_type: str | None = None,
    subject: str = "",
    principal: Principal | None = None,
) -> Event:
    """An Event as the consumer would hand it to a handler. Each call gives a new id unless one is given."""
    kind = event_type or getattr(data, "TYPE", "") or f"command.{type(data).__name__}"
    company = company or getattr(data, "company", "acme")
    identity = event_id or derive("test", next(_numbers))
    envelope = Envelope(
        id=identity,
        source="test",
        type=kind,
        subject=subject or str(getattr(data, "account_id", None) or identity),
        time=known_at,
        company=company,
        actor=principal.actor if principal else actor,
        on_behalf_of=(principal.on_behalf_of or "") if principal else "",
        business_date=on,
        known_at=known_at,
        correlation_id=identity,
        causation_id=identity,
    )
    topic = EVENTS[kind].topic if kind in EVENTS else ""
    return Event(envelope, data, key_of(company, getattr(data, "account_id", None), identity), topic, principal)


def headers_and_value(made: Event) -> dict[str, Any]:
    """The parts of a record that carries `made`."""
    return {
        "key": made.key.encode(),
        "headers": made.envelope.to_headers(),
        "value": made.data.model_dump_json().encode(),
    }
