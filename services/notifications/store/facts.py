"""Writes of the copies: accounts, contacts, items, balances, cash candidates and covers. One statement per table.

A copy with a version is replaced only by a higher one, so that a fact read twice or late changes nothing.
"""

import asyncpg

from services.notifications.domain.rows import Rows
from services.notifications.store.lists import json_texts

SAVE_ACCOUNTS = """
insert into account (company, account_id, name, debtor_kind, country, language, time_zone, status)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
on conflict (company, account_id) do update set name = excluded.name, debtor_kind = excluded.debtor_kind,
    country = excluded.country, language = excluded.language, time_zone = excluded.time_zone, status = excluded.status
"""

SAVE_CONTACTS = """
insert into contact (company, account_id, contact_id, name, email, language, time_zone, channels, consents, valid)
select c.company, c.account_id, c.contact_id, c.name, c.email, c.language, c.time_zone,
       array(select jsonb_array_elements_text(c.channels::jsonb)),
       array(select jsonb_array_elements_text(c.consents::jsonb)), c.valid
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::bool[])
    as c(company, account_id, contact_id, name, email, language, time_zone, channels, consents, valid)
on conflict (company, account_id, contact_id) do update set name = excluded.name, email = excluded.email,
    language = excluded.language, time_zone = excluded.time_zone, channels = excluded.channels,
    consents = excluded.consents, valid = excluded.valid, refused = contact.refused and contact.email = excluded.email
"""

REFUSE_CONTACTS = """
update contact c set refused = true
from unnest($1::text[], $2::text[], $3::text[]) as r(company, account_id, contact_id)
where c.company = r.company and c.account_id = r.account_id and c.contact_id = r.contact_id
"""

SAVE_ITEMS = """
insert into item (company, item_id, account_id, version, side, number, currency, remaining_minor, disputed_minor,
                  due_on)
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[],
                     $9::bigint[], $10::date[])
on conflict (company, item_id) do update set account_id = excluded.account_id, version = excluded.version,
    side = excluded.side, number = excluded.number, currency = excluded.currency,
    remaining_minor = excluded.remaining_minor, disputed_minor = excluded.disputed_minor, due_on = excluded.due_on
where item.version < excluded.version
"""

SAVE_BALANCES = """
insert into balance (company, account_id, currency, version, unapplied_minor, on_account_minor)
select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (company, account_id, currency) do update set version = excluded.version,
    unapplied_minor = excluded.unapplied_minor, on_account_minor = excluded.on_account_minor
where balance.version < excluded.version
"""

SAVE_CANDIDATES = """
insert into candidate (company, candidate_id, account_id, amount_minor, currency, source, since_on, live)
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::date[], $8::bool[])
on conflict (company, candidate_id) do update set account_id = excluded.account_id,
    amount_minor = excluded.amount_minor, currency = excluded.currency, source = excluded.source,
    since_on = excluded.since_on, live = excluded.live
"""

CLEAR_CANDIDATES = """
update candidate c set live = false
from unnest($1::text[], $2::uuid[], $3::text[]) as g(company, candidate_id, account_id)
where c.company = g.company and c.candidate_id = g.candidate_id and c.account_id = g.account_id
"""

SAVE_COVERS = """
insert into cover (company, kind, cover_id, account_id, version, live, items, currency, disputed_minor)
select c.company, c.kind, c.cover_id, c.account_id, c.version, c.live,
       array(select jsonb_array_elements_text(c.items::jsonb)::uuid), c.currency, c.disputed_minor
from unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::bool[], $7::text[], $8::text[],
            $9::bigint[]) as c(company, kind, cover_id, account_id, version, live, items, currency, disputed_minor)
on conflict (company, kind, cover_id) do update set account_id = excluded.account_id, version = excluded.version,
    live = excluded.live, items = excluded.items, currency = excluded.currency, disputed_minor = excluded.disputed_minor
where cover.version <= excluded.version
"""


async def save_facts(db: asyncpg.Connection, rows: Rows) -> None:
    """Write the copies of a batch: at most one statement per table."""
    await _save_debtors(db, rows)
    await _save_ledger(db, rows)
    covers = list(rows.covers.values())
    if covers:
        await db.execute(
            SAVE_COVERS,
            [c.company for c in covers],
            [c.kind for c in covers],
            [c.cover_id for c in covers],
            [c.account_id for c in covers],
            [c.version for c in covers],
            [c.live for c in covers],
            json_texts(c.items for c in covers),
            [c.currency for c in covers],
            [c.disputed_minor for c in covers],
        )


async def _save_debtors(db: asyncpg.Connection, rows: Rows) -> None:
    accounts = list(rows.accounts.values())
    if accounts:
        await db.execute(
            SAVE_ACCOUNTS,
            [a.company for a in accounts],
            [a.account_id for a in accounts],
            [a.name for a in accounts],
            [a.debtor_kind for a in accounts],
            [a.country for a in accounts],
            [a.language for a in accounts],
            [a.time_zone for a in accounts],
            [a.status for a in accounts],
        )
    contacts = list(rows.contacts.values())
    if contacts:
        await db.execute(
            SAVE_CONTACTS,
            [c.company for c in contacts],
            [c.account_id for c in contacts],
            [c.contact_id for c in contacts],
            [c.name for c in contacts],
            [c.email for c in contacts],
            [c.language for c in contacts],
            [c.time_zone for c in contacts],
            json_texts(c.channels for c in contacts),
            json_texts(c.consents for c in contacts),
            [c.valid for c in contacts],
        )
    refused = sorted(rows.refused)
    if refused:
        await db.execute(REFUSE_CONTACTS, [r[0] for r in refused], [r[1] for r in refused], [r[2] for r in refused])


async def _save_ledger(db: asyncpg.Connection, rows: Rows) -> None:
    items = list(rows.items.values())
    if items:
        await db.execute(
            SAVE_ITEMS,
            [i.company for i in items],
            [i.item_id for i in items],
            [i.account_id for i in items],
            [i.version for i in items],
            [i.side for i in items],
            [i.number for i in items],
            [i.currency for i in items],
            [i.remaining_minor for i in items],
            [i.disputed_minor for i in items],
            [i.due_on for i in items],
        )
    balances = list(rows.balances.values())
    if balances:
        await db.execute(
            SAVE_BALANCES,
            [b.company for b in balances],
            [b.account_id for b in balances],
            [b.currency for b in balances],
            [b.version for b in balances],
            [b.unapplied_minor for b in balances],
            [b.on_account_minor for b in balances],
        )
    await _save_candidates(db, rows)


async def _save_candidates(db: asyncpg.Connection, rows: Rows) -> None:
    candidates = list(rows.candidates.values())
    if candidates:
        await db.execute(
            SAVE_CANDIDATES,
            [c.data.company for c in candidates],
            [c.data.candidate_id for c in candidates],
            [c.data.account_id for c in candidates],
            [c.data.amount_minor for c in candidates],
            [c.data.currency for c in candidates],
            [c.data.source for c in candidates],
            [c.since_on for c in candidates],
            [c.live for c in candidates],
        )
    cleared = sorted(rows.cleared)
    if cleared:
        await db.execute(CLEAR_CANDIDATES, [c[0] for c in cleared], [c[1] for c in cleared], [c[2] for c in cleared])
