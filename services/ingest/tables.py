"""The tables of ingest. What came in (submission, staged, outcome), what is known of it, what is held back.

Invariants: a fact is written in the transaction that removes its staged record; a line's id exists once.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from shared.approval import approval_table
from shared.runtime.tables import QUEUE, add_runtime_tables

metadata = sa.MetaData()
add_runtime_tables(metadata)
approval = approval_table(metadata)

SUBMISSION_STATES = ("receiving", "accepted", "done", "rejected")
QUARANTINE_STATES = ("open", "retrying", "released", "superseded", "discarded")
STATEMENT_STATES = ("booked", "held", "unattributed", "refused")


def _text(name: str, **options: object) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, **options)


def _instant(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _one_of(column: str, values: tuple[str, ...], name: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", name=name)


submission = sa.Table(
    "submission",
    metadata,
    sa.Column("submission_id", sa.Uuid, primary_key=True),
    sa.Column("number", sa.BigInteger, sa.Identity(always=True, cache=1), nullable=False, unique=True),
    _text("company"),
    _text("actor"),
    _text("idempotency_key"),
    _text("sha256"),
    _text("content_type", server_default=""),
    _text("file_name", server_default=""),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    _text("format", server_default=""),
    _text("state"),
    _text("code", server_default=""),
    _text("place", server_default=""),
    _text("reason", server_default=""),
    sa.Column("records", sa.Integer, nullable=False, server_default="0"),
    sa.Column("staged", sa.Integer, nullable=False, server_default="0"),
    sa.Column("counts", JSONB, nullable=False, server_default="{}"),
    sa.Column("groups", JSONB, nullable=False, server_default="{}"),
    sa.Column("master_data", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("bank_from_on", sa.Date),
    sa.Column("business_date", sa.Date, nullable=False),
    _instant("received_at"),
    _instant("known_at"),
    _instant("done_at", nullable=True),
    _text("traceparent", server_default=""),
    _one_of("state", SUBMISSION_STATES, "submission_state"),
    sa.Index("submission_content", "company", "sha256"),
    sa.Index("submission_waiting", "company", "number", postgresql_where=sa.text("state = 'accepted'")),
)

staged_record = sa.Table(
    "staged_record",
    metadata,
    sa.Column("submission_id", sa.Uuid, primary_key=True),
    sa.Column("rank", sa.SmallInteger, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("group_no", sa.Integer, nullable=False),
    _text("kind"),
    _text("place"),
    _text("body"),
    _text("line_key", server_default=""),
    sa.Column("nth", sa.Integer, nullable=False, server_default="0"),
    sa.Column("record_id", sa.Uuid),
    _text("statement_id", server_default=""),
    _text("traceparent", server_default=""),
    postgresql_with=QUEUE,
)

record_outcome = sa.Table(
    "record_outcome",
    metadata,
    sa.Column("submission_id", sa.Uuid, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    _text("kind"),
    _text("place"),
    _text("outcome"),
    _text("subject"),
    _text("code"),
    _text("field"),
    _text("reason"),
    sa.Column("record_id", sa.Uuid),
)

account = sa.Table(
    "account",
    metadata,
    sa.Column("company", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", JSONB, nullable=False),
)

account_part = sa.Table(
    "account_part",
    metadata,
    sa.Column("company", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", JSONB, nullable=False),
)

document = sa.Table(
    "document",
    metadata,
    sa.Column("document_id", sa.Uuid, primary_key=True),
    _text("company"),
    _text("account_id"),
    _text("family"),
    _text("number"),
    _text("material"),
    sa.Column("cancelled", sa.Boolean, nullable=False, server_default=sa.false()),
)

bank_statement = sa.Table(
    "bank_statement",
    metadata,
    _text("company"),
    sa.Column("statement_id", sa.Text, primary_key=True),
    _text("bank_account"),
    _text("printed_id"),
    _text("number"),
    sa.Column("from_on", sa.Date, nullable=False),
    sa.Column("to_on", sa.Date, nullable=False),
    sa.Column("opening_minor", sa.BigInteger),
    sa.Column("closing_minor", sa.BigInteger),
    sa.Column("credits_minor", sa.BigInteger, nullable=False),
    sa.Column("debits_minor", sa.BigInteger, nullable=False),
    sa.Column("lines", sa.Integer, nullable=False),
    _text("currency"),
    _text("state"),
    _text("reason", server_default=""),
    _text("mode"),
    _text("segment"),
    sa.Column("covers", JSONB, nullable=False, server_default="[]"),
    sa.Column("chained", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("gap", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("submission_id", sa.Uuid, nullable=False),
    sa.Column("head", JSONB, nullable=False),
    _text("code", server_default=""),
    sa.Column("times", sa.Integer, nullable=False, server_default="0"),
    _one_of("state", STATEMENT_STATES, "bank_statement_state"),
    sa.Index("bank_statement_days", "company", "bank_account", "to_on"),
    sa.Index("bank_statement_held", "company", postgresql_where=sa.text("state in ('held', 'unattributed')")),
)

held_line = sa.Table(
    "held_line",
    metadata,
    sa.Column("statement_id", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    _text("place"),
    _text("body"),
    _text("line_key"),
    sa.Column("nth", sa.Integer, nullable=False),
)

bank_line = sa.Table(
    "bank_line",
    metadata,
    sa.Column("line_id", sa.Uuid, primary_key=True),
    sa.Column("booked", sa.Boolean, primary_key=True),
    _text("company"),
    _text("bank_account"),
    _text("line_key"),
    sa.Column("occurrence", sa.Integer, nullable=False),
    _text("segment"),
    sa.Column("document_on", sa.Date, nullable=False),
    sa.Column("signed_minor", sa.BigInteger, nullable=False),
    _text("kind"),
    sa.Index("bank_line_key", "company", "bank_account", "line_key"),
    sa.Index("bank_line_segment", "segment", "document_on"),
)

bank_reach = sa.Table(
    "bank_reach",
    metadata,
    sa.Column("company", sa.Text, primary_key=True),
    sa.Column("bank_account", sa.Text, primary_key=True),
    sa.Column("through_on", sa.Date),
    sa.Column("closing_minor", sa.BigInteger),
    _text("number", server_default=""),
    sa.Column("complete_through_on", sa.Date),
)

quarantined_record = sa.Table(
    "quarantined_record",
    metadata,
    sa.Column("record_id", sa.Uuid, primary_key=True),
    sa.Column("number", sa.BigInteger, sa.Identity(always=True, cache=1), nullable=False, unique=True),
    _text("company"),
    _text("kind"),
    _text("place"),
    _text("body"),
    _text("subject"),
    sa.Column("account_id", sa.Text),
    sa.Column("amount_minor", sa.BigInteger),
    sa.Column("currency", sa.Text),
    sa.Column("hints", JSONB, nullable=False),
    _text("code"),
    _text("field"),
    _text("reason"),
    _text("waits_for"),
    sa.Column("times", sa.Integer, nullable=False),
    _text("state"),
    sa.Column("submission_id", sa.Uuid, nullable=False),
    _text("statement_id", server_default=""),
    sa.Column("line", JSONB, nullable=False, server_default="{}"),
    _instant("quarantined_at"),
    _one_of("state", QUARANTINE_STATES, "quarantined_record_state"),
    sa.Index(
        "quarantined_record_waiting",
        "company",
        "waits_for",
        postgresql_where=sa.text("state = 'open'"),
    ),
    sa.Index(
        "quarantined_record_open",
        "company",
        "number",
        postgresql_where=sa.text("state in ('open', 'retrying')"),
    ),
    sa.Index(
        "quarantined_record_subject", "company", "subject", postgresql_where=sa.text("state in ('open', 'retrying')")
    ),
)

policy_draft = sa.Table(
    "policy_draft",
    metadata,
    sa.Column("company", sa.Text, primary_key=True),
    sa.Column("draft_id", sa.Uuid, primary_key=True),
    _text("name"),
    _text("version"),
    _text("sha256"),
    sa.Column("content", JSONB, nullable=False),
    sa.Column("effective_on", sa.Date, nullable=False),
    _text("proposed_by"),
    _instant("proposed_at"),
    sa.Index("policy_draft_version", "company", "name", "version"),
)

marker_head = sa.Table(
    "marker_head",
    metadata,
    sa.Column("only", sa.Boolean, sa.CheckConstraint('"only"'), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    _instant("at"),
)

feed_position = sa.Table(
    "feed_position",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
)
