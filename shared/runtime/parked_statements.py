"""The SQL of parked keys as persons see and decide them: what stands first, what waits behind it, skips asked for."""

SKIP_KIND = "skip_event"

PLACE = """format('%s/%s@%s', topic, partition, "offset")"""
LETTER_SHA = f"encode(sha256(convert_to({PLACE} || ' ' || key, 'UTF8') || headers || value), 'hex')"
"""What an approval of a skip is bound to: place, key, headers and value of the letter."""

# $1 key, $2 the topics in the order in which the service reads them.
HEAD = f"""
select topic, partition, "offset", event_id, event_type, {PLACE} as place, {LETTER_SHA} as sha256
from dead_letter where key = $1
order by first_failed_at, array_position($2::text[], topic), partition, "offset" limit 1
"""

# $1 companies, $2 and $3 the key after which to go on, $4 limit, $5 topics as above.
PARKED_OF = f"""
select p.key, p.company, p.account_id, p.code, p.error, p.since_at, h.topic, h.partition, h."offset", h.event_id,
    h.event_type, h.sha256, coalesce(b.behind, '{{}}') as behind,
    a.requested_by, a.requested_at, a.reason, a.body_hash as asked_sha256
from parked_key p
left join lateral (
    select topic, partition, "offset", event_id, event_type, {PLACE} as place, {LETTER_SHA} as sha256
    from dead_letter d where d.key = p.key
    order by first_failed_at, array_position($5::text[], topic), partition, "offset" limit 1) h on true
left join lateral (
    select jsonb_object_agg(event_type, letters order by event_type) as behind from (
        select event_type, count(*) as letters from dead_letter d
        where d.key = p.key and (d.topic, d.partition, d."offset") <> (h.topic, h.partition, h."offset")
        group by event_type) as waiting) b on true
left join approval a on a.company = p.company and a.kind = '{SKIP_KIND}' and a.subject_id = h.place
    and a.outcome = 'pending'
where p.company = any($1::text[]) and ($2::timestamptz is null or (p.since_at, p.key) > ($2::timestamptz, $3::text))
order by p.since_at, p.key limit $4
"""
ALL_COMPANIES = "select coalesce(array_agg(distinct company), '{}') from parked_key"
# Accounts before what has none: a payment that is run again should find its account free.
KEYS_OF = """
select key from parked_key where company = any($1::text[]) order by account_id is null, since_at, key limit $2
"""
COMPANY_OF = "select company from parked_key where key = $1"
PARKED_FOR_UPDATE = "select key, company, account_id from parked_key where key = $1 for update"
COUNT_LETTERS = "select count(*) from dead_letter where key = $1"

ASK_SKIP = f"""
insert into approval (company, id, kind, subject_id, body_hash, customer_id, reason_code, requested_by,
    requested_on_behalf_of, requested_at, reason)
values ($1, $2, '{SKIP_KIND}', $3, $4, $5, 'cannot_be_digested', $6, $7, $8, $9)
on conflict do nothing returning id
"""
PENDING_SKIP = f"""
select id, company, kind, subject_id, body_hash, customer_id, reason_code, amount_minor, currency, requested_by,
    requested_on_behalf_of, requested_at, outcome, reason
from approval where company = $1 and kind = '{SKIP_KIND}' and subject_id = $2 and outcome = 'pending' for update
"""
DECIDE_SKIP = """
update approval set outcome = $3, decided_by = $4, decided_on_behalf_of = $5, decided_at = $6
where company = $1 and id = $2
"""
CURSOR = "select next_offset from kafka_cursor where topic = $1 and partition = $2"
STEP_KIND = "step_over"
ASK_STEP = f"""
insert into approval (company, id, kind, subject_id, body_hash, customer_id, reason_code, requested_by,
    requested_on_behalf_of, requested_at, reason)
values ($1, $2, '{STEP_KIND}', $3, $4, $5, 'partition_stopped', $6, $7, $8, $9)
on conflict do nothing returning id
"""
PENDING_STEP = f"""
select id, company, kind, subject_id, body_hash, customer_id, reason_code, amount_minor, currency, requested_by,
    requested_on_behalf_of, requested_at, outcome, reason
from approval where company = $1 and kind = '{STEP_KIND}' and subject_id = $2 and outcome = 'pending' for update
"""
STEP_OVER = """
update kafka_cursor set next_offset = $4 where topic = $1 and partition = $2 and next_offset = $3
returning next_offset
"""
