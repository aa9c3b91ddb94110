"""Reads of the transaction: what stands unlocked to find candidates, the locks, and everything read again under them.

Every statement takes arrays; ids come as (company, id) pairs, so that nothing of another company is ever found.
"""

from shared.runtime.start_statements import FROZEN

KEY_ROWS_MAX = 200
"""Items or accounts that one lookup key may bring."""

WORD_ACCOUNTS_MAX = 20
"""A word that stands in more names than this tells nobody from anybody; its accounts are left out."""

IS_FROZEN = FROZEN.format(key="receipt.company || '/' || receipt.payment_id")

WAITING_RECEIPTS = f"""
select r.* from unnest($1::text[], $2::date[]) as d(company, "on")
cross join lateral (
  select * from receipt where company = d.company and open_minor > 0 and business_date <= d."on"
    and (tried_on is null or tried_on < d."on") and not {IS_FROZEN}
  order by tried_on nulls first, valued_on, payment_id limit $3
) as r
"""

WAITING_DEBITS = """
select company, debit_id, keys, payment_id from open_debit
where company = any($1::text[]) and left_minor > 0 and (keys <> '{}' or payment_id is not null)
order by valued_on desc, debit_id limit $2
"""

ITEM_KEYS = """
select k.company, k.key, k.item_id, k.account_id
from unnest($1::text[], $2::text[]) as wanted(company, key)
cross join lateral (
  select * from item_lookup_key i where i.company = wanted.company and i.key = wanted.key limit $3
) as k
"""

ACCOUNTS_BY_KEY = """
select k.key, a.* from unnest($1::text[], $2::text[]) as wanted(company, key)
cross join lateral (
  select * from account_lookup_key i where i.company = wanted.company and i.key = wanted.key limit $3
) as k
join account a on a.company = k.company and a.account_id = k.account_id
"""

LINKS = """
select l.company, l.account_id, l.to_account_id from account_link l
join unnest($1::text[], $2::text[]) as wanted(company, account_id) using (company, account_id)
where l.kind = 'pays_for' and (l.from_on is null or l.from_on <= $3) and (l.to_on is null or l.to_on >= $3)
"""

CONCERNED = """
with payment as (
    select company, payment_id from unnest($1::text[], $2::uuid[]) as p(company, payment_id)
    union
    select k.company, k.payment_id from receipt_key k
    join unnest($3::text[], $4::text[]) as wanted(company, key) using (company, key)
), item as (
    select company, item_id from unnest($5::text[], $6::uuid[]) as i(company, item_id)
    union
    select o.company, o.item_id from open_item o
    join unnest($7::text[], $8::uuid[]) as wanted(company, document_id) using (company, document_id)
), cancelled as (
    select o.company, o.item_id from open_item o
    join unnest($9::text[], $10::uuid[]) as wanted(company, document_id) using (company, document_id)
), live as (
    select a.company, a.payment_id, a.item_id, a.deduction_item_id from payment p
    join application a on a.payment_id = p.payment_id and a.company = p.company and a.reversed_by is null
    union
    select a.company, a.payment_id, a.item_id, a.deduction_item_id from cancelled c
    join application a on a.item_id = c.item_id and a.company = c.company and a.reversed_by is null
), credit as (
    select u.company, u.credit_item_id, u.debit_item_id from cancelled c
    join credit_use u on (u.credit_item_id = c.item_id or u.debit_item_id = c.item_id)
      and u.company = c.company and u.reversed_by is null
), proposal as (
    select s.company, k::uuid as item_id from payment p
    join suggestion s using (company, payment_id) cross join lateral jsonb_object_keys(s.items) as k
), items as (
    select company, item_id from item union select company, item_id from cancelled
    union select company, item_id from live
    union select company, deduction_item_id from live where deduction_item_id is not null
    union select company, credit_item_id from credit union select company, debit_item_id from credit
    union select company, item_id from proposal
), payments as (select company, payment_id from payment union select company, payment_id from live)
select 'item' as what, i.company, i.item_id as id, o.account_id
  from items i join open_item o on o.company = i.company and o.item_id = i.item_id
union all
select 'payment', p.company, p.payment_id, r.account_id
  from payments p join receipt r on r.company = p.company and r.payment_id = p.payment_id
union all
select 'part', p.company, p.payment_id, r.account_id
  from payments p join receipt_part r on r.company = p.company and r.payment_id = p.payment_id
"""

