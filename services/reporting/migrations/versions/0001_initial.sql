CREATE TABLE account (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    party_id TEXT DEFAULT '' NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    debtor_kind TEXT DEFAULT '' NOT NULL,
    country TEXT DEFAULT '' NOT NULL,
    region TEXT DEFAULT '' NOT NULL,
    industry TEXT DEFAULT '' NOT NULL,
    segment TEXT DEFAULT '' NOT NULL,
    language TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    time_zone TEXT DEFAULT '' NOT NULL,
    terms TEXT DEFAULT '' NOT NULL,
    collector TEXT DEFAULT '' NOT NULL,
    sales_owner TEXT DEFAULT '' NOT NULL,
    confidentiality TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    credit_limit_minor BIGINT,
    customer_since_on DATE,
    access_targets JSONB DEFAULT '[]' NOT NULL,
    PRIMARY KEY (company, account_id)
);

CREATE INDEX account_name ON account (company, lower(name) text_pattern_ops);

CREATE TABLE activity (
    company TEXT NOT NULL,
    activity_id UUID NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    direction TEXT DEFAULT '' NOT NULL,
    contact_id TEXT DEFAULT '' NOT NULL,
    addressee TEXT DEFAULT '' NOT NULL,
    outcome_code TEXT DEFAULT '' NOT NULL,
    next_step TEXT DEFAULT '' NOT NULL,
    text TEXT DEFAULT '' NOT NULL,
    by TEXT DEFAULT '' NOT NULL,
    next_on DATE,
    done_on DATE NOT NULL,
    minutes INTEGER DEFAULT '0' NOT NULL,
    supersedes UUID,
    follows UUID,
    known_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (company, activity_id)
);

CREATE INDEX activity_account ON activity (company, account_id, done_on);

CREATE TABLE application (
    company TEXT NOT NULL,
    posting_id UUID NOT NULL,
    item_id UUID NOT NULL,
    payment_id UUID,
    account_id TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    cash_minor BIGINT DEFAULT '0' NOT NULL,
    discount_minor BIGINT DEFAULT '0' NOT NULL,
    small_difference_minor BIGINT DEFAULT '0' NOT NULL,
    deduction_minor BIGINT DEFAULT '0' NOT NULL,
    bank_charge_minor BIGINT DEFAULT '0' NOT NULL,
    rule TEXT DEFAULT '' NOT NULL,
    automatic BOOLEAN DEFAULT false NOT NULL,
    valued_on DATE,
    accounted_on DATE,
    business_date DATE NOT NULL,
    PRIMARY KEY (company, posting_id, item_id)
);

CREATE INDEX application_account ON application (company, account_id);

CREATE INDEX application_item ON application (company, item_id);

CREATE TABLE application_reversal (
    company TEXT NOT NULL,
    posting_id UUID NOT NULL,
    by_posting_id UUID,
    reason_code TEXT DEFAULT '' NOT NULL,
    business_date DATE NOT NULL,
    PRIMARY KEY (company, posting_id)
);

CREATE TABLE bank_debit (
    company TEXT NOT NULL,
    debit_id UUID NOT NULL,
    bank_account TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    reason_code TEXT DEFAULT '' NOT NULL,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    payment_id UUID,
    valued_on DATE,
    accounted_on DATE NOT NULL,
    business_date DATE NOT NULL,
    known_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (company, debit_id)
);

CREATE INDEX bank_debit_accounted ON bank_debit (company, accounted_on);

CREATE TABLE business_clock (
    singleton BOOLEAN NOT NULL CHECK (singleton),
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    number BIGINT NOT NULL,
    reach JSONB NOT NULL,
    complete_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (singleton)
);

CREATE TABLE cancellation (
    company TEXT NOT NULL,
    document_id UUID NOT NULL,
    reason_code TEXT DEFAULT '' NOT NULL,
    cancelled_on DATE,
    PRIMARY KEY (company, document_id)
);

CREATE TABLE candidate (
    company TEXT NOT NULL,
    candidate_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    payment_id UUID,
    currency TEXT DEFAULT '' NOT NULL,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    source TEXT DEFAULT '' NOT NULL,
    evidence JSONB DEFAULT '[]' NOT NULL,
    since_on DATE,
    live BOOLEAN DEFAULT true NOT NULL,
    PRIMARY KEY (company, candidate_id, account_id)
);

