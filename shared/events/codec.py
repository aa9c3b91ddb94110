"""Between records of the bus and events: pydantic decodes, unknown fields are ignored, unknown types are told apart.

An older version of a payload is brought to the newest before the model sees it (`shared.events.upcasters`).
An `Event` is also the form in which commands, timers and day work reach a handler, so that one path decides all.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.errors import Broken
from shared.events.catalogue import EVENT_BYTES_MAX, EVENTS, FEEDS_RECEIPTS, MARKERS
from shared.events.envelope import Envelope, Headers, version_in
from shared.events.upcasters import STEPS, newest_version, upcast

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


def decode(topic: str, key: str, headers: Headers, value: bytes) -> Event:
    """Event of a record; data is None for an unknown type.

    Raises Broken with a code: `oversized`, `header_missing`, `header_unreadable`, `key_missing`, `wrong_company`,
    `undecodable`; and Stop for an event of a newer version.
    """
    if len(value) > EVENT_BYTES_MAX:
        raise Broken("oversized", f"the value has {len(value)} bytes, an event has at most {EVENT_BYTES_MAX}")
    envelope = Envelope.from_headers(headers)
    kind = envelope.type
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        return Event(envelope, None, key, topic)
    try:
        data = adapter.validate_json(_newest(kind, headers, value))
    except ValidationError as problem:
        where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problem.errors()[:3])
        raise Broken("undecodable", f"{kind} {envelope.id} does not fit its model: {where}") from problem
    if kind not in MARKERS:
        _check_company(topic, envelope, key, data.company)
    return Event(envelope, data, key, topic)


def _check_company(topic: str, envelope: Envelope, key: str, of_data: str) -> None:
    """One company in envelope, payload and key: by the key events are ordered, locked, parked and shown to persons.

    Receipts of feeds are for the feeds: their key is the feed, and no service reads them.
    """
    company = envelope.company
    if key.partition("/")[0] == company == of_data or topic == FEEDS_RECEIPTS:
        return
    if not key:
        raise Broken("key_missing", f"{envelope.type} {envelope.id} has no key")
    where = f"{company!r} in its envelope, {of_data!r} in its payload, {key.partition('/')[0]!r} in its key"
    raise Broken("wrong_company", f"{envelope.type} {envelope.id} names more than one company: {where}")


def _newest(event_type: str, headers: Headers, value: bytes) -> bytes:
    """The payload in the newest version of its type."""
    if not STEPS:
        return value
    found = {name: text.decode() for name, text in headers if name == "ce_dataschema"}
    version = version_in(found)
    if version is None or version >= newest_version(event_type):
        return value
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError as problem:
        raise Broken("undecodable", f"{event_type} is not JSON: {problem}") from problem
    if not isinstance(body, dict):
        raise Broken("undecodable", f"{event_type} of version {version} is not a JSON object")
    try:
        return orjson.dumps(upcast(event_type, version, body))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        text = f"{event_type} of version {version} cannot be brought to the newest: {problem!r}"
        raise Broken("undecodable", text) from problem


def encode(data: BaseModel) -> bytes:
    """Value bytes of a payload."""
    return data.__pydantic_serializer__.to_json(data)
