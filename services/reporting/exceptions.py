"""Everything of one company that waits for a person, as bounded lists: for the API and the page."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.queries import as_of, lists
from services.reporting.queries.lists import Window

ROWS_MAX = 100


async def exceptions_of(db: AsyncConnection, company: str) -> dict[str, Any]:
    """Lists of at most 100 rows; `truncated` names those that hold more."""
    asked = ROWS_MAX + 1
    clock = await as_of.clock_of(db, company)
    own_parked = [dict(row) | {"kind": "key", "id": row["key"]} for row in await lists.parked_keys(db, company, asked)]
    unconfirmed = await lists.holds(db, company, Window(), None, 1_000)
    found: dict[str, list[Any]] = {
        "waiting_cash": await lists.waiting_cash(db, company, asked),
        "quarantined": await lists.quarantined(db, company, asked),
        "held_statements": await lists.held_statements(db, company, asked),
        "statement_gaps": await lists.gaps(db, company, asked),
        "parked": [*clock["parked"], *own_parked],
        "notices_unknown": await lists.notices(db, company, Window(status="unknown"), None, asked),
        "notices_failed": await lists.notices(db, company, Window(status="failed"), None, asked),
        "holds_unconfirmed": [row for row in unconfirmed if row["unconfirmed"]],
    }
    lists_shown = {name: [dict(row) for row in rows[:ROWS_MAX]] for name, rows in found.items()}
    return lists_shown | {"truncated": [name for name, rows in found.items() if len(rows) > ROWS_MAX]}
