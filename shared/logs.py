"""Structured logs: one JSON object per line on stderr, with the correlation bound by context, personal data redacted.

A model that marks fields as personal is logged without them; keys that look like secrets are never written.
"""

import logging
import sys
from typing import Any

import orjson
import structlog
from pydantic import BaseModel

from shared.events.facts import personal_fields
from shared.failure_text import trace_text

REDACTED = "[redacted]"
SECRET_WORDS = ("password", "secret", "token", "authorization", "api_key", "dsn", "signature")
AS_IT_IS = ("event", "level", "timestamp", "exception")
PERSONAL_KEYS = frozenset({"name", "email", "phone", "address", "iban", "payer", "remittance_text", "text"})


def redacted(value: Any) -> Any:
    """`value` without personal data and secrets, as far as models and key names tell."""
    if isinstance(value, BaseModel):
        hidden = personal_fields(type(value))
        return {n: REDACTED if n in hidden else redacted(getattr(value, n)) for n in type(value).model_fields}
    if isinstance(value, dict):
        return {k: REDACTED if _hidden(str(k)) else redacted(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(v) for v in value]
    return value


def _hidden(key: str) -> bool:
    lower = key.lower()
    return lower in PERSONAL_KEYS or any(word in lower for word in SECRET_WORDS)


# One list for good: a logger that was used before `configure` is called again goes on with it.
_PROCESSORS: list[Any] = []


def _redact_event(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    return {k: v if k in AS_IT_IS or k.startswith("_") else redacted({k: v})[k] for k, v in event.items()}


def _trace(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """`exc_info` as the places that the failure went through, without the texts of exceptions."""
    info = event.pop("exc_info", None)
    problem = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(problem, BaseException):
        event["exception"] = trace_text(problem)
    return event


def configure(service: str, level: str = "INFO") -> structlog.stdlib.BoundLogger:
    """Set up structlog and the standard library's loggers for this process."""
    shaping = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _trace,
        _redact_event,
    ]
    rendering = structlog.processors.JSONRenderer(
        serializer=lambda value, **_: orjson.dumps(value, default=str).decode()
    )
    _PROCESSORS[:] = [*shaping, rendering]
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _configure_libraries(service, level, shaping, rendering)
    for noisy in ("aiokafka", "httpx", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return structlog.get_logger(service=service)


def _configure_libraries(service: str, level: str, shaping: list[Any], rendering: Any) -> None:
    """Lines of uvicorn, aiokafka and other users of the standard library's logging in the same form."""

    def named(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        return {**event, "service": service, "logger": event["_record"].name}

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shaping,
            processors=[named, structlog.stdlib.ProcessorFormatter.remove_processors_meta, rendering],
            keep_exc_info=False,
        )
    )
    logging.basicConfig(level=level, handlers=[handler])
