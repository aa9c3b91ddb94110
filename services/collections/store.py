"""The write side of collections: find and lock the accounts of a batch, load their cases, write what changed.

Invariant: the number of statements does not depend on the size of a batch. `ids` are the ids that its events name;
besides them only rows are loaded that can still matter, closed ones for `LOOK_BACK_DAYS`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from types import UnionType
from typing import Any, get_args, get_origin
from uuid import UUID

import asyncpg

from services.collections.domain.case import Case
from services.collections.domain.rows import (
    AGE_CLASSES,
    ROWS,
    Account,
    Activity,
    Application,
    Candidate,
    Cash,
    Contact,
    Dispute,
    Escalation,
    Hold,
    Item,
    Notice,
    Promise,
    Receipt,
    WorklistRow,
)
from shared.errors import Transient
from shared.events.codec import Event
from shared.events.ledger import PaymentState
from shared.runtime.day import part_of
from shared.runtime.effects import DayWork
from shared.runtime.start_statements import FROZEN

LOOK_BACK_DAYS = 400
NO_LATENESS = [0] * AGE_CLASSES
BUCKETS = 1024
"""Account ranges; every number of day parts that divides it cuts the same way as `part_of`."""

AccountKey = tuple[str, str]

PAYMENT_ACCOUNTS = """
select distinct company, account_id from receipt
where (company, payment_id) in (select * from unnest($1::text[], $2::uuid[]))
"""

DAY_ACCOUNTS = f"""
select a.company, a.account_id from account a
where a.company = $1 and a.bucket % $2 = $3 and not {FROZEN.format(key="a.company || '/' || a.account_id")} and (
    exists (select from item i where i.company = a.company and i.account_id = a.account_id
            and i.remaining_minor > 0 and i.side = 'debit' and i.due_on < $4)
    or exists (select from promise p where p.company = a.company and p.account_id = a.account_id
               and p.judged_from_on >= $5 and p.status in ('open', 'kept', 'partly_kept', 'broken'))
    or exists (select from hold h where h.company = a.company and h.account_id = a.account_id
               and h.status in ('proposed', 'ordered'))
    or exists (select from worklist w where w.company = a.company and w.account_id = a.account_id and w.listed)
    or exists (select from activity t where t.company = a.company and t.account_id = a.account_id
               and t.next_on <= $6 and not t.superseded and not t.followed)
    or exists (select from dispute d where d.company = a.company and d.account_id = a.account_id
               and d.status = 'open')
    or exists (select from escalation e where e.company = a.company and e.account_id = a.account_id and e.open)
)
"""

ENSURE_ACCOUNTS = """
insert into account (company, account_id, bucket, debtor_kind, language, confidentiality, status, lateness)
select company, account_id, bucket, 'unknown', 'en', 'normal', 'active', $4
from unnest($1::text[], $2::text[], $3::int[]) as given (company, account_id, bucket)
on conflict do nothing
"""

LOCK_ACCOUNTS = """
select a.* from account a
join unnest($1::text[], $2::text[]) as given (company, account_id) using (company, account_id)
order by a.company, a.account_id for update of a
"""

_OF = "join unnest($1::text[], $2::text[]) as given (company, account_id) using (company, account_id)"

LIVING_PROMISE = "(p.status = 'open' or p.judged_from_on >= $4 or p.promise_id = any($3))"

LOADS: dict[type, str] = {
    Contact: f"select t.* from contact t {_OF} where $3::uuid[] is not null and $4::date is not null",
    Item: f"select t.* from item t {_OF} where $4::date is not null and (t.remaining_minor > 0 or t.item_id = any($3))",
    Cash: f"select t.* from cash t {_OF} where $3::uuid[] is not null and $4::date is not null",
    Candidate: f"""
select t.* from candidate t {_OF}
where $4::date is not null and (not t.cleared or t.candidate_id = any($3))
""",
    Receipt: f"""
select t.* from receipt t {_OF}
where t.payment_id = any($3) or exists (
    select from promise p where p.company = t.company and p.account_id = t.account_id
    and {LIVING_PROMISE} and t.valued_on >= p.taken_on)
""",
    Application: f"""
select t.* from application t {_OF}
where t.posting_id = any($3) or exists (
    select from promise p where p.company = t.company and p.account_id = t.account_id
    and {LIVING_PROMISE} and p.scope = 'items' and p.items ? t.item_id::text)
""",
    Notice: f"""