CREATE INDEX candidate_live ON candidate (company, account_id) WHERE live;

CREATE TABLE cash (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    version BIGINT NOT NULL,
    unapplied_minor BIGINT DEFAULT '0' NOT NULL,
    on_account_minor BIGINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (company, account_id, currency)
);

CREATE TABLE closed_day (
    company TEXT NOT NULL,
    closed_on DATE NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (company)
);

CREATE TABLE command (
    command_id UUID NOT NULL,
    body_sha256 TEXT NOT NULL,
    reply JSONB,
    accepted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (command_id)
);

CREATE TABLE company_config (
    company TEXT NOT NULL,
    body JSONB NOT NULL,
    PRIMARY KEY (company)
);

CREATE TABLE contact (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    email TEXT DEFAULT '' NOT NULL,
    phone TEXT DEFAULT '' NOT NULL,
    address TEXT DEFAULT '' NOT NULL,
    language TEXT DEFAULT '' NOT NULL,
    roles JSONB DEFAULT '[]' NOT NULL,
    channels JSONB DEFAULT '[]' NOT NULL,
    valid BOOLEAN DEFAULT true NOT NULL,
    PRIMARY KEY (company, account_id, contact_id)
);

CREATE TABLE contact_refusal (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    evidence TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (company, account_id, contact_id, channel)
);

CREATE TABLE control_version (
    singleton BOOLEAN NOT NULL CHECK (singleton),
    version BIGINT NOT NULL,
    PRIMARY KEY (singleton)
);

CREATE TABLE day_aging (
    company TEXT NOT NULL,
    date DATE NOT NULL,
    currency TEXT NOT NULL,
    bucket TEXT NOT NULL,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    disputed_minor BIGINT DEFAULT '0' NOT NULL,
    base_minor BIGINT,
    PRIMARY KEY (company, date, currency, bucket)
);

CREATE TABLE day_snapshot (
    company TEXT NOT NULL,
    date DATE NOT NULL,
    number BIGINT NOT NULL,
    base_currency TEXT DEFAULT '' NOT NULL,
    bank_accounts JSONB DEFAULT '{}' NOT NULL,
    figures JSONB DEFAULT '{}' NOT NULL,
    PRIMARY KEY (company, date)
);

CREATE TABLE dead_letter (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    key TEXT NOT NULL,
    event_id UUID,
    event_type TEXT NOT NULL,
    headers BYTEA NOT NULL,
    value BYTEA NOT NULL,
    error TEXT NOT NULL,
    first_failed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
);

CREATE INDEX dead_letter_key ON dead_letter (key);

CREATE TABLE dispute (
    company TEXT NOT NULL,
    dispute_id UUID NOT NULL,
    version BIGINT NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    reason_code TEXT DEFAULT '' NOT NULL,
    text TEXT DEFAULT '' NOT NULL,
    owner TEXT DEFAULT '' NOT NULL,
    outcome TEXT DEFAULT '' NOT NULL,
    item_id UUID,
    disputed_minor BIGINT DEFAULT '0' NOT NULL,
    credited_minor BIGINT DEFAULT '0' NOT NULL,
    opened_on DATE NOT NULL,
    due_on DATE,
    resolved_on DATE,
    PRIMARY KEY (company, dispute_id)
);

CREATE INDEX dispute_account ON dispute (company, account_id);

CREATE INDEX dispute_opened ON dispute (company, opened_on, dispute_id);

CREATE TABLE document (
    company TEXT NOT NULL,
    document_id UUID NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    document_type TEXT DEFAULT '' NOT NULL,
    number TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    terms TEXT DEFAULT '' NOT NULL,
    reason_code TEXT DEFAULT '' NOT NULL,
    purchase_order TEXT DEFAULT '' NOT NULL,
    contract TEXT DEFAULT '' NOT NULL,
    project TEXT DEFAULT '' NOT NULL,
    payment_reference TEXT DEFAULT '' NOT NULL,
    document_on DATE,
    due_on DATE,
    service_from_on DATE,
    service_to_on DATE,
    net_minor BIGINT DEFAULT '0' NOT NULL,
    tax_minor BIGINT DEFAULT '0' NOT NULL,
    total_minor BIGINT DEFAULT '0' NOT NULL,
    prepaid_minor BIGINT DEFAULT '0' NOT NULL,
    lines JSONB DEFAULT '[]' NOT NULL,
    known_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (company, document_id)
);