NEW_ACCOUNTS = """
insert into account (company, account_id)
select company, account_id from unnest($1::text[], $2::text[]) as a(company, account_id)
on conflict do nothing
"""

LOCK_ACCOUNTS = """
select a.* from account a join unnest($1::text[], $2::text[]) as wanted(company, account_id)
  using (company, account_id) order by company, account_id for update of a
"""

SNAPSHOT = """
select pg_current_snapshot()::text as snapshot, exists (select 1 from unbooked_cash) as unbooked
"""

UNBOOKED_WAITING = """
select u.* from unnest($1::text[]) as d(company)
cross join lateral (
  select * from unbooked_cash i where i.company = d.company order by i.since_on desc, i.origin_id desc limit $2
) as u
"""

UNBOOKED_MET = """
select u.* from unbooked_cash u where u.company = any($1::text[]) and u.keys && $2::text[]
  order by u.since_on desc, u.origin_id desc limit $3
"""

# Locked: two bookings at once end two announcements. Taken after the locks of accounts, in order.
UNBOOKED_ENDING = """
select u.* from unbooked_cash u
where u.company = any($1::text[]) and (u.group_id = any($2::text[]) or u.keys && $2::text[])
order by u.company, u.origin_id for update of u
"""

# One that is locked is being booked.
ANNOUNCED_OVER = """
select u.* from unnest($1::text[], $2::date[]) as d(company, "on")
join unbooked_cash u on u.company = d.company and u.source = 'announced'
  and greatest(u.valued_on, u.since_on) < d."on" - $3::int
order by u.company, u.origin_id limit $4 for update of u skip locked
"""

ITEMS = """
select o.* from open_item o join unnest($1::text[], $2::uuid[]) as wanted(company, item_id) using (company, item_id)
union all
select o.* from open_item o join unnest($3::text[], $4::text[]) as wanted(company, account_id)
  using (company, account_id) where o.remaining_minor > 0 and o.business_date <= $5
union all
select o.* from open_item o join unnest($6::text[], $7::uuid[]) as wanted(company, document_id)
  using (company, document_id)
"""

AMOUNT_ITEMS = """
select o.* from unnest($1::text[], $2::bpchar[], $3::bigint[]) as wanted(company, currency, amount_minor)
cross join lateral (
  select * from open_item i where i.company = wanted.company and i.currency = wanted.currency
    and i.remaining_minor = wanted.amount_minor and i.remaining_minor > 0 and i.business_date <= $4 limit $5
) as o
"""

RECEIPTS = """
select r.* from receipt r join unnest($1::text[], $2::uuid[]) as wanted(company, payment_id)
  using (company, payment_id) order by company, payment_id for update of r
"""

PARTS = """
select p.* from receipt_part p join unnest($1::text[], $2::uuid[]) as wanted(company, payment_id)
  using (company, payment_id)
"""

RECEIPT_KEYS = """
select k.company, k.key, k.payment_id from receipt_key k
join unnest($1::text[], $2::text[]) as wanted(company, key) using (company, key)
"""

APPLICATIONS = """
select a.* from application a join posting p using (posting_id)
where a.reversed_by is null and (a.payment_id = any($1::uuid[]) or a.item_id = any($2::uuid[]))
  and a.company = any($3::text[]) order by p.accounted_on, p.xid, a.posting_id, a.item_id
"""

CREDIT_USES = """
select * from credit_use where reversed_by is null and company = any($2::text[])
  and (credit_item_id = any($1::uuid[]) or debit_item_id = any($1::uuid[]))
"""

