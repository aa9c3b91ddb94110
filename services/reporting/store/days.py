"""What the close of a day reads: open amounts, cash, sales, notices and sums by `accounted_on` up to that day.

A state as of a day is the current one less what was accounted later; cash applied and bank lines come from sums by day.
So the cost of a close follows what is open and what is new, and the number of days, never the number of payments.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import asyncpg

from services.reporting.domain.aging import OpenAmount, OpenCredit
from services.reporting.domain.reconciliation import ITEMS, OWN, Figure, Key

SALES_DAYS = 90

OPEN_ITEMS = """
with state as (
    select item_id, currency, side, due_on, remaining_minor, disputed_minor
    from item where company = $1 and (remaining_minor > 0 or disputed_minor > 0)
    union all
    select p.item_id, i.currency, i.side, i.due_on,
        case when p.accounted_on > $2 then -p.remaining_delta_minor else 0 end,
        case when p.business_date > $2 then -p.disputed_delta_minor else 0 end
    from item_posting p join item i using (company, item_id)
    where p.company = $1 and (p.accounted_on > $2 or p.business_date > $2)
), one as (
    select item_id, currency, side, due_on, sum(remaining_minor) as remaining_minor,
        sum(disputed_minor) as disputed_minor
    from state group by item_id, currency, side, due_on having sum(remaining_minor) <> 0
)
select currency, side, due_on, sum(remaining_minor)::bigint as remaining_minor,
    sum(least(greatest(disputed_minor, 0), remaining_minor))::bigint as disputed_minor, count(*)::int as items
from one group by currency, side, due_on
"""
CASH_OFF_ITEMS = """
select currency, bank_account, place, sum(minor)::bigint as minor from (
    select currency, bank_account, 'unapplied' as place, unapplied_minor as minor from payment_part
    where company = $1 and (unapplied_minor > 0 or on_account_minor > 0)
    union all
    select currency, bank_account, 'on_account', on_account_minor from payment_part
    where company = $1 and (unapplied_minor > 0 or on_account_minor > 0)
    union all
    select currency, bank_account, 'unidentified', unidentified_minor from payment
    where company = $1 and unidentified_minor > 0
    union all
    select currency, bank_account, place, -delta_minor from payment_posting
    where company = $1 and accounted_on > $2 and place in ('unapplied', 'on_account', 'unidentified')
) as moved group by currency, bank_account, place
"""
BANK_DAYS = """
select bank_account, currency, figure, sum(minor)::bigint as minor from bank_day
where company = $1 and accounted_on <= $2 group by bank_account, currency, figure
"""
LATER_LINES = """
select bank_account, currency, 'credits_minor' as figure, sum(amount_minor)::bigint as later
from receipt where company = $1 and accounted_on <= $2 and business_date > $2 group by bank_account, currency
union all
select bank_account, currency, 'debits_minor', sum(amount_minor)::bigint
from bank_debit where company = $1 and accounted_on <= $2 and business_date > $2 group by bank_account, currency
"""
LATER_ITEMS = """
select currency, side, sum(remaining_delta_minor)::bigint as later from item_posting
where company = $1 and accounted_on <= $2 and business_date > $2 group by currency, side
"""
LATER_CASH = """
select bank_account, currency, place, sum(delta_minor)::bigint as later from payment_posting
where company = $1 and accounted_on <= $2 and business_date > $2
  and place in ('applied', 'unapplied', 'on_account', 'unidentified')
group by bank_account, currency, place
"""
OWN_CASH = """
select currency, sum(told_unapplied)::bigint as told_unapplied, sum(told_on_account)::bigint as told_on_account,
    sum(split_unapplied)::bigint as split_unapplied, sum(split_on_account)::bigint as split_on_account