CREATE INDEX document_account ON document (company, account_id, document_on);

CREATE INDEX document_day ON document (company, document_on);

CREATE TABLE effect (
    company TEXT NOT NULL,
    effect_id UUID NOT NULL,
    "of" TEXT DEFAULT '' NOT NULL,
    subject_id UUID,
    account_id TEXT DEFAULT '' NOT NULL,
    target TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    code TEXT DEFAULT '' NOT NULL,
    version BIGINT NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    confirmed BOOLEAN DEFAULT false NOT NULL,
    answered_at TIMESTAMP WITH TIME ZONE,
    reasons JSONB DEFAULT '[]' NOT NULL,
    business_date DATE NOT NULL,
    PRIMARY KEY (company, effect_id)
);

CREATE INDEX effect_subject ON effect (company, subject_id);

CREATE TABLE escalation (
    company TEXT NOT NULL,
    escalation_id UUID NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    addressee TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    level INTEGER DEFAULT '0' NOT NULL,
    overdue_minor BIGINT DEFAULT '0' NOT NULL,
    raised_on DATE NOT NULL,
    PRIMARY KEY (company, escalation_id)
);

CREATE INDEX escalation_account ON escalation (company, account_id);

CREATE TABLE hold (
    company TEXT NOT NULL,
    hold_id UUID NOT NULL,
    version BIGINT NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    grade TEXT DEFAULT '' NOT NULL,
    cause TEXT DEFAULT '' NOT NULL,
    policy TEXT DEFAULT '' NOT NULL,
    approved_by TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    targets JSONB DEFAULT '[]' NOT NULL,
    from_at TIMESTAMP WITH TIME ZONE,
    lease_s BIGINT DEFAULT '0' NOT NULL,
    overdue_minor BIGINT DEFAULT '0' NOT NULL,
    business_date DATE NOT NULL,
    PRIMARY KEY (company, hold_id)
);

CREATE INDEX hold_account ON hold (company, account_id);

CREATE TABLE inbox (
    event_id UUID NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (event_id)
);

CREATE TABLE item (
    company TEXT NOT NULL,
    item_id UUID NOT NULL,
    document_id UUID,
    account_id TEXT DEFAULT '' NOT NULL,
    line TEXT DEFAULT '' NOT NULL,
    number TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    side TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    cause TEXT DEFAULT '' NOT NULL,
    payment_reference TEXT DEFAULT '' NOT NULL,
    version BIGINT NOT NULL,
    original_minor BIGINT DEFAULT '0' NOT NULL,
    remaining_minor BIGINT DEFAULT '0' NOT NULL,
    disputed_minor BIGINT DEFAULT '0' NOT NULL,
    relief JSONB DEFAULT '{}' NOT NULL,
    document_on DATE NOT NULL,
    due_on DATE NOT NULL,
    accounted_on DATE NOT NULL,
    valued_on DATE,
    PRIMARY KEY (company, item_id)
);

CREATE INDEX item_account ON item (company, account_id, due_on);

CREATE INDEX item_number ON item (company, number);

CREATE INDEX item_open ON item (company, due_on, item_id) WHERE remaining_minor > 0 or disputed_minor > 0;

CREATE TABLE item_posting (
    company TEXT NOT NULL,
    item_id UUID NOT NULL,
    version BIGINT NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    side TEXT DEFAULT '' NOT NULL,
    cause TEXT DEFAULT '' NOT NULL,
    remaining_delta_minor BIGINT DEFAULT '0' NOT NULL,
    disputed_delta_minor BIGINT DEFAULT '0' NOT NULL,
    relief_delta JSONB DEFAULT '{}' NOT NULL,
    posting_id UUID,
    accounted_on DATE NOT NULL,
    valued_on DATE,
    business_date DATE NOT NULL,
    known_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (company, item_id, version)
);

CREATE INDEX item_posting_account ON item_posting (company, account_id, accounted_on);

CREATE INDEX item_posting_accounted ON item_posting (company, accounted_on);

CREATE INDEX item_posting_business ON item_posting (company, business_date);

CREATE INDEX item_posting_known ON item_posting (company, known_at);