CASH = """
select c.* from account_cash c join unnest($1::text[], $2::text[]) as wanted(company, account_id)
  using (company, account_id)
"""

CANDIDATES = """
select c.* from candidate c join unnest($1::text[], $2::uuid[]) as wanted(company, origin_id) using (company, origin_id)
union
select c.* from candidate c join unnest($3::text[], $4::text[]) as wanted(company, group_id) using (company, group_id)
  where c.open and c.group_id <> ''
"""

SUGGESTIONS = """
select s.* from suggestion s join unnest($1::text[], $2::uuid[]) as wanted(company, payment_id)
  using (company, payment_id) order by s.payment_id, s.rank
"""

DOCUMENTS = """
select d.* from document d join unnest($1::text[], $2::uuid[]) as wanted(company, document_id)
  using (company, document_id)
"""

WAITS = """
select w.* from document_wait w join unnest($1::text[], $2::uuid[]) as wanted(company, document_id)
  using (company, document_id) order by w.kind desc, w.other_id
"""

WAITS_MET = """
select distinct w.company, w.document_id from document_wait w join document d using (company, document_id)
where w.company = any($1::text[]) order by 1, 2 limit $2
"""

OPEN_DEBITS = """
with found as (
  select company, debit_id from unnest($1::text[], $2::uuid[]) as wanted(company, debit_id)
  union
  select company, debit_id from open_debit where left_minor > 0 and company = any($4::text[])
    and (keys && $3::text[] or payment_id = any($5::uuid[]))
)
select d.* from open_debit d join found using (company, debit_id) order by company, debit_id for update of d
"""

REFUNDS = """
with found as (
  select f.company, f.refund_id from refund f
  join unnest($1::text[], $2::uuid[]) as wanted(company, payment_id) using (company, payment_id)
  union
  select f.company, f.refund_id from refund f join unnest($3::text[], $4::text[], $5::bigint[])
    as wanted(company, bank_account, amount_minor) using (company, bank_account, amount_minor)
    where f.status = 'approved'
  union
  select f.company, f.refund_id from refund f
  join unnest($6::text[], $7::text[]) as wanted(company, account_id) using (company, account_id)
    where f.status <> 'requested' and f.approved_on >= $8
)
select f.* from refund f join found using (company, refund_id) order by company, refund_id for update of f
"""

DISPUTES = """
select d.* from item_dispute d join unnest($1::text[], $2::uuid[]) as wanted(company, dispute_id)
  using (company, dispute_id)
"""

PARKED = "select company, account_id from parked_key where key = any($1::text[]) and account_id is not null"

WAITING_ALIKE = """
select r.* from unnest($1::text[], $2::bpchar[], $3::bigint[]) as wanted(company, currency, amount_minor)
cross join lateral (
  select * from receipt i where i.company = wanted.company and i.currency = wanted.currency
    and i.open_minor = wanted.amount_minor and i.open_minor <> 0 and not i.by_person
  order by i.business_date desc, i.payment_id desc limit $4
) as r
"""

BEYOND = """
select d.company from unnest($1::text[], $2::date[]) as d(company, "on")
where exists (select 1 from receipt r where r.company = d.company and r.business_date > d."on")
"""

ALIKE = """
select r.payment_id, r.company, r.currency, r.amount_minor, r.open_minor, r.account_id, r.valued_on, r.view,
  (select coalesce(array_agg(distinct o.document_id), '{}') from application a join open_item o using (company, item_id)
   where a.payment_id = r.payment_id and a.company = r.company) as documents
from unnest($1::text[], $2::bpchar[], $3::bigint[], $4::date[], $5::date[])
  as wanted(company, currency, amount_minor, first_on, last_on)
cross join lateral (
  select * from receipt i where i.company = wanted.company and i.currency = wanted.currency
    and i.amount_minor = wanted.amount_minor and i.valued_on between wanted.first_on and wanted.last_on
  order by i.valued_on desc, i.payment_id limit $6
) as r
"""
