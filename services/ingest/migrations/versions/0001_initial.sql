CREATE TABLE account (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    state JSONB NOT NULL,
    PRIMARY KEY (company, account_id)
);

CREATE TABLE account_part (
    company TEXT NOT NULL,
    part TEXT NOT NULL,
    version INTEGER NOT NULL,
    state JSONB NOT NULL,
    PRIMARY KEY (company, part)
);

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

CREATE TABLE bank_line (
    line_id UUID NOT NULL,
    booked BOOLEAN NOT NULL,
    company TEXT NOT NULL,
    bank_account TEXT NOT NULL,
    line_key TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    segment TEXT NOT NULL,
    document_on DATE NOT NULL,
    signed_minor BIGINT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (line_id, booked)
);

CREATE INDEX bank_line_key ON bank_line (company, bank_account, line_key);

CREATE INDEX bank_line_segment ON bank_line (segment, document_on);

CREATE TABLE bank_reach (
    company TEXT NOT NULL,
    bank_account TEXT NOT NULL,
    through_on DATE,
    closing_minor BIGINT,
    number TEXT DEFAULT '' NOT NULL,
    complete_through_on DATE,
    PRIMARY KEY (company, bank_account)
);

CREATE TABLE bank_statement (
    company TEXT NOT NULL,
    statement_id TEXT NOT NULL,
    bank_account TEXT NOT NULL,
    printed_id TEXT NOT NULL,
    number TEXT NOT NULL,
    from_on DATE NOT NULL,
    to_on DATE NOT NULL,
    opening_minor BIGINT,
    closing_minor BIGINT,
    credits_minor BIGINT NOT NULL,
    debits_minor BIGINT NOT NULL,
    lines INTEGER NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    mode TEXT NOT NULL,
    segment TEXT NOT NULL,
    covers JSONB DEFAULT '[]' NOT NULL,
    chained BOOLEAN DEFAULT false NOT NULL,
    gap BOOLEAN DEFAULT false NOT NULL,
    submission_id UUID NOT NULL,
    head JSONB NOT NULL,
    PRIMARY KEY (statement_id),
    CONSTRAINT bank_statement_state CHECK (state in ('booked', 'held', 'unattributed', 'refused'))
);

CREATE INDEX bank_statement_days ON bank_statement (company, bank_account, to_on);

CREATE INDEX bank_statement_held ON bank_statement (company) WHERE state in ('held', 'unattributed');

CREATE TABLE business_clock (
    singleton BOOLEAN NOT NULL CHECK (singleton),
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    number BIGINT NOT NULL,
    reach JSONB NOT NULL,
    complete_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (singleton)
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

CREATE TABLE document (
    document_id UUID NOT NULL,
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    family TEXT NOT NULL,
    number TEXT NOT NULL,
    material TEXT NOT NULL,
    cancelled BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (document_id)
);

CREATE TABLE feed_position (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE held_line (
    statement_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    place TEXT NOT NULL,
    body TEXT NOT NULL,
    line_key TEXT NOT NULL,
    nth INTEGER NOT NULL,
    PRIMARY KEY (statement_id, position)
);

CREATE TABLE inbox (
    event_id UUID NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (event_id)
);

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

CREATE TABLE marker_head (
    "only" BOOLEAN NOT NULL CHECK ("only"),
    number BIGINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY ("only")
);

CREATE TABLE marker_seen (
    number BIGINT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    PRIMARY KEY (number, topic, partition)
);

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

CREATE TABLE policy_draft (
    company TEXT NOT NULL,
    draft_id UUID NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    content JSONB NOT NULL,
    effective_on DATE NOT NULL,
    proposed_by TEXT NOT NULL,
    proposed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (company, draft_id)
);

CREATE INDEX policy_draft_version ON policy_draft (company, name, version);

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

CREATE TABLE quarantined_record (
    record_id UUID NOT NULL,
    number BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
    company TEXT NOT NULL,
    kind TEXT NOT NULL,
    place TEXT NOT NULL,
    body TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id TEXT,
    amount_minor BIGINT,
    currency TEXT,
    hints JSONB NOT NULL,
    code TEXT NOT NULL,
    field TEXT NOT NULL,
    reason TEXT NOT NULL,
    waits_for TEXT NOT NULL,
    times INTEGER NOT NULL,
    state TEXT NOT NULL,
    submission_id UUID NOT NULL,
    statement_id TEXT DEFAULT '' NOT NULL,
    line JSONB DEFAULT '{}' NOT NULL,
    quarantined_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (record_id),
    CONSTRAINT quarantined_record_state CHECK (state in ('open', 'retrying', 'released', 'superseded', 'discarded')),
    UNIQUE (number)
);

CREATE INDEX quarantined_record_open ON quarantined_record (company, number) WHERE state in ('open', 'retrying');

CREATE INDEX quarantined_record_subject ON quarantined_record (company, subject) WHERE state in ('open', 'retrying');

CREATE INDEX quarantined_record_waiting ON quarantined_record (company, waits_for) WHERE state = 'open';

CREATE TABLE rate (
    company TEXT NOT NULL,
    pair TEXT NOT NULL,
    "on" DATE NOT NULL,
    rate TEXT NOT NULL,
    PRIMARY KEY (company, pair, "on")
);

CREATE TABLE record_outcome (
    submission_id UUID NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    place TEXT NOT NULL,
    outcome TEXT NOT NULL,
    subject TEXT NOT NULL,
    code TEXT NOT NULL,
    field TEXT NOT NULL,
    reason TEXT NOT NULL,
    record_id UUID,
    PRIMARY KEY (submission_id, position)
);

CREATE TABLE staged_record (
    submission_id UUID NOT NULL,
    rank SMALLINT NOT NULL,
    position INTEGER NOT NULL,
    group_no INTEGER NOT NULL,
    kind TEXT NOT NULL,
    place TEXT NOT NULL,
    body TEXT NOT NULL,
    line_key TEXT DEFAULT '' NOT NULL,
    nth INTEGER DEFAULT '0' NOT NULL,
    record_id UUID,
    statement_id TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (submission_id, rank, position)
)
 WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 5000);

CREATE TABLE stream_head (
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (topic, key)
);

CREATE TABLE submission (
    submission_id UUID NOT NULL,
    number BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
    company TEXT NOT NULL,
    actor TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    content_type TEXT DEFAULT '' NOT NULL,
    file_name TEXT DEFAULT '' NOT NULL,
    bytes BIGINT NOT NULL,
    format TEXT DEFAULT '' NOT NULL,
    state TEXT NOT NULL,
    code TEXT DEFAULT '' NOT NULL,
    place TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    records INTEGER DEFAULT '0' NOT NULL,
    staged INTEGER DEFAULT '0' NOT NULL,
    counts JSONB DEFAULT '{}' NOT NULL,
    groups JSONB DEFAULT '{}' NOT NULL,
    master_data BOOLEAN DEFAULT false NOT NULL,
    bank_from_on DATE,
    business_date DATE NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    known_at TIMESTAMP WITH TIME ZONE NOT NULL,
    done_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (submission_id),
    CONSTRAINT submission_state CHECK (state in ('receiving', 'accepted', 'done', 'rejected')),
    UNIQUE (number)
);

CREATE INDEX submission_content ON submission (company, sha256);

CREATE INDEX submission_waiting ON submission (company, number) WHERE state = 'accepted';

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
