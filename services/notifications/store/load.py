"""Reads inside the transaction: locks first, then everything the gate looks at, one statement per table.

Invariant: whoever writes or judges an account holds its row in `account_lock`, taken in sorted order, so that the gate
sees all of a batch or nothing of it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from functools import cache
from typing import Any

import asyncpg

from services.notifications.domain.model import Account, Candidate, Contact, Cover, Item, Known, Stopped
from services.notifications.domain.rows import EffectRow, Key, NoticeRow

AccountKey = tuple[str, str]
SENT_DAYS_BACK = 60

ADD_LOCKS = """
insert into account_lock (company, account_id) select * from unnest($1::text[], $2::text[]) order by 1, 2
on conflict do nothing
"""
TAKE_LOCKS = """
select 1 from account_lock l join unnest($1::text[], $2::text[]) as a(company, account_id) using (company, account_id)
order by l.company, l.account_id for update of l
"""
NOTICES = """
select n.* from notice n join unnest($1::text[], $2::uuid[]) as k(company, notice_id) using (company, notice_id)
order by n.company, n.notice_id for update of n
"""
RETRIED = """
select distinct n.company, n.retry_of from notice n
join unnest($1::text[], $2::uuid[]) as k(company, notice_id) on k.company = n.company and k.notice_id = n.retry_of
where n.status in ('requested', 'sending', 'sent', 'unknown')
"""
EFFECTS = """
select e.* from effect e join unnest($1::text[], $2::uuid[]) as k(company, effect_id) using (company, effect_id)
order by e.company, e.effect_id for update of e
"""
EFFECTS_OF_HOLDS = """
select e.* from effect e join unnest($1::text[], $2::uuid[]) as k(company, hold_id) using (company, hold_id)
order by e.company, e.effect_id for update of e
"""
_ACCOUNTS = "unnest($1::text[], $2::text[]) as k(company, account_id)"
ACCOUNTS = f"select a.* from account a join {_ACCOUNTS} using (company, account_id)"
CONTACTS = f"select c.* from contact c join {_ACCOUNTS} using (company, account_id)"
ITEMS = f"""
select i.* from item i join {_ACCOUNTS} using (company, account_id) where i.remaining_minor > 0
union
select i.* from item i join unnest($3::text[], $4::uuid[]) as s(company, item_id) using (company, item_id)
"""
BALANCES = f"""
select b.* from balance b join {_ACCOUNTS} using (company, account_id)
where b.unapplied_minor > 0 or b.on_account_minor > 0
"""
CANDIDATES = f"select c.* from candidate c join {_ACCOUNTS} using (company, account_id) where c.live"
COVERS = f"select c.* from cover c join {_ACCOUNTS} using (company, account_id) where c.live"
PARKED = "select key, company, account_id from parked_key where company = any($1::text[]) order by key limit 1001"
SENT = f"""
select n.company, n.account_id, n.sent_on from notice n join {_ACCOUNTS} using (company, account_id)
where n.status in ('sending', 'sent', 'unknown') and n.sent_on >= $3
"""


@dataclass(slots=True)
class Loaded:
    """State of a batch. `pending` counts notices that are due and were not yet put to the gate (day work only)."""

    notices: dict[Key, NoticeRow] = field(default_factory=dict)
    retried: set[Key] = field(default_factory=set)
    effects: dict[Key, EffectRow] = field(default_factory=dict)
    known: dict[AccountKey, Known] = field(default_factory=dict)
    pending: int = 0


async def lock_accounts(db: asyncpg.Connection, accounts: Iterable[AccountKey]) -> None:
    """Lock the accounts in sorted order, knowing them or not."""
    order = sorted(set(accounts))
    if order:
        columns = [c for c, _ in order], [a for _, a in order]
        await db.execute(ADD_LOCKS, *columns)
        await db.execute(TAKE_LOCKS, *columns)


async def load_notices(db: asyncpg.Connection, keys: Iterable[Key]) -> dict[Key, NoticeRow]:
    order = sorted(set(keys))
    if not order:
        return {}
    rows = await db.fetch(NOTICES, [c for c, _ in order], [n for _, n in order])
    return {(r["company"], r["notice_id"]): NoticeRow(**_only(r, NoticeRow)) for r in rows}


async def load_retried(db: asyncpg.Connection, keys: Iterable[Key]) -> set[Key]:
    """Those of the notices of which a retry waits, was sent or may have been. Their rows are locked already."""
    order = sorted(set(keys))
    if not order:
        return set()
    rows = await db.fetch(RETRIED, [c for c, _ in order], [n for _, n in order])
    return {(row["company"], row["retry_of"]) for row in rows}


async def load_effects(db: asyncpg.Connection, keys: Iterable[Key], holds: Iterable[Key]) -> dict[Key, EffectRow]:
    """Effects by id, and all effects of the holds."""
    of_holds, by_id = sorted(set(holds)), sorted(set(keys))
    rows: list[asyncpg.Record] = []
    if of_holds:
        rows += await db.fetch(EFFECTS_OF_HOLDS, [c for c, _ in of_holds], [h for _, h in of_holds])
    if by_id:
        rows += await db.fetch(EFFECTS, [c for c, _ in by_id], [e for _, e in by_id])
    return {(r["company"], r["effect_id"]): EffectRow(**_only(r, EffectRow)) for r in rows}


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def _only(row: asyncpg.Record, kind: type) -> dict[str, Any]:
    return {name: row[name] for name in _names(kind)}


async def load_known(
    db: asyncpg.Connection, accounts: Iterable[AccountKey], items: Iterable[Key], today: date | None
) -> dict[AccountKey, Known]:
    """Everything that stands for or against each account: eight statements, whatever their number.

    What markers say of parked things is added by the caller; `stopped` holds only what is parked here.
    """
    order = sorted(set(accounts))
    if not order:
        return {}
    columns = [c for c, _ in order], [a for _, a in order]
    asked = sorted(set(items))
    debtors = {(r["company"], r["account_id"]): r for r in await db.fetch(ACCOUNTS, *columns)}
    contacts = _grouped(await db.fetch(CONTACTS, *columns))
    found = _grouped(await db.fetch(ITEMS, *columns, [c for c, _ in asked], [i for _, i in asked]))
    balances = _grouped(await db.fetch(BALANCES, *columns))
    candidates = _grouped(await db.fetch(CANDIDATES, *columns))
    covers = _grouped(await db.fetch(COVERS, *columns))
    parked = await db.fetch(PARKED, sorted({c for c, _ in order}))
    since = (today or date.max) - timedelta(days=SENT_DAYS_BACK)
    sent = _grouped(await db.fetch(SENT, *columns, since))
    return {
        key: Known(
            account_id=key[1],
            account=_account(debtors.get(key)),
            contacts={r["contact_id"]: _contact(r) for r in contacts[key]},
            items={r["item_id"]: _item(r) for r in found[key]},
            credits_minor={r["currency"]: r["unapplied_minor"] + r["on_account_minor"] for r in balances[key]},
            candidates=tuple(_candidate(r) for r in candidates[key]),
            covers=tuple(_cover(r) for r in covers[key]),
            stopped=tuple(Stopped("key", r["key"], r["account_id"]) for r in parked if r["company"] == key[0]),
            sent_on=tuple(r["sent_on"] for r in sent[key]),
        )
        for key in order
    }


def _grouped(rows: Iterable[asyncpg.Record]) -> dict[AccountKey, list[asyncpg.Record]]:
    groups: dict[AccountKey, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        groups[row["company"], row["account_id"]].append(row)
    return groups


def _account(row: asyncpg.Record | None) -> Account | None:
    return Account(**_only(row, Account)) if row else None


def _contact(row: asyncpg.Record) -> Contact:
    return Contact(
        contact_id=row["contact_id"],
        name=row["name"],
        email=row["email"],
        language=row["language"],
        time_zone=row["time_zone"],
        channels=frozenset(row["channels"]),
        consents=frozenset(row["consents"]),
        valid=row["valid"] and not row["refused"],
    )


def _item(row: asyncpg.Record) -> Item:
    return Item(**_only(row, Item))


def _candidate(row: asyncpg.Record) -> Candidate:
    return Candidate(**_only(row, Candidate))


def _cover(row: asyncpg.Record) -> Cover:
    return Cover(row["kind"], row["cover_id"], row["currency"], frozenset(row["items"]), row["disputed_minor"])
