"""The tables of collections, one per dataclass of domain/rows.py with the same columns.

Invariant: every row belongs to one account of one company; whoever writes it holds the lock of that account's row.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from shared.approval import approval_table
from shared.runtime.tables import add_runtime_tables

metadata = sa.MetaData()
add_runtime_tables(metadata)
approval = approval_table(metadata)


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _key(name: str) -> sa.Column:
    return sa.Column(name, sa.Text, primary_key=True)


def _id(name: str) -> sa.Column:
    return sa.Column(name, sa.Uuid, primary_key=True)


def _account(*, key: bool = False) -> sa.Column:
    return sa.Column("account_id", sa.Text, primary_key=key, nullable=False)


def _minor(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _count(name: str) -> sa.Column:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def _day(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Date, nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _flag(name: str, *, on: bool = False) -> sa.Column:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.true() if on else sa.false())


def _list(name: str) -> sa.Column:
    return sa.Column(name, JSONB, nullable=False, server_default="[]")


def _status(column: str, name: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", name=name)


account = sa.Table(
    "account",
    metadata,
    _key("company"),
    _account(key=True),
    _count("bucket"),
    _flag("known"),
    *(_text(name) for name in ("name", "debtor_kind", "country", "segment", "language", "currency", "time_zone")),
    _text("collector"),
    _text("sales_owner"),
    _day("customer_since_on", nullable=True),
    _list("access_targets"),
    _text("confidentiality"),
    _text("status"),
    _list("lateness"),
    _count("allowances"),
    sa.Index("account_bucket", "company", "bucket"),
)

contact = sa.Table(
    "contact",
    metadata,
    _key("company"),
    _account(key=True),
    _key("contact_id"),
    _text("name"),
    _list("roles"),
    *(_text(name) for name in ("email", "phone", "address", "language", "time_zone")),
    _list("channels"),
    _flag("valid", on=True),
    _list("invalid_channels"),
)

item = sa.Table(
    "item",
    metadata,
    _key("company"),
    _id("item_id"),
    _account(),
    sa.Column("document_id", sa.Uuid, nullable=False),
    *(_text(name) for name in ("line", "number", "kind", "side")),
    _count("version"),
    _text("currency"),
    _minor("original_minor"),
    _minor("remaining_minor"),
    _minor("credit_relief_minor"),
    _day("document_on"),
    _day("due_on"),
    _day("changed_on"),
    _count("level"),
    _day("level_on", nullable=True),
    _day("warned_on", nullable=True),
    sa.CheckConstraint("remaining_minor between 0 and original_minor", name="item_remaining"),
    sa.Index("item_open", "company", "account_id", "due_on", postgresql_where=sa.text("remaining_minor > 0")),
)

cash = sa.Table(
    "cash",
    metadata,
    _key("company"),
    _account(key=True),
    _key("currency"),
    _count("version"),
    _minor("unapplied_minor"),
    _minor("on_account_minor"),
    _day("changed_on"),
)

candidate = sa.Table(
    "candidate",
    metadata,
    _key("company"),
    _id("candidate_id"),
    _account(),
    sa.Column("payment_id", sa.Uuid),
    _minor("amount_minor"),
    _text("currency"),
    _text("source"),
    _day("since_on"),
    _flag("cleared"),
    sa.Index("candidate_open", "company", "account_id", postgresql_where=sa.text("not cleared")),
)

receipt = sa.Table(
    "receipt",
    metadata,
    _key("company"),
    _account(key=True),
    _id("payment_id"),
    _count("payment_version"),
    _text("currency"),
    _day("valued_on"),
    _minor("amount_minor"),
    _instant("since_at"),
    _flag("returned"),
    sa.Index("receipt_payment", "company", "payment_id"),
)

application = sa.Table(
    "application",
    metadata,
    _key("company"),
    _id("posting_id"),
    _id("item_id"),
    _account(),
    sa.Column("payment_id", sa.Uuid, nullable=False),
    _minor("cash_minor"),
    _flag("reversed"),
    sa.Index("application_account", "company", "account_id", "item_id"),
)

notice = sa.Table(
    "notice",
    metadata,
    _key("company"),
    _id("notice_id"),
    _account(),
    _text("contact_id"),
    _count("level"),
    _text("kind"),
    _text("policy"),
    _day("decided_on"),
    _instant("expires_at"),
    _list("items"),
    _list("totals"),
    _text("status"),
    _day("answered_on", nullable=True),
    _day("left_on", nullable=True),
    _list("reasons"),
    _flag("released"),
    _status("status", "notice_status", "requested", "sending", "sent", "withheld", "failed", "unknown"),
    sa.Index("notice_account", "company", "account_id", "decided_on"),
)

promise = sa.Table(
    "promise",
    metadata,
    _key("company"),
    _id("promise_id"),
    _account(),
    _count("version"),
    _text("status"),
    _text("scope"),
    _text("contact_id"),
    _minor("amount_minor"),
    _text("currency"),
    _instant("taken_at"),
    _day("taken_on"),
    _day("due_on"),
    _count("grace_days"),
    _day("judged_from_on"),
    _text("tolerance"),
    _list("items"),
    _list("received"),
    _flag("corrected"),
    _text("channel"),
    _text("taken_by"),
    _count("standing"),
    _day("status_on", nullable=True),
    _status("status", "promise_status", "open", "kept", "partly_kept", "broken", "superseded", "cancelled"),
    sa.CheckConstraint("scope in ('items', 'account') and amount_minor > 0", name="promise_whole"),
    sa.Index("promise_account", "company", "account_id", "judged_from_on"),
)

dispute = sa.Table(
    "dispute",
    metadata,
    _key("company"),
    _id("dispute_id"),
    _account(),
    _count("version"),
    sa.Column("item_id", sa.Uuid, nullable=False),
    _minor("disputed_minor"),
    *(_text(name) for name in ("currency", "reason_code", "text", "owner")),
    _day("opened_on"),
    _day("due_on"),
    _text("opened_by"),
    _text("status"),
    _text("outcome"),
    _minor("credited_minor"),
    _day("resolved_on", nullable=True),
    _day("expected_until_on", nullable=True),
    _minor("credit_relief_before_minor"),
    _status("status", "dispute_status", "open", "resolved"),
    sa.CheckConstraint("credited_minor between 0 and disputed_minor", name="dispute_credited"),
    sa.Index("dispute_account", "company", "account_id"),
)

hold = sa.Table(
    "hold",
    metadata,
    _key("company"),
    _id("hold_id"),
    _account(),
    _count("version"),
    *(_text(name) for name in ("status", "kind", "grade", "cause", "policy")),
    _list("targets"),
    _instant("from_at"),
    _count("lease_s"),
    _day("proposed_on"),
    _minor("overdue_minor"),
    _text("currency"),
    _text("body_sha256"),
    _text("proposed_by"),
    sa.Column("approval_id", sa.Uuid),
    _text("approved_by"),
    _instant("lease_until_at", nullable=True),
    _day("ended_on", nullable=True),
    _text("ended_because"),
    sa.Column("confirmed", JSONB, nullable=False, server_default="{}"),
    _instant("in_force_at", nullable=True),
    _text("failure"),
    _status("status", "hold_status", "proposed", "ordered", "lifted", "refused", "withdrawn"),
    sa.CheckConstraint("status <> 'ordered' or approved_by <> ''", name="hold_approved_by_someone"),
    sa.Index(
        "hold_active",
        "company",
        "account_id",
        unique=True,
        postgresql_where=sa.text("status in ('proposed', 'ordered')"),
    ),
)

escalation = sa.Table(
    "escalation",
    metadata,
    _key("company"),
    _id("escalation_id"),
    _account(),
    _count("level"),
    _text("addressee"),
    _text("reason"),
    _list("items"),
    _minor("overdue_minor"),
    _text("currency"),
    _day("raised_on"),
    _flag("open", on=True),
    sa.Index("escalation_account", "company", "account_id"),
)

activity = sa.Table(
    "activity",
    metadata,
    _key("company"),
    _id("activity_id"),
    _account(),
    *(_text(name) for name in ("kind", "direction", "contact_id", "addressee", "outcome_code")),
    _list("items"),
    _text("next_step"),
    _day("next_on", nullable=True),
    _count("minutes"),
    _text("text"),
    _day("done_on"),
    _text("by"),
    _instant("logged_at"),
    sa.Column("supersedes", sa.Uuid),
    sa.Column("follows", sa.Uuid),
    _flag("superseded"),
    _flag("followed"),
    sa.Index("activity_account", "company", "account_id", "done_on"),
    sa.Index(
        "activity_step",
        "company",
        "account_id",
        "next_on",
        postgresql_where=sa.text("next_on is not null and not superseded and not followed"),
    ),
)

worklist = sa.Table(
    "worklist",
    metadata,
    _key("company"),
    _account(key=True),
    _day("built_on"),
    _day("work_on"),
    _text("collector"),
    _count("priority"),
    _minor("score_minor"),
    _minor("overdue_minor"),
    _text("currency"),
    _count("chance_permille"),
    _count("oldest_days_past_due"),
    _text("cause"),
    _text("why"),
    _text("next_step"),
    _flag("listed", on=True),
    sa.Index(
        "worklist_rank", "company", "priority", sa.desc("score_minor"), "account_id", postgresql_where=sa.text("listed")
    ),
)
