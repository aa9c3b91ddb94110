"""Every SQL statement of the runtime, named. All are set-based; none decides anything by the database's clock."""

OUTBOX_LOCK = 7_240_100
RELAY_LOCK = 7_240_101
FORWARD_LOCK = 7_240_102

LOCK_SHARED = f"select pg_advisory_xact_lock_shared({OUTBOX_LOCK})"
LOCK_EXCLUSIVE = f"select pg_advisory_xact_lock({OUTBOX_LOCK})"
# What was sent may be sent again, so this transaction alone need not wait for its own commit to reach the disk.
TRY_RELAY = f"""
select pg_try_advisory_xact_lock({RELAY_LOCK}), set_config('idle_in_transaction_session_timeout', '20s', true),
       set_config('synchronous_commit', 'off', true)
"""
TRY_FORWARD = f"select pg_try_advisory_xact_lock({FORWARD_LOCK})"

LOAD_CURSORS = """
with wanted as (select * from unnest($1::text[], $2::int[]) as w(topic, partition)),
fresh as (
    insert into kafka_cursor (topic, partition, next_offset)
    select topic, partition, 0 from wanted order by topic, partition
    on conflict do nothing returning topic, partition, next_offset)
select c.topic, c.partition, c.next_offset from kafka_cursor c join wanted using (topic, partition)
union all select topic, partition, next_offset from fresh
"""

CURSORS = "select topic, partition, next_offset from kafka_cursor"

MOVE_CURSORS = """
with batch as (
    select * from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) as b(topic, partition, first, last)),
locked as (
    select c.topic, c.partition from kafka_cursor c join batch b using (topic, partition)
    where c.next_offset = b.first order by c.topic, c.partition for update of c)
update kafka_cursor c set next_offset = b.last + 1
from batch b join locked l using (topic, partition)
where c.topic = b.topic and c.partition = b.partition and c.next_offset = b.first
returning c.topic, c.partition
"""

TAKE_INBOX = """
insert into inbox (event_id) select distinct id from unnest($1::uuid[]) as i(id)
on conflict do nothing returning event_id
"""
KNOWN_IN_INBOX = "select event_id from inbox where event_id = any($1::uuid[])"

PARKED_AMONG = "select key from parked_key where key = any($1::text[]) order by key for share"
# A frozen payment stands against nobody: what it had become when it was frozen, all know.
PARKED_BY_COMPANY = """
select key, company, account_id from (
    select key, company, account_id, since_at, row_number() over (partition by company order by since_at, key) as place
    from parked_key where code <> 'beyond_backup' or account_id is not null) as p
where place <= 1001 order by since_at, key
"""
PARKED_AFTER = "select key from parked_key where $1::text is null or key > $1 order by key limit $2"
COUNT_PARKED = "select count(*) from parked_key"
COUNT_PARKED_OF = "select count(*) from parked_key where company = any($1::text[])"

PARK_KEYS = """
insert into parked_key (key, company, account_id, code, error)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) order by 1
on conflict (key) do nothing
"""

ADD_DEAD_LETTERS = """
insert into dead_letter (topic, partition, "offset", key, event_id, event_type, headers, value, error)
select * from unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::uuid[], $6::text[], $7::bytea[],
                     $8::bytea[], $9::text[])
on conflict do nothing
"""

PARKED_KEY_FOR_UPDATE = "select key from parked_key where key = $1 for update"
# As they were to be decided: batch by batch, in a batch by the order in which the service reads its topics ($2).
LETTERS_OF = """
select topic, partition, "offset", key, headers, value from dead_letter where key = $1
order by first_failed_at, array_position($2::text[], topic), partition, "offset" limit $3
"""
DROP_LETTERS = """
delete from dead_letter d using unnest($1::text[], $2::int[], $3::bigint[]) as g(topic, partition, "offset")
where d.topic = g.topic and d.partition = g.partition and d."offset" = g."offset"
"""
UNPARK = "delete from parked_key where key = $1 and not exists (select from dead_letter where key = $1)"
# A frozen key stays frozen until it is free: one that could not be run is still one whose output the store has lost.
NOTE_PARK_ERROR = """
update parked_key set code = case when code = 'beyond_backup' then code else $2 end, error = $3 where key = $1
"""

