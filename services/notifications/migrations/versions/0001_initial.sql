CREATE TABLE account (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    debtor_kind TEXT NOT NULL,
    country TEXT NOT NULL,
    language TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (company, account_id)
);

CREATE TABLE account_lock (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    PRIMARY KEY (company, account_id)
);

CREATE TABLE balance (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    version BIGINT NOT NULL,
    unapplied_minor BIGINT NOT NULL,
    on_account_minor BIGINT NOT NULL,
    PRIMARY KEY (company, account_id, currency)
);

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
    amount_minor BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    source TEXT NOT NULL,
    since_on DATE NOT NULL,
    live BOOLEAN NOT NULL,
    PRIMARY KEY (company, candidate_id)
);

CREATE INDEX candidate_live ON candidate (company, account_id) WHERE live;

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
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    language TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    channels TEXT[] DEFAULT '{}' NOT NULL,
    consents TEXT[] DEFAULT '{}' NOT NULL,
    valid BOOLEAN NOT NULL,
    refused BOOLEAN DEFAULT 'false' NOT NULL,
    PRIMARY KEY (company, account_id, contact_id)
);

CREATE TABLE control_version (
    singleton BOOLEAN NOT NULL CHECK (singleton),
    version BIGINT NOT NULL,
    PRIMARY KEY (singleton)
);

CREATE TABLE cover (
    company TEXT NOT NULL,
    kind TEXT NOT NULL,
    cover_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    live BOOLEAN NOT NULL,
    items UUID[] NOT NULL,
    currency CHAR(3) NOT NULL,
    disputed_minor BIGINT NOT NULL,
    PRIMARY KEY (company, kind, cover_id),
    CONSTRAINT cover_kind CHECK (kind in ('promise', 'plan', 'dispute'))
);

CREATE INDEX cover_live ON cover (company, account_id) WHERE live;

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

CREATE TABLE effect (
    company TEXT NOT NULL,
    effect_id UUID NOT NULL,
    hold_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    grade TEXT NOT NULL,
    target TEXT NOT NULL,
    gated BOOLEAN NOT NULL,
    from_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    body JSONB NOT NULL,
    envelope JSONB NOT NULL,
    read_at_number BIGINT NOT NULL,
    status TEXT DEFAULT 'due' NOT NULL,
    reasons JSONB DEFAULT '[]' NOT NULL,
    judged_at_number BIGINT DEFAULT '-1' NOT NULL,
    claims INTEGER DEFAULT '0' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    reported BOOLEAN DEFAULT 'false' NOT NULL,
    claimed_by TEXT DEFAULT '' NOT NULL,
    lease_until_at TIMESTAMP WITH TIME ZONE,
    next_try_at TIMESTAMP WITH TIME ZONE,
    first_try_at TIMESTAMP WITH TIME ZONE,
    answered_at TIMESTAMP WITH TIME ZONE,
    code TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (company, effect_id),
    CONSTRAINT effect_status CHECK (status in ('due', 'confirmed', 'failed', 'withheld', 'superseded')),
    CONSTRAINT effect_state CHECK (state in ('ordered', 'renewed', 'lifted')),
    CONSTRAINT effect_version UNIQUE (company, hold_id, version)
)
 WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 5000);

CREATE INDEX effect_due ON effect (company, hold_id, version) WHERE status = 'due';

CREATE TABLE gate_record (
    company TEXT NOT NULL,
    subject_id UUID NOT NULL,
    claim INTEGER NOT NULL,
    "of" TEXT NOT NULL,
    account_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
    judged_at TIMESTAMP WITH TIME ZONE NOT NULL,
    tick_number BIGINT NOT NULL,
    tick_at TIMESTAMP WITH TIME ZONE,
    banks JSONB NOT NULL,
    items JSONB NOT NULL,
    reasons JSONB NOT NULL,
    policy TEXT NOT NULL,
    PRIMARY KEY (company, subject_id, claim),
    CONSTRAINT gate_record_of CHECK (of in ('notice', 'hold'))
);

CREATE TABLE inbox (
    event_id UUID NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (event_id)
);

CREATE TABLE item (
    company TEXT NOT NULL,
    item_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    side TEXT NOT NULL,
    number TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    remaining_minor BIGINT NOT NULL,
    disputed_minor BIGINT NOT NULL,
    due_on DATE NOT NULL,
    PRIMARY KEY (company, item_id),
    CONSTRAINT item_remaining CHECK (remaining_minor >= 0)
);

CREATE INDEX item_open ON item (company, account_id) WHERE remaining_minor > 0;

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
    contact_id TEXT NOT NULL,
    level INTEGER NOT NULL,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    decided_on DATE NOT NULL,
    not_before_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    request JSONB NOT NULL,
    envelope JSONB NOT NULL,
    retry_of UUID,
    status TEXT DEFAULT 'requested' NOT NULL,
    reasons JSONB DEFAULT '[]' NOT NULL,
    items JSONB DEFAULT '[]' NOT NULL,
    judged_at_number BIGINT DEFAULT '-1' NOT NULL,
    claims INTEGER DEFAULT '0' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    claimed_by TEXT DEFAULT '' NOT NULL,
    lease_until_at TIMESTAMP WITH TIME ZONE,
    next_try_at TIMESTAMP WITH TIME ZONE,
    message_id TEXT DEFAULT '' NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE,
    sent_at TIMESTAMP WITH TIME ZONE,
    sent_on DATE,
    content JSONB,
    code TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (company, notice_id),
    CONSTRAINT notice_status CHECK (status in ('requested', 'sending', 'sent', 'withheld', 'failed', 'unknown'))
)
 WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 5000);

CREATE INDEX notice_due ON notice (not_before_at) WHERE status = 'requested';

CREATE INDEX notice_in_flight ON notice (lease_until_at) WHERE status = 'sending';

CREATE INDEX notice_of_account ON notice (company, account_id, decided_on);

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

CREATE TABLE rate (
    company TEXT NOT NULL,
    pair TEXT NOT NULL,
    "on" DATE NOT NULL,
    rate TEXT NOT NULL,
    PRIMARY KEY (company, pair, "on")
);

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
