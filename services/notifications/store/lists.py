"""Rows as the arrays of a set-based statement, one per column.

asyncpg reads a list of lists as one array of two dimensions; so lists go as JSON text and are cast in the statement.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson

LISTS = frozenset({"banks", "items", "reasons"})
"""Columns whose values are lists."""


def json_texts(lists: Iterable[Iterable[Any]]) -> list[str]:
    """JSON text of each list. An id may be the driver's own kind of UUID, which orjson does not know."""
    return [orjson.dumps(list(entries), default=_id_text).decode() for entries in lists]


def _id_text(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"a list of a row holds ids, texts and numbers, not {type(value).__name__}")


def columns(rows: Sequence[Any], names: str) -> list[list[Any]]:
    """One array per name of `names`, which is the statement's own list of columns."""
    found = ((name, [getattr(row, name) for row in rows]) for name in names.split(", "))
    return [json_texts(values) if name in LISTS else values for name, values in found]
