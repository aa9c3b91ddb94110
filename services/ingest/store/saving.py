"""Saving: each table once, by unnest, in the transaction that removes what was decided."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from services.ingest.domain.known import Chunk, Written
from services.ingest.store import control

if TYPE_CHECKING:
    from services.ingest.handlers import Rows

DROP_STAGED = """
delete from staged_record s using unnest($2::smallint[], $3::int[]) as d(rank, position)
where s.submission_id = $1 and s.rank = d.rank and s.position = d.position
"""
SAVE_ACCOUNTS = """
insert into account (company, account_id, version, state)
select $1, * from unnest($2::text[], $3::int[], $4::jsonb[]) as a(account_id, version, state) order by account_id
on conflict (company, account_id) do update set version = excluded.version, state = excluded.state
"""
SAVE_PARTS = """
insert into account_part (company, part, version, state)
select $1, * from unnest($2::text[], $3::int[], $4::jsonb[]) as p(part, version, state) order by part
on conflict (company, part) do update set version = excluded.version, state = excluded.state
"""
SAVE_DOCUMENTS = """
insert into document (document_id, company, account_id, family, number, material, cancelled)
select d.document_id, $1, d.account_id, d.family, d.number, d.material, d.cancelled
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
    as d(document_id, account_id, family, number, material, cancelled) order by document_id
on conflict (document_id) do update set cancelled = excluded.cancelled
"""
SAVE_QUARANTINED = """
insert into quarantined_record (record_id, company, kind, place, body, subject, account_id, amount_minor, currency,
    hints, code, field, reason, waits_for, times, state, submission_id, statement_id, line, quarantined_at)
select q.record_id, $1, q.kind, q.place, q.body, q.subject, q.account_id, q.amount_minor, q.currency, q.hints::jsonb,
    q.code, q.field, q.reason, q.waits_for, q.times, 'open', $2, q.statement_id, q.line, $3
from unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[],
            $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::int[], $18::text[], $19::jsonb[])
    with ordinality as q(record_id, kind, place, body, subject, account_id, amount_minor, currency, hints, code,
        field, reason, waits_for, times, statement_id, line, at)
order by q.at
on conflict (record_id) do update set code = excluded.code, field = excluded.field, reason = excluded.reason,
    waits_for = excluded.waits_for, times = excluded.times, state = 'open'
"""
CLOSE_QUARANTINED = """
update quarantined_record q set state = c.state from unnest($1::uuid[], $2::text[]) as c(record_id, state)
where q.record_id = c.record_id
"""
ADD_OUTCOMES = """
insert into record_outcome (submission_id, position, kind, place, outcome, subject, code, field, reason, record_id)
select $1, * from unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::uuid[]) as o(position, kind, place, outcome, subject, code, field, reason, record_id)
"""
SAVE_STATEMENTS = """
insert into bank_statement (company, statement_id, bank_account, printed_id, number, from_on, to_on, opening_minor,
    closing_minor, credits_minor, debits_minor, lines, currency, state, reason, mode, segment, covers, gap,
    submission_id, head, code, times)
select $1, statement_id, bank_account, printed_id, number, from_on, to_on, opening_minor, closing_minor, credits_minor,
    debits_minor, lines, currency, state, reason, mode, segment, covers::jsonb, gap, submission_id, head,
    code, times
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::int[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
    $18::text[], $19::boolean[], $20::uuid[], $21::jsonb[], $22::text[], $23::int[])
    as s(statement_id, bank_account, printed_id, number, from_on, to_on, opening_minor, closing_minor, credits_minor,
         debits_minor, lines, currency, state, reason, mode, segment, covers, gap, submission_id, head, code, times)
on conflict (statement_id) do update set state = excluded.state, reason = excluded.reason, mode = excluded.mode,
    segment = excluded.segment, covers = excluded.covers, gap = excluded.gap, submission_id = excluded.submission_id,
    head = excluded.head, code = excluded.code, times = excluded.times
