"""What a marker says: its number, how far each bank account's data reach, and what is parked."""

from collections import defaultdict
from datetime import date, datetime, timedelta

import asyncpg

from shared.events.markers import CompanyReach, Parked
from shared.runtime import statements as sql

PARKED_MAX = 100
FIRST_DAY = date.min + timedelta(days=1)

HEAD = "select number, at from marker_head"
NEXT_HEAD = """
insert into marker_head ("only", number, at) values (true, 1, $1)
on conflict ("only") do update set number = marker_head.number + 1, at = greatest(marker_head.at, excluded.at)
returning number
"""
REACHES = "select company, bank_account, complete_through_on from bank_reach order by company, bank_account"
UNWRITTEN = """
select company, min(bank_from_on) as bank_from_on from submission
where state = 'accepted' and bank_from_on is not null group by company
"""
PARKED = """
select company, kind, id, account_id, amount_minor from (
    select *, row_number() over (partition by company order by rank, number) as n from (
        select company, kind, record_id::text as id, account_id, amount_minor, 0 as rank, number
        from quarantined_record where state in ('open', 'retrying')
        union all
        select company, 'statement', statement_id, null, null, 1, 0 from bank_statement
        where state in ('held', 'unattributed')
        union all
        select company, 'submission', submission_id::text, null, null, -1, number from submission
        where state = 'accepted' and code = 'stuck') as waiting) as numbered
where n <= 101 order by company, n
"""


async def head(db: asyncpg.Connection) -> tuple[int, datetime | None]:
    """Number and instant of the last marker."""
    row = await db.fetchrow(HEAD)
    return (row["number"], row["at"]) if row else (0, None)


async def next_number(db: asyncpg.Connection, at: datetime) -> int:
    """The number of a new marker. The caller holds the exclusive outbox lock."""
    return await db.fetchval(NEXT_HEAD, at)


async def companies(db: asyncpg.Connection, accounts: dict[str, list[str]]) -> dict[str, CompanyReach]:
    """Reach per company for its configured bank accounts.

    While an accepted submission has records left, no account of its company reaches the day that it stands for:
    the first day of its bank data, for other facts the last banking day before it was accepted.
    """
    reaches: dict[str, dict[str, date | None]] = defaultdict(dict)
    for row in await db.fetch(REACHES):
        reaches[row["company"]][row["bank_account"]] = row["complete_through_on"]
    unwritten = {row["company"]: row["bank_from_on"] for row in await db.fetch(UNWRITTEN)}
    parked: dict[str, list[Parked]] = defaultdict(list)
    for row in await db.fetch(PARKED):
        parked[row["company"]].append(Parked(**row))
    return {
        company: CompanyReach(
            bank_accounts={
                account: capped(reaches[company].get(account), unwritten.get(company)) for account in configured
            },
            parked=parked[company][:PARKED_MAX],
            parked_more=len(parked[company]) > PARKED_MAX,
        )
        for company, configured in accounts.items()
    }


def capped(through_on: date | None, unwritten_from_on: date | None) -> date | None:
    if through_on is None or unwritten_from_on is None:
        return through_on
    return min(through_on, max(unwritten_from_on, FIRST_DAY) - timedelta(days=1))


async def set_clock(db: asyncpg.Connection, at: datetime, number: int, reach: dict[str, CompanyReach]) -> None:
    """Keep the tick here as well: ingest reads none of its own topics."""
    await db.execute(sql.SET_CLOCK, at, number, {c: r.model_dump(mode="json") for c, r in reach.items()})


async def set_closed(db: asyncpg.Connection, company: str, on: date, number: int) -> None:
    await db.execute(sql.CLOSE_DAYS, [company], [on], [number])
