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
