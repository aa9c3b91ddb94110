"""The SQL of a start: what the store knows of its own output, what it has lost, and what is frozen for it."""

BEYOND_BACKUP = "beyond_backup"
"""Code of a key that is parked because its output reaches beyond the store."""

FROZEN = f"exists (select from parked_key f where f.code = '{BEYOND_BACKUP}' and f.key = {{key}})"
"""Condition on a row of a service: its Kafka key is frozen."""

FIRST_START = """
select not exists (select from kafka_cursor) and not exists (select from store_start) as first
"""
CURSORS_OF = "select partition, next_offset from kafka_cursor where topic = $1"
# Which of the outputs read from the log the store has written, and which of those it has not yet seen acknowledged.
KNOWN = """
select r.n, coalesce(h.sequence >= r.sequence, false) as known,
    exists (select from outbox o where o.event_id = r.event_id) as waits
from unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[]) with ordinality
    as r(topic, stream, sequence, event_id, n)
left join stream_head h on h.topic = r.topic and h.key = r.stream
order by r.n
"""
NOTE_LOST = """
insert into lost_output (event_id, topic, partition, key, stream, sequence, event_type, subject, payment_key,
    marker_number)
select * from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
                     $9::text[], $10::bigint[])
on conflict do nothing
"""
# An emptied store has lost all that it ever told: that takes as long as it takes, and nothing else works meanwhile. A
# timeout of the transaction that runs already can only be ended, not made longer; each statement has its own.
TAKE_TIME = """
select set_config('statement_timeout', '{}s', true), set_config('transaction_timeout', '0', true)
"""
ANY_LOST = "select exists (select from lost_output)"
LOST = "select event_id from lost_output where event_id = any($1::uuid[])"

ADVANCE_OVER_LOST = """
insert into stream_head (topic, key, sequence)
select topic, stream, max(sequence) from lost_output where not frozen group by topic, stream order by 1, 2
on conflict (topic, key) do update set sequence = greatest(stream_head.sequence, excluded.sequence)
"""
# $1 topics whose keys are frozen, $2 in how many of their partitions every marker stands.
LOST_MARKERS = """
select coalesce(max(number), 0) as last, case when count(*) = $2 then min(number) else 0 end as everywhere
from (select max(marker_number) as number from lost_output
      where topic = any($1::text[]) and marker_number is not null and not frozen group by topic, partition) as lanes
"""
# A payment is frozen under the key of its facts too: what comes for it waits, whatever account it stands on by now.
FREEZE = f"""
with fresh as (update lost_output set frozen = true where not frozen
    returning topic, key, event_type, payment_key, marker_number),
output as (select * from fresh where marker_number is null and topic = any($1::text[])),
concerned as (
    select key, event_type, case when split_part(key, '/', 2) like '~%' then null
                                 else substr(key, strpos(key, '/') + 1) end as account_id
    from output where payment_key is null or split_part(key, '/', 2) not like '~%'
    union all select payment_key, event_type, null from output where payment_key is not null),
counted as (select key, account_id, event_type, count(*) as n from concerned group by 1, 2, 3)
insert into parked_key (key, company, account_id, code, error)
select key, split_part(key, '/', 1), account_id, '{BEYOND_BACKUP}', format($2, sum(n),
    left(string_agg(n || ' ' || event_type, ', ' order by event_type), 1000))
from counted group by key, account_id order by key
on conflict (key) do update set code = excluded.code, error = excluded.error
returning key
"""
QUIET_MARKERS = """
update marker set state = case when number <= $1 then 'written' else 'ready' end, work_left = 0
where number <= $2 and "left" = 0 and state in ('working', 'ready')
"""
DROP_DAY_PARTS = "delete from timer where kind = 'day.part' and left(key, 18)::bigint <= $1"
SAVE_START = """
insert into store_start (singleton, acts_after, written_through, restored) values (true, $1, $2, $3)
on conflict (singleton) do update set acts_after = greatest(store_start.acts_after, excluded.acts_after),
    written_through = greatest(store_start.written_through, excluded.written_through),
    restored = store_start.restored or excluded.restored
"""
START = "select acts_after, written_through, restored from store_start"
