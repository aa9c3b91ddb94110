"""Writes the effects of a batch: each table once, by unnest, or by COPY where rows are only ever added."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from services.cash_application.domain.books import Books, Written
from services.cash_application.domain.matching.keys import account_keys
from services.cash_application.domain.rows import Candidate
from services.cash_application.store import approvals
from services.cash_application.store import save_sql as sql
from services.cash_application.store.mapping import view_body

Row = tuple[Any, ...]


async def save_books(db: asyncpg.Connection, books: Books, snapshot: str) -> None:
    """Write everything that the batch changed. The statements depend on what changed, never on how much of it."""
    written = books.written
    await _copy(db, "posting", sql.POSTING_COLUMNS, _postings(written))
    await _accounts(db, books)
    await _many(db, sql.DOCUMENTS, _documents(written))
    await _waits(db, written)
    await _many(db, sql.ITEMS_OPENED, _opened(written))
    await _many(db, sql.ITEMS_CHANGED, _changed(written))
    await _copy(db, "journal_line", sql.LINE_COLUMNS, _lines(written))
    await _copy(db, "item_lookup_key", sql.ITEM_KEY_COLUMNS, written.item_keys)
    await _receipts(db, books)
    certificates = [(*row[:4], {**row[4], "snapshot": snapshot}) for row in written.certificates]
    await _many(db, sql.CERTIFICATES, certificates, snapshot)
    await _beside(db, written)


async def _copy(db: asyncpg.Connection, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    listed = list(rows)
    if listed:
        await db.copy_records_to_table(table, columns=columns, records=listed)


async def _many(db: asyncpg.Connection, statement: str, rows: Iterable[Row], *more: Any) -> None:
    columns = list(zip(*rows, strict=True))
    if columns:
        await db.execute(statement, *columns, *more)


async def _accounts(db: asyncpg.Connection, books: Books) -> None:
    written = books.written
    rows = [
        (
            account.company,
            account.account_id,
            account.name,
            account.currency,
            sql.UNIT.join(account.bank_accounts),
            account.registered,
            account.party_id,
        )
        for account in written.accounts.values()
    ]
    keys = [
        (account.company, key, account.account_id)
        for account in written.accounts.values()
        for key in account_keys(books.account_view(account))
    ]
    await _many(db, sql.ACCOUNTS, rows)
    await _many(db, sql.ACCOUNT_KEYS_GONE, [row[:2] for row in rows])
    await _many(db, sql.ACCOUNT_KEYS, keys)
    standing = {link[:4]: link for link in written.links}
    await _many(db, sql.LINKS, [link[:6] for link in standing.values() if link[6]])
    await _many(db, sql.LINKS_GONE, [key for key, link in standing.items() if not link[6]])
    cash = [
        (c.company, c.account_id, c.currency, c.unapplied_minor, c.on_account_minor, c.version)
        for c in written.cash.values()
    ]
    await _many(db, sql.CASH, cash)


def _postings(written: Written) -> list[Row]:
    return [
        (
            p.posting_id,
            p.company,
            p.kind,
            p.origin,
            p.currency,
            p.base_currency,
            p.rate_id,
            p.cause_id,
            p.account_id,
            p.payment_id,
            p.reverses_posting_id,
            p.reason_code,
            p.rule,
            p.policy,
            p.certificate_id,
            p.actor,
            p.business_date,
            p.valued_on,
            p.accounted_on,
            p.known_at,
        )
        for p in written.postings
    ]


def _lines(written: Written) -> list[Row]:
    return [
        (
            p.posting_id,
            p.company,
            line.ledger,
            p.currency,
            line.amount_minor,
            line.base_minor,
            line.account_id,
            line.item_id,
            line.side,
            line.payment_id,
            line.bank_account,
            line.funding,
            p.accounted_on,
        )
        for p in written.postings
        for line in p.lines
    ]


def _documents(written: Written) -> list[Row]:
    return [
        (
            d.company,
            d.document_id,
            d.account_id,
            d.document_type,
            d.number,
            d.currency,
            d.total_minor,
            d.document_on,
            d.business_date,
            d.cancelled_on,
            d.replaced_by,
        )
        for d in written.documents.values()
    ]


async def _waits(db: asyncpg.Connection, written: Written) -> None:
    done = {(w.company, w.document_id, w.kind, w.other_id) for w in written.waits_done}
    fresh = [
        (w.company, w.document_id, w.kind, w.other_id, w.amount_minor, w.keeps_due_date, w.on)
        for w in written.waits
        if (w.company, w.document_id, w.kind, w.other_id) not in done
    ]
    await _many(db, sql.WAITS, fresh)
    await _many(db, sql.WAITS_DONE, sorted(done, key=str))


def _opened(written: Written) -> list[Row]:
    return [
        (
            i.company,
            i.item_id,
            i.document_id,
            i.line,
            i.number,
            i.kind,
            i.side,
            i.account_id,
            i.currency,
            i.original_minor,
            i.remaining_minor,
            i.disputed_minor,
            *i.relief,
            i.document_on,
            i.due_on,
            i.business_date,
            i.accounted_on,
            i.payment_reference,
            {d.until_on.isoformat(): d.amount_minor for d in i.discounts},
            i.rate.base_currency,
            i.rate.factor,
            i.rate.rate_id,
            i.version,
            i.posting_id,
        )
        for i in written.items.values()
        if i.fresh
    ]


def _changed(written: Written) -> list[Row]:
    return [
        (
            i.company,
            i.item_id,
            i.remaining_minor,
            i.disputed_minor,
            *i.relief,
            i.due_on,
            i.accounted_on,
            i.version,
            i.posting_id,
        )
        for i in written.items.values()
        if not i.fresh
    ]


async def _receipts(db: asyncpg.Connection, books: Books) -> None:
    written = books.written
    receipts = list(written.receipts.values())
    rows = [
        (
            r.company,
            r.payment_id,
            r.bank_account,
            r.currency,
            r.amount_minor,
            r.open_minor,
            r.unidentified_minor,
            r.refunded_minor,
            r.non_ar_minor,
            r.returned_minor,
            r.gain_minor,
            r.document_on,
            r.valued_on,
            r.accounted_on,
            r.business_date,
            r.rate.base_currency,
            r.rate.factor,
            r.rate.rate_id,
            view_body(r.view),
            r.posting_id,
            r.account_id,
            r.outcome,
            r.reason_code,
            r.rule,
            sql.UNIT.join(r.flags),
            r.certificate_id,
            r.by_person,
            r.tried_on,
            r.version,
        )
        for r in receipts
    ]
    parts = [
        (r.company, r.payment_id, account_id, part.applied_minor, part.unapplied_minor, part.on_account_minor)
        for r in receipts
        for account_id, part in r.parts.items()
    ]
    await _many(db, sql.RECEIPTS, rows)
    await _many(db, sql.PARTS, parts)
    await _many(db, sql.RECEIPT_KEYS, written.receipt_keys)
    await _copy(db, "application", sql.APPLICATION_COLUMNS, _applications(written))
    fresh = {(a.posting_id, a.item_id) for a in written.applied}
    await _many(db, sql.APPLICATIONS_REVERSED, [row for row in written.reversed if row[:2] not in fresh])
    await _suggestions(db, books)


def _applications(written: Written) -> list[Row]:
    return [
        (
            a.posting_id,
            a.item_id,
            a.company,
            a.payment_id,
            a.account_id,
            a.side,
            a.cash_minor,
            a.discount_minor,
            a.small_difference_minor,
            a.bank_charge_minor,
            a.deduction_minor,
            a.deduction_item_id,
            a.gain_minor,
            a.rule,
            a.reversed_by,
        )
        for a in written.applied
    ]


async def _suggestions(db: asyncpg.Connection, books: Books) -> None:
    receipts = books.written.suggestions.values()
    await _many(db, sql.SUGGESTIONS_GONE, [(r.company, r.payment_id) for r in receipts])
    rows = [
        (
            r.company,
            r.payment_id,
            s.rank,
            s.account_id,
            {str(item_id): minor for item_id, minor in s.items},
            s.rule,
            s.why,
            s.chance,
            s.certificate_id,
        )
        for r in receipts
        for s in books.suggestions.get(r.payment_id, ())
    ]
    await _many(db, sql.SUGGESTIONS, rows)


async def _beside(db: asyncpg.Connection, written: Written) -> None:
    uses = [
        (u.company, u.posting_id, u.credit_item_id, u.debit_item_id, u.amount_minor, u.reversed_by)
        for u in written.credit_uses
    ]
    await _many(db, sql.CREDIT_USES, uses)
    fresh = {row[1:4] for row in uses}
    await _many(db, sql.CREDIT_USES_REVERSED, [row for row in written.credit_uses_reversed if row[:3] not in fresh])
    await _many(db, sql.CANDIDATES, candidate_rows(written.candidates.values()))
    await _many(db, sql.UNBOOKED_GONE, [(c.company, c.origin_id) for c in written.unbooked_gone.values()])
    await _many(db, sql.UNBOOKED, _unbooked(written))
    await _many(db, sql.OPEN_DEBITS, _debits(written))
    await _many(db, sql.REFUNDS, _refunds(written))
    await approvals.save(db, written)
    await _many(db, sql.DISPUTES, list(written.disputes.values()))
    await _many(db, sql.STATEMENTS, _statements(written))


def candidate_rows(candidates: Iterable[Candidate]) -> list[Row]:
    """Rows for `sql.CANDIDATES`."""
    return [
        (
            c.candidate_id,
            c.company,
            c.origin_id,
            c.group_id,
            c.account_id,
            c.payment_id,
            c.amount_minor,
            c.currency,
            sql.UNIT.join(c.evidence),
            c.source,
            c.since_on,
            c.open,
        )
        for c in candidates
    ]


def _unbooked(written: Written) -> list[Row]:
    return [
        (
            c.company,
            c.origin_id,
            c.group_id,
            c.payment_id,
            c.source,
            c.view.currency,
            c.view.amount_minor,
            c.view.valued_on,
            c.since_on,
            view_body(c.view),
            sql.UNIT.join(c.keys),
        )
        for c in written.unbooked.values()
    ]


def _debits(written: Written) -> list[Row]:
    return [
        (
            d.company,
            d.debit_id,
            d.bank_account,
            d.currency,
            d.amount_minor,
            d.left_minor,
            d.valued_on,
            d.accounted_on,
            d.reason_code,
            sql.UNIT.join(d.keys),
            d.payment_id,
        )
        for d in written.open_debits.values()
    ]


def _refunds(written: Written) -> list[Row]:
    return [
        (
            f.company,
            f.refund_id,
            f.account_id,
            f.payment_id,
            f.amount_minor,
            f.currency,
            f.bank_account,
            f.status,
            f.requested_by,
            f.requested_on,
            f.from_place,
            f.approved_by,
            f.approved_on,
            f.approval_id,
            f.version,
        )
        for f in written.refunds.values()
    ]


def _statements(written: Written) -> list[Row]:
    return [
        (
            s.company,
            s.bank_account,
            s.statement_id,
            s.currency,
            s.from_on,
            s.to_on,
            s.opening_minor,
            s.closing_minor,
            s.credits_minor,
            s.debits_minor,
            s.lines,
        )
        for s in written.statements
    ]
