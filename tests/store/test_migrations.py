"""Migrations and tables.py say the same: a fresh store is what the code expects, for every service.

Alembic compares tables, columns and the names of indexes; the rest is compared in PostgreSQL's own words.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from shared.db.migrate import ROOT, head_reached, metadata_of, upgrade

SERVICES = ("ingest", "cash_application", "collections", "notifications", "reporting")


WORDS = {
    "constraint": """select r.relname || ' ' || c.conname, pg_get_constraintdef(c.oid)
        || case when c.convalidated then '' else ' NOT VALID' end
        from pg_constraint c join pg_class r on r.oid = c.conrelid""",
    "index": """select r.relname || ' ' || i.relname, pg_get_indexdef(x.indexrelid)
        || case when x.indisvalid then '' else ' INVALID' end
        from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class r on r.oid = x.indrelid""",
    "trigger": """select r.relname || ' ' || t.tgname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
        from pg_trigger t join pg_class r on r.oid = t.tgrelid where not t.tgisinternal""",
    "column": """select r.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
        case when a.attnotnull then 'not null' end, a.attidentity::text, a.attgenerated::text, o.collname,
        pg_get_expr(d.adbin, d.adrelid))
        from pg_attribute a join pg_class r on r.oid = a.attrelid left join pg_collation o on o.oid = a.attcollation
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where r.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped""",
    "table": """select r.relname, concat_ws(' ', r.relkind::text, r.relpersistence::text, r.reloptions::text)
        from pg_class r where r.relkind in ('r', 'p')""",
    "sequence": """select s.sequencename, concat_ws(' ', s.data_type, s.start_value, s.increment_by,
        s.cache_size, s.cycle)
        from pg_sequences s join pg_class r on r.relname = s.sequencename""",
}
"""Kind of thing -> its name and what PostgreSQL says that it is."""
FINAL = "BEFORE DELETE OR UPDATE ON public.{} FOR EACH STATEMENT EXECUTE FUNCTION entry_is_final() O"
FRESH = "AFTER INSERT ON public.{} REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION {}() O"
TRIGGERS = {
    "cash_application": {
        "journal_line journal_line_balanced": FRESH.format("journal_line", "entry_is_balanced"),
        "journal_line journal_line_final": FINAL.format("journal_line"),
        "posting posting_final": FINAL.format("posting"),
    },
    "reporting": {
        "receipt receipt_by_day": FRESH.format("receipt", "add_credits_to_bank_day"),
        "bank_debit bank_debit_by_day": FRESH.format("bank_debit", "add_debits_to_bank_day"),
        "payment_posting payment_posting_by_day": FRESH.format("payment_posting", "add_applied_to_bank_day"),
    },
}
"""What only migrations make, since tables.py knows no triggers."""
OWN = "not exists (select 1 from pg_depend p where p.objid = r.oid and p.deptype = 'e')"
NOT_OURS = "alembic_version"


def _named(query: str) -> str:
    """The query for things of the schema public that are the service's own."""
    where = f"r.relnamespace = 'public'::regnamespace and {OWN}"
    return f"{query} {'and' if ' where ' in query else 'where'} {where}"


async def _words(dsn: str) -> dict[str, str]:
    """Everything of a store that decides what it accepts and how it is found, by name."""
    db = await asyncpg.connect(dsn)
    try:
        found = {
            f"{kind} {name}": words for kind, query in WORDS.items() for name, words in await db.fetch(_named(query))
        }
    finally:
        await db.close()
    return {name: words for name, words in found.items() if NOT_OURS not in name}


async def _made_by_the_code(dsn: str, service: str) -> None:
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        await connection.run_sync(metadata_of(service).create_all)
    await engine.dispose()


def _differences(connection: Connection, service: str) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return compare_metadata(context, metadata_of(service))


@pytest.mark.parametrize("service", SERVICES)
async def test_all_migrations_together_make_the_tables_of_the_code(
    make_database: Callable[..., Awaitable[str]], service: str
) -> None:
    dsn = await make_database(service, owner=True)
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences, service) == []
    await engine.dispose()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_migrated_store_is_in_postgresqls_words_the_one_that_the_code_makes(
    make_database: Callable[..., Awaitable[str]], service: str
) -> None:
    """CHECK constraints, predicates of partial indexes, triggers, defaults, identities, sequences."""
    scratch = await make_database()
    await _made_by_the_code(scratch, service)
    migrated, made = await _words(await make_database(service, owner=True)), await _words(scratch)
    assert any(name.startswith("constraint") and "CHECK" in words for name, words in migrated.items())
    triggers = {f"trigger {name}": f"CREATE TRIGGER {name.split()[1]} {words}" for name, words in
                TRIGGERS.get(service, {}).items()}  # fmt: skip
    assert migrated == made | triggers


CHANGED = {
    "a CHECK that is gone": ("ingest", "alter table approval drop constraint approval_maker_is_not_checker"),
    "a CHECK that says less": (
        "ingest",
        "alter table bank_statement drop constraint bank_statement_state, "
        "add constraint bank_statement_state check (state <> '')",
    ),
    "a partial index that became whole": (
        "ingest",
        "drop index bank_statement_held; create index bank_statement_held on bank_statement (company)",
    ),
    "a trigger that is gone": ("cash_application", "drop trigger posting_final on posting"),
    "a trigger that sleeps": ("cash_application", "alter table posting disable trigger posting_final"),
    "a default that is another": ("ingest", "alter table bank_statement alter column gap set default true"),
}


@pytest.mark.parametrize(("service", "change"), CHANGED.values(), ids=CHANGED.keys())
async def test_the_comparison_sees_what_a_migration_could_leave_out(
    make_database: Callable[..., Awaitable[str]], service: str, change: str
) -> None:
    dsn = await make_database(service, owner=True)
    before = await _words(dsn)
    db = await asyncpg.connect(dsn)
    await db.execute(change)
    await db.close()
    assert await _words(dsn) != before


@pytest.mark.parametrize("service", SERVICES)
async def test_migrating_again_changes_nothing(make_database: Callable[..., Awaitable[str]], service: str) -> None:
    dsn = await make_database(service, owner=True)
    assert await head_reached(dsn, service)
    await upgrade(dsn, service)
    assert await head_reached(dsn, service)


def test_no_migration_reads_the_tables_of_the_code() -> None:
    """A migration says what it makes; tables.py of another day must not change it."""
    files = (ROOT / "services").glob("*/migrations/versions/*.py")
    assert [f.name for f in files if "tables import" in f.read_text() or "create_all" in f.read_text()] == []


async def test_a_release_serves_on_its_own_schema_and_on_the_next_one_and_on_no_older_one(
    make_database: Callable[..., Awaitable[str]],
) -> None:
    dsn = await make_database("cash_application", owner=True)
    db = await asyncpg.connect(dsn)
    for revision, serves in (("9999", True), ("0001", False)):
        await db.execute("update alembic_version set version_num = $1", revision)
        assert await head_reached(dsn, "cash_application") is serves, revision
    await db.execute("delete from alembic_version")
    assert not await head_reached(dsn, "cash_application")
    await db.close()
