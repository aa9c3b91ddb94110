CREATE TABLE account (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    currency TEXT DEFAULT '' NOT NULL,
    bank_accounts TEXT[] DEFAULT '{}' NOT NULL,
    registered BOOLEAN DEFAULT 'false' NOT NULL,
    party_id TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (company, account_id)
);

CREATE TABLE account_cash (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    unapplied_minor BIGINT NOT NULL,
    on_account_minor BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (company, account_id, currency),
    CONSTRAINT account_cash_not_negative CHECK (unapplied_minor >= 0 and on_account_minor >= 0)
);

CREATE TABLE account_link (
    company TEXT NOT NULL,
    account_id TEXT NOT NULL,
    to_account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    from_on DATE,
    to_on DATE,
    PRIMARY KEY (company, account_id, to_account_id, kind)
);

CREATE TABLE account_lookup_key (
    company TEXT NOT NULL,
    key TEXT NOT NULL,
    account_id TEXT NOT NULL,
    PRIMARY KEY (company, key, account_id)
);

CREATE INDEX account_lookup_key_of_account ON account_lookup_key (company, account_id);

CREATE TABLE application (
    posting_id UUID NOT NULL,
    item_id UUID NOT NULL,
    company TEXT NOT NULL,
    payment_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    side TEXT NOT NULL,
    cash_minor BIGINT NOT NULL,
    discount_minor BIGINT NOT NULL,
    small_difference_minor BIGINT NOT NULL,
    bank_charge_minor BIGINT NOT NULL,
    deduction_minor BIGINT NOT NULL,
    deduction_item_id UUID,
    gain_minor BIGINT NOT NULL,
    rule TEXT NOT NULL,
    reversed_by UUID,
    PRIMARY KEY (posting_id, item_id)
);

CREATE INDEX application_of_item ON application (item_id);

CREATE INDEX application_of_payment ON application (payment_id);

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
    candidate_id UUID NOT NULL,
    company TEXT NOT NULL,
    origin_id UUID NOT NULL,
    group_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    payment_id UUID,
    amount_minor BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    evidence TEXT[] NOT NULL,
    source TEXT NOT NULL,
    since_on DATE NOT NULL,
    open BOOLEAN NOT NULL,
    PRIMARY KEY (candidate_id)
);

CREATE INDEX candidate_of_account ON candidate (company, account_id) WHERE open;

CREATE INDEX candidate_of_group ON candidate (company, group_id) WHERE open and group_id <> '';

CREATE INDEX candidate_of_origin ON candidate (company, origin_id);

CREATE TABLE certificate (
    certificate_id UUID NOT NULL,
    company TEXT NOT NULL,
    payment_id UUID NOT NULL,
    posting_id UUID,
    content JSONB NOT NULL,
    snapshot pg_snapshot NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    PRIMARY KEY (certificate_id),
    CONSTRAINT certificate_size CHECK (octet_length(content::text) <= 5120)
);

CREATE INDEX certificate_of_payment ON certificate (company, payment_id);

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

CREATE TABLE credit_use (
    posting_id UUID NOT NULL,
    credit_item_id UUID NOT NULL,
    debit_item_id UUID NOT NULL,
    company TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    reversed_by UUID,
    PRIMARY KEY (posting_id, credit_item_id, debit_item_id)
);

CREATE INDEX credit_use_of_credit ON credit_use (credit_item_id);

CREATE INDEX credit_use_of_debit ON credit_use (debit_item_id);

CREATE TABLE day_total (
    company TEXT NOT NULL,
    accounted_on DATE NOT NULL,
    bank_account TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    ledger TEXT NOT NULL,
    side TEXT NOT NULL,
    debit_minor BIGINT NOT NULL,
    credit_minor BIGINT NOT NULL,
    base_minor BIGINT NOT NULL,
    PRIMARY KEY (company, accounted_on, bank_account, currency, ledger, side)
);

