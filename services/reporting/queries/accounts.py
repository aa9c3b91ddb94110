"""One account: its header, contacts, payments, activities, and its statement with opening and closing balance."""

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting.queries.as_of import Cut, cash_off_items, open_items
from services.reporting.tables import (
    account,
    activity,
    contact,
    contact_refusal,
    escalation,
    item,
    item_posting,
    payment,
    payment_part,
    payment_posting,
    receipt,
)

ROWS_MAX = 500


async def _rows(db: AsyncConnection, query: sa.Select) -> list[sa.RowMapping]:
    return list((await db.execute(query)).mappings())


async def account_by_id(db: AsyncConnection, company: str, account_id: str) -> sa.RowMapping | None:
    query = sa.select(account).where(account.c.company == company, account.c.account_id == account_id)
    return (await db.execute(query)).mappings().first()


async def search(
    db: AsyncConnection, cut: Cut, text: str, after: tuple[Any, ...] | None, limit: int
) -> list[dict[str, Any]]:
    """Accounts by part of the name or number, or by a document's number, with what is open in each currency."""
    a = account
    query = sa.select(a.c.account_id, a.c.name, a.c.country, a.c.industry, a.c.collector, a.c.status).where(
        a.c.company == cut.company
    )
    if text:
        part = f"%{_literal(text.lower())}%"
        numbered = sa.select(item.c.account_id).where(item.c.company == cut.company, item.c.number == text)
        query = query.where(
            sa.or_(
                sa.func.lower(a.c.name).like(part, escape="\\"),
                sa.func.lower(a.c.account_id).like(part, escape="\\"),
                a.c.account_id.in_(numbered),
            )
        )
    if after:
        query = query.where(sa.tuple_(a.c.name, a.c.account_id) > sa.tuple_(*after))
    found = await _rows(db, query.order_by(a.c.name, a.c.account_id).limit(limit))
    balances = await _open_of(db, cut, [row["account_id"] for row in found])
    return [{**row, "open": balances.get(row["account_id"], [])} for row in found]


