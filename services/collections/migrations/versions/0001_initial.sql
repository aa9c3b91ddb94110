CREATE TABLE account (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    bucket INTEGER DEFAULT '0' NOT NULL,
    known BOOLEAN DEFAULT false NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    debtor_kind TEXT DEFAULT '' NOT NULL,
    country TEXT DEFAULT '' NOT NULL,
    segment TEXT DEFAULT '' NOT NULL,
    language TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    time_zone TEXT DEFAULT '' NOT NULL,
    collector TEXT DEFAULT '' NOT NULL,
    sales_owner TEXT DEFAULT '' NOT NULL,
    customer_since_on DATE,
    access_targets JSONB DEFAULT '[]' NOT NULL,
    confidentiality TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    lateness JSONB DEFAULT '[]' NOT NULL,
    allowances INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (company, account_id)
);

CREATE INDEX account_bucket ON account (company, bucket);

CREATE TABLE activity (
    company TEXT NOT NULL,
    activity_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    direction TEXT DEFAULT '' NOT NULL,
    contact_id TEXT DEFAULT '' NOT NULL,
    addressee TEXT DEFAULT '' NOT NULL,
    outcome_code TEXT DEFAULT '' NOT NULL,
    items JSONB DEFAULT '[]' NOT NULL,
    next_step TEXT DEFAULT '' NOT NULL,
    next_on DATE,
    minutes INTEGER DEFAULT '0' NOT NULL,
    text TEXT DEFAULT '' NOT NULL,
    done_on DATE NOT NULL,
    by TEXT DEFAULT '' NOT NULL,
    logged_at TIMESTAMP WITH TIME ZONE NOT NULL,
    supersedes UUID,
    follows UUID,
    superseded BOOLEAN DEFAULT false NOT NULL,
    followed BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (company, activity_id)
);

CREATE INDEX activity_account ON activity (company, account_id, done_on);

CREATE INDEX activity_step ON activity (company, account_id, next_on) WHERE next_on is not null and not superseded and not followed;

CREATE TABLE application (
    company TEXT NOT NULL,
    posting_id UUID NOT NULL,
    item_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    payment_id UUID NOT NULL,
    cash_minor BIGINT DEFAULT '0' NOT NULL,
    reversed BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (company, posting_id, item_id)
);

CREATE INDEX application_account ON application (company, account_id, item_id);

