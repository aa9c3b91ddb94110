CREATE TABLE store_start (
    singleton BOOLEAN NOT NULL,
    acts_after BIGINT NOT NULL,
    written_through BIGINT NOT NULL,
    restored BOOLEAN NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (singleton),
    CHECK (singleton)
);

CREATE TABLE lost_output (
    event_id UUID NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    key TEXT NOT NULL,
    stream TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    payment_key TEXT,
    marker_number BIGINT,
    frozen BOOLEAN DEFAULT false NOT NULL,
    found_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (event_id)
);

CREATE INDEX lost_output_subject ON lost_output (subject);
