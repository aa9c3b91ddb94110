"""Lists inside a row, for statements that take one array per column.

asyncpg reads a list of lists as one array of two dimensions; so lists go as JSON text and are cast in the statement.
"""

from collections.abc import Iterable
from typing import Any

import orjson


def json_texts(lists: Iterable[Iterable[Any]]) -> list[str]:
    """JSON text of each list."""
    return [orjson.dumps(list(entries)).decode() for entries in lists]