select t.* from notice t {_OF}
where t.decided_on >= $4 or t.status in ('requested', 'sending', 'unknown') or t.notice_id = any($3)
""",
    Promise: f"select p.* from promise p {_OF} where {LIVING_PROMISE}",
    Dispute: f"""
select t.* from dispute t {_OF}
where t.status = 'open' or t.resolved_on >= $4 or t.dispute_id = any($3)
""",
    Hold: f"""
select t.* from hold t {_OF}
where t.status in ('proposed', 'ordered') or t.ended_on >= $4 or t.hold_id = any($3)
""",
    Escalation: f"select t.* from escalation t {_OF} where $3::uuid[] is not null and $4::date is not null",
    Activity: f"""
select t.* from activity t {_OF}
where (t.next_on is not null and not t.superseded and not t.followed)
   or (t.by = 'service:collections' and t.done_on >= $4) or t.activity_id = any($3)
""",
    WorklistRow: f"select t.* from worklist t {_OF} where $3::uuid[] is not null and $4::date is not null",
}

TOTALS = """
select
    (select count(*) from promise where company = $1 and status = 'open') as promises_open,
    (select count(*) from dispute where company = $1 and status = 'open') as disputes_open,
    (select count(*) from hold where company = $1 and status = 'proposed') as holds_proposed,
    (select count(*) from hold where company = $1 and status = 'ordered') as holds_ordered,
    (select count(*) from notice where company = $1 and status in ('requested', 'sending')) as notices_pending
"""


@dataclass(slots=True)
class State:
    """Cases of the batch by company and account; `day` are those of a part of the day's work, by its event id."""

    cases: dict[AccountKey, Case] = field(default_factory=dict)
    by_payment: dict[tuple[str, UUID], list[AccountKey]] = field(default_factory=dict)
    day: dict[UUID, list[AccountKey]] = field(default_factory=dict)


async def load(db: asyncpg.Connection, events: Sequence[Event]) -> State:
    """The cases that the events touch, their account rows locked in sorted order."""
    state = State()
    touched = _named_accounts(events)
    await _add_payment_accounts(db, events, state, touched)
    if touched:
        await db.execute(ENSURE_ACCOUNTS, *_columns(touched), [_bucket(a) for _, a in sorted(touched)], NO_LATENESS)
    await _add_day_accounts(db, events, state, touched)
    if not touched:
        return state
    locked = await db.fetch(LOCK_ACCOUNTS, *_columns(touched))
    for row in locked:
        state.cases[row["company"], row["account_id"]] = Case(Account(**row))
    await _recheck_payments(db, state)
    since_on = min(event.envelope.business_date for event in events) - timedelta(days=LOOK_BACK_DAYS)
    await _fill(db, state.cases, sorted(_ids(events), key=str), since_on)
    return state


def _named_accounts(events: Sequence[Event]) -> set[AccountKey]:
    found = set()
    for event in events:
        if account_id := getattr(event.data, "account_id", None):
            found.add((event.company, account_id))
        if isinstance(event.data, PaymentState):
            found.update((event.company, part.account_id) for part in event.data.split)
    return found


async def _add_payment_accounts(
    db: asyncpg.Connection, events: Sequence[Event], state: State, touched: set[AccountKey]
) -> None:
    """Accounts on which a payment stood before: an event may have taken it away from them."""
    for event in events:
        if isinstance(event.data, PaymentState):
            keys = [(event.company, part.account_id) for part in event.data.split]
            state.by_payment.setdefault((event.company, event.data.payment_id), []).extend(keys)
    if state.by_payment:
        touched.update(await _standing_on(db, state))


async def _standing_on(db: asyncpg.Connection, state: State) -> set[AccountKey]:
    companies, payments = zip(*sorted(state.by_payment, key=str), strict=True)
    rows = await db.fetch(PAYMENT_ACCOUNTS, list(companies), list(payments))
    return {(row["company"], row["account_id"]) for row in rows}


async def _recheck_payments(db: asyncpg.Connection, state: State) -> None:
    """Under the locks: a payment that has come to stand on one more account meanwhile makes the batch try again."""
    if not state.by_payment:
        return
    if late := await _standing_on(db, state) - set(state.cases):
        raise Transient(f"a payment moved to account {sorted(late)[0][1]} while the batch was loaded")


async def _add_day_accounts(
    db: asyncpg.Connection, events: Sequence[Event], state: State, touched: set[AccountKey]
) -> None:
    for event in events:
        if isinstance(event.data, DayWork):
            state.day[event.envelope.id] = found = await _day_accounts(db, event.data)
            touched.update(found)


