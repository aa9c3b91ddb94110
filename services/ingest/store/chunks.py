"""Loading a chunk: the next staged records of a submission and all that is known of what they touch.

The caller holds the lock of the company's queue (its submission row). Locks are taken in sorted order.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.ingest.domain import bank_lines, quarantine, statements, taking
from services.ingest.domain.fields import Refused
from services.ingest.domain.known import (
    Chunk,
    Context,
    Known,
    KnownDocument,
    KnownLine,
    Quarantined,
    StagedRecord,
)
from services.ingest.domain.taking_bank import STATEMENT_FORMAT, account_of, held_credit, key_of
from services.ingest.domain.taking_payments import payment_key
from services.ingest.store import bank
from shared.events.control import BankAccount, CompanyConfigured

SUBMISSION = """
select submission_id, company, actor, format, file_name, business_date, groups from submission
where submission_id = $1 and state = 'accepted' for update
"""
STAGED = """
select rank, position, group_no, kind, place, body, line_key, nth, record_id, statement_id, traceparent
from staged_record where submission_id = $1 order by rank, position limit $2
"""
ACCOUNTS = """
select account_id, version, state from account where company = $1 and account_id = any($2::text[])
order by account_id for update
"""
PARTS = """
select part, version, state from account_part where company = $1 and part = any($2::text[]) order by part for update
"""
DOCUMENTS = """
select document_id, account_id, family, material, cancelled from document where document_id = any($1::uuid[])
order by document_id for update
"""
QUARANTINED = """
select record_id, kind, subject, code, reason, state, times, account_id, amount_minor, currency, hints
from quarantined_record
where record_id = any($2::uuid[])
   or (company = $1 and subject = any($3::text[]) and state in ('open', 'retrying'))
order by record_id for update
"""
AWAITED = """
select distinct waits_for from quarantined_record
where company = $1 and state = 'open' and waits_for = any($2::text[])
"""
LINES = """
select bank_account, line_key, segment, occurrence, signed_minor, booked from bank_line
where company = $1 and bank_account = any($2::text[]) and line_key = any($3::text[])
  and (booked or line_key = any($4::text[]))
order by bank_account, line_key, occurrence, booked desc
"""
ANNOUNCED = "select line_id from bank_line where line_id = any($1::uuid[]) and not booked"
# Lines of other submissions count as soon as their statement is booked: of a release, and of what got stuck.
EQUAL_LINES = """
select distinct s.group_no from staged_record s
join unnest($3::int[], $4::text[]) as g(group_no, bank_account) using (group_no)
where s.submission_id = $1 and s.rank = 1 and s.line_key <> '' and (
    exists (select from bank_line b
            where b.company = $2 and b.bank_account = g.bank_account and b.line_key = s.line_key and b.booked)
    or exists (select from staged_record o where o.submission_id = $1 and o.rank = 1 and o.line_key = s.line_key
               and o.group_no <> s.group_no)
    or (g.bank_account, s.line_key) in (
        select b.bank_account, r.line_key from submission w join staged_record r using (submission_id)
        join bank_statement b on b.statement_id = coalesce(nullif(r.statement_id, ''), w.groups ->> r.group_no::text)
        where w.company = $2 and w.state = 'accepted' and w.submission_id <> $1 and b.state = 'booked'
          and (w.groups <> '{}' or w.format = 'release')))
"""
CREDITS = """
select group_no, body from (
    select group_no, body, row_number() over (partition by group_no order by position) as n from staged_record
    where submission_id = $1 and rank = 1 and group_no = any($2::int[]) and kind = 'bank_line') as numbered
