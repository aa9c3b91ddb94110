"""Loads the books of a batch: candidates without locks, then account rows locked in sorted order, then all read again.

The number of statements does not depend on the size of the batch. What another transaction changed between the two
readings is noticed and tried again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from services.cash_application.domain.books import Books
from services.cash_application.domain.candidates import ANNOUNCED_DAYS_MAX
from services.cash_application.domain.cash import AccountCash
from services.cash_application.domain.exchange import Exchange
from services.cash_application.domain.needs import Id, Key, Needs, see
from services.cash_application.domain.rows import CreditUse, DocumentWait, UnbookedCash
from services.cash_application.store import approvals, mapping
from services.cash_application.store import load_sql as sql
from shared.errors import Transient
from shared.events.catalogue import key_of

WAITING_MAX = 1_000
"""Payments that one run at a day's close tries; those not tried longest come first, so that none is forgotten."""
DEBITS_MAX = 500
AMOUNT_ITEMS_MAX = 41
ALIKE_MAX = 5
ALIKE_DAYS = 31
WAITING_ALIKE_MAX = 1_000
UNBOOKED_MAX = 1_000
"""Sums of cash that is not booked which one batch or close looks at, the newest first; and sums announced too
long ago that one close ends."""
REFUND_DAYS = 30


@dataclass(slots=True)
class Found:
    """What the unlocked reading found: ids to read again and accounts to lock. `movable`: payments in the books whose
    cash the batch may move."""

    lock: set[Key] = field(default_factory=set)
    payers: set[Key] = field(default_factory=set)
    items: set[Id] = field(default_factory=set)
    payments: set[Id] = field(default_factory=set)
    pays_for: dict[Key, set[str]] = field(default_factory=dict)
    movable: set[Id] = field(default_factory=set)


async def load_books(db: asyncpg.Connection, needs: Needs, exchange: Exchange) -> tuple[Books, str]:
    """The books for a batch and the database snapshot on which it is decided. Raises Transient to be tried again."""
    books = Books(exchange)
    books.tokens_of = needs.tokens_of
    found = Found(lock=set(needs.owners) | set(needs.named), payments=set(needs.payments) | set(needs.touched))
    await _waits_met(db, needs)
    await _waits(db, books, needs)
    await _waiting_receipts(db, needs, found)
    await _unbooked_waiting(db, books, needs)
    await _by_keys(db, books, needs, found)
    await _concerned(db, needs, found)
    await _lock(db, books, needs, found)
    seen = await db.fetchrow(sql.SNAPSHOT)
    if seen["unbooked"]:
        await _unbooked_met(db, books, needs)
    await _parked(db, books, needs)
    await _receipts(db, books, needs, found)
    await _items(db, books, needs, found)
    await _applications(db, books, needs, found)
    await _documents(db, books, needs)
    await _money_beside(db, books, needs, found)
    await _alike(db, books, needs)
    await _at_close(db, books, needs)
    _check_whole(books, found)
    return books, seen["snapshot"]


def _pairs(ids: Iterable[tuple[str, Any]]) -> tuple[list[str], list[Any]]:
    listed = list(ids)
    return [company for company, _ in listed], [thing for _, thing in listed]


async def _waits_met(db: asyncpg.Connection, needs: Needs) -> None:
    """At a day's close: documents that came at the same instant as what waits for them, and did not see it."""
    if needs.days:
        rows = await db.fetch(sql.WAITS_MET, [company for company, _ in needs.days], WAITING_MAX)
        needs.documents.update((row["company"], row["document_id"]) for row in rows)
        needs.cancelled.update((row["company"], row["document_id"]) for row in rows)


async def _waits(db: asyncpg.Connection, books: Books, needs: Needs) -> None:
    """What came before its document; the other document that it concerns is needed too."""
    ids = needs.documents | needs.cancelled
    if not ids:
        return
    rows = await db.fetch(sql.WAITS, *_pairs(ids))
    for row in rows:
        company, document_id, other_id = row["company"], row["document_id"], row["other_id"]
        wait = DocumentWait(
            company, document_id, row["kind"], other_id, row["amount_minor"], row["keeps_due_date"], row["on"]
        )
        books.waits.setdefault(document_id, []).append(wait)
        (needs.documents if wait.kind == "credit" else needs.cancelled).add((company, other_id))