CREATE TABLE approval (
    company TEXT NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    body_hash CHAR(64) NOT NULL,
    customer_id TEXT NOT NULL,
    reason_code TEXT NOT NULL,
    amount_minor BIGINT,
    currency CHAR(3),
    requested_by TEXT NOT NULL,
    requested_on_behalf_of TEXT,
    requested_at TIMESTAMP WITH TIME ZONE NOT NULL,
    outcome TEXT DEFAULT 'pending' NOT NULL,
    decided_by TEXT,
    decided_on_behalf_of TEXT,
    decided_at TIMESTAMP WITH TIME ZONE,
    reason TEXT,
    PRIMARY KEY (company, id),
    CONSTRAINT approval_outcome CHECK (outcome in ('pending', 'approved', 'refused', 'void')),
    CONSTRAINT approval_body_hash CHECK (body_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT approval_amount CHECK (amount_minor >= 0),
    CONSTRAINT approval_amount_with_currency CHECK ((amount_minor is null) = (currency is null)),
    CONSTRAINT approval_decision_whole CHECK ((decided_by is null) = (decided_at is null)),
    CONSTRAINT approval_decided CHECK (case outcome when 'pending' then decided_by is null when 'void' then true else decided_by is not null end),
    CONSTRAINT approval_maker_is_not_checker CHECK (decided_by is null or (decided_by <> requested_by and decided_by is distinct from requested_on_behalf_of and decided_on_behalf_of is distinct from requested_by and (decided_on_behalf_of is null or decided_on_behalf_of is distinct from requested_on_behalf_of)))
);

CREATE UNIQUE INDEX approval_pending ON approval (company, kind, subject_id) WHERE outcome = 'pending';

CREATE INDEX approval_window ON approval (company, customer_id, reason_code, decided_at);

CREATE TABLE business_clock (
    singleton BOOLEAN NOT NULL CHECK (singleton),
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    number BIGINT NOT NULL,
    reach JSONB NOT NULL,
    complete_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (singleton)
);

CREATE TABLE candidate (
    company TEXT NOT NULL,
    candidate_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    payment_id UUID,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    source TEXT DEFAULT '' NOT NULL,
    since_on DATE NOT NULL,
    cleared BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (company, candidate_id)
);

CREATE INDEX candidate_open ON candidate (company, account_id) WHERE not cleared;

CREATE TABLE cash (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    version INTEGER DEFAULT '0' NOT NULL,
    unapplied_minor BIGINT DEFAULT '0' NOT NULL,
    on_account_minor BIGINT DEFAULT '0' NOT NULL,
    changed_on DATE NOT NULL,
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
    roles JSONB DEFAULT '[]' NOT NULL,
    email TEXT DEFAULT '' NOT NULL,
    phone TEXT DEFAULT '' NOT NULL,
    address TEXT DEFAULT '' NOT NULL,
    language TEXT DEFAULT '' NOT NULL,
    time_zone TEXT DEFAULT '' NOT NULL,
    channels JSONB DEFAULT '[]' NOT NULL,
    valid BOOLEAN DEFAULT true NOT NULL,
    invalid_channels JSONB DEFAULT '[]' NOT NULL,
    PRIMARY KEY (company, account_id, contact_id)
);

CREATE TABLE control_version (
    singleton BOOLEAN NOT NULL CHECK (singleton),
    version BIGINT NOT NULL,
    PRIMARY KEY (singleton)
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
    account_id TEXT NOT NULL,
    version INTEGER DEFAULT '0' NOT NULL,
    item_id UUID NOT NULL,
    disputed_minor BIGINT DEFAULT '0' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    reason_code TEXT DEFAULT '' NOT NULL,
    text TEXT DEFAULT '' NOT NULL,
    owner TEXT DEFAULT '' NOT NULL,
    opened_on DATE NOT NULL,
    due_on DATE NOT NULL,
    opened_by TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    outcome TEXT DEFAULT '' NOT NULL,
    credited_minor BIGINT DEFAULT '0' NOT NULL,
    resolved_on DATE,
    expected_until_on DATE,
    credit_relief_before_minor BIGINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (company, dispute_id),
    CONSTRAINT dispute_status CHECK (status in ('open', 'resolved')),
    CONSTRAINT dispute_credited CHECK (credited_minor between 0 and disputed_minor)
);

CREATE INDEX dispute_account ON dispute (company, account_id);

CREATE TABLE escalation (
    company TEXT NOT NULL,
    escalation_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    level INTEGER DEFAULT '0' NOT NULL,
    addressee TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    items JSONB DEFAULT '[]' NOT NULL,
    overdue_minor BIGINT DEFAULT '0' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    raised_on DATE NOT NULL,
    open BOOLEAN DEFAULT true NOT NULL,
    PRIMARY KEY (company, escalation_id)
);

CREATE INDEX escalation_account ON escalation (company, account_id);

CREATE TABLE hold (
    company TEXT NOT NULL,
    hold_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    version INTEGER DEFAULT '0' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    grade TEXT DEFAULT '' NOT NULL,
    cause TEXT DEFAULT '' NOT NULL,
    policy TEXT DEFAULT '' NOT NULL,
    targets JSONB DEFAULT '[]' NOT NULL,
    from_at TIMESTAMP WITH TIME ZONE NOT NULL,
    lease_s INTEGER DEFAULT '0' NOT NULL,
    proposed_on DATE NOT NULL,
    overdue_minor BIGINT DEFAULT '0' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    body_sha256 TEXT DEFAULT '' NOT NULL,
    proposed_by TEXT DEFAULT '' NOT NULL,
    approval_id UUID,
    approved_by TEXT DEFAULT '' NOT NULL,
    lease_until_at TIMESTAMP WITH TIME ZONE,
    ended_on DATE,
    ended_because TEXT DEFAULT '' NOT NULL,
    confirmed JSONB DEFAULT '{}' NOT NULL,
    in_force_at TIMESTAMP WITH TIME ZONE,
    failure TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (company, hold_id),
    CONSTRAINT hold_status CHECK (status in ('proposed', 'ordered', 'lifted', 'refused', 'withdrawn')),
    CONSTRAINT hold_approved_by_someone CHECK (status <> 'ordered' or approved_by <> '')
);

CREATE UNIQUE INDEX hold_active ON hold (company, account_id) WHERE status in ('proposed', 'ordered');

CREATE TABLE inbox (
    event_id UUID NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (event_id)
);

CREATE TABLE item (
    company TEXT NOT NULL,
    item_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    document_id UUID NOT NULL,
    line TEXT DEFAULT '' NOT NULL,
    number TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    side TEXT DEFAULT '' NOT NULL,
    version INTEGER DEFAULT '0' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    original_minor BIGINT DEFAULT '0' NOT NULL,
    remaining_minor BIGINT DEFAULT '0' NOT NULL,
    credit_relief_minor BIGINT DEFAULT '0' NOT NULL,
    document_on DATE NOT NULL,
    due_on DATE NOT NULL,
    changed_on DATE NOT NULL,
    level INTEGER DEFAULT '0' NOT NULL,
    level_on DATE,
    warned_on DATE,
    PRIMARY KEY (company, item_id),
    CONSTRAINT item_remaining CHECK (remaining_minor between 0 and original_minor)
);

CREATE INDEX item_open ON item (company, account_id, due_on) WHERE remaining_minor > 0;

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
    account_id TEXT NOT NULL,
    contact_id TEXT DEFAULT '' NOT NULL,
    level INTEGER DEFAULT '0' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    policy TEXT DEFAULT '' NOT NULL,
    decided_on DATE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    items JSONB DEFAULT '[]' NOT NULL,
    totals JSONB DEFAULT '[]' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    answered_on DATE,
    left_on DATE,
    reasons JSONB DEFAULT '[]' NOT NULL,
    released BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (company, notice_id),
    CONSTRAINT notice_status CHECK (status in ('requested', 'sending', 'sent', 'withheld', 'failed', 'unknown'))
);

