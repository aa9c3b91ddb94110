"""The rights of feeds that speak Kafka: their secrets file, and the companies and types of their API keys.

The secrets file is a JSON object: feed -> secret, or feed -> {secret, companies, record_types}. A feed with a secret
alone has the companies and types of its API keys.
"""

from pathlib import Path
from typing import Any

import orjson

from services.ingest.domain.inbound import FeedRights
from shared.api_keys import KeysFileError, read_keys
from shared.errors import Transient

SECRET_CHARS_MIN = 32


def feeds_of(secrets_file: Path | None, keys_file: Path | None) -> dict[str, FeedRights]:
    """Rights by feed. Raises Transient with the place when a file cannot be used: messages wait meanwhile."""
    if secrets_file is None:
        return {}
    try:
        found: dict[str, Any] = orjson.loads(secrets_file.read_bytes())
        keys = list(read_keys(keys_file).values()) if keys_file is not None else []
        return {feed: _rights(feed, entry, keys) for feed, entry in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, KeysFileError) as error:
        raise Transient(f"the rights of feeds cannot be read from {secrets_file}: {error}") from error


def _rights(feed: str, entry: Any, keys: list[Any]) -> FeedRights:
    own = {"secret": entry} if isinstance(entry, str) else entry
    if len(own["secret"]) < SECRET_CHARS_MIN:
        raise ValueError(f"the secret of feed {feed!r} has less than {SECRET_CHARS_MIN} characters")
    of_keys = [key for key in keys if key.feed == feed]
    companies = frozenset(own.get("companies", ())) or frozenset().union(*(key.companies for key in of_keys))
    types = frozenset(own.get("record_types", ())) or frozenset().union(*(key.record_types for key in of_keys))
    return FeedRights(own["secret"], companies, types)