where n <= 1000 order by group_no, n
"""


@dataclass(frozen=True, slots=True)
class _Heads:
    """Statement heads of the chunk by group, with the configured account of each that has one."""

    records: dict[int, StagedRecord]
    accounts: dict[int, BankAccount]


async def load_chunk(db: asyncpg.Connection, submission_id: UUID, size: int, config: CompanyConfigured) -> Chunk | None:
    """The next `size` records; None when the submission has none left to write."""
    row = await db.fetchrow(SUBMISSION, submission_id)
    if row is None:
        return None
    staged = [_staged(found) for found in await db.fetch(STAGED, submission_id, size + 1)]
    records = staged[:size]
    feed = row["actor"].removeprefix("feed:") if row["format"] == "feed" else ""
    context = Context(submission_id, row["company"], config, row["business_date"], row["file_name"], feed)
    known = Known(groups={int(group): identity for group, identity in row["groups"].items()})
    await _load_master(db, context, known, records)
    await _load_quarantine(db, context, known, records)
    if any(record.kind in ("statement", "bank_line", "payment", "bank_reach") for record in records):
        await _load_bank(db, context, known, records)
    return Chunk(context, known, records, last=len(staged) <= size)


def _staged(row: asyncpg.Record) -> StagedRecord:
    return StagedRecord(
        position=row["position"],
        kind=row["kind"],
        place=row["place"],
        body=orjson.loads(row["body"]),
        group=row["group_no"],
        line_key=row["line_key"],
        nth=row["nth"],
        record_id=row["record_id"],
        statement_id=row["statement_id"],
        size=len(row["body"].encode()),
        traceparent=row["traceparent"],
    )


async def _load_master(db: asyncpg.Connection, context: Context, known: Known, records: Sequence[StagedRecord]) -> None:
    account_ids: set[str] = set()
    document_ids: set[UUID] = set()
    for record in records:
        accounts, documents = taking.needs(context.company, record)
        account_ids |= accounts
        document_ids |= documents
    parts = {taking.subject_of(context.company, r) for r in records if r.kind in ("contact", "link")}
    for row in await db.fetch(ACCOUNTS, context.company, sorted(account_ids)):
        known.accounts[row["account_id"]] = (row["version"], row["state"])
    for row in await db.fetch(PARTS, context.company, sorted(parts)):
        known.parts[row["part"]] = (row["version"], row["state"])
    for row in await db.fetch(DOCUMENTS, sorted(document_ids)):
        known.documents[row["document_id"]] = KnownDocument(
            row["account_id"], row["family"], row["material"], row["cancelled"]
        )
    awaited = [f"account/{a}" for a in account_ids if a not in known.accounts]
    awaited += [f"document/{d}" for d in document_ids if d not in known.documents]
    found = await db.fetch(AWAITED, context.company, sorted(awaited))
    known.awaited = frozenset(row["waits_for"] for row in found)


async def _load_quarantine(
    db: asyncpg.Connection, context: Context, known: Known, records: Sequence[StagedRecord]
) -> None:
    ids = {quarantine.record_id_of(context.company, record) for record in records}
    subjects = {taking.subject_of(context.company, record) for record in records} - {""}
    for row in await db.fetch(QUARANTINED, context.company, sorted(ids), sorted(subjects)):
        known.quarantined[row["record_id"]] = quarantined_of(row)


def quarantined_of(row: asyncpg.Record) -> Quarantined:
    return Quarantined(
        record_id=row["record_id"],
        kind=row["kind"],
        subject=row["subject"],
        code=row["code"],
        reason=row["reason"],
        state=row["state"],
        times=row["times"],
        account_id=row["account_id"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        hints=tuple(row["hints"]),
    )


async def _load_bank(db: asyncpg.Connection, context: Context, known: Known, records: Sequence[StagedRecord]) -> None:
    heads = _heads(context, records)
    await bank.load_statements(db, context, known, heads.accounts, heads.records)
    by_line = {r.statement_id or known.groups.get(r.group, "") for r in records if r.kind == "bank_line"}
    await bank.load_named(db, context.company, known, sorted(by_line - {""}))
    await bank.load_covering(db, context.company, known, sorted(by_line - {""}))
    await _load_lines(db, context, known, records, heads)
    if heads.records:
        await _load_equal_lines(db, context, known, heads)
        await _load_credits(db, context, known, heads)


def _heads(context: Context, records: Sequence[StagedRecord]) -> _Heads:
    found = {record.group: record for record in records if record.kind == "statement"}
    accounts = {group: account_of(context, record.body) for group, record in found.items()}
    return _Heads(found, {group: account for group, account in accounts.items() if account is not None})


async def _load_lines(
    db: asyncpg.Connection, context: Context, known: Known, records: Sequence[StagedRecord], heads: _Heads
) -> None:
    lines = [
        (record, _account_of_line(context, known, record, heads)) for record in records if record.kind == "bank_line"
    ]
    keyed = [(record, account, key_of(account, record)) for record, account in lines if account is not None]
    accounts = sorted({account.id for _, account, _ in keyed} | {a.id for a in context.config.bank_accounts})
    payments = {payment_key(context.company, r.body) for r in records if r.kind == "payment"} - {""}
    keys = sorted({key for _, _, key in keyed} | payments)
    found: dict[tuple[str, str], list[KnownLine]] = defaultdict(list)
    for row in await db.fetch(LINES, context.company, accounts, keys, sorted(payments)):
        line = KnownLine(row["segment"], row["occurrence"], row["signed_minor"], row["booked"])
        found[row["bank_account"], row["line_key"]].append(line)
    known.lines.update(found)
    pending = [
        bank_lines.line_id(context.company, account.id, key, max(record.nth, 1))
        for record, account, key in keyed
        if record.body.get("status") == bank_lines.PENDING
    ]
    if pending:
        known.announced |= {row["line_id"] for row in await db.fetch(ANNOUNCED, sorted(pending))}


def _account_of_line(context: Context, known: Known, record: StagedRecord, heads: _Heads) -> BankAccount | None:
    """The account of a line: by its statement where that is decided, else by the head in the same chunk."""
    if record.group in heads.accounts and not record.statement_id:
        return heads.accounts[record.group]
    statement = known.statements.get(record.statement_id or known.groups.get(record.group, ""))
    named = statement.bank_account if statement else ""
    return next((account for account in context.config.bank_accounts if account.id == named), None)


async def _load_equal_lines(db: asyncpg.Connection, context: Context, known: Known, heads: _Heads) -> None:
    groups = sorted(heads.accounts)
    rows = await db.fetch(
        EQUAL_LINES, context.submission_id, context.company, groups, [heads.accounts[g].id for g in groups]
    )
    known.equal_lines = frozenset(row["group_no"] for row in rows)


async def _load_credits(db: asyncpg.Connection, context: Context, known: Known, heads: _Heads) -> None:
    """Credits of the statements that may be held, for the gate; most statements need none."""
    wanted = {}
    for group, account in heads.accounts.items():
        head = _read(context, account, heads.records[group].body)
        if head is not None and _may_be_held(account, head, equal_lines=group in known.equal_lines):
            wanted[group] = (account, head.statement_id)
    if not wanted:
        return
    for row in await db.fetch(CREDITS, context.submission_id, sorted(wanted)):
        account, identity = wanted[row["group_no"]]
        if (credit := held_credit(account.currency, orjson.loads(row["body"]))) is not None:
            known.held_credits.setdefault(identity, []).append(credit)


def _read(context: Context, account: BankAccount, body: dict[str, Any]) -> statements.Statement | None:
    try:
        return statements.read(context.company, account.id, account.currency, body)
    except Refused:
        return None


def _may_be_held(account: BankAccount, head: statements.Statement, *, equal_lines: bool) -> bool:
    return equal_lines or not head.balanced or account.gaps == "hold" or account.booking_source != STATEMENT_FORMAT