CREATE TABLE kafka_cursor (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE marker (
    number BIGSERIAL NOT NULL,
    marker_id UUID NOT NULL,
    type TEXT NOT NULL,
    company TEXT NOT NULL,
    "left" INTEGER NOT NULL,
    work_left INTEGER DEFAULT '0' NOT NULL,
    state TEXT DEFAULT 'counting' NOT NULL,
    bodies JSONB NOT NULL,
    envelope JSONB NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (number),
    CONSTRAINT marker_left CHECK ("left" >= 0 and work_left >= 0),
    CONSTRAINT marker_state CHECK (state in ('counting', 'working', 'ready', 'written'))
);

CREATE INDEX marker_unwritten ON marker (number) WHERE state <> 'written';

CREATE TABLE marker_seen (
    number BIGINT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    PRIMARY KEY (number, topic, partition)
);

CREATE TABLE notice (
    company TEXT NOT NULL,
    notice_id UUID NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    contact_id TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    channel TEXT DEFAULT '' NOT NULL,
    level INTEGER DEFAULT '0' NOT NULL,
    template TEXT DEFAULT '' NOT NULL,
    policy TEXT DEFAULT '' NOT NULL,
    decided_on DATE,
    items JSONB DEFAULT '[]' NOT NULL,
    totals JSONB DEFAULT '[]' NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    status TEXT DEFAULT 'requested' NOT NULL,
    rank INTEGER DEFAULT '0' NOT NULL,
    reasons JSONB DEFAULT '[]' NOT NULL,
    code TEXT DEFAULT '' NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    outcome_on DATE,
    PRIMARY KEY (company, notice_id)
);

CREATE INDEX notice_account ON notice (company, account_id);

CREATE INDEX notice_decided ON notice (company, decided_on, notice_id);

CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
    topic TEXT NOT NULL,
    partition INTEGER,
    key TEXT NOT NULL,
    headers BYTEA NOT NULL,
    value BYTEA NOT NULL,
    marker_id UUID,
    event_id UUID NOT NULL,
    written_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
)
 WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 5000);

CREATE TABLE parked_key (
    key TEXT NOT NULL,
    company TEXT NOT NULL,
    account_id TEXT,
    code TEXT DEFAULT 'poison' NOT NULL,
    error TEXT NOT NULL,
    since_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (key)
);

CREATE TABLE payment (
    company TEXT NOT NULL,
    payment_id UUID NOT NULL,
    version BIGINT NOT NULL,
    bank_account TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    rule TEXT DEFAULT '' NOT NULL,
    reason_code TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    automatic BOOLEAN,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    unidentified_minor BIGINT DEFAULT '0' NOT NULL,
    refunded_minor BIGINT DEFAULT '0' NOT NULL,
    non_ar_minor BIGINT DEFAULT '0' NOT NULL,
    returned_minor BIGINT DEFAULT '0' NOT NULL,
    small_gain_minor BIGINT DEFAULT '0' NOT NULL,
    split JSONB DEFAULT '{}' NOT NULL,
    valued_on DATE,
    accounted_on DATE,
    PRIMARY KEY (company, payment_id)
);

CREATE INDEX payment_unidentified ON payment (company, payment_id) WHERE unidentified_minor > 0;

CREATE TABLE payment_part (
    company TEXT NOT NULL,
    payment_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    bank_account TEXT DEFAULT '' NOT NULL,
    applied_minor BIGINT DEFAULT '0' NOT NULL,
    unapplied_minor BIGINT DEFAULT '0' NOT NULL,
    on_account_minor BIGINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (company, payment_id, account_id)
);

CREATE INDEX payment_part_account ON payment_part (company, account_id);

CREATE INDEX payment_part_open ON payment_part (company, payment_id) WHERE unapplied_minor > 0 or on_account_minor > 0;

CREATE TABLE payment_posting (
    company TEXT NOT NULL,
    payment_id UUID NOT NULL,
    version BIGINT NOT NULL,
    place TEXT NOT NULL,
    account_id TEXT NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    bank_account TEXT DEFAULT '' NOT NULL,
    delta_minor BIGINT DEFAULT '0' NOT NULL,
    accounted_on DATE NOT NULL,
    business_date DATE NOT NULL,
    known_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (company, payment_id, version, place, account_id)
);

CREATE INDEX payment_posting_account ON payment_posting (company, account_id, accounted_on);

CREATE INDEX payment_posting_accounted ON payment_posting (company, accounted_on);

CREATE INDEX payment_posting_known ON payment_posting (company, known_at);

