"""The table of approvals on PostgreSQL: four eyes hold even against a service that forgets the rule."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from shared.approval import approval_table
from tests.conftest import MakeDatabase

AT = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
PENDING = {
    "company": "vdr-eu",
    "id": UUID(int=1),
    "kind": "write_off",
    "subject_id": "inv-1",
    "body_hash": "a" * 64,
    "customer_id": "P1",
    "reason_code": "UNCOLLECTABLE",
    "amount_minor": 900_00,
    "currency": "EUR",
    "requested_by": "user:ana",
    "requested_at": AT,
    "outcome": "pending",
}
APPROVED = PENDING | {"outcome": "approved", "decided_by": "user:sue", "decided_at": AT}


async def insert(db: asyncpg.Connection, row: dict[str, Any]) -> None:
    names, places = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await db.execute(f"insert into approval ({names}) values ({places})", *row.values())


@pytest.fixture
async def db(make_database: MakeDatabase):
    table, dialect = approval_table(sa.MetaData()), postgresql.dialect()
    connection = await asyncpg.connect(await make_database())
    statements = [CreateTable(table), *map(CreateIndex, sorted(table.indexes, key=lambda index: str(index.name)))]
    await connection.execute(";".join(str(statement.compile(dialect=dialect)) for statement in statements))
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"decided_by": "user:ana"}, "approval_maker_is_not_checker"),
        ({"requested_on_behalf_of": "user:sue"}, "approval_maker_is_not_checker"),
        ({"decided_on_behalf_of": "user:ana"}, "approval_maker_is_not_checker"),
        (
            {"requested_on_behalf_of": "user:cora", "decided_on_behalf_of": "user:cora"},
            "approval_maker_is_not_checker",
        ),
        ({"outcome": "maybe"}, "approval_outcome"),
        ({"outcome": "pending"}, "approval_decided"),
        ({"outcome": "void", "decided_by": None}, "approval_decision_whole"),
        ({"decided_by": None, "decided_at": None}, "approval_decided"),
        ({"currency": None}, "approval_amount_with_currency"),
        ({"amount_minor": -1}, "approval_amount"),
        ({"body_hash": "A" * 64}, "approval_body_hash"),
    ],
)
async def test_a_row_against_the_rule_cannot_be_written(
    db: asyncpg.Connection, changes: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await insert(db, APPROVED | changes)
    assert refused.value.constraint_name == constraint


async def test_rows_within_the_rule_can_be_written(db: asyncpg.Connection) -> None:
    await insert(db, PENDING)
    await insert(db, APPROVED | {"id": UUID(int=2)})
    await insert(db, APPROVED | {"id": UUID(int=3), "decided_on_behalf_of": "user:cora"})
    await insert(db, APPROVED | {"id": UUID(int=4), "amount_minor": None, "currency": None, "outcome": "void"})
    assert await db.fetchval("select count(*) from approval") == 4


async def test_one_request_at_a_time_waits_for_a_thing(db: asyncpg.Connection) -> None:
    await insert(db, PENDING)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(db, PENDING | {"id": UUID(int=2), "body_hash": "b" * 64})
    await insert(db, PENDING | {"id": UUID(int=3), "company": "other"})
