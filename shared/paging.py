"""Pages of a list: keyset cursors that are opaque to the caller and bound to the query they came from.

Invariant: a cursor only says where to go on; what may be seen is decided by the query, never by the cursor.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel

from shared.problems import Problem

LIMIT_DEFAULT = 50
LIMIT_MAX = 500
CURSOR_CHARS_MAX = 1_000
VALUES_MAX = 8

T = TypeVar("T")
KeyValue = None | bool | int | str | date | datetime | UUID


class Page(BaseModel, Generic[T]):
    """One page. `next` is the cursor of the following page, absent on the last."""

    items: list[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Paging:
    """What the caller asked for: at most `limit` items behind `cursor`."""

    limit: int
    cursor: str | None

    @property
    def fetch(self) -> int:
        """How many rows to select: one more than the page, to see whether another follows."""
        return self.limit + 1

    def after(self, scope: str) -> tuple[Any, ...] | None:
        """Keyset values to go on behind, None for the first page. Raises Problem 400 for a foreign cursor."""
        return decode_cursor(scope, self.cursor) if self.cursor else None


def paging(
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="items per page")] = LIMIT_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=CURSOR_CHARS_MAX, description="`next` of the page before")] = None,
) -> Paging:
    """FastAPI dependency for the query parameters `limit` (1 to 500) and `cursor`."""
    return Paging(limit, cursor)


def page_of(
    rows: Sequence[Any], asked: Paging, scope: str, key: Callable[[Any], tuple[KeyValue, ...]]
) -> tuple[Sequence[Any], str | None]:
    """Rows of this page and the cursor of the next, from up to `asked.fetch` rows sorted by `key`."""
    shown = rows[: asked.limit]
    more = len(rows) > asked.limit
    return shown, encode_cursor(scope, key(shown[-1])) if more else None


def encode_cursor(scope: str, values: tuple[KeyValue, ...]) -> str:
    """Opaque text of keyset values. `scope` names list, filters and sorting, so that a cursor fits only its query."""
    if len(values) > VALUES_MAX:
        raise ValueError(f"a keyset has at most {VALUES_MAX} values")
    content = json.dumps([_digest(scope), *map(_plain, values)], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_cursor(scope: str, text: str) -> tuple[Any, ...]:
    """Keyset values of `text`. Raises Problem 400 when it is damaged or belongs to another query."""
    try:
        padded = text + "=" * (-len(text) % 4)
        digest, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        found = tuple(_value(*pair) for pair in values)
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise _refused() from None
    if digest != _digest(scope) or len(found) > VALUES_MAX:
        raise _refused()
    return found


def _refused() -> Problem:
    return Problem(
        400,
        "cursor_not_valid",
        "the cursor is damaged or belongs to a list with other filters",
        "start again without cursor, and keep filters and sorting the same from page to page",
    )


def _digest(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:12]


def _plain(value: KeyValue) -> tuple[str, Any]:
    if value is None or isinstance(value, bool | int | str):
        return "v", value
    if isinstance(value, UUID):  # asyncpg has a UUID type of its own below this one
        return "u", str(value)
    return "t" if isinstance(value, datetime) else "d", value.isoformat()


_READ: dict[str, Callable[[Any], Any]] = {"t": datetime.fromisoformat, "d": date.fromisoformat, "u": UUID}


def _value(kind: str, value: Any) -> Any:
    if kind == "v" and (value is None or isinstance(value, bool | int | str)):
        return value
    return _READ[kind](value)