CREATE TABLE day_total_reach (
    one BOOLEAN NOT NULL CHECK (one),
    line_id BIGINT NOT NULL,
    PRIMARY KEY (one)
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
    company TEXT NOT NULL,
    document_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    document_type TEXT NOT NULL,
    number TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    total_minor BIGINT NOT NULL,
    document_on DATE NOT NULL,
    business_date DATE NOT NULL,
    cancelled_on DATE,
    replaced_by UUID,
    PRIMARY KEY (company, document_id),
    CONSTRAINT document_total CHECK (total_minor >= 0)
);

CREATE TABLE document_wait (
    company TEXT NOT NULL,
    document_id UUID NOT NULL,
    kind TEXT NOT NULL,
    other_id UUID NOT NULL,
    amount_minor BIGINT NOT NULL,
    keeps_due_date BOOLEAN NOT NULL,
    "on" DATE,
    PRIMARY KEY (company, document_id, kind, other_id),
    CONSTRAINT document_wait_kind CHECK (kind in ('credit', 'cancel', 'rebill'))
);

CREATE TABLE inbox (
    event_id UUID NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (event_id)
);

CREATE TABLE item_dispute (
    company TEXT NOT NULL,
    dispute_id UUID NOT NULL,
    item_id UUID NOT NULL,
    version BIGINT NOT NULL,
    held_minor BIGINT NOT NULL,
    PRIMARY KEY (company, dispute_id)
);

CREATE TABLE item_lookup_key (
    company TEXT NOT NULL,
    key TEXT NOT NULL,
    item_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    PRIMARY KEY (company, key, item_id)
);

CREATE TABLE journal_line (
    id BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1),
    posting_id UUID NOT NULL,
    company TEXT NOT NULL,
    ledger TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    amount_minor BIGINT NOT NULL,
    base_minor BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    item_id UUID,
    side TEXT NOT NULL,
    payment_id UUID,
    bank_account TEXT NOT NULL,
    funding TEXT NOT NULL,
    accounted_on DATE NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX journal_line_of_item ON journal_line (item_id) WHERE item_id is not null;

CREATE INDEX journal_line_of_posting ON journal_line (posting_id);

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

CREATE TABLE open_debit (
    company TEXT NOT NULL,
    debit_id UUID NOT NULL,
    bank_account TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    amount_minor BIGINT NOT NULL,
    left_minor BIGINT NOT NULL,
    valued_on DATE NOT NULL,
    accounted_on DATE NOT NULL,
    reason_code TEXT NOT NULL,
    keys TEXT[] NOT NULL,
    payment_id UUID,
    PRIMARY KEY (company, debit_id),
    CONSTRAINT open_debit_left CHECK (left_minor between 0 and amount_minor)
);

CREATE INDEX open_debit_keys ON open_debit USING gin (keys) WHERE left_minor > 0;

CREATE INDEX open_debit_of_payment ON open_debit (company, payment_id) WHERE left_minor > 0;

