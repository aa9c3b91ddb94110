"""Sums of the journal for the marker of a closed day, kept by day so that no close reads the whole journal.

The marker is written under the exclusive lock of the outbox: all lines with lower ids are committed by then.
"""

from datetime import date
from typing import Any

import asyncpg

from services.cash_application.domain.equation import Sums

ROLL_UP = """
with reach as (select coalesce(max(line_id), 0) as line_id from day_total_reach),
fresh as (
    select l.* from journal_line l, reach where l.id > reach.line_id
), summed as (
    insert into day_total (company, accounted_on, bank_account, currency, ledger, side, debit_minor, credit_minor,
      base_minor)
    select company, accounted_on, bank_account, currency, ledger, side,
      coalesce(sum(amount_minor) filter (where amount_minor > 0), 0),
      coalesce(-sum(amount_minor) filter (where amount_minor < 0), 0), sum(base_minor)
    from fresh group by company, accounted_on, bank_account, currency, ledger, side
    on conflict (company, accounted_on, bank_account, currency, ledger, side) do update
      set debit_minor = day_total.debit_minor + excluded.debit_minor,
      credit_minor = day_total.credit_minor + excluded.credit_minor,
      base_minor = day_total.base_minor + excluded.base_minor
)
insert into day_total_reach (one, line_id) select true, max(id) from fresh having max(id) is not null
on conflict (one) do update set line_id = excluded.line_id
"""

BANK_SUMS = """
select bank_account, currency, ledger, sum(debit_minor)::bigint as debit_minor,
  sum(credit_minor)::bigint as credit_minor
from day_total where company = $1 and accounted_on <= $2 and bank_account <> ''
group by bank_account, currency, ledger
"""

ITEM_SUMS = """
select currency, side, sum(debit_minor - credit_minor)::bigint as balance_minor
from day_total where company = $1 and accounted_on <= $2 and side <> '' group by currency, side
"""

STORED_ITEMS = """
select currency, side, sum(remaining_minor)::bigint as remaining_minor
from open_item where company = $1 and remaining_minor > 0 group by currency, side
"""

STORED_CASH = """
select bank_account, currency, sum(unidentified_minor)::bigint as unidentified_minor,
  sum(unapplied_minor)::bigint as unapplied_minor, sum(on_account_minor)::bigint as on_account_minor
from (
  select bank_account, currency, unidentified_minor, 0 as unapplied_minor, 0 as on_account_minor
  from receipt where company = $1 and open_minor > 0
  union all
  select r.bank_account, r.currency, 0, p.unapplied_minor, p.on_account_minor
  from receipt_part p join receipt r using (company, payment_id)
  where p.company = $1 and (p.unapplied_minor > 0 or p.on_account_minor > 0)
) as place group by bank_account, currency
"""


async def roll_up(db: asyncpg.Connection) -> None:
    """Add the lines written since the last time to the sums by day."""
    await db.execute(ROLL_UP)


async def load_totals(db: asyncpg.Connection, company: str, on: date) -> dict[str, Any]:
    """Sums up to a day by `accounted_on`, and the whole journal beside what items and receipts say of themselves."""
    return {
        "bank": await _sums(db, company, on),
        "bank_ever": await _sums(db, company, date.max),
        "items": {(r["currency"], r["side"]): r["balance_minor"] for r in await db.fetch(ITEM_SUMS, company, on)},
        "items_ever": {
            (r["currency"], r["side"]): r["balance_minor"] for r in await db.fetch(ITEM_SUMS, company, date.max)
        },
        "items_stored": {
            (r["currency"], r["side"]): r["remaining_minor"] for r in await db.fetch(STORED_ITEMS, company)
        },
        "cash_stored": {(r["bank_account"], r["currency"]): dict(r) for r in await db.fetch(STORED_CASH, company)},
    }


async def _sums(db: asyncpg.Connection, company: str, on: date) -> list[Sums]:
    return [
        Sums(r["bank_account"], r["currency"], r["ledger"], r["debit_minor"], r["credit_minor"])
        for r in await db.fetch(BANK_SUMS, company, on)
    ]
