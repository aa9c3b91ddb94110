"""Ids are derived, never drawn: the same natural identity gives the same id on every run and replica.

People see prefixed forms (`inv_…`, `pay_…`); events and stores hold plain UUIDs.
"""

from hashlib import sha1
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as _CompiledUUID

NAMESPACE = UUID("6f1d2f0e-8c61-5b0e-9a53-2f6f7e8a4c11")
_NAMESPACE_BYTES = NAMESPACE.bytes

PREFIXES = {
    "document": "inv", "item": "itm", "payment": "pay", "posting": "pst", "promise": "prm", "dispute": "dsp",
    "hold": "hld", "notice": "ntc", "submission": "sub", "record": "rec", "activity": "act", "refund": "rfd",
}  # fmt: skip


def derive(kind: str, *parts: object) -> UUID:
    """UUIDv5 over `kind` and the parts; parts are joined by the unit separator, so that no two lists collide."""
    text = "\x1f".join([kind, *map(str, parts)])
    digest = bytearray(sha1(_NAMESPACE_BYTES + text.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return _CompiledUUID(bytes(digest))


def read_id(text: str) -> UUID:
    """The id written as `text`, in the driver's compiled form of UUID: equal, and made and written ten times faster.

    Raises ValueError when it is none.
    """
    return _CompiledUUID(text)


def document_id(company: str, source_system: str, document_type: str, source_document_id: str) -> UUID:
    """Identity of a document of the books; `document_type` is invoice, debit_memo or credit_memo."""
    return derive("document", company, source_system, document_type, source_document_id)


def item_id(document: UUID, line: str = "001") -> UUID:
    """Identity of one open item: a document and its instalment line."""
    return derive("item", document, line)


def output_id(cause: UUID, event_type: str, subject: str, ordinal: int) -> UUID:
    """Identity of an event that follows from the input `cause`; the same on every re-execution."""
    return derive("output", cause, event_type, subject, ordinal)


def command_id(principal: str, route: str, idempotency_key: str) -> UUID:
    """Identity of an HTTP command, whatever its body."""
    return derive("command", principal, route, idempotency_key)


def show(kind: str, value: UUID) -> str:
    """The form that people see: `pay_…`."""
    return f"{PREFIXES[kind]}_{value.hex}"


def parse(text: str) -> UUID:
    """UUID of a prefixed or plain id. Raises ValueError when it is neither."""
    _, _, tail = text.rpartition("_")
    return UUID(tail)
