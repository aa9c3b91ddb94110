"""The store of reporting: projections of every topic, keyed by company, and what was noted at each day's close.

Current states are replaced by higher versions only; `item_posting` and `payment_posting` hold what each version
changed, so that a state as of a day, or as known at an instant, is the current one less the later changes.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from shared.approval import approval_table
from shared.runtime.tables import add_runtime_tables

metadata = sa.MetaData()
add_runtime_tables(metadata)
approval = approval_table(metadata)


def _key(name: str, kind: type = sa.Text) -> sa.Column:
    return sa.Column(name, kind, primary_key=True)


def _text(name: str, default: str = "") -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def _whole(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _day(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.Date, nullable=nullable)


def _instant(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True))


def _json(name: str, default: str = "[]") -> sa.Column:
    return sa.Column(name, JSONB, nullable=False, server_default=default)


def _yes(name: str, default: bool = False) -> sa.Column:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.true() if default else sa.false())


def _id(name: str) -> sa.Column:
    return sa.Column(name, sa.Uuid)


def _table(name: str, *parts: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, metadata, _key("company"), *parts)


account = _table(
    "account",
    _key("account_id"),
    *map(_text, ("party_id", "name", "debtor_kind", "country", "region", "industry", "segment", "language")),
    *map(_text, ("currency", "time_zone", "terms", "collector", "sales_owner", "confidentiality", "status")),
    sa.Column("credit_limit_minor", sa.BigInteger),
    _day("customer_since_on"),
    _json("access_targets"),
    sa.Index("account_name", "company", sa.text("lower(name) text_pattern_ops")),
)

contact = _table(
    "contact",
    _key("account_id"),
    _key("contact_id"),
    *map(_text, ("name", "email", "phone", "address", "language")),
    _json("roles"),
    _json("channels"),
    _yes("valid", True),
)

contact_refusal = _table("contact_refusal", _key("account_id"), _key("contact_id"), _key("channel"), _text("evidence"))

document = _table(
    "document",
    _key("document_id", sa.Uuid),
    *map(_text, ("account_id", "document_type", "number", "currency", "terms", "reason_code")),
    *map(_text, ("purchase_order", "contract", "project", "payment_reference")),
    _day("document_on"),
    _day("due_on"),
    _day("service_from_on"),
    _day("service_to_on"),
    *map(_whole, ("net_minor", "tax_minor", "total_minor", "prepaid_minor")),
    _json("lines"),
    _instant("known_at"),
    sa.Index("document_account", "company", "account_id", "document_on"),
    sa.Index("document_day", "company", "document_on"),
)

cancellation = _table("cancellation", _key("document_id", sa.Uuid), _text("reason_code"), _day("cancelled_on"))

item = _table(
    "item",
    _key("item_id", sa.Uuid),
    _id("document_id"),
    *map(_text, ("account_id", "line", "number", "kind", "side", "currency", "cause", "payment_reference")),
    sa.Column("version", sa.BigInteger, nullable=False),
    *map(_whole, ("original_minor", "remaining_minor", "disputed_minor")),
    _json("relief", "{}"),
    _day("document_on", nullable=False),
    _day("due_on", nullable=False),
    _day("accounted_on", nullable=False),
    _day("valued_on"),
    sa.Index("item_account", "company", "account_id", "due_on"),
    sa.Index("item_number", "company", "number"),
    sa.Index(
        "item_open",
        "company",
        "due_on",
        "item_id",
        postgresql_where=sa.text("remaining_minor > 0 or disputed_minor > 0"),
    ),
)

item_posting = _table(
    "item_posting",
    _key("item_id", sa.Uuid),
    _key("version", sa.BigInteger),
    *map(_text, ("account_id", "currency", "side", "cause")),
    _whole("remaining_delta_minor"),
    _whole("disputed_delta_minor"),
    _json("relief_delta", "{}"),
    _id("posting_id"),
    _day("accounted_on", nullable=False),
    _day("valued_on"),
    _day("business_date", nullable=False),
    _instant("known_at"),
    sa.Index("item_posting_accounted", "company", "accounted_on"),
    sa.Index("item_posting_business", "company", "business_date"),
    sa.Index("item_posting_known", "company", "known_at"),
    sa.Index("item_posting_account", "company", "account_id", "accounted_on"),
)

cash = _table(
    "cash",
    _key("account_id"),
    _key("currency"),
    sa.Column("version", sa.BigInteger, nullable=False),
    _whole("unapplied_minor"),
    _whole("on_account_minor"),
)

receipt = _table(
    "receipt",
    _key("payment_id", sa.Uuid),
    *map(_text, ("bank_account", "currency", "method", "payer_name", "remittance_text", "statement_id")),
    _whole("amount_minor"),
    _whole("charges_minor"),
    _day("document_on"),
    _day("valued_on"),
    _day("accounted_on", nullable=False),
    _day("business_date", nullable=False),
    _instant("known_at"),
    sa.Index("receipt_accounted", "company", "accounted_on", "payment_id"),
    sa.Index("receipt_business", "company", "business_date"),
)

bank_debit = _table(
    "bank_debit",
    _key("debit_id", sa.Uuid),
    *map(_text, ("bank_account", "currency", "kind", "reason_code")),
    _whole("amount_minor"),
    _id("payment_id"),
    _day("valued_on"),
    _day("accounted_on", nullable=False),
    _day("business_date", nullable=False),
    _instant("known_at"),
    sa.Index("bank_debit_accounted", "company", "accounted_on"),
    sa.Index("bank_debit_business", "company", "business_date"),
)

bank_day = _table(
    "bank_day",
    _key("bank_account"),
    _key("currency"),
    _key("figure"),
    _key("accounted_on", sa.Date),
    _key("part", sa.Integer),
    _whole("minor"),
)
"""Credits, debits and applied cash of a day, kept by triggers of receipt, bank_debit and payment_posting.