async def _waiting_receipts(db: asyncpg.Connection, needs: Needs, found: Found) -> None:
    """The run at a day's close tries every payment whose cash waits."""
    if not needs.days:
        return
    companies, dates = [c for c, _ in needs.days], [on for _, on in needs.days]
    rows = await db.fetch(sql.WAITING_RECEIPTS, companies, dates, WAITING_MAX)
    for row in rows:
        see(needs, mapping.view_of(row))
        found.payments.add((row["company"], row["payment_id"]))
        needs.origins.add((row["company"], row["payment_id"]))
        if row["account_id"]:
            found.lock.add((row["company"], row["account_id"]))
    rows = await db.fetch(sql.WAITING_DEBITS, companies, DEBITS_MAX)
    for row in rows:
        needs.debits.add((row["company"], row["debit_id"]))
        needs.receipt_keys.update((row["company"], key) for key in row["keys"])
        if row["payment_id"] is not None:
            needs.touched.add((row["company"], row["payment_id"]))
            found.payments.add((row["company"], row["payment_id"]))


async def _unbooked_waiting(db: asyncpg.Connection, books: Books, needs: Needs) -> None:
    """At a day's close cash that is not booked is looked at again: item and cash may have come at the same instant."""
    if not needs.days:
        return
    rows = await db.fetch(sql.UNBOOKED_WAITING, [company for company, _ in needs.days], UNBOOKED_MAX)
    for cash in map(mapping.unbooked_of, rows):
        _hold_unbooked(books, needs, cash)
        see(needs, cash.view)
        needs.unbooked.add(cash.view.payment_id)


async def _unbooked_met(db: asyncpg.Connection, books: Books, needs: Needs) -> None:
    """Cash that is not booked: what the batch books, releases or refuses, what may mean documents that open, and at a
    day's close what was announced too long ago."""
    rows: list[asyncpg.Record] = []
    if needs.groups:
        rows += await db.fetch(sql.UNBOOKED_ENDING, *_asked(needs.groups))
    if needs.opening_keys:
        rows += await db.fetch(sql.UNBOOKED_MET, *_asked(needs.opening_keys), UNBOOKED_MAX)
    if needs.days:
        rows += await db.fetch(sql.ANNOUNCED_OVER, *_pairs(needs.days), ANNOUNCED_DAYS_MAX, UNBOOKED_MAX)
    for cash in map(mapping.unbooked_of, rows):
        _hold_unbooked(books, needs, cash)


def _asked(marks: Iterable[Key]) -> tuple[list[str], list[str]]:
    companies, texts = _pairs(marks)
    return sorted(set(companies)), sorted(set(texts))


def _hold_unbooked(books: Books, needs: Needs, cash: UnbookedCash) -> None:
    books.hold_unbooked(cash)
    needs.origins.add((cash.company, cash.origin_id))


async def _by_keys(db: asyncpg.Connection, books: Books, needs: Needs, found: Found) -> None:
    tokens = needs.tokens()
    if not tokens:
        return
    companies, keys = _pairs(tokens)
    rows = await db.fetch(sql.ITEM_KEYS, companies, keys, sql.KEY_ROWS_MAX)
    for row in rows:
        books.item_ids_by_key.setdefault((row["company"], row["key"]), set()).add(row["item_id"])
        found.items.add((row["company"], row["item_id"]))
        found.lock.add((row["company"], row["account_id"]))
    payer_keys = {(company, key) for company, key in tokens if key[0] in "apw"}
    rows = await db.fetch(sql.ACCOUNTS_BY_KEY, *_pairs(payer_keys), sql.KEY_ROWS_MAX)
    for row in rows:
        account = mapping.account_of(row)
        key = (account.company, account.account_id)
        books.accounts[key] = account
        books.account_ids_by_key.setdefault((account.company, row["key"]), set()).add(account.account_id)
        if row["key"][0] in "ap":
            found.payers.add(key)
    for key in [key for key, accounts in books.account_ids_by_key.items() if _says_nothing(key[1], accounts)]:
        del books.account_ids_by_key[key]
    rows = await db.fetch(sql.LINKS, *_pairs(books.accounts), needs.on)
    for row in rows:
        found.pays_for.setdefault((row["company"], row["account_id"]), set()).add(row["to_account_id"])
    for company, account_id in list(found.payers):
        found.payers.update((company, to) for to in found.pays_for.get((company, account_id), ()))
    found.lock |= found.payers