CREATE INDEX notice_account ON notice (company, account_id, decided_on);

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
    account_id TEXT NOT NULL,
    version INTEGER DEFAULT '0' NOT NULL,
    status TEXT DEFAULT '' NOT NULL,
    scope TEXT DEFAULT '' NOT NULL,
    contact_id TEXT DEFAULT '' NOT NULL,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE NOT NULL,
    taken_on DATE NOT NULL,
    due_on DATE NOT NULL,
    grace_days INTEGER DEFAULT '0' NOT NULL,
    judged_from_on DATE NOT NULL,
    tolerance TEXT DEFAULT '' NOT NULL,
    items JSONB DEFAULT '[]' NOT NULL,
    received JSONB DEFAULT '[]' NOT NULL,
    corrected BOOLEAN DEFAULT false NOT NULL,
    channel TEXT DEFAULT '' NOT NULL,
    taken_by TEXT DEFAULT '' NOT NULL,
    standing INTEGER DEFAULT '0' NOT NULL,
    status_on DATE,
    PRIMARY KEY (company, promise_id),
    CONSTRAINT promise_status CHECK (status in ('open', 'kept', 'partly_kept', 'broken', 'superseded', 'cancelled')),
    CONSTRAINT promise_whole CHECK (scope in ('items', 'account') and amount_minor > 0)
);

CREATE INDEX promise_account ON promise (company, account_id, judged_from_on);

CREATE TABLE rate (
    company TEXT NOT NULL,
    pair TEXT NOT NULL,
    "on" DATE NOT NULL,
    rate TEXT NOT NULL,
    PRIMARY KEY (company, pair, "on")
);

CREATE TABLE receipt (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    payment_id UUID NOT NULL,
    payment_version INTEGER DEFAULT '0' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    valued_on DATE NOT NULL,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    since_at TIMESTAMP WITH TIME ZONE NOT NULL,
    returned BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (company, account_id, payment_id)
);

CREATE INDEX receipt_payment ON receipt (company, payment_id);

CREATE TABLE stream_head (
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (topic, key)
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

CREATE TABLE worklist (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    built_on DATE NOT NULL,
    work_on DATE NOT NULL,
    collector TEXT DEFAULT '' NOT NULL,
    priority INTEGER DEFAULT '0' NOT NULL,
    score_minor BIGINT DEFAULT '0' NOT NULL,
    overdue_minor BIGINT DEFAULT '0' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    chance_permille INTEGER DEFAULT '0' NOT NULL,
    oldest_days_past_due INTEGER DEFAULT '0' NOT NULL,
    cause TEXT DEFAULT '' NOT NULL,
    why TEXT DEFAULT '' NOT NULL,
    next_step TEXT DEFAULT '' NOT NULL,
    listed BOOLEAN DEFAULT true NOT NULL,
    PRIMARY KEY (company, account_id)
);

CREATE INDEX worklist_rank ON worklist (company, priority, score_minor DESC, account_id) WHERE listed;