CREATE TABLE open_item (
    company TEXT NOT NULL,
    item_id UUID NOT NULL,
    document_id UUID NOT NULL,
    line TEXT NOT NULL,
    number TEXT NOT NULL,
    kind TEXT NOT NULL,
    side TEXT NOT NULL,
    account_id TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    original_minor BIGINT NOT NULL,
    remaining_minor BIGINT NOT NULL,
    disputed_minor BIGINT DEFAULT '0' NOT NULL,
    relief_cash BIGINT DEFAULT '0' NOT NULL,
    relief_credit BIGINT DEFAULT '0' NOT NULL,
    relief_discount BIGINT DEFAULT '0' NOT NULL,
    relief_small_difference BIGINT DEFAULT '0' NOT NULL,
    relief_bank_charge BIGINT DEFAULT '0' NOT NULL,
    relief_commission BIGINT DEFAULT '0' NOT NULL,
    relief_write_off BIGINT DEFAULT '0' NOT NULL,
    relief_moved BIGINT DEFAULT '0' NOT NULL,
    relief_fx BIGINT DEFAULT '0' NOT NULL,
    relief_cancelled BIGINT DEFAULT '0' NOT NULL,
    document_on DATE NOT NULL,
    due_on DATE NOT NULL,
    business_date DATE NOT NULL,
    accounted_on DATE NOT NULL,
    payment_reference TEXT DEFAULT '' NOT NULL,
    discounts JSONB DEFAULT '{}' NOT NULL,
    base_currency CHAR(3) NOT NULL,
    rate NUMERIC,
    rate_id TEXT DEFAULT '' NOT NULL,
    version BIGINT NOT NULL,
    posting_id UUID NOT NULL,
    PRIMARY KEY (company, item_id),
    CONSTRAINT open_item_remaining CHECK (remaining_minor between 0 and original_minor),
    CONSTRAINT open_item_relief_sums CHECK (original_minor = remaining_minor + relief_cash + relief_credit + relief_discount + relief_small_difference + relief_bank_charge + relief_commission + relief_write_off + relief_moved + relief_fx + relief_cancelled),
    CONSTRAINT open_item_side CHECK (side in ('debit', 'credit')),
    CONSTRAINT open_item_disputed CHECK (disputed_minor >= 0)
)
 WITH (fillfactor = 80);

CREATE INDEX open_item_of_account ON open_item (company, account_id) WHERE remaining_minor > 0;

CREATE INDEX open_item_of_amount ON open_item (company, currency, remaining_minor) WHERE remaining_minor > 0;

CREATE INDEX open_item_of_document ON open_item (company, document_id);

CREATE INDEX open_item_of_undisputed ON open_item (company, currency, (remaining_minor - disputed_minor)) WHERE remaining_minor > 0 and disputed_minor > 0;

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

CREATE TABLE posting (
    posting_id UUID NOT NULL,
    company TEXT NOT NULL,
    kind TEXT NOT NULL,
    origin TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    base_currency CHAR(3) NOT NULL,
    rate_id TEXT NOT NULL,
    cause_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    payment_id UUID,
    reverses_posting_id UUID,
    reason_code TEXT NOT NULL,
    rule TEXT NOT NULL,
    policy TEXT NOT NULL,
    certificate_id UUID,
    actor TEXT NOT NULL,
    business_date DATE NOT NULL,
    valued_on DATE NOT NULL,
    accounted_on DATE NOT NULL,
    known_at TIMESTAMP WITH TIME ZONE NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    PRIMARY KEY (posting_id),
    CONSTRAINT posting_origin CHECK (origin in ('feed', 'recoup'))
);

CREATE INDEX posting_of_payment ON posting (company, payment_id) WHERE payment_id is not null;

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
    bank_account TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    amount_minor BIGINT NOT NULL,
    open_minor BIGINT NOT NULL,
    unidentified_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    non_ar_minor BIGINT NOT NULL,
    returned_minor BIGINT NOT NULL,
    gain_minor BIGINT NOT NULL,
    document_on DATE NOT NULL,
    valued_on DATE NOT NULL,
    accounted_on DATE NOT NULL,
    business_date DATE NOT NULL,
    base_currency CHAR(3) NOT NULL,
    rate NUMERIC,
    rate_id TEXT NOT NULL,
    view JSONB NOT NULL,
    posting_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason_code TEXT NOT NULL,
    rule TEXT NOT NULL,
    flags TEXT[] NOT NULL,
    certificate_id UUID,
    by_person BOOLEAN NOT NULL,
    tried_on DATE,
    version BIGINT NOT NULL,
    PRIMARY KEY (company, payment_id),
    CONSTRAINT receipt_not_negative CHECK (unidentified_minor >= 0 and refunded_minor >= 0 and non_ar_minor >= 0 and returned_minor >= 0 and gain_minor >= 0 and open_minor >= 0 and open_minor <= amount_minor)
)
 WITH (fillfactor = 80);

