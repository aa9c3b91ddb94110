"""The BI views: the reader sees them and nothing else, and they agree with the reports."""

import asyncpg
import pytest

from deploy.local.databases import roles_of
from tests.conftest import PASSWORD
from tests.store.reporting import quarter
from tests.store.reporting.world import World

PERSONAL = {"email", "phone", "address", "payer_name", "remittance_text", "text", "contact_id", "evidence"}

READER = "recoup_reporting_reader"
NAMES = (
    "bi_open_item_v1", "bi_aging_v1", "bi_aging_day_v1", "bi_payment_v1", "bi_promise_v1", "bi_notice_v1",
    "bi_dispute_v1", "bi_hold_v1", "bi_day_v1",
)  # fmt: skip


def test_the_reader_is_the_one_that_the_stack_makes() -> None:
    assert roles_of("reporting").reader == READER


async def test_the_reader_reads_every_view_and_no_table(world: World, dsn: str) -> None:
    await quarter.live(world, days=5)
    host = dsn.rpartition("@")[2]
    db = await asyncpg.connect(f"postgresql://{READER}:{PASSWORD}@{host}")
    try:
        for name in NAMES:
            assert await db.fetchval(f"select count(*) from {name}") is not None
        for table in ("item", "contact", "receipt", "command", "notice"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.fetch(f"select * from {table}")
    finally:
        await db.close()


async def test_views_carry_no_personal_data_but_the_name_of_the_account(world: World) -> None:
    rows = await world.rows(
        "select table_name, column_name from information_schema.columns where table_name like 'bi\\_%'"
    )
    assert {row["table_name"] for row in rows} == set(NAMES)
    assert not {row["column_name"] for row in rows} & PERSONAL


async def test_aging_by_view_equals_the_snapshot(world: World) -> None:
    await quarter.live(world, days=5)
    (day,) = await world.rows("select figures from day_snapshot order by date desc limit 1")
    viewed = await world.rows(
        "select currency, sum(current_minor)::bigint as current, sum(days_31_60_minor)::bigint as middle, "
        "sum(disputed_minor)::bigint as disputed from bi_aging_v1 group by 1 order by 1"
    )
    noted = [
        {
            "currency": row["currency"],
            "current": row["buckets"]["current"],
            "middle": row["buckets"]["31-60"],
            "disputed": row["disputed_minor"],
        }
        for row in day["figures"]["aging"]
    ]
    assert viewed == noted
