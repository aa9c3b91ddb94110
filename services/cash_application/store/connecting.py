"""Looks, after a batch is written and in its transaction, which accounts owe exactly what waits; writes the candidates.

The number of statements does not depend on the size of the batch; nothing is looked for where no cash waits.
"""

from dataclasses import fields

import asyncpg

from services.cash_application.domain.amount_evidence import (
    ACCOUNTS_MAX,
    Connected,
    Standing,
    WaitingCash,
    amount_locks,
    connect_by_amount,
    no_longer_waiting,
)
from services.cash_application.domain.books import AmountKey, Books
from services.cash_application.store import mapping, save_sql
from services.cash_application.store.saving import candidate_rows

WAITING_OF_AMOUNT_MAX = 1_000
"""Waiting payments of one amount that are connected, the newest first: cash stands against a notice for days only."""
AMOUNT_LOCK = 0x616D74
"""Class of the locks of amounts."""

LOCKS = """
select case when exclusive then pg_advisory_xact_lock($1, lock) else pg_advisory_xact_lock_shared($1, lock) end
from unnest($2::int[], $3::bool[]) as l(lock, exclusive)
"""

# `<> 0`, as its index says: by `> 0` a fresh store would read the index of all waiting receipts once per amount.
WAITING = """
select r.* from unnest($1::text[], $2::bpchar[], $3::bigint[]) as wanted(company, currency, amount_minor)
cross join lateral (
  (select i.company, i.payment_id as origin_id, i.currency, i.open_minor,
     case when i.unidentified_minor = 0 then 'unapplied' else 'unidentified' end as source, i.payment_id,
     '' as group_id, null::date as since_on
   from receipt i
   where i.company = wanted.company and i.currency = wanted.currency and i.open_minor = wanted.amount_minor
     and i.open_minor <> 0 and not i.by_person
   order by i.business_date desc, i.payment_id desc limit $4)
  union all
  (select u.company, u.origin_id, u.currency, u.amount_minor, u.source, u.payment_id, u.group_id, u.since_on
   from unbooked_cash u
   where u.company = wanted.company and u.currency = wanted.currency and u.amount_minor = wanted.amount_minor
   order by u.since_on desc, u.origin_id desc limit $4)
) as r
"""

COLUMNS = tuple(field.name for field in fields(WaitingCash))

FITTING = """
select wanted.company, wanted.currency, wanted.amount_minor, f.account_id
from unnest($1::text[], $2::bpchar[], $3::bigint[]) as wanted(company, currency, amount_minor)
cross join lateral (
  (select distinct i.account_id from open_item i
   where i.company = wanted.company and i.currency = wanted.currency and i.remaining_minor = wanted.amount_minor
     and i.remaining_minor > 0 and i.side = 'debit' order by i.account_id limit $4)
  union
  (select distinct i.account_id from open_item i
   where i.company = wanted.company and i.currency = wanted.currency
     and i.remaining_minor - i.disputed_minor = wanted.amount_minor
     and i.remaining_minor > 0 and i.disputed_minor > 0 and i.side = 'debit' order by i.account_id limit $4)
) as f
"""

STANDING = """
select c.*, c.evidence = '{exact_amount}' and exists (
  select 1 from open_item i cross join lateral jsonb_each_text(i.discounts) as d(until_on, minor)
  where i.company = c.company and i.account_id = c.account_id and i.currency = c.currency and i.side = 'debit'
    and i.remaining_minor > 0 and i.remaining_minor - d.minor::bigint = c.amount_minor
) as discounted
from candidate c join unnest($1::text[], $2::uuid[]) as wanted(company, origin_id) using (company, origin_id)
where c.open
"""


async def lock_amounts(db: asyncpg.Connection, books: Books) -> None:
    """Before the first write: of two transactions that bring an item and cash of one amount, one waits."""
    locks = amount_locks(books)
    if locks:
        await db.execute(LOCKS, AMOUNT_LOCK, [lock for lock, _ in locks], [exclusive for _, exclusive in locks])


async def connect(db: asyncpg.Connection, books: Books) -> Connected:
    """Candidates by exact amount as they stand after the batch, written; the caller publishes what is told."""
    waiting = await _waiting(db, books)
    origins = [(cash.company, cash.origin_id) for cash in waiting] + no_longer_waiting(books)
    if not origins:
        return Connected()
    fitting = await _fitting(db, waiting)
    rows = await db.fetch(STANDING, [company for company, _ in origins], [origin for _, origin in origins])
    standing = [Standing(mapping.candidate_of(row), row["discounted"]) for row in rows]
    connected = connect_by_amount(books, waiting, fitting, standing)
    if connected.rows:
        await db.execute(save_sql.CANDIDATES, *zip(*candidate_rows(connected.rows), strict=True))
    return connected


async def _waiting(db: asyncpg.Connection, books: Books) -> list[WaitingCash]:
    if not books.amounts:
        return []
    rows = await db.fetch(WAITING, *zip(*books.amounts, strict=True), WAITING_OF_AMOUNT_MAX)
    return [WaitingCash(*(row[name] for name in COLUMNS)) for row in rows]


async def _fitting(db: asyncpg.Connection, waiting: list[WaitingCash]) -> dict[AmountKey, list[str]]:
    """Accounts per amount that waits."""
    amounts = sorted({(cash.company, cash.currency, cash.open_minor) for cash in waiting})
    found: dict[AmountKey, list[str]] = {}
    if amounts:
        for row in await db.fetch(FITTING, *zip(*amounts, strict=True), ACCOUNTS_MAX + 1):
            found.setdefault((row["company"], row["currency"], row["amount_minor"]), []).append(row["account_id"])
    return found