"""
CHAIN_STATEMENTS = "update bank_statement set chained = true where statement_id = any($1::text[])"
SAVE_CHAINS = """
update bank_reach r set through_on = c.through_on, closing_minor = c.closing_minor, number = c.number
from unnest($2::text[], $3::date[], $4::bigint[], $5::text[]) as c(bank_account, through_on, closing_minor, number)
where r.company = $1 and r.bank_account = c.bank_account
"""
SAVE_REACHES = """
update bank_reach r set complete_through_on = c.complete_through_on
from unnest($2::text[], $3::date[]) as c(bank_account, complete_through_on)
where r.company = $1 and r.bank_account = c.bank_account
"""
SAVE_LINES = """
insert into bank_line (line_id, booked, company, bank_account, line_key, occurrence, segment, document_on,
    signed_minor, kind)
select l.line_id, l.booked, $1, l.bank_account, l.line_key, l.occurrence, l.segment, l.document_on, l.signed_minor,
    l.kind
from unnest($2::uuid[], $3::boolean[], $4::text[], $5::text[], $6::int[], $7::text[], $8::date[], $9::bigint[],
    $10::text[]) as l(line_id, booked, bank_account, line_key, occurrence, segment, document_on, signed_minor, kind)
"""
ADOPT_LINES = """
update bank_line l set segment = a.segment from unnest($1::uuid[], $2::text[]) as a(line_id, segment)
where l.line_id = a.line_id and l.booked
"""
DROP_HELD = "delete from held_line where statement_id = any($1::text[])"
HOLD_LINES = """
insert into held_line (statement_id, position, place, body, line_key, nth)
select * from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::int[])
"""
ADVANCE = """
update submission set counts = $2, groups = $3, state = case when $4 then 'done' else state end,
    done_at = case when $4 then $5 else done_at end
where submission_id = $1
"""
COUNTS = "select counts from submission where submission_id = $1"


async def save(db: asyncpg.Connection, rows: "Rows") -> None:
    """Write one command's set."""
    if rows.chunk is not None and rows.written is not None:
        await _save_chunk(db, rows, rows.chunk, rows.written)
    elif rows.written is not None:
        await _save_written(db, rows, rows.written)
    if rows.draft is not None and rows.request is not None:
        await control.save_draft(db, rows.draft, rows.request)
    if rows.approved is not None:
        await control.save_decision(db, *rows.approved)
    if rows.retry_records:
        await control.restage_records(db, rows.company, rows.cause, rows.retry_records, [])
    if rows.discarded is not None:
        await db.execute(CLOSE_QUARANTINED, [rows.discarded[0]], [rows.discarded[1]])
    if rows.release is not None and rows.release.restaged:
        await control.restage_statement(db, rows.company, rows.cause, rows.release)


async def _save_chunk(db: asyncpg.Connection, rows: "Rows", chunk: Chunk, written: Written) -> None:
    submission_id = chunk.context.submission_id
    ranks = [0 if record.kind == "statement" else 1 for record in chunk.records]
    await db.execute(DROP_STAGED, submission_id, ranks, [record.position for record in chunk.records])
    await _save_written(db, rows, written)
    await _save_quarantine(db, rows, chunk, written)
    await _save_outcomes(db, chunk, written)
    counts: dict[str, int] = dict(await db.fetchval(COUNTS, submission_id))
    for outcome in written.outcomes:
        counts[outcome.outcome] = counts.get(outcome.outcome, 0) + 1
    groups = {str(group): identity for group, identity in chunk.known.groups.items()}
    await db.execute(ADVANCE, submission_id, counts, groups, chunk.last, rows.cause.envelope.known_at)
    if written.retries:
        await control.restage_records(db, rows.company, rows.cause, [], sorted(written.retries))


async def _save_written(db: asyncpg.Connection, rows: "Rows", written: Written) -> None:
    company = rows.company
    if written.accounts:
        await db.execute(SAVE_ACCOUNTS, company, *_versioned(written.accounts))
    if written.parts:
        await db.execute(SAVE_PARTS, company, *_versioned(written.parts))
    if written.documents:
        await _save_documents(db, company, written)
    await _save_bank(db, company, written)


def _versioned(saved: dict[str, tuple[int, dict[str, Any]]]) -> tuple[list[str], list[int], list[dict[str, Any]]]:
    return list(saved), [version for version, _ in saved.values()], [state for _, state in saved.values()]


async def _save_documents(db: asyncpg.Connection, company: str, written: Written) -> None:
    found = list(written.documents.items())
    await db.execute(
        SAVE_DOCUMENTS,
        company,
        [identity for identity, _ in found],
        [document.account_id for _, (document, _) in found],
        [document.family for _, (document, _) in found],
        [number for _, (_, number) in found],
        [document.material for _, (document, _) in found],
        [document.cancelled for _, (document, _) in found],
    )


