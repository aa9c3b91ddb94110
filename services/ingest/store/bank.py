"""Loading statements, their chain and the balances inside longer ones."""

from collections.abc import Mapping, Sequence
from datetime import date

import asyncpg

from services.ingest.domain import statements
from services.ingest.domain.fields import Refused
from services.ingest.domain.known import Context, Known, KnownStatement, StagedRecord
from services.ingest.domain.statements import Chain, Statement
from shared.events.control import BankAccount

_COLUMNS = """statement_id, bank_account, number, from_on, to_on, opening_minor, closing_minor, credits_minor,
    debits_minor, lines, state, mode, segment, covers, chained, submission_id, currency, code, reason, times,
    head -> 'days' as days"""

MAKE_REACHES = """
insert into bank_reach (company, bank_account) select $1, a from unnest($2::text[]) as a order by a
on conflict do nothing
"""
REACHES = """
select bank_account, through_on, closing_minor, number, complete_through_on from bank_reach
where company = $1 and bank_account = any($2::text[]) order by bank_account for update
"""
AROUND = f"""
select distinct {_COLUMNS} from bank_statement s
join unnest($2::text[], $3::date[], $4::date[]) as d(account, first_on, last_on) on s.bank_account = d.account
where s.company = $1 and s.state = 'booked'
  and ((s.from_on <= d.last_on and d.first_on <= s.to_on) or (not s.chained and s.to_on >= d.last_on - 400))
order by statement_id
"""
NAMED = (
    f"select {_COLUMNS} from bank_statement where company = $1 and statement_id = any($2::text[]) order by statement_id"
)

COVERING = f"""
select {_COLUMNS} from bank_statement
where company = $1 and bank_account = any($2::text[]) and state = 'booked' and covers ?| $3::text[]
order by statement_id
"""


def statement_of(row: asyncpg.Record) -> KnownStatement:
    head = Statement(
        statement_id=row["statement_id"],
        number=row["number"],
        from_on=row["from_on"],
        to_on=row["to_on"],
        opening_minor=row["opening_minor"],
        closing_minor=row["closing_minor"],
        credits_minor=row["credits_minor"],
        debits_minor=row["debits_minor"],
        lines=row["lines"],
        segment=row["segment"],
        mode=row["mode"],
        chained=row["chained"],
    )
    head = statements.with_days(head, row["currency"], row["days"] or {})
    why = (row["code"], row["reason"], row["times"])
    return KnownStatement(head, row["state"], row["bank_account"], row["submission_id"], tuple(row["covers"]), *why)


async def load_chains(db: asyncpg.Connection, company: str, known: Known, accounts: Sequence[str]) -> None:
    """Chains and reaches of accounts, their rows locked in order."""
    await db.execute(MAKE_REACHES, company, list(accounts))
    for row in await db.fetch(REACHES, company, list(accounts)):
        known.chains[row["bank_account"]] = Chain(row["through_on"], row["closing_minor"], row["number"])
        known.reaches[row["bank_account"]] = row["complete_through_on"]


async def load_statements(
    db: asyncpg.Connection,
    context: Context,
    known: Known,
    accounts: Mapping[int, BankAccount],
    heads: Mapping[int, StagedRecord],
) -> None:
    """Chains of every account of the company, and what is booked around the days of the heads."""
    await load_chains(db, context.company, known, sorted(a.id for a in context.config.bank_accounts))
    spans, ids = [], []
    for group, account in accounts.items():
        try:
            head = statements.read(context.company, account.id, account.currency, heads[group].body)
        except Refused:
            continue
        spans.append((account.id, head.from_on, head.to_on))
        ids.append(head.statement_id)
    await load_around(db, context.company, known, spans)
    await load_named(db, context.company, known, sorted(ids))


async def load_around(
    db: asyncpg.Connection, company: str, known: Known, spans: Sequence[tuple[str, date, date]]
) -> None:
    """Booked statements that share a day with the spans, and those that wait for the chain."""
    if not spans:
        return
    rows = await db.fetch(AROUND, company, [s[0] for s in spans], [s[1] for s in spans], [s[2] for s in spans])
    known.statements.update({row["statement_id"]: statement_of(row) for row in rows})


async def load_named(db: asyncpg.Connection, company: str, known: Known, ids: Sequence[str]) -> None:
    """Statements by id, whatever their state."""
    missing = [identity for identity in ids if identity not in known.statements]
    if missing:
        rows = await db.fetch(NAMED, company, missing)
        known.statements.update({row["statement_id"]: statement_of(row) for row in rows})


async def load_covering(db: asyncpg.Connection, company: str, known: Known, ids: Sequence[str]) -> None:
    """Booked statements that state those of `ids` again: their lines may be written first."""
    booked = [known.statements[i] for i in ids if i in known.statements and known.statements[i].state == "booked"]
    if not booked:
        return
    segments = {s.statement.segment for s in booked} | {s.statement.statement_id for s in booked}
    rows = await db.fetch(COVERING, company, sorted({s.bank_account for s in booked}), sorted(segments))
    found = {row["statement_id"]: statement_of(row) for row in rows}
    known.statements.update({identity: row for identity, row in found.items() if identity not in known.statements})