def _says_nothing(key: str, accounts: set[str]) -> bool:
    return key[0] == "w" and len(accounts) > sql.WORD_ACCOUNTS_MAX


async def _concerned(db: asyncpg.Connection, needs: Needs, found: Found) -> None:
    """Payments, items and accounts behind ids: what stands on an item that is cancelled, what a payment paid."""
    old = needs.touched | (found.payments - needs.payments)
    found.movable |= old
    documents = needs.documents | needs.cancelled
    if not (old or needs.receipt_keys or needs.items or documents):
        return
    rows = await db.fetch(
        sql.CONCERNED,
        *_pairs(old),
        *_pairs(needs.receipt_keys),
        *_pairs(needs.items),
        *_pairs(needs.documents),
        *_pairs(needs.cancelled),
    )
    for row in rows:
        if row["what"] == "item":
            found.items.add((row["company"], row["id"]))
        else:
            found.payments.add((row["company"], row["id"]))
            found.movable.add((row["company"], row["id"]))
        if row["account_id"]:
            found.lock.add((row["company"], row["account_id"]))


async def _lock(db: asyncpg.Connection, books: Books, needs: Needs, found: Found) -> None:
    """The account row is the unit of locking: every account that may change, in sorted order."""
    if needs.owners:
        await db.execute(sql.NEW_ACCOUNTS, *_pairs(needs.owners))
    if not found.lock:
        return
    rows = await db.fetch(sql.LOCK_ACCOUNTS, *_pairs(found.lock))
    for row in rows:
        account = mapping.account_of(row)
        key = (account.company, account.account_id)
        books.accounts[key] = account
        books.locked.add(key)
    for key, targets in found.pays_for.items():
        if key in books.accounts:
            books.accounts[key].pays_for = tuple(sorted(targets))


async def _parked(db: asyncpg.Connection, books: Books, needs: Needs) -> None:
    if books.accounts or needs.views:
        keys = [key_of(company, account_id) for company, account_id in books.accounts]
        rows = await db.fetch(sql.PARKED, keys)
        for row in rows:
            books.parked.add((row["company"], row["account_id"]))


async def _items(db: asyncpg.Connection, books: Books, needs: Needs, found: Found) -> None:
    documents = needs.documents | needs.cancelled
    if found.items or found.payers or documents:
        rows = await db.fetch(sql.ITEMS, *_pairs(found.items), *_pairs(found.payers), needs.on, *_pairs(documents))
        for row in rows:
            if row["item_id"] not in books.items:
                books.hold_item(mapping.item_of(row))
    wanted = _amounts_without_citation(books, needs)
    if wanted:
        columns = [list(column) for column in zip(*wanted, strict=True)]
        rows = await db.fetch(sql.AMOUNT_ITEMS, *columns, needs.on, AMOUNT_ITEMS_MAX)
        for row in rows:
            item = books.items.get(row["item_id"])
            if item is None:
                item = mapping.item_of(row)
                books.items[item.item_id] = item
            books.amount_items.setdefault((item.company, item.currency, item.remaining_minor), []).append(item)


