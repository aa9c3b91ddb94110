"""The secrets of a local stack: made once, at random, kept in `.local/secrets` for this user only.

Database passwords, the webhook secret of the access system, the signing secret of the ERP's Kafka feed, and two API
keys: the ERP's, and a scraper's for the metrics.
"""

import base64
import json
import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.local.databases import SERVICES

SAMPLE_COMPANY = "vdr-eu"
FEED = "erp"
API_KEY_DAYS = 365


def database_passwords(folder: Path) -> dict[str, str]:
    """Service -> password of its three roles."""
    made = _once(folder / "databases.json", lambda: {service: secrets.token_hex(16) for service in SERVICES})
    return {service: made[service] for service in SERVICES}


def webhooks_file(folder: Path) -> Path:
    """A JSON object: receiver -> `whsec_...` secret (Standard Webhooks)."""
    path = folder / "webhooks.json"
    _once(path, lambda: {"access_system": "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()})
    return path


def feeds_file(folder: Path) -> Path:
    """A JSON object: feed -> secret of the HMAC over its messages on `feeds.inbound`."""
    path = folder / "feeds.json"
    _once(path, lambda: {FEED: secrets.token_hex(32)})
    return path


def api_keys_file(folder: Path) -> Path:
    """The file of API keys that the services accept; their texts lie beside it in `feed-api-key`, `metrics-api-key`."""
    from shared.permissions import FEEDER, SCRAPER

    path = folder / "api-keys.json"
    _key(path, folder / "feed-api-key", FEED, FEEDER, frozenset({SAMPLE_COMPANY}), frozenset({"*"}))
    _key(path, folder / "metrics-api-key", SCRAPER, SCRAPER, frozenset(), frozenset())
    return path


def _key(keys: Path, kept_in: Path, feed: str, role: str, companies: frozenset[str], types: frozenset[str]) -> None:
    """A key that was made before stays; the file of keys is written first, so that no kept text is unknown to it."""
    from shared.api_keys import add_key, new_api_key

    if keys.exists() and kept_in.exists():
        return
    expires_at = datetime.now(UTC) + timedelta(days=API_KEY_DAYS)
    text, record = new_api_key(feed, companies, types, expires_at, frozenset({role}))
    keys.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    add_key(keys, record)
    _private(kept_in, text + "\n")


def _once(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    if not path.exists():
        _private(path, json.dumps(make()))
    return json.loads(path.read_text(encoding="utf-8"))


def _private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}")
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for made in (webhooks_file(target), feeds_file(target), api_keys_file(target)):
        print(made)