async def _open_of(db: AsyncConnection, cut: Cut, account_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Open and overdue amounts of accounts, by currency."""
    if not account_ids:
        return {}
    found = open_items(cut, *account_ids)
    sign = sa.case((item.c.side == "debit", 1), else_=-1)
    late = sa.and_(item.c.side == "debit", item.c.due_on < cut.on)
    overdue = sa.func.coalesce(sa.func.sum(found.c.remaining_minor).filter(late), 0)
    query = (
        sa.select(
            item.c.account_id,
            item.c.currency,
            sa.cast(sa.func.sum(sign * found.c.remaining_minor), sa.BigInteger).label("open_minor"),
            sa.cast(overdue, sa.BigInteger).label("overdue_minor"),
        )
        .select_from(found.join(item, sa.and_(item.c.company == cut.company, item.c.item_id == found.c.item_id)))
        .group_by(item.c.account_id, item.c.currency)
        .order_by(item.c.account_id, item.c.currency)
    )
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in await _rows(db, query):
        grouped.setdefault(row["account_id"], []).append({name: row[name] for name in _OPEN})
    return grouped


_OPEN = ("currency", "open_minor", "overdue_minor")


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def contacts(db: AsyncConnection, company: str, account_id: str) -> list[sa.RowMapping]:
    """Contacts, with the channels on which an address was refused for good."""
    refusals = (
        sa.select(sa.func.count())
        .where(
            contact_refusal.c.company == contact.c.company,
            contact_refusal.c.account_id == contact.c.account_id,
            contact_refusal.c.contact_id == contact.c.contact_id,
        )
        .scalar_subquery()
    )
    query = sa.select(*contact.c, refusals.label("refusals")).where(
        contact.c.company == company, contact.c.account_id == account_id
    )
    return await _rows(db, query.order_by(contact.c.contact_id).limit(ROWS_MAX))


async def payments_of(db: AsyncConnection, company: str, account_id: str, limit: int) -> list[sa.RowMapping]:
    """Payments with a share of the account, newest first."""
    part = payment_part
    one = sa.and_(payment.c.company == part.c.company, payment.c.payment_id == part.c.payment_id)
    line = sa.and_(receipt.c.company == part.c.company, receipt.c.payment_id == part.c.payment_id)
    query = (
        sa.select(
            part.c.payment_id,
            part.c.currency,
            part.c.bank_account,
            part.c.applied_minor,
            part.c.unapplied_minor,
            part.c.on_account_minor,
            payment.c.amount_minor,
            payment.c.returned_minor,
            payment.c.rule,
            payment.c.automatic,
            payment.c.status,
            payment.c.valued_on,
            receipt.c.payer_name,
            receipt.c.remittance_text,
        )
        .select_from(part.outerjoin(payment, one).outerjoin(receipt, line))
        .where(part.c.company == company, part.c.account_id == account_id)
        .order_by(payment.c.valued_on.desc().nulls_last(), part.c.payment_id)
        .limit(limit)
    )
    return await _rows(db, query)


async def cash_on_account(db: AsyncConnection, cut: Cut, account_id: str) -> list[sa.RowMapping]:
    """Cash of the account on no item, by currency."""
    return await _rows(db, sa.select(cash_off_items(cut, account_id)))


async def activities(db: AsyncConnection, company: str, account_id: str, limit: int) -> list[sa.RowMapping]:
    """What was done and noted, newest first; what a correction superseded is left out."""
    newer = activity.alias()
    superseded = sa.exists().where(newer.c.company == company, newer.c.supersedes == activity.c.activity_id)
    query = sa.select(activity).where(activity.c.company == company, activity.c.account_id == account_id, ~superseded)
    return await _rows(db, query.order_by(activity.c.done_on.desc(), activity.c.known_at.desc()).limit(limit))


async def escalations(db: AsyncConnection, company: str, account_id: str) -> list[sa.RowMapping]:
    e = escalation
    query = sa.select(e).where(e.c.company == company, e.c.account_id == account_id)
    return await _rows(db, query.order_by(e.c.raised_on.desc(), e.c.level.desc()).limit(ROWS_MAX))


async def balances_at(db: AsyncConnection, cut: Cut, account_id: str) -> dict[str, int]:
    """Balance by currency: open debit less open credit items less cash on no item."""
    found = open_items(cut, account_id)
    sign = sa.case((item.c.side == "debit", 1), else_=-1)
    total = sa.cast(sa.func.sum(sign * found.c.remaining_minor), sa.BigInteger).label("minor")
    same = sa.and_(item.c.company == cut.company, item.c.item_id == found.c.item_id)
    query = sa.select(item.c.currency, total).select_from(found.join(item, same)).group_by(item.c.currency)
    balances = {row["currency"]: row["minor"] for row in await _rows(db, query)}
    for row in await cash_on_account(db, cut, account_id):
        balances[row["currency"]] = balances.get(row["currency"], 0) - row["minor"]
    return balances


async def statement(
    db: AsyncConnection, cut: Cut, account_id: str, from_on: date
) -> tuple[dict[str, int], list[sa.RowMapping], dict[str, int]]:
    """Opening balances of the day before `from_on`, lines up to the cut, closing balances; all by currency.

    Lines: documents opened, cash by payment and day, and every other relief of items by kind.
    """
    before = Cut(cut.company, from_on - timedelta(days=1), cut.known_at)
    opening = await balances_at(db, before, account_id)
    closing = await balances_at(db, cut, account_id)
    lines = sa.union_all(
        _documents(cut, account_id, from_on), _other_relief(cut, account_id, from_on), _cash(cut, account_id, from_on)
    ).subquery()
    query = sa.select(lines).order_by(lines.c.day, lines.c.rank, lines.c.reference, lines.c.thing_id).limit(5_000)
    return opening, await _rows(db, query), closing


def _within(cut: Cut, table: sa.Table, account_id: str, from_on: date) -> sa.ColumnElement[bool]:
    held = [table.c.known_at <= cut.known_at] if cut.known_at is not None else []
    return sa.and_(
        table.c.company == cut.company,
        table.c.account_id == account_id,
        table.c.accounted_on.between(from_on, cut.on),
        *held,
    )


def _sign() -> sa.ColumnElement[int]:
    return sa.case((item_posting.c.side == "debit", 1), else_=-1)


def _documents(cut: Cut, account_id: str, from_on: date) -> sa.Select:
    p = item_posting
    relief = sa.func.jsonb_each_text(p.c.relief_delta).table_valued("key", "value").lateral()
    taken = sa.select(sa.func.coalesce(sa.func.sum(sa.cast(relief.c.value, sa.BigInteger)), 0)).select_from(relief)
    opened = p.c.remaining_delta_minor + taken.scalar_subquery()
    same = sa.and_(item.c.company == p.c.company, item.c.item_id == p.c.item_id)
    return (
        sa.select(
            p.c.accounted_on.label("day"),
            sa.literal(1).label("rank"),
            item.c.kind.label("kind"),
            item.c.number.label("reference"),
            p.c.currency,
            (_sign() * opened).label("amount_minor"),
            item.c.due_on.label("due_on"),
            p.c.item_id.label("thing_id"),
        )
        .select_from(p.join(item, same))
        .where(_within(cut, p, account_id, from_on), opened != 0)
    )


def _other_relief(cut: Cut, account_id: str, from_on: date) -> sa.Select:
    p = item_posting
    relief = sa.func.jsonb_each_text(p.c.relief_delta).table_valued("key", "value").lateral()
    total = sa.cast(sa.func.sum(-_sign() * sa.cast(relief.c.value, sa.BigInteger)), sa.BigInteger)
    same = sa.and_(item.c.company == p.c.company, item.c.item_id == p.c.item_id)
    number = sa.func.min(item.c.number)
    return (
        sa.select(
            p.c.accounted_on,
            sa.literal(3),
            relief.c.key,
            number,
            p.c.currency,
            total,
            sa.null(),
            sa.func.coalesce(p.c.posting_id, p.c.item_id),
        )
        .select_from(p.join(item, same).join(relief, sa.true()))
        .where(_within(cut, p, account_id, from_on), relief.c.key != "cash")
        .group_by(p.c.accounted_on, relief.c.key, p.c.currency, sa.func.coalesce(p.c.posting_id, p.c.item_id))
        .having(total != 0)
    )


def _cash(cut: Cut, account_id: str, from_on: date) -> sa.Select:
    m = payment_posting
    line = sa.and_(receipt.c.company == m.c.company, receipt.c.payment_id == m.c.payment_id)
    total = sa.cast(-sa.func.sum(m.c.delta_minor), sa.BigInteger)
    kind = sa.case((total <= 0, "cash"), else_="cash_taken_back")
    return (
        sa.select(
            m.c.accounted_on,
            sa.literal(2),
            kind,
            sa.func.coalesce(sa.func.min(receipt.c.remittance_text), ""),
            m.c.currency,
            total,
            sa.null(),
            m.c.payment_id,
        )
        .select_from(m.outerjoin(receipt, line))
        .where(_within(cut, m, account_id, from_on))
        .group_by(m.c.accounted_on, m.c.currency, m.c.payment_id)
        .having(total != 0)
    )