def _amounts_without_citation(books: Books, needs: Needs) -> list[tuple[str, str, int]]:
    """Amounts that must speak for themselves: of cash that names no item or never posts. What a payment leaves waiting
    is looked up once it is written; the close looks at every amount again."""
    found = set()
    for name, view in needs.views.items():
        cites = any((view.company, token) in books.item_ids_by_key for token in needs.tokens_of[name])
        if needs.days or not cites or name in needs.unbooked:
            found.add((view.company, view.currency, view.open_minor))
    return sorted(found)


async def _applications(db: asyncpg.Connection, books: Books, needs: Needs, found: Found) -> None:
    """Live applications of payments that may be reversed, and of the items of documents that are cancelled."""
    old = needs.touched | (found.payments - needs.payments)
    cancelled = {document_id for _, document_id in needs.cancelled}
    fresh_cancelled = needs.documents | needs.cancelled
    items = [i.item_id for document in cancelled for i in books.document_items.get(document, ())]
    if old or items:
        companies = sorted({company for company, _ in old | needs.cancelled})
        rows = await db.fetch(sql.APPLICATIONS, [payment for _, payment in old], items, companies)
        for row in rows:
            applied = mapping.applied_of(row)
            books.hold_applied(applied)
            found.payments.add((applied.company, applied.payment_id))
    used = [i.item_id for _, document in fresh_cancelled for i in books.document_items.get(document, ())]
    if items and used:
        companies = sorted({company for company, _ in fresh_cancelled})
        rows = await db.fetch(sql.CREDIT_USES, used, companies)
        for row in rows:
            use = CreditUse(
                row["company"], row["posting_id"], row["credit_item_id"], row["debit_item_id"], row["amount_minor"]
            )
            books.credit_uses.setdefault(use.debit_item_id, []).append(use)


async def _receipts(db: asyncpg.Connection, books: Books, needs: Needs, found: Found) -> None:
    if found.payments:
        ids = _pairs(found.payments)
        rows = await db.fetch(sql.RECEIPTS, *ids)
        for row in rows:
            books.hold_receipt(mapping.receipt_of(row))
            books.open_before[row["payment_id"]] = row["open_minor"]
        if books.receipts:
            rows = await db.fetch(sql.PARTS, *ids)
            for row in rows:
                books.receipts[row["payment_id"]].parts[row["account_id"]] = mapping.part_of(row)
            rows = await db.fetch(sql.SUGGESTIONS, *ids)
            for row in rows:
                books.suggestions.setdefault(row["payment_id"], []).append(mapping.suggested_of(row))
    if needs.receipt_keys:
        rows = await db.fetch(sql.RECEIPT_KEYS, *_pairs(needs.receipt_keys))
        for row in rows:
            if row["payment_id"] in books.receipts:
                books.receipt_ids_by_key.setdefault((row["company"], row["key"]), set()).add(row["payment_id"])


async def _documents(db: asyncpg.Connection, books: Books, needs: Needs) -> None:
    ids = needs.documents | needs.cancelled
    if ids:
        rows = await db.fetch(sql.DOCUMENTS, *_pairs(ids))
        for row in rows:
            books.documents[row["document_id"]] = mapping.document_of(row)
    if needs.disputes:
        rows = await db.fetch(sql.DISPUTES, *_pairs(needs.disputes))
        for row in rows:
            books.disputes[row["dispute_id"]] = (
                row["company"],
                row["dispute_id"],
                row["item_id"],
                row["version"],
                row["held_minor"],
            )


