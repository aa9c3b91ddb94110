"""W3C trace context of events: taken over from the request at the door or derived, continued by all that follows.

A `traceparent` is `00-<trace id>-<span id>-<flags>`. The trace id stays from the door to the mail; each event is a span
of its own, named by its event id. Invariant: nothing is drawn, so a re-execution gives the same context.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

HEADER = "traceparent"
SAMPLED = "01"
_SPAN_AT, _FLAGS_AT, _CHARS = 36, 52, 55
_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_of_request: ContextVar[str] = ContextVar("traceparent", default="")


def accepted(header: str) -> str:
    """The caller's `traceparent` if it has the form of version 00, else empty: what is malformed starts a new trace."""
    return header if _FORM.fullmatch(header) else ""


@contextmanager
def within(header: str) -> Iterator[None]:
    """The context of the request that is answered now."""
    token = _of_request.set(accepted(header))
    try:
        yield
    finally:
        _of_request.reset(token)


def of_request() -> str:
    """The context that the caller sent with the request that is answered now; empty without one."""
    return _of_request.get()


def at_the_door(identity: UUID) -> str:
    """Context of what comes in now: the request's own, else one that follows from the identity of what came in."""
    return of_request() or root(identity)


def root(identity: UUID) -> str:
    """The trace that begins with `identity`, a submission, a command or a marker."""
    text = identity.hex
    return f"00-{text}-{text[16:]}-{SAMPLED}"


def continued(traceparent: str, correlation_id: UUID, event_id: UUID) -> str:
    """The span of the event `event_id`, caused in `traceparent`; without one the trace of the correlation begins."""
    cause = traceparent if len(traceparent) == _CHARS else root(correlation_id)
    return f"{cause[:_SPAN_AT]}{event_id.hex[16:]}{cause[_FLAGS_AT:]}"


def of_row(envelope: Mapping[str, Any]) -> str:
    """Context that the stored envelope of a timer, a notice or a delivery stands for."""
    return envelope.get("traceparent") or root(UUID(envelope["correlation_id"]))


def trace_id(traceparent: str) -> str:
    """The part that a whole story shares, 32 hex digits; empty without one."""
    return traceparent.split("-")[1] if len(traceparent) == _CHARS else ""
