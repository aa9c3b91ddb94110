"""Approvals of the subledger: those of the refunds in hand, with what was approved for the same customers lately.

Invariant: whoever decides holds the customer, so that two approvals at once never pass one limit together.
"""

from dataclasses import fields
from datetime import UTC, datetime, time, timedelta

import asyncpg

from services.cash_application.domain.books import Books, Written
from services.cash_application.domain.needs import Needs
from services.cash_application.domain.rows import Approval
from shared.approval import WINDOW

ONE_DAY_OF_ANY_ZONE = timedelta(days=2)
"""The rule counts exactly; what is read may begin earlier, wherever the company's midnight lies."""
NAMES = tuple(field.name for field in fields(Approval))

HOLD_CUSTOMERS = """
select pg_advisory_xact_lock(hashtextextended(found.company || '/' || found.customer_id, 7240110)) from (
  select distinct a.company, a.customer_id from approval a
  join unnest($1::text[], $2::text[]) as wanted(company, subject_id) using (company, subject_id)
  order by 1, 2) as found
"""

LOAD = """
select a.* from approval a join unnest($1::text[], $2::text[]) as wanted(company, subject_id)
  using (company, subject_id)
union
select h.* from approval a join unnest($1::text[], $2::text[]) as wanted(company, subject_id)
  using (company, subject_id)
join approval h on h.company = a.company and h.customer_id = a.customer_id and h.reason_code = a.reason_code
  and h.outcome = 'approved' and h.decided_at >= $3::timestamptz
"""

SAVE = """
insert into approval (company, id, kind, subject_id, body_hash, customer_id, reason_code, amount_minor, currency,
  requested_by, requested_on_behalf_of, requested_at, outcome, decided_by, decided_on_behalf_of, decided_at)
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
  $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::text[], $14::text[], $15::text[], $16::timestamptz[])
on conflict (company, id) do update set outcome = excluded.outcome, decided_by = excluded.decided_by,
  decided_on_behalf_of = excluded.decided_on_behalf_of, decided_at = excluded.decided_at
"""


async def load(db: asyncpg.Connection, books: Books, needs: Needs) -> None:
    """The approvals of the refunds that commands of the batch decide, and the history their limits count."""
    if not needs.refunds:
        return
    wanted = sorted((company, str(refund_id)) for company, refund_id in needs.refunds)
    columns = [company for company, _ in wanted], [subject for _, subject in wanted]
    await db.execute(HOLD_CUSTOMERS, *columns)
    since = datetime.combine(needs.on, time(), tzinfo=UTC) - WINDOW - ONE_DAY_OF_ANY_ZONE
    rows = await db.fetch(LOAD, *columns, since)
    for row in rows:
        books.approvals[row["id"]] = Approval(*(row[name] for name in NAMES))


async def save(db: asyncpg.Connection, written: Written) -> None:
    columns = list(zip(*((getattr(a, name) for name in NAMES) for a in written.approvals.values()), strict=True))
    if columns:
        await db.execute(SAVE, *columns)