async def _money_beside(db: asyncpg.Connection, books: Books, needs: Needs, found: Found) -> None:
    if books.locked:
        rows = await db.fetch(sql.CASH, *_pairs(books.locked))
        for row in rows:
            cash = AccountCash(
                row["company"],
                row["account_id"],
                row["currency"],
                row["unapplied_minor"],
                row["on_account_minor"],
                row["version"],
            )
            books.cash[cash.company, cash.account_id, cash.currency] = cash
    origins = needs.origins | found.payments
    if origins or needs.groups:
        rows = await db.fetch(sql.CANDIDATES, *_pairs(origins), *_pairs(needs.groups))
        for row in rows:
            candidate = mapping.candidate_of(row)
            books.candidates.setdefault(candidate.origin_id, {})[candidate.account_id] = candidate
    if needs.debits or needs.debit_keys or needs.payments:
        companies = sorted({company for company, _ in needs.debits | needs.debit_keys | needs.payments})
        keys = sorted({key for _, key in needs.debit_keys})
        payments = [payment for _, payment in needs.payments]
        rows = await db.fetch(sql.OPEN_DEBITS, *_pairs(needs.debits), keys, companies, payments)
        for row in rows:
            books.open_debits[row["debit_id"]] = mapping.debit_of(row)
    if needs.touched or needs.payable:
        payable = sorted(needs.payable)
        columns = [[row[n] for row in payable] for n in range(3)]
        since = _days_before(needs.on, REFUND_DAYS)
        accounts = _pairs(books.locked)
        rows = await db.fetch(sql.REFUNDS, *_pairs(needs.touched), *columns, *accounts, since)
        for row in rows:
            books.refunds[row["refund_id"]] = mapping.refund_of(row)
        await approvals.load(db, books, needs)


async def _alike(db: asyncpg.Connection, books: Books, needs: Needs) -> None:
    """Receipts of the same amount a few days around: a second payment of the same thing must be seen."""
    wanted: dict[tuple[str, str, int], list[date]] = {}
    for view in needs.views.values():
        wanted.setdefault((view.company, view.currency, view.amount_minor), []).append(view.valued_on)
    if not wanted:
        return
    keys = sorted(wanted)
    first = [_days_before(min(wanted[key]), ALIKE_DAYS) for key in keys]
    last = [max(wanted[key]) + timedelta(days=ALIKE_DAYS) for key in keys]
    columns = [[key[n] for key in keys] for n in range(3)]
    rows = await db.fetch(sql.ALIKE, *columns, first, last, ALIKE_MAX)
    for row in rows:
        documents = tuple(sorted(str(document) for document in row["documents"]))
        alike = mapping.alike_of(row, documents)
        books.lookalikes.setdefault((row["company"], row["currency"], row["amount_minor"]), []).append(alike)


async def _at_close(db: asyncpg.Connection, books: Books, needs: Needs) -> None:
    """What only the run at a day's close looks at: cash of the same amount that waits, and whether cash of a later day
    is booked already, so that what is open now says nothing of the day that closes."""
    if not needs.days:
        return
    amounts = sorted({(view.company, view.currency, view.open_minor) for view in needs.views.values()})
    rows = await db.fetch(sql.WAITING_ALIKE, *([key[n] for key in amounts] for n in range(3)), WAITING_ALIKE_MAX)
    for row in rows:
        key = (row["company"], row["currency"], row["open_minor"])
        books.waiting_alike.setdefault(key, []).append(mapping.alike_of(row))
    companies, dates = [company for company, _ in needs.days], [on for _, on in needs.days]
    books.beyond = {row["company"] for row in await db.fetch(sql.BEYOND, companies, dates)}


def _days_before(on: date, days: int) -> date:
    return on - timedelta(days=days) if on > date.min + timedelta(days=days) else date.min


def _check_whole(books: Books, found: Found) -> None:
    """What a live application names, and every account on which cash of a payment that may move lies, must have been
    found and locked by the first reading."""
    for company, payment_id in found.movable:
        receipt = books.receipts.get(payment_id)
        for account_id in (receipt.account_id, *receipt.parts) if receipt is not None else ():
            if account_id and (company, account_id) not in books.locked:
                raise Transient(f"cash of payment {payment_id} was moved to account {account_id} meanwhile; read again")
    missing: list[UUID] = []
    for rows in books.applied.values():
        for row in rows:
            item = books.items.get(row.item_id)
            whole = item is not None and (item.company, item.account_id) in books.locked
            deduction = row.deduction_item_id is None or row.deduction_item_id in books.items
            if not whole or not deduction or row.payment_id not in books.receipts:
                missing.append(row.posting_id)
    if missing:
        raise Transient(f"entry {missing[0]} was posted while its accounts were being locked; the batch is read again")
