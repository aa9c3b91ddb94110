CREATE TABLE unbooked_cash (
    company TEXT NOT NULL,
    origin_id UUID NOT NULL,
    group_id TEXT NOT NULL,
    payment_id UUID,
    source TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    amount_minor BIGINT NOT NULL,
    valued_on DATE NOT NULL,
    since_on DATE NOT NULL,
    view JSONB NOT NULL,
    keys TEXT[] NOT NULL,
    PRIMARY KEY (company, origin_id),
    CONSTRAINT unbooked_cash_source CHECK (source in ('announced', 'held', 'quarantined'))
);

CREATE INDEX unbooked_cash_of_amount ON unbooked_cash (company, currency, amount_minor, since_on, origin_id);

CREATE INDEX unbooked_cash_of_group ON unbooked_cash (company, group_id);

CREATE INDEX unbooked_cash_keys ON unbooked_cash USING gin (keys);