from (
    select currency, unapplied_minor as told_unapplied, on_account_minor as told_on_account, 0 as split_unapplied,
        0 as split_on_account from cash where company = $1
    union all
    select currency, 0, 0, unapplied_minor, on_account_minor from payment_part
    where company = $1 and (unapplied_minor > 0 or on_account_minor > 0)
) as both_sides group by currency
"""
SALES = """
select currency, sum(minor)::bigint as minor from (
    select currency, case when document_type = 'credit_memo' then -total_minor else total_minor end as minor
    from document where company = $1 and document_on > $3 and document_on <= $2
    union all
    select d.currency, -d.total_minor from cancellation c join document d using (company, document_id)
    where c.company = $1 and c.cancelled_on > $3 and c.cancelled_on <= $2
) as sold group by currency
"""
CASH_IN = """
select currency, bank_account, count(*)::int as payments, sum(amount_minor)::bigint as minor
from receipt where company = $1 and accounted_on = $2 group by currency, bank_account
"""
NOTICES = """
select status, codes, count(*)::int as notices from (
    select status, jsonb_path_query_array(reasons, '$[*].code') as codes from notice
    where company = $1 and outcome_on = $2 and status <> 'sending'
) as answered group by status, codes
"""
FORGET_DAY = """
with aging as (delete from day_aging where company = $1 and date = $2)
delete from reconciliation where company = $1 and date = $2
"""


@dataclass(slots=True)
class DayFacts:
    """Everything that a snapshot is made of."""

    amounts: list[OpenAmount] = field(default_factory=list)
    credits: list[OpenCredit] = field(default_factory=list)
    items: int = 0
    sales: dict[str, int] = field(default_factory=dict)
    cash_in: list[dict[str, Any]] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    found: dict[Key, tuple[int, int]] = field(default_factory=dict)
    own: list[Figure] = field(default_factory=list)


async def load_day(db: asyncpg.Connection, company: str, on: date) -> DayFacts:
    """Facts of a day, whatever came later being taken back."""
    facts = DayFacts()
    open_items = await db.fetch(OPEN_ITEMS, company, on)
    off_items = await db.fetch(CASH_OFF_ITEMS, company, on)
    for row in open_items:
        if row["side"] == "debit":
            facts.amounts.append(
                OpenAmount("", row["currency"], row["due_on"], row["remaining_minor"], row["disputed_minor"])
            )
            facts.items += row["items"]
        else:
            facts.credits.append(OpenCredit("", row["currency"], row["remaining_minor"]))
    facts.credits += [OpenCredit("", row["currency"], row["minor"]) for row in off_items if row["minor"]]
    facts.sales = {
        r["currency"]: r["minor"] for r in await db.fetch(SALES, company, on, on - timedelta(days=SALES_DAYS))
    }
    facts.cash_in = [dict(row) for row in await db.fetch(CASH_IN, company, on)]
    facts.notices = [dict(row) for row in await db.fetch(NOTICES, company, on)]
    await _load_found(db, company, on, facts, open_items, off_items)
    return facts


async def _load_found(
    db: asyncpg.Connection,
    company: str,
    on: date,
    facts: DayFacts,
    open_items: list[asyncpg.Record],
    off_items: list[asyncpg.Record],
) -> None:
    amounts: dict[Key, int] = {}
    later: dict[Key, int] = {}
    for row in open_items:
        key = (ITEMS, f"{row['side']}_minor", row["currency"])
        amounts[key] = amounts.get(key, 0) + row["remaining_minor"]
    for row in off_items:
        amounts[row["bank_account"], f"{row['place']}_minor", row["currency"]] = row["minor"]
    for row in await db.fetch(BANK_DAYS, company, on):
        amounts[row["bank_account"], row["figure"], row["currency"]] = row["minor"]
    for row in await db.fetch(LATER_LINES, company, on):
        later[row["bank_account"], row["figure"], row["currency"]] = row["later"]
    for row in await db.fetch(LATER_ITEMS, company, on):
        later[ITEMS, f"{row['side']}_minor", row["currency"]] = row["later"]
    for row in await db.fetch(LATER_CASH, company, on):
        later[row["bank_account"], f"{row['place']}_minor", row["currency"]] = row["later"]
    facts.found = {key: (amounts.get(key, 0), later.get(key, 0)) for key in {*amounts, *later}}
    for row in await db.fetch(OWN_CASH, company):
        for place in ("unapplied", "on_account"):
            told, split = row[f"told_{place}"], row[f"split_{place}"]
            facts.own.append(Figure(OWN, f"{place}_minor", row["currency"], told, split))


async def forget_day(db: asyncpg.Connection, company: str, on: date) -> None:
    """A day that is worked again replaces its rows."""
    await db.execute(FORGET_DAY, company, on)