ADVANCE_HEADS = """
insert into stream_head (topic, key, sequence)
select * from unnest($1::text[], $2::text[], $3::bigint[]) as h(topic, key, n) order by topic, key
on conflict (topic, key) do update set sequence = stream_head.sequence + excluded.sequence
returning topic, key, sequence
"""

# Rows are copied in; COPY gives the ids in the order of the rows.
OUTBOX_COLUMNS = ("topic", "partition", "key", "headers", "value", "marker_id", "event_id")

OUTBOX_WAITS = "select exists (select from outbox)"
TAKE_OUTBOX = """
select id, topic, partition, key, headers, value, marker_id from outbox order by id limit $1
"""
DROP_OUTBOX = "delete from outbox where id = any($1::bigint[])"
OUTBOX_AGE = """
select coalesce(extract(epoch from clock_timestamp() - min(written_at)), 0)::int as age_s, count(*) as rows from outbox
"""
OUTBOX_HOLDS = "select exists (select from outbox where event_id = any($1::uuid[]))"

WRITE_TIMERS = """
insert into timer (kind, key, company, clock, due_at, payload, envelope)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::jsonb[], $7::jsonb[])
order by 1, 2
on conflict (kind, key) do update set company = excluded.company, clock = excluded.clock, due_at = excluded.due_at,
    payload = excluded.payload, envelope = excluded.envelope, attempts = 0, error = ''
"""
CANCEL_TIMERS = """
delete from timer t using unnest($1::text[], $2::text[]) as c(kind, key) where t.kind = c.kind and t.key = c.key
"""
CLAIM_TIMERS = """
with due as (
    select kind, key from timer
    where kind <> 'day.part' and ((clock = 'wall' and due_at <= $1) or (clock = 'business' and due_at <= $2))
    order by due_at, kind, key limit $3 for update skip locked)
delete from timer t using due where t.kind = due.kind and t.key = due.key
returning t.kind, t.key, t.company, t.clock, t.due_at, t.payload, t.envelope, t.attempts
"""
ANYTHING_TO_DO = """
select exists (select from timer where kind = 'day.part' and due_at <= $1),
       exists (select from timer where kind <> 'day.part' and clock = 'wall' and due_at <= $1)
       or exists (select from timer t, business_clock b where t.kind <> 'day.part' and t.clock = 'business'
                  and t.due_at <= b.at),
       coalesce((select state = 'ready' from marker where state <> 'written' order by number limit 1), false)
"""
BUSINESS_TIMERS_DUE = """
select exists (select from timer t, business_clock b
               where t.kind <> 'day.part' and t.clock = 'business' and t.due_at <= b.at)
"""
CLAIM_DAY_PART = """
with due as (
    select kind, key from timer t where kind = 'day.part' and due_at <= $1 and left(key, 18)::bigint = (
        select min(m.number) from marker m where m.company = t.company and m.state = 'working')
    order by key limit 1 for update skip locked)
delete from timer t using due where t.kind = due.kind and t.key = due.key
returning t.kind, t.key, t.company, t.clock, t.due_at, t.payload, t.envelope, t.attempts
"""
# The oldest of each clock by its index; what was put back comes again within ten minutes.
TIMERS_LATE = """
select coalesce(greatest(0, extract(epoch from $1::timestamptz - (
           select min(due_at) from timer where clock = 'wall' and kind <> 'day.part'))), 0)::float8 as wall_s,
       coalesce(greatest(0, extract(epoch from (select at from business_clock) - (
           select min(due_at) from timer where clock = 'business' and kind <> 'day.part'))), 0)::float8 as business_s,
       (select count(*) from timer
        where clock = 'wall' and due_at <= $1 + interval '10 minutes' and attempts > 0) as put_back,
       (select count(*) from marker where state <> 'written') as markers_open
"""
DELAY_TIMER = """
insert into timer (kind, key, company, clock, due_at, payload, envelope, attempts, error)
values ($1, $2, $3, 'wall', $4, $5, $6, $7, $8)
on conflict (kind, key) do update set clock = 'wall', due_at = excluded.due_at, attempts = excluded.attempts,
    error = excluded.error
"""
ADD_TIMERS_ONCE = """
insert into timer (kind, key, company, clock, due_at, payload, envelope)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::jsonb[], $7::jsonb[])
on conflict (kind, key) do nothing
"""

