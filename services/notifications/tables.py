"""The store of notifications: copies of facts that the gate looks at, notices, gate records and effects.

Copies are written by version (the higher wins) or by order of arrival; a notice is in exactly one status.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.approval import approval_table
from shared.runtime.tables import QUEUE, add_runtime_tables

metadata = sa.MetaData()
add_runtime_tables(metadata)
approval = approval_table(metadata)

NOTICE_STATUSES = ("requested", "sending", "sent", "withheld", "failed", "unknown")
EFFECT_STATUSES = ("due", "confirmed", "failed", "withheld", "superseded")


def _key(name: str, kind: type = sa.Text) -> sa.Column:
    return sa.Column(name, kind, primary_key=True)


def _text(name: str, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def _whole(name: str, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=default)


def _texts(name: str) -> sa.Column:
    return sa.Column(name, ARRAY(sa.Text), nullable=False, server_default="{}")


def _instant(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _one_of(name: str, column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", name=name)


account_lock = sa.Table("account_lock", metadata, _key("company"), _key("account_id"))
"""One row per account that anything is known of: whoever writes or judges an account locks it first."""

account = sa.Table(
    "account",
    metadata,
    _key("company"),
    _key("account_id"),
    _text("name"),
    _text("debtor_kind"),
    _text("country"),
    _text("language"),
    _text("time_zone"),
    _text("status"),
)

contact = sa.Table(
    "contact",
    metadata,
    _key("company"),
    _key("account_id"),
    _key("contact_id"),
    _text("name"),
    _text("email"),
    _text("language"),
    _text("time_zone"),
    _texts("channels"),
    _texts("consents"),
    sa.Column("valid", sa.Boolean, nullable=False),
    sa.Column("refused", sa.Boolean, nullable=False, server_default="false"),
)
"""`refused`: the address refused a mail for good; it is taken back when the ERP sends another address."""

item = sa.Table(
    "item",
    metadata,
    _key("company"),
    _key("item_id", sa.Uuid),
    _text("account_id"),
    _whole("version"),
    _text("side"),
    _text("number"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _whole("remaining_minor"),
    _whole("disputed_minor"),
    sa.Column("due_on", sa.Date, nullable=False),
    sa.CheckConstraint("remaining_minor >= 0", name="item_remaining"),
    sa.Index("item_open", "company", "account_id", postgresql_where=sa.text("remaining_minor > 0")),
)

balance = sa.Table(
    "balance",
    metadata,
    _key("company"),
    _key("account_id"),
    _key("currency", sa.CHAR(3)),
    _whole("version"),
    _whole("unapplied_minor"),
    _whole("on_account_minor"),
)

candidate = sa.Table(
    "candidate",
    metadata,
    _key("company"),
    _key("candidate_id", sa.Uuid),
    _text("account_id"),
    _whole("amount_minor"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _text("source"),
    sa.Column("since_on", sa.Date, nullable=False),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Index("candidate_live", "company", "account_id", postgresql_where=sa.text("live")),
)

cover = sa.Table(
    "cover",
    metadata,
    _key("company"),
    _key("kind"),
    _key("cover_id", sa.Uuid),
    _text("account_id"),
    _whole("version"),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Column("items", ARRAY(sa.Uuid), nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _whole("disputed_minor"),
    _one_of("cover_kind", "kind", ("promise", "plan", "dispute")),
    sa.Index("cover_live", "company", "account_id", postgresql_where=sa.text("live")),
)

notice = sa.Table(
    "notice",
    metadata,
    _key("company"),
    _key("notice_id", sa.Uuid),
    _text("account_id"),
    _text("contact_id"),
    sa.Column("level", sa.Integer, nullable=False),
    _text("kind"),
    _text("channel"),
    sa.Column("decided_on", sa.Date, nullable=False),
    _instant("not_before_at"),
    _instant("expires_at"),
    sa.Column("request", JSONB, nullable=False),
    sa.Column("envelope", JSONB, nullable=False),
    sa.Column("retry_of", sa.Uuid),
    _text("status", "requested"),
    sa.Column("reasons", JSONB, nullable=False, server_default="[]"),
    sa.Column("items", JSONB, nullable=False, server_default="[]"),
    _whole("judged_at_number", "-1"),
    sa.Column("claims", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _text("claimed_by", ""),
    _instant("lease_until_at", nullable=True),
    _instant("next_try_at", nullable=True),
    _text("message_id", ""),
    _instant("decided_at", nullable=True),
    _instant("sent_at", nullable=True),
    sa.Column("sent_on", sa.Date),
    sa.Column("content", JSONB),
    _text("code", ""),
    _one_of("notice_status", "status", NOTICE_STATUSES),
    sa.Index("notice_due", "not_before_at", postgresql_where=sa.text("status = 'requested'")),
    sa.Index("notice_in_flight", "lease_until_at", postgresql_where=sa.text("status = 'sending'")),
    sa.Index("notice_of_account", "company", "account_id", "decided_on"),
    postgresql_with=QUEUE,
)
"""not_before_at, expires_at, decided_at, sent_at and sent_on are business time; lease and next_try are wall time."""

gate_record = sa.Table(
    "gate_record",
    metadata,
    _key("company"),
    _key("subject_id", sa.Uuid),
    _key("claim", sa.Integer),
    _text("of"),
    _text("account_id"),
    _text("outcome"),
    _instant("decided_at"),
    _instant("judged_at"),
    _whole("tick_number"),
    _instant("tick_at", nullable=True),
    sa.Column("banks", JSONB, nullable=False),
    sa.Column("items", JSONB, nullable=False),
    sa.Column("reasons", JSONB, nullable=False),
    _text("policy"),
    _one_of("gate_record_of", "of", ("notice", "hold")),
)
"""What the gate knew when it decided, for the auditor. `decided_at` is business time, `judged_at` the wall clock."""

effect = sa.Table(
    "effect",
    metadata,
    _key("company"),
    _key("effect_id", sa.Uuid),
    sa.Column("hold_id", sa.Uuid, nullable=False),
    _text("account_id"),
    _whole("version"),
    _text("state"),
    _text("grade"),
    _text("target"),
    sa.Column("gated", sa.Boolean, nullable=False),
    _instant("from_at"),
    _instant("expires_at"),
    sa.Column("body", JSONB, nullable=False),
    sa.Column("envelope", JSONB, nullable=False),
    _whole("read_at_number"),
    _text("status", "due"),
    sa.Column("reasons", JSONB, nullable=False, server_default="[]"),
    _whole("judged_at_number", "-1"),
    sa.Column("claims", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reported", sa.Boolean, nullable=False, server_default="false"),
    _text("claimed_by", ""),
    _instant("lease_until_at", nullable=True),
    _instant("next_try_at", nullable=True),
    _instant("first_try_at", nullable=True),
    _instant("answered_at", nullable=True),
    _text("code", ""),
    _one_of("effect_status", "status", EFFECT_STATUSES),
    _one_of("effect_state", "state", ("ordered", "renewed", "lifted")),
    sa.UniqueConstraint("company", "hold_id", "version", name="effect_version"),
    sa.Index("effect_due", "company", "hold_id", "version", postgresql_where=sa.text("status = 'due'")),
    postgresql_with=QUEUE,
)
"""One delivery of one version of a hold. `gated`: it must pass the gate before each attempt."""