CREATE TABLE policy_version (
    company TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    effective_on DATE NOT NULL,
    content JSONB NOT NULL,
    activation BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
    PRIMARY KEY (company, name, version)
);

CREATE TABLE promise (
    company TEXT NOT NULL,
    promise_id UUID NOT NULL,
    version BIGINT NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    contact_id TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    channel TEXT DEFAULT '' NOT NULL,
    taken_by TEXT DEFAULT '' NOT NULL,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    received_minor BIGINT DEFAULT '0' NOT NULL,
    taken_on DATE NOT NULL,
    due_on DATE NOT NULL,
    grace_days INTEGER DEFAULT '0' NOT NULL,
    items JSONB DEFAULT '[]' NOT NULL,
    corrected BOOLEAN DEFAULT false NOT NULL,
    business_date DATE NOT NULL,
    PRIMARY KEY (company, promise_id)
);

CREATE INDEX promise_account ON promise (company, account_id);

CREATE INDEX promise_due ON promise (company, due_on, promise_id);

CREATE TABLE quarantine (
    company TEXT NOT NULL,
    record_id UUID NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    account_id TEXT DEFAULT '' NOT NULL,
    amount_minor BIGINT,
    currency TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    released BOOLEAN DEFAULT false NOT NULL,
    since_on DATE,
    rank INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (company, record_id)
);

CREATE TABLE rate (
    company TEXT NOT NULL,
    pair TEXT NOT NULL,
    "on" DATE NOT NULL,
    rate TEXT NOT NULL,
    PRIMARY KEY (company, pair, "on")
);

CREATE TABLE receipt (
    company TEXT NOT NULL,
    payment_id UUID NOT NULL,
    bank_account TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    method TEXT DEFAULT '' NOT NULL,
    payer_name TEXT DEFAULT '' NOT NULL,
    remittance_text TEXT DEFAULT '' NOT NULL,
    statement_id TEXT DEFAULT '' NOT NULL,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    charges_minor BIGINT DEFAULT '0' NOT NULL,
    document_on DATE,
    valued_on DATE,
    accounted_on DATE NOT NULL,
    business_date DATE NOT NULL,
    known_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (company, payment_id)
);

CREATE INDEX receipt_accounted ON receipt (company, accounted_on, payment_id);

CREATE TABLE reconciliation (
    company TEXT NOT NULL,
    date DATE NOT NULL,
    scope TEXT NOT NULL,
    figure TEXT NOT NULL,
    currency TEXT NOT NULL,
    expected_minor BIGINT,
    found_minor BIGINT DEFAULT '0' NOT NULL,
    difference_minor BIGINT,
    later_minor BIGINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (company, date, scope, figure, currency)
);

CREATE TABLE statement (
    company TEXT NOT NULL,
    bank_account TEXT NOT NULL,
    statement_id TEXT NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    from_on DATE,
    to_on DATE,
    opening_minor BIGINT DEFAULT '0' NOT NULL,
    closing_minor BIGINT DEFAULT '0' NOT NULL,
    credits_minor BIGINT DEFAULT '0' NOT NULL,
    debits_minor BIGINT DEFAULT '0' NOT NULL,
    lines BIGINT DEFAULT '0' NOT NULL,
    balanced BOOLEAN DEFAULT true NOT NULL,
    complete_through_on DATE,
    rank INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (company, bank_account, statement_id)
);

CREATE TABLE statement_gap (
    company TEXT NOT NULL,
    bank_account TEXT NOT NULL,
    statement_id TEXT NOT NULL,
    expected TEXT DEFAULT '' NOT NULL,
    found TEXT DEFAULT '' NOT NULL,
    noticed_on DATE,
    PRIMARY KEY (company, bank_account, statement_id)
);

CREATE TABLE stream_head (
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (topic, key)
);

CREATE TABLE suggestion (
    company TEXT NOT NULL,
    payment_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    rank INTEGER NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    items JSONB DEFAULT '[]' NOT NULL,
    rule TEXT DEFAULT '' NOT NULL,
    chance TEXT DEFAULT '' NOT NULL,
    live BOOLEAN DEFAULT true NOT NULL,
    PRIMARY KEY (company, payment_id, account_id, rank)
);

CREATE TABLE timer (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    company TEXT NOT NULL,
    clock TEXT NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    payload JSONB NOT NULL,
    envelope JSONB NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    error TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (kind, key),
    CONSTRAINT timer_clock CHECK (clock in ('business', 'wall'))
)
 WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 5000);