`part` spreads writers: each connection adds to one of eight rows, so that batches of several tasks seldom wait.
"""

payment = _table(
    "payment",
    _key("payment_id", sa.Uuid),
    sa.Column("version", sa.BigInteger, nullable=False),
    *map(_text, ("bank_account", "currency", "account_id", "rule", "reason_code", "status")),
    sa.Column("automatic", sa.Boolean),
    *map(_whole, ("amount_minor", "unidentified_minor", "refunded_minor", "non_ar_minor", "returned_minor")),
    _whole("small_gain_minor"),
    _json("split", "{}"),
    _day("valued_on"),
    _day("accounted_on"),
    sa.Index("payment_unidentified", "company", "payment_id", postgresql_where=sa.text("unidentified_minor > 0")),
)

payment_part = _table(
    "payment_part",
    _key("payment_id", sa.Uuid),
    _key("account_id"),
    _text("currency"),
    _text("bank_account"),
    *map(_whole, ("applied_minor", "unapplied_minor", "on_account_minor")),
    sa.Index("payment_part_account", "company", "account_id"),
    sa.Index(
        "payment_part_open",
        "company",
        "payment_id",
        postgresql_where=sa.text("unapplied_minor > 0 or on_account_minor > 0"),
    ),
)

payment_posting = _table(
    "payment_posting",
    _key("payment_id", sa.Uuid),
    _key("version", sa.BigInteger),
    _key("place"),
    _key("account_id"),
    _text("currency"),
    _text("bank_account"),
    _whole("delta_minor"),
    _day("accounted_on", nullable=False),
    _day("business_date", nullable=False),
    _instant("known_at"),
    sa.Index("payment_posting_accounted", "company", "accounted_on"),
    sa.Index("payment_posting_business", "company", "business_date"),
    sa.Index("payment_posting_known", "company", "known_at"),
    sa.Index("payment_posting_account", "company", "account_id", "accounted_on"),
)

application = _table(
    "application",
    _key("posting_id", sa.Uuid),
    _key("item_id", sa.Uuid),
    _id("payment_id"),
    _text("account_id"),
    _text("currency"),
    *map(_whole, ("cash_minor", "discount_minor", "small_difference_minor", "deduction_minor", "bank_charge_minor")),
    _text("rule"),
    _yes("automatic"),
    _day("valued_on"),
    _day("accounted_on"),
    _day("business_date", nullable=False),
    sa.Index("application_account", "company", "account_id"),
    sa.Index("application_item", "company", "item_id"),
)

application_reversal = _table(
    "application_reversal",
    _key("posting_id", sa.Uuid),
    _id("by_posting_id"),
    _text("reason_code"),
    _day("business_date", nullable=False),
)

suggestion = _table(
    "suggestion",
    _key("payment_id", sa.Uuid),
    _key("account_id"),
    _key("rank", sa.Integer),
    _text("currency"),
    _whole("amount_minor"),
    _json("items"),
    _text("rule"),
    _text("chance"),
    _yes("live", True),
)

candidate = _table(
    "candidate",
    _key("candidate_id", sa.Uuid),
    _key("account_id"),
    _id("payment_id"),
    _text("currency"),
    _whole("amount_minor"),
    _text("source"),
    _json("evidence"),
    _day("since_on"),
    _yes("live", True),
    sa.Index("candidate_live", "company", "account_id", postgresql_where=sa.text("live")),
)

promise = _table(
    "promise",
    _key("promise_id", sa.Uuid),
    sa.Column("version", sa.BigInteger, nullable=False),
    *map(_text, ("account_id", "contact_id", "status", "currency", "channel", "taken_by")),
    _whole("amount_minor"),
    _whole("received_minor"),
    _day("taken_on", nullable=False),
    _day("due_on", nullable=False),
    sa.Column("grace_days", sa.Integer, nullable=False, server_default="0"),
    _json("items"),
    _yes("corrected"),
    _day("business_date", nullable=False),
    sa.Index("promise_due", "company", "due_on", "promise_id"),
    sa.Index("promise_account", "company", "account_id"),
)

dispute = _table(
    "dispute",
    _key("dispute_id", sa.Uuid),
    sa.Column("version", sa.BigInteger, nullable=False),
    *map(_text, ("account_id", "status", "currency", "reason_code", "text", "owner", "outcome")),
    _id("item_id"),
    _whole("disputed_minor"),
    _whole("credited_minor"),
    _day("opened_on", nullable=False),
    _day("due_on"),
    _day("resolved_on"),
    sa.Index("dispute_opened", "company", "opened_on", "dispute_id"),
    sa.Index("dispute_account", "company", "account_id"),
)

hold = _table(
    "hold",
    _key("hold_id", sa.Uuid),
    sa.Column("version", sa.BigInteger, nullable=False),
    *map(_text, ("account_id", "status", "kind", "grade", "cause", "policy", "approved_by", "currency")),
    _json("targets"),
    _instant("from_at"),
    sa.Column("lease_s", sa.BigInteger, nullable=False, server_default="0"),
    _whole("overdue_minor"),
    _day("business_date", nullable=False),
    sa.Index("hold_account", "company", "account_id"),
)

effect = _table(
    "effect",
    _key("effect_id", sa.Uuid),
    _text("of"),
    _id("subject_id"),
    *map(_text, ("account_id", "target", "state", "code")),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _yes("confirmed"),
    _instant("answered_at"),
    _json("reasons"),
    _day("business_date", nullable=False),
    sa.Index("effect_subject", "company", "subject_id"),
)

notice = _table(
    "notice",
    _key("notice_id", sa.Uuid),
    *map(_text, ("account_id", "contact_id", "kind", "channel")),
    sa.Column("level", sa.Integer, nullable=False, server_default="0"),
    _text("template"),
    _text("policy"),
    _day("decided_on"),
    _json("items"),
    _json("totals"),
    _instant("expires_at"),
    _text("status", "requested"),
    sa.Column("rank", sa.Integer, nullable=False, server_default="0"),
    _json("reasons"),
    _text("code"),
    _instant("sent_at"),
    _day("outcome_on"),
    sa.Index("notice_decided", "company", "decided_on", "notice_id"),
    sa.Index("notice_account", "company", "account_id"),
)

activity = _table(
    "activity",
    _key("activity_id", sa.Uuid),
    *map(_text, ("account_id", "kind", "direction", "contact_id", "addressee", "outcome_code", "next_step")),
    _text("text"),
    _text("by"),
    _day("next_on"),
    _day("done_on", nullable=False),
    sa.Column("minutes", sa.Integer, nullable=False, server_default="0"),
    _id("supersedes"),
    _id("follows"),
    _instant("known_at"),
    sa.Index("activity_account", "company", "account_id", "done_on"),
)

escalation = _table(
    "escalation",
    _key("escalation_id", sa.Uuid),
    *map(_text, ("account_id", "addressee", "reason", "currency")),
    sa.Column("level", sa.Integer, nullable=False, server_default="0"),
    _whole("overdue_minor"),
    _day("raised_on", nullable=False),
    sa.Index("escalation_account", "company", "account_id"),
)

statement = _table(
    "statement",
    _key("bank_account"),
    _key("statement_id"),
    *map(_text, ("currency", "state", "reason")),
    _day("from_on"),
    _day("to_on"),
    *map(_whole, ("opening_minor", "closing_minor", "credits_minor", "debits_minor", "lines")),
    _yes("balanced", True),
    _day("complete_through_on"),
    sa.Column("rank", sa.Integer, nullable=False, server_default="0"),
)

statement_gap = _table(
    "statement_gap", _key("bank_account"), _key("statement_id"), _text("expected"), _text("found"), _day("noticed_on")
)

quarantine = _table(
    "quarantine",
    _key("record_id", sa.Uuid),
    _text("kind"),
    _text("account_id"),
    sa.Column("amount_minor", sa.BigInteger),
    _text("currency"),
    _text("reason"),
    _yes("released"),
    _day("since_on"),
    sa.Column("rank", sa.Integer, nullable=False, server_default="0"),
)

day_snapshot = _table(
    "day_snapshot",
    _key("date", sa.Date),
    sa.Column("number", sa.BigInteger, nullable=False),
    _text("base_currency"),
    _json("bank_accounts", "{}"),
    _json("figures", "{}"),
)

day_aging = _table(
    "day_aging",
    _key("date", sa.Date),
    _key("currency"),
    _key("bucket"),
    _whole("amount_minor"),
    _whole("disputed_minor"),
    sa.Column("base_minor", sa.BigInteger),
)

reconciliation = _table(
    "reconciliation",
    _key("date", sa.Date),
    _key("scope"),
    _key("figure"),
    _key("currency"),
    sa.Column("expected_minor", sa.BigInteger),
    _whole("found_minor"),
    sa.Column("difference_minor", sa.BigInteger),
    _whole("later_minor"),
)
