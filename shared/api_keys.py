"""API keys of feeds and scrapers: made once, shown once, kept only as SHA-256 with what they may do and an expiry.

Invariant: a key never carries a role beyond feeding and metrics, so it can approve nothing and read no customer.
`python -m shared.api_keys --help` makes a key.
"""

import argparse
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from shared.permissions import CLOCK, FEEDER, SCRAPER

PREFIX = "rcp"
SECRET_BYTES = 32
KEYS_MAX = 1_000
FILE_BYTES_MAX = 1_000_000
LIFETIME_DAYS_MAX = 730
KEY_ROLES = frozenset({FEEDER, CLOCK, SCRAPER})

_FORM = re.compile(r"rcp_([a-z0-9]{8,24})_([A-Za-z0-9_-]{43})")
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
RecordType = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.*]{1,64}$")]


class ApiKey(BaseModel):
    """One key of the keys file. `record_types` lists what the feed may write; `*` means every type.

    A scraper alone (metrics) names neither companies nor record types; every other key names both.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{8,24}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    feed: Name
    companies: frozenset[Name] = frozenset()
    record_types: frozenset[RecordType] = frozenset()
    roles: frozenset[str] = frozenset({FEEDER})
    expires_at: AwareDatetime

    @model_validator(mode="after")
    def _names_what_it_is_for(self) -> Self:
        if self.roles != {SCRAPER} and not (self.companies and self.record_types):
            raise ValueError("a key that feeds names its companies and its record types")
        return self


class KeysFile(BaseModel):
    """The whole file: `{"keys": [...]}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: list[ApiKey] = Field(max_length=KEYS_MAX)


class KeysFileError(Exception):
    """The file of API keys cannot be used; mend it and the keys work again within seconds."""


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """Why a presented key was refused; the reason names no part of its secret."""

    reason: str


def digest(presented: str) -> str:
    """SHA-256 of the whole key text. 32 random bytes need no slow hash."""
    return hashlib.sha256(presented.encode()).hexdigest()


def new_api_key(
    feed: str,
    companies: frozenset[str],
    record_types: frozenset[str],
    expires_at: datetime,
    roles: frozenset[str] = frozenset({FEEDER}),
) -> tuple[str, ApiKey]:
    """A fresh key: its text, which is shown once, and its record for the keys file."""
    key_id = secrets.token_hex(6)
    text = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    record = ApiKey(
        key_id=key_id,
        sha256=digest(text),
        feed=feed,
        companies=companies,
        record_types=record_types,
        roles=roles,
        expires_at=expires_at,
    )
    return text, record


def read_keys(path: Path) -> dict[str, ApiKey]:
    """Keys by key id. Raises KeysFileError with the place when the file is missing, too large or wrong."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise KeysFileError(f"{path}: larger than {FILE_BYTES_MAX} bytes; remove expired keys")
        content = KeysFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise KeysFileError(f"{path}: {error.strerror}; set RECOUP_API_KEYS_FILE to a readable file") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise KeysFileError(f"{path}: {place or 'file'}: {first['msg']}") from None
    for key in content.keys:
        if key.roles - KEY_ROLES:
            raise KeysFileError(f"{path}: key {key.key_id}: roles of a key may only be {sorted(KEY_ROLES)}")
    by_id = {key.key_id: key for key in content.keys}
    if len(by_id) != len(content.keys):
        raise KeysFileError(f"{path}: a key_id stands twice; remove one of them")
    return by_id


_NO_KEY = "0" * 64


def check_key(presented: str, keys: Mapping[str, ApiKey], at: datetime) -> ApiKey | KeyRefused:
    """The record of a valid key at the instant `at`, else why it is refused. Takes the same time for unknown ids."""
    form = _FORM.fullmatch(presented)
    if not form:
        return KeyRefused("an API key has the form rcp_<key id>_<secret>")
    key = keys.get(form[1])
    if not hmac.compare_digest(key.sha256 if key else _NO_KEY, digest(presented)) or key is None:
        return KeyRefused("this API key is not known")
    if at >= key.expires_at:
        return KeyRefused(f"API key {key.key_id} expired at {key.expires_at.isoformat()}")
    return key


def add_key(path: Path, record: ApiKey) -> None:
    """Writes `record` into the keys file, replacing the file whole, readable by its owner only."""
    keys = list(read_keys(path).values()) if path.exists() else []
    content = {"keys": [_plain(key) for key in [*keys, record]]}
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    part.replace(path)


def _plain(key: ApiKey) -> dict[str, object]:
    sets = {name: sorted(getattr(key, name)) for name in ("companies", "record_types", "roles")}
    return key.model_dump(mode="json") | sets


def main() -> None:
    """Command line: makes one key, adds its record to the file, prints its text once."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.api_keys", description="Make an API key for a feed or a scraper."
    )
    parser.add_argument("--file", type=Path, required=True, help="keys file (RECOUP_API_KEYS_FILE)")
    parser.add_argument("--feed", required=True, help="name of the feed or scraper, as events and logs show it")
    parser.add_argument("--role", action="append", choices=sorted(KEY_ROLES), help=f"default: {FEEDER}")
    parser.add_argument("--company", action="append", default=[], help="of a feed; may be given often")
    parser.add_argument("--record-type", action="append", default=[], help="of a feed; may be given often, '*' for all")
    parser.add_argument("--days", type=int, default=365, help=f"1 to {LIFETIME_DAYS_MAX}")
    given = parser.parse_args()
    if not 1 <= given.days <= LIFETIME_DAYS_MAX:
        parser.error(f"--days must be 1 to {LIFETIME_DAYS_MAX}")
    expires_at = datetime.now(UTC) + timedelta(days=given.days)
    try:
        roles = frozenset(given.role or [FEEDER])
        text, record = new_api_key(
            given.feed, frozenset(given.company), frozenset(given.record_type), expires_at, roles
        )
        add_key(given.file, record)
    except (KeysFileError, ValidationError) as error:
        parser.error(str(error))
    print(text)


if __name__ == "__main__":
    main()
