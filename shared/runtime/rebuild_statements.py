"""Statements of a rebuild. `rebuild` is the schema that is filled, `retired` what the last swap took out of service.

`retired` stays until the next rebuild, so that a person can look at it, or put it back by the same renames.
"""

from collections.abc import Sequence
from functools import cache

import sqlalchemy as sa

from shared.runtime.parked_statements import SKIP_KIND, STEP_KIND
from shared.runtime.statements import RELAY_LOCK
from shared.runtime.tables import add_runtime_tables

LIVE, BESIDE, RETIRED = "public", "rebuild", "retired"

DROP_LEFT_OVER = f"drop schema if exists {BESIDE} cascade; drop schema if exists {RETIRED} cascade"
MAKE_BESIDE = f"create schema {BESIDE}"
VERSIONS_DIFFER = f"""
select (select array_agg(version_num) from {LIVE}.alembic_version)
    is distinct from (select array_agg(version_num) from {BESIDE}.alembic_version)
"""
SEED_COMPANIES = f"""
insert into {BESIDE}.company_config select * from {LIVE}.company_config;
insert into {BESIDE}.control_version (singleton, version) values (true, 1)
"""
"""Which companies there are, so that no fact waits for its configuration; the log's own replace them as they come."""
LIVE_CURSORS = f"select topic, partition, next_offset from {LIVE}.kafka_cursor"
ANALYZE = "analyze"
DURABLE = "set local synchronous_commit = on"
HOLD = f"lock table {LIVE}.timer, {LIVE}.kafka_cursor in access exclusive mode nowait"
"""The outbox lock is held already; this one says whether a transaction waits for it with a claimed timer in hand."""
TRY_NO_RELAY = f"select pg_try_advisory_xact_lock({RELAY_LOCK})"
"""A relay in the middle of a cycle would delete by ids that are those of other rows behind the swap."""
LEFT_OUT = f"select subject_id from {LIVE}.approval where kind = '{SKIP_KIND}' and outcome = 'approved'"
"""Places of the events that persons left out of the live store."""
STEPPED = (
    f"select subject_id from {LIVE}.approval where kind = '{STEP_KIND}' and outcome = 'approved' order by decided_at"
)
"""From where to where persons moved cursors of the live store."""
DROP_LEFT_OUT = """
delete from dead_letter where format('%s/%s@%s', topic, partition, "offset") = any($1::text[]) returning key, event_id
"""
CARRY_OVER = f"""
insert into {BESIDE}.approval select * from {LIVE}.approval;
insert into {BESIDE}.command select * from {LIVE}.command;
insert into {BESIDE}.stream_head select * from {LIVE}.stream_head;
insert into {BESIDE}.outbox (topic, partition, key, headers, value, marker_id, event_id, written_at)
    select topic, partition, key, headers, value, marker_id, event_id, written_at from {LIVE}.outbox order by id
"""
"""What no log tells: what persons decided of parked events, the answers to their commands, and the facts of that which
are not sent yet, with the sequence that goes on behind them."""
SWAP_ALL = f"alter schema {LIVE} rename to {RETIRED}; alter schema {BESIDE} rename to {LIVE}"


def swap_tables(tables: Sequence[str]) -> str:
    """Indexes, constraints and grants move with their table."""
    moves = [
        f'alter table {LIVE}."{table}" set schema {RETIRED}; alter table {BESIDE}."{table}" set schema {LIVE}'
        for table in tables
    ]
    return "; ".join([f"create schema {RETIRED}", *moves, f"drop schema {BESIDE} cascade"])


def take_over(table: str, key: Sequence[str], columns: Sequence[str]) -> str:
    """Give the rebuilt rows the columns that only the service itself knows."""
    sets = ", ".join(f'"{name}" = l."{name}"' for name in columns)
    same = " and ".join(f'l."{name}" = n."{name}"' for name in key)
    return f'update {BESIDE}."{table}" n set {sets} from {LIVE}."{table}" l where {same}'


def all_rows(table: str, columns: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in columns)
    return f'select {listed} from {{schema}}."{table}"'


def comparison(query: str) -> str:
    """How many rows only one of the two stores has, and how many were rebuilt."""
    return f"""
with live as materialized ({query.format(schema=LIVE)}), made as materialized ({query.format(schema=BESIDE)})
select (select count(*) from (select * from live except all select * from made) as l) as only_live,
       (select count(*) from (select * from made except all select * from live) as m) as only_rebuilt,
       (select count(*) from made) as rows
"""


@cache
def tables_of_the_runtime() -> frozenset[str]:
    metadata = sa.MetaData()
    add_runtime_tables(metadata)
    return frozenset(metadata.tables)