async def _day_accounts(db: asyncpg.Connection, work: DayWork) -> list[AccountKey]:
    assert BUCKETS % work.parts == 0, f"the number of day parts must divide {BUCKETS}, it is {work.parts}"
    since_on, steps_until_on = work.date - timedelta(days=LOOK_BACK_DAYS), work.date + timedelta(days=14)
    rows = await db.fetch(DAY_ACCOUNTS, work.company, work.parts, work.part, work.date, since_on, steps_until_on)
    return sorted((row["company"], row["account_id"]) for row in rows)


def _bucket(account_id: str) -> int:
    return part_of(account_id, BUCKETS)


def _columns(keys: Iterable[AccountKey]) -> tuple[list[str], list[str]]:
    ordered = sorted(keys)
    return [company for company, _ in ordered], [account_id for _, account_id in ordered]


def _ids(events: Sequence[Event]) -> set[UUID]:
    """Every id that the events name, at the top of a payload or in its lists."""
    found: set[UUID] = set()
    for event in events:
        if event.data is None or isinstance(event.data, DayWork):
            continue
        for name in type(event.data).model_fields:
            value = getattr(event.data, name)
            for part in value if isinstance(value, list) else [value]:
                named = getattr(part, "item_id", part)
                if isinstance(named, UUID):
                    found.add(named)
    return found


async def _fill(db: asyncpg.Connection, cases: dict[AccountKey, Case], ids: list[UUID], since_on: date) -> None:
    companies, accounts = _columns(cases)
    for kind, statement in LOADS.items():
        rows = await db.fetch(statement, companies, accounts, ids, since_on)  # tidy: allow one statement per table
        for row in rows:
            cases[row["company"], row["account_id"]].add(kind(**row))


_SQL_TYPES = {
    str: "text", int: "bigint", bool: "boolean", UUID: "uuid", date: "date", datetime: "timestamptz",
    list: "jsonb", dict: "jsonb",
}  # fmt: skip
_KEYS: dict[str, tuple[str, ...]] = {
    "account": ("company", "account_id"), "contact": ("company", "account_id", "contact_id"),
    "item": ("company", "item_id"), "cash": ("company", "account_id", "currency"),
    "candidate": ("company", "candidate_id"), "receipt": ("company", "account_id", "payment_id"),
    "application": ("company", "posting_id", "item_id"), "notice": ("company", "notice_id"),
    "promise": ("company", "promise_id"), "dispute": ("company", "dispute_id"), "hold": ("company", "hold_id"),
    "approval": ("company", "id"), "escalation": ("company", "escalation_id"),
    "activity": ("company", "activity_id"), "worklist": ("company", "account_id"),
}  # fmt: skip


def _sql_type(annotation: Any) -> str:
    if isinstance(annotation, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    return _SQL_TYPES[get_origin(annotation) or annotation]


def _upsert(kind: type) -> str:
    """`insert … on conflict (key) do update` over one array per column, the columns being the fields of the row.

    A column of lists goes as one JSON array: asyncpg would take a list of lists for an array of two dimensions.
    """
    names = [f'"{column.name}"' for column in fields(kind)]
    sets = [_elements(place, _sql_type(column.type)) for place, column in enumerate(fields(kind), 1)]
    key = _KEYS[kind.TABLE]
    changes = [f"{name} = excluded.{name}" for name in names if name.strip('"') not in key]
    return (
        f"insert into {kind.TABLE} ({', '.join(names)}) select * from rows from ({', '.join(sets)}) "
        f"on conflict ({', '.join(key)}) do update set {', '.join(changes)}"
    )


def _elements(place: int, sql_type: str) -> str:
    return f"jsonb_array_elements(${place}::jsonb)" if sql_type == "jsonb" else f"unnest(${place}::{sql_type}[])"


UPSERTS: dict[type, str] = {kind: _upsert(kind) for kind in ROWS}


async def save(db: asyncpg.Connection, rows: dict[type, list[Any]]) -> None:
    """Write each table once, in the order of ROWS."""
    for kind in ROWS:
        if found := rows.get(kind):
            columns = [[getattr(row, column.name) for row in found] for column in fields(kind)]
            await db.execute(UPSERTS[kind], *columns)  # tidy: allow one statement per table


async def totals(db: asyncpg.Connection, company: str) -> dict[str, int]:
    """What collections vouches for at a marker: how many of its processes are under way."""
    return dict(await db.fetchrow(TOTALS, company))
