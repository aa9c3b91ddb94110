"""Between records of the bus and events: pydantic decodes, unknown fields are ignored, unknown types are told apart.

An `Event` is also the form in which commands, timers and day work reach a handler, so that one path decides all.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.errors import Poison
from shared.events.catalogue import EVENTS, MARKERS
from shared.events.envelope import Envelope

if TYPE_CHECKING:
    from shared.auth import Principal

_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(entry.model) for name, entry in EVENTS.items()} | {
    name: TypeAdapter(model) for name, model in MARKERS.items()
}


class Event(NamedTuple):
    """One input: envelope, payload, and where it lay (`key`, `topic`). Only a command has a `principal`."""

    envelope: Envelope
    data: Any
    key: str = ""
    topic: str = ""
    principal: "Principal | None" = None

    @property
    def type(self) -> str:
        return self.envelope.type

    @property
    def company(self) -> str:
        return self.envelope.company


def is_marker(event_type: str) -> bool:
    return event_type in MARKERS


def decode(topic: str, key: str, headers: list[tuple[str, bytes]], value: bytes) -> Event:
    """Event of a record. Raises Poison when the payload does not fit its type; data is None for an unknown type."""
    envelope = Envelope.from_headers(headers)
    adapter = _ADAPTERS.get(envelope.type)
    if adapter is None:
        return Event(envelope, None, key, topic)
    try:
        return Event(envelope, adapter.validate_json(value), key, topic)
    except ValidationError as problem:
        where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problem.errors()[:3])
        raise Poison(f"{envelope.type} {envelope.id} does not fit its model: {where}") from problem


def encode(data: BaseModel) -> bytes:
    """Value bytes of a payload."""
    return data.__pydantic_serializer__.to_json(data)