CREATE INDEX timer_due ON timer (clock, due_at);

create view bi_open_item_v1 as
select i.company, i.item_id, i.account_id, a.name as account_name, a.country, a.industry, a.segment, a.collector,
    i.number, i.kind, i.side, i.currency, i.original_minor, i.remaining_minor, i.disputed_minor, i.document_on,
    i.due_on, c.closed_on - i.due_on as days_past_due
from item i left join account a using (company, account_id) left join closed_day c using (company)
where i.remaining_minor > 0;

create view bi_aging_v1 as
select company, account_id, account_name, country, industry, segment, collector, currency,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due <= 0), 0)::bigint as current_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due between 1 and 30), 0)::bigint
        as days_1_30_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due between 31 and 60), 0)::bigint
        as days_31_60_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due between 61 and 90), 0)::bigint
        as days_61_90_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due between 91 and 120), 0)::bigint
        as days_91_120_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due > 120), 0)::bigint as over_120_minor,
    coalesce(sum(remaining_minor) filter (where side = 'credit'), 0)::bigint as credit_items_minor,
    coalesce(sum(least(disputed_minor, remaining_minor)) filter (where side = 'debit'), 0)::bigint as disputed_minor
from bi_open_item_v1
group by company, account_id, account_name, country, industry, segment, collector, currency;

create view bi_aging_day_v1 as
select company, date, currency, bucket, amount_minor, disputed_minor, base_minor from day_aging;

create view bi_payment_v1 as
select r.company, r.payment_id, r.bank_account, r.currency, r.amount_minor, r.method, r.document_on, r.valued_on,
    r.accounted_on, p.account_id, p.status, p.rule, p.automatic, p.unidentified_minor, p.refunded_minor, p.non_ar_minor,
    p.returned_minor, coalesce(s.applied_minor, 0)::bigint as applied_minor,
    coalesce(s.unapplied_minor, 0)::bigint as unapplied_minor,
    coalesce(s.on_account_minor, 0)::bigint as on_account_minor
from receipt r left join payment p using (company, payment_id)
left join (
    select company, payment_id, sum(applied_minor) as applied_minor, sum(unapplied_minor) as unapplied_minor,
        sum(on_account_minor) as on_account_minor
    from payment_part group by company, payment_id
) s using (company, payment_id);

create view bi_promise_v1 as
select company, promise_id, account_id, status, currency, amount_minor, received_minor, taken_on, due_on, grace_days,
    taken_by, corrected
from promise;

create view bi_notice_v1 as
select company, notice_id, account_id, level, kind, channel, policy, decided_on, status, outcome_on, sent_at,
    array(select distinct r ->> 'code' from jsonb_array_elements(reasons) as r order by 1) as reason_codes
from notice;

create view bi_dispute_v1 as
select company, dispute_id, account_id, item_id, status, currency, disputed_minor, credited_minor, reason_code, owner,
    outcome, opened_on, due_on, resolved_on
from dispute;

create view bi_hold_v1 as
select h.company, h.hold_id, h.account_id, h.kind, h.grade, h.status, h.cause, h.policy, h.approved_by, h.from_at,
    h.overdue_minor, h.currency, coalesce(e.confirmed_version, 0) as confirmed_version, h.version
from hold h
left join (
    select company, subject_id, max(version) as confirmed_version from effect where confirmed and of = 'hold'
    group by company, subject_id
) e on e.company = h.company and e.subject_id = h.hold_id;

create view bi_day_v1 as
select s.company, s.date, s.base_currency, s.figures -> 'dso' ->> 'simple' as dso_simple,
    (s.figures ->> 'cash_in_base_minor')::bigint as cash_in_base_minor,
    (s.figures -> 'aging_base' ->> 'gross_minor')::bigint as gross_base_minor,
    (s.figures -> 'aging_base' ->> 'net_minor')::bigint as net_base_minor,
    (s.figures ->> 'differences')::int as differences
from day_snapshot s;

do $$ begin
    if exists (select from pg_roles where rolname = 'recoup_reporting_reader') then
        grant select on bi_open_item_v1, bi_aging_v1, bi_aging_day_v1, bi_payment_v1, bi_promise_v1, bi_notice_v1, bi_dispute_v1, bi_hold_v1, bi_day_v1 to recoup_reporting_reader;
    end if;
end $$;
