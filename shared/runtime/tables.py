"""The runtime's own tables, the same in every store. Queue-like tables are vacuumed eagerly."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

QUEUE = {
    "autovacuum_vacuum_scale_factor": "0.0",
    "autovacuum_vacuum_threshold": "2000",
    "autovacuum_analyze_scale_factor": "0.0",
    "autovacuum_analyze_threshold": "5000",
}


def _instant(name: str, **options: object) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, **options)


def add_runtime_tables(metadata: sa.MetaData) -> None:
    """Add the tables of cursor, inbox, outbox, timers, dead letters, markers, control, commands and of the start."""
    _stream_tables(metadata)
    _failure_tables(metadata)
    _marker_tables(metadata)
    _control_tables(metadata)
    _start_tables(metadata)


def _stream_tables(metadata: sa.MetaData) -> None:
    sa.Table(
        "kafka_cursor",
        metadata,
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
    )
    sa.Table(
        "inbox",
        metadata,
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    sa.Table(
        "stream_head",
        metadata,
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    sa.Table(
        "outbox",
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True, cache=1), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("marker_id", sa.Uuid),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        postgresql_with=QUEUE,
    )


def _failure_tables(metadata: sa.MetaData) -> None:
    sa.Table(
        "dead_letter",
        metadata,
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("event_id", sa.Uuid),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Index("dead_letter_key", "key"),
    )
    sa.Table(
        "parked_key",
        metadata,
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text),
        sa.Column("code", sa.Text, nullable=False, server_default="poison"),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("since_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    sa.Table(
        "timer",
        metadata,
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("clock", sa.Text, nullable=False),
        _instant("due_at"),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("envelope", JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.CheckConstraint("clock in ('business', 'wall')", name="timer_clock"),
        sa.Index("timer_due", "clock", "due_at"),
        postgresql_with=QUEUE,
    )


def _marker_tables(metadata: sa.MetaData) -> None:
    sa.Table(
        "marker_seen",
        metadata,
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
    )
    sa.Table(
        "marker",
        metadata,
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("marker_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("left", sa.Integer, nullable=False),
        sa.Column("work_left", sa.Integer, nullable=False, server_default="0"),
        sa.Column("state", sa.Text, nullable=False, server_default="counting"),
        sa.Column("bodies", JSONB, nullable=False),
        sa.Column("envelope", JSONB, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint('"left" >= 0 and work_left >= 0', name="marker_left"),
        sa.CheckConstraint("state in ('counting', 'working', 'ready', 'written')", name="marker_state"),
        sa.Index("marker_unwritten", "number", postgresql_where=sa.text("state <> 'written'")),
    )
    sa.Table(
        "business_clock",
        metadata,
        sa.Column("singleton", sa.Boolean, sa.CheckConstraint("singleton"), primary_key=True),
        _instant("at"),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("reach", JSONB, nullable=False),
        sa.Column("complete_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    sa.Table(
        "closed_day",
        metadata,
        sa.Column("company", sa.Text, primary_key=True),
        sa.Column("closed_on", sa.Date, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )


def _control_tables(metadata: sa.MetaData) -> None:
    sa.Table(
        "control_version",
        metadata,
        sa.Column("singleton", sa.Boolean, sa.CheckConstraint("singleton"), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    sa.Table(
        "company_config",
        metadata,
        sa.Column("company", sa.Text, primary_key=True),
        sa.Column("body", JSONB, nullable=False),
    )
    sa.Table(
        "policy_version",
        metadata,
        sa.Column("company", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("effective_on", sa.Date, nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("activation", sa.BigInteger, sa.Identity(always=True, cache=1), nullable=False),
    )
    sa.Table(
        "rate",
        metadata,
        sa.Column("company", sa.Text, primary_key=True),
        sa.Column("pair", sa.Text, primary_key=True),
        sa.Column("on", sa.Date, primary_key=True),
        sa.Column("rate", sa.Text, nullable=False),
    )
    sa.Table(
        "command",
        metadata,
        sa.Column("command_id", sa.Uuid, primary_key=True),
        sa.Column("body_sha256", sa.Text, nullable=False),
        sa.Column("reply", JSONB),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def _start_tables(metadata: sa.MetaData) -> None:
    sa.Table(
        "store_start",
        metadata,
        sa.Column("singleton", sa.Boolean, sa.CheckConstraint("singleton"), primary_key=True),
        sa.Column("acts_after", sa.BigInteger, nullable=False),
        sa.Column("written_through", sa.BigInteger, nullable=False),
        sa.Column("restored", sa.Boolean, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    sa.Table(
        "lost_output",
        metadata,
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payment_key", sa.Text),
        sa.Column("marker_number", sa.BigInteger),
        sa.Column("frozen", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Index("lost_output_subject", "subject"),
    )