CREATE INDEX receipt_alike ON receipt (company, currency, amount_minor, valued_on);

CREATE INDEX receipt_by_day ON receipt (company, business_date, payment_id);

CREATE INDEX receipt_of_amount ON receipt (company, currency, open_minor, business_date, payment_id) WHERE open_minor <> 0 and not by_person;

CREATE INDEX receipt_waiting ON receipt (company, tried_on) WHERE open_minor > 0;

CREATE TABLE receipt_key (
    company TEXT NOT NULL,
    key TEXT NOT NULL,
    payment_id UUID NOT NULL,
    PRIMARY KEY (company, key, payment_id)
);

CREATE TABLE receipt_part (
    company TEXT NOT NULL,
    payment_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    applied_minor BIGINT NOT NULL,
    unapplied_minor BIGINT NOT NULL,
    on_account_minor BIGINT NOT NULL,
    PRIMARY KEY (company, payment_id, account_id),
    CONSTRAINT receipt_part_not_negative CHECK (unapplied_minor >= 0 and on_account_minor >= 0)
);

CREATE INDEX receipt_part_of_account ON receipt_part (company, account_id);

CREATE INDEX receipt_part_standing ON receipt_part (company) WHERE unapplied_minor > 0 or on_account_minor > 0;

CREATE TABLE refund (
    company TEXT NOT NULL,
    refund_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    payment_id UUID NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    bank_account TEXT NOT NULL,
    status TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_on DATE NOT NULL,
    from_place TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    approved_on DATE,
    approval_id UUID,
    version BIGINT NOT NULL,
    PRIMARY KEY (company, refund_id),
    CONSTRAINT refund_status CHECK (status in ('requested', 'approved', 'paid')),
    CONSTRAINT refund_maker_is_not_checker CHECK (status = 'requested' or approved_by <> requested_by)
);

CREATE INDEX refund_of_account ON refund (company, account_id);

CREATE INDEX refund_of_payment ON refund (company, payment_id);

CREATE INDEX refund_payable ON refund (company, bank_account, amount_minor) WHERE status = 'approved';

CREATE TABLE statement (
    company TEXT NOT NULL,
    bank_account TEXT NOT NULL,
    statement_id TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    from_on DATE NOT NULL,
    to_on DATE NOT NULL,
    opening_minor BIGINT NOT NULL,
    closing_minor BIGINT NOT NULL,
    credits_minor BIGINT NOT NULL,
    debits_minor BIGINT NOT NULL,
    lines INTEGER NOT NULL,
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
    rank INTEGER NOT NULL,
    account_id TEXT NOT NULL,
    items JSONB NOT NULL,
    rule TEXT NOT NULL,
    why TEXT NOT NULL,
    chance TEXT NOT NULL,
    certificate_id UUID,
    PRIMARY KEY (company, payment_id, rank)
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

create or replace function entry_is_balanced() returns trigger language plpgsql as $$
declare wrong uuid;
begin
  select posting_id into wrong from
    (select posting_id, bank_account, sum(amount_minor) as amount from fresh group by posting_id, bank_account) as tag
    where amount <> 0 limit 1;
  if wrong is null then
    select posting_id into wrong from fresh group by posting_id having sum(base_minor) <> 0 limit 1;
  end if;
  if wrong is not null then
    raise exception 'journal entry % does not balance; all lines of an entry are inserted by one statement', wrong;
  end if;
  return null;
end $$;

create or replace function entry_is_final() returns trigger language plpgsql as $$
begin
  raise exception 'entries of the journal are never changed or deleted; reverse them';
end $$;

create trigger journal_line_balanced after insert on journal_line referencing new table as fresh for each statement execute function entry_is_balanced();

create trigger journal_line_final before update or delete on journal_line for each statement execute function entry_is_final();

create trigger posting_final before update or delete on posting for each statement execute function entry_is_final();
