"""Messages of foreign feeds: the signature that proves them, and what they must say.

Invariant: a header alone proves nothing; feed, type, key and value are bound by an HMAC with the feed's secret.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from services.ingest.domain.fields import Refused
from services.ingest.domain.known import Context, OutcomeRow, Said
from shared.events.feeds import FeedReceipt
from shared.ids import derive

HEADERS = ("feed", "record_type", "idempotency_key", "signature")
KEY_CHARS_MIN, KEY_CHARS_MAX = 8, 200


@dataclass(frozen=True, slots=True)
class FeedRights:
    """What a feed may write. `*` among the record types means every type."""

    secret: str
    companies: frozenset[str]
    record_types: frozenset[str]

    def may_write(self, company: str, record_type: str) -> bool:
        return company in self.companies and ("*" in self.record_types or record_type in self.record_types)


@dataclass(frozen=True, slots=True)
class Message:
    """A proven message: one record of one company."""

    feed: str
    company: str
    record_type: str
    idempotency_key: str
    body: dict[str, Any]
    sha256: str


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """Why a message was not taken; `company` only as far as the message was proven."""

    feed: str
    idempotency_key: str
    refused: Refused
    company: str = field(default="~")


def sign(secret: str, feed: str, record_type: str, idempotency_key: str, value: bytes) -> str:
    """Hex HMAC-SHA256 over feed, type and key, each ended by a line feed, and the value."""
    head = "".join(f"{part}\n" for part in (feed, record_type, idempotency_key)).encode()
    return hmac.new(secret.encode(), head + value, hashlib.sha256).hexdigest()


def read(headers: Mapping[str, str], value: bytes, feeds: Mapping[str, FeedRights]) -> Message | RefusedMessage:
    """The message if it is proven and may be written, else why not."""
    feed, record_type, key, signature = (headers.get(name, "") for name in HEADERS)
    try:
        rights = _proven(feed, record_type, key, signature, value, feeds)
        body = _body(value)
        company = _allowed(rights, body, record_type)
    except Refused as refused:
        return RefusedMessage(feed[:64], key[:KEY_CHARS_MAX], refused)
    return Message(feed, company, record_type, key, body, hashlib.sha256(value).hexdigest())


def _proven(
    feed: str, record_type: str, key: str, signature: str, value: bytes, feeds: Mapping[str, FeedRights]
) -> FeedRights:
    missing = [name for name, found in zip(HEADERS, (feed, record_type, key, signature), strict=True) if not found]
    if missing:
        raise Refused("header_missing", missing[0], f"a message needs the headers {', '.join(HEADERS)}")
    rights = feeds.get(feed)
    expected = sign(rights.secret if rights else "", feed, record_type, key, value)
    if rights is None or not hmac.compare_digest(expected, signature.lower()):
        raise Refused("signature_wrong", "signature", "the signature is not that of a known feed over this message")
    if not KEY_CHARS_MIN <= len(key) <= KEY_CHARS_MAX or not all("!" <= char <= "~" for char in key):
        reason = f"it has {KEY_CHARS_MIN} to {KEY_CHARS_MAX} visible ASCII characters"
        raise Refused("idempotency_key_not_valid", "idempotency_key", reason)
    return rights


def _body(value: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Refused("json_not_valid", "value", f"the value is not JSON in UTF-8: {error.msg}") from None
    if not isinstance(body, dict):
        raise Refused("json_shape", "value", "the value is one record, an object")
    return body


def _allowed(rights: FeedRights, body: dict[str, Any], record_type: str) -> str:
    company = body.get("company")
    if not isinstance(company, str) or not company:
        raise Refused("missing", "company", "the record does not say of which company it is")
    if body.setdefault("record_type", record_type) != record_type:
        raise Refused("record_type_differs", "record_type", "the value names another type than the header")
    if not rights.may_write(company, record_type):
        raise Refused("not_permitted", "feed", f"this feed may not write {record_type!r} records of {company!r}")
    return company


def receipt_said(context: Context, outcome: OutcomeRow) -> Said:
    """The answer for a decided record of a feed; its place carries the message's place and key."""
    place, _, key = outcome.place.partition(" ")
    fact = FeedReceipt(
        company=context.company,
        feed=context.feed,
        idempotency_key=key,
        place=place,
        outcome=outcome.outcome,
        code=outcome.code,
        field=outcome.field,
        reason=outcome.reason,
        record_id=outcome.record_id,
        submission_id=context.submission_id,
    )
    identity = derive("feed_receipt", place, key, "decided")
    return Said(fact, place, identity, key=context.feed, traceparent=outcome.traceparent)