SEE_MARKERS = """
insert into marker_seen (number, topic, partition)
select number, topic, partition from unnest($1::bigint[], $2::text[], $3::int[]) as s(number, topic, partition)
where number > coalesce((select max(m.number) from marker m where m."left" = 0), 0) order by 1, 2, 3
on conflict do nothing returning number, topic, partition
"""
COUNT_MARKERS = """
insert into marker (number, marker_id, type, company, "left", bodies, envelope)
select number, marker_id, type, company, $7::int - seen, bodies, envelope
from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::jsonb[], $8::jsonb[])
    as m(number, marker_id, type, company, seen, bodies, envelope) order by number
on conflict (number) do update set
    "left" = marker."left" - ($7::int - excluded."left"), bodies = marker.bodies || excluded.bodies
returning number, "left", type, company, bodies
"""
SET_CLOCK = """
insert into business_clock (singleton, at, number, reach) values (true, $1, $2, $3)
on conflict (singleton) do update set at = excluded.at, number = excluded.number, reach = excluded.reach,
    complete_at = clock_timestamp()
where business_clock.number < excluded.number
"""
CLOSE_DAYS = """
insert into closed_day (company, closed_on, number)
select * from unnest($1::text[], $2::date[], $3::bigint[]) order by 1
on conflict (company) do update set closed_on = excluded.closed_on, number = excluded.number
where closed_day.number < excluded.number
"""
SET_MARKER_STATES = """
update marker m set state = s.state, work_left = s.work_left
from unnest($1::bigint[], $2::text[], $3::int[]) as s(number, state, work_left) where m.number = s.number
"""
FINISH_PART = "update marker set work_left = work_left - 1 where number = $1 returning work_left"
NEXT_MARKER = """
select number, marker_id, type, company, state, bodies, envelope from marker
where state <> 'written' order by number limit 1
"""
MARK_WRITTEN = "update marker set state = 'written', bodies = '{}' where number = $1"
FORGET_SEEN = "delete from marker_seen where number <= $1"
FORGET_MARKERS = "delete from marker where state = 'written' and number < $1 - 1000"
LAST_WRITTEN = """
select company, max((envelope ->> 'business_date')::date) as closed_on from marker
where state = 'written' and type = 'day.closed' group by company
"""

MOMENT = """
select (select version from control_version) as version, c.at, c.number, c.reach, c.complete_at,
       (select jsonb_object_agg(company, closed_on) from closed_day) as closed
from (select true as singleton) o left join business_clock c on c.singleton
"""
COMPANIES = "select company, body from company_config order by company"
POLICIES = """
select company, name, version, sha256, effective_on, content, activation from policy_version order by activation
"""
RATES = 'select company, pair, "on", rate from rate order by 1, 2, 3'
BUMP_CONTROL = """
insert into control_version (singleton, version) values (true, 1)
on conflict (singleton) do update set version = control_version.version + 1
"""
SAVE_COMPANIES = """
insert into company_config (company, body) select * from unnest($1::text[], $2::jsonb[]) order by 1
on conflict (company) do update set body = excluded.body
"""
SAVE_POLICIES = """
insert into policy_version (company, name, version, sha256, effective_on, content)
select company, name, version, sha256, effective_on, content
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[], $6::jsonb[])
    with ordinality as p(company, name, version, sha256, effective_on, content, at) order by at
on conflict (company, name, version) do nothing
"""
SAVE_RATES = """
insert into rate (company, pair, "on", rate)
select * from unnest($1::text[], $2::text[], $3::date[], $4::text[]) order by 1, 2, 3
on conflict (company, pair, "on") do update set rate = excluded.rate
"""

TAKE_COMMAND = """
insert into command (command_id, body_sha256) values ($1, $2) on conflict do nothing returning command_id
"""
KNOWN_COMMAND = "select body_sha256, reply from command where command_id = $1"
ANSWER_COMMAND = "update command set reply = $2 where command_id = $1"