async def _save_bank(db: asyncpg.Connection, company: str, written: Written) -> None:
    if written.statements:
        await _save_statements(db, company, written)
    if written.chained:
        await db.execute(CHAIN_STATEMENTS, sorted(written.chained))
    if written.chains:
        chains = sorted(written.chains.items())
        await db.execute(
            SAVE_CHAINS,
            company,
            [account for account, _ in chains],
            [chain.through_on for _, chain in chains],
            [chain.closing_minor for _, chain in chains],
            [chain.number for _, chain in chains],
        )
    if written.reaches:
        await db.execute(SAVE_REACHES, company, list(written.reaches), list(written.reaches.values()))
    if written.lines:
        lines = sorted(written.lines, key=lambda line: line.line_id)
        await db.execute(SAVE_LINES, company, *_columns(lines, _LINE_FIELDS))
    if written.adopted:
        await db.execute(ADOPT_LINES, list(written.adopted), list(written.adopted.values()))
    if written.anew:
        await db.execute(DROP_HELD, sorted(written.anew))
    if written.held_lines:
        await db.execute(HOLD_LINES, *_held_columns(written))


_LINE_FIELDS = (
    "line_id", "booked", "bank_account", "line_key", "occurrence", "segment", "document_on", "signed_minor", "kind",
)  # fmt: skip


def _columns(found: Sequence[Any], names: Sequence[str]) -> list[list[Any]]:
    return [[getattr(row, name) for row in found] for name in names]


def _held_columns(written: Written) -> list[list[Any]]:
    held = written.held_lines
    return [
        [identity for identity, _ in held],
        [record.position for _, record in held],
        [record.place for _, record in held],
        [orjson.dumps(record.body).decode() for _, record in held],
        [record.line_key for _, record in held],
        [record.nth for _, record in held],
    ]


async def _save_statements(db: asyncpg.Connection, company: str, written: Written) -> None:
    found = list(written.statements.values())
    heads = [row.known.statement for row in found]
    await db.execute(
        SAVE_STATEMENTS,
        company,
        [head.statement_id for head in heads],
        [row.known.bank_account for row in found],
        [row.printed_id for row in found],
        *_columns(heads, ("number", "from_on", "to_on", "opening_minor", "closing_minor", "credits_minor")),
        *_columns(heads, ("debits_minor", "lines")),
        [row.currency for row in found],
        [row.known.state for row in found],
        [row.known.reason for row in found],
        *_columns(heads, ("mode", "segment")),
        [orjson.dumps(row.known.covers).decode() for row in found],
        [row.gap for row in found],
        [row.known.submission_id for row in found],
        [row.head for row in found],
        [row.known.code for row in found],
        [row.known.times for row in found],
    )


async def _save_quarantine(db: asyncpg.Connection, rows: "Rows", chunk: Chunk, written: Written) -> None:
    if written.closed:
        await db.execute(CLOSE_QUARANTINED, list(written.closed), list(written.closed.values()))
    if not written.quarantined:
        return
    held = list(written.quarantined.values())
    entries, staged = [row.known for row in held], [row.staged for row in held]
    await db.execute(
        SAVE_QUARANTINED,
        rows.company,
        chunk.context.submission_id,
        rows.cause.envelope.known_at,
        [entry.record_id for entry in entries],
        *_columns(staged, ("kind", "place")),
        [orjson.dumps(record.body).decode() for record in staged],
        *_columns(entries, ("subject", "account_id", "amount_minor", "currency")),
        [orjson.dumps(entry.hints).decode() for entry in entries],
        [entry.code for entry in entries],
        [row.field for row in held],
        [entry.reason for entry in entries],
        [row.waits_for for row in held],
        [entry.times for entry in entries],
        [record.statement_id or chunk.known.groups.get(record.group, "") for record in staged],
        [{"line_key": record.line_key, "nth": record.nth} for record in staged],
    )


async def _save_outcomes(db: asyncpg.Connection, chunk: Chunk, written: Written) -> None:
    names = ("position", "kind", "place", "outcome", "subject", "code", "field", "reason", "record_id")
    await db.execute(ADD_OUTCOMES, chunk.context.submission_id, *_columns(written.outcomes, names))
