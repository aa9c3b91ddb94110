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

REDACTED = "[redacted]"
SECRET_WORDS = ("password", "secret", "token", "authorization", "api_key", "dsn", "signature")
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


def _redact_event(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    return {k: v if k in ("event", "level", "timestamp", "exception") else redacted({k: v})[k] for k, v in event.items()}


def configure(service: str, level: str = "INFO") -> structlog.stdlib.BoundLogger:
    """Set up structlog and the standard library's loggers for this process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            structlog.processors.JSONRenderer(serializer=lambda value, **_: orjson.dumps(value, default=str).decode()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=level, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for noisy in ("aiokafka", "httpx", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return structlog.get_logger(service=service)
