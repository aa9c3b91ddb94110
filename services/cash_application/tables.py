"""Tables of the subledger. Writes are in store/, reads of the API in queries.py.

Invariants kept by the database itself: an item's remaining is between 0 and original and original = remaining + relief;
every entry balances per bank account and in base; entries and lines are never changed.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.cash_application.domain.journal import FUNDINGS
from shared.approval import approval_table
from shared.runtime.tables import add_runtime_tables

metadata = sa.MetaData()
approval = approval_table(metadata)
CERTIFICATE_TEXT_BYTES_MAX = 5120
"""4 KB of compact JSON; jsonb prints blanks after colons and commas."""


class Xid8(sa.types.UserDefinedType):
    """Full transaction id: by it a state can be read again as of the snapshot of a certificate."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


class Snapshot(sa.types.UserDefinedType):
    """A database snapshot as `pg_current_snapshot()` gives it."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "pg_snapshot"


def _text(name: str, default: str | None = None, **options: object) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, server_default=default, **options)


def _minor(name: str, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=default)


def _day(name: str) -> sa.Column:
    return sa.Column(name, sa.Date, nullable=False)


def _version() -> sa.Column:
    return sa.Column("version", sa.BigInteger, nullable=False)


def _xid() -> sa.Column:
    return sa.Column("xid", Xid8, nullable=False, server_default=sa.text("pg_current_xact_id()"))


def _company() -> sa.Column:
    return sa.Column("company", sa.Text, primary_key=True)


account = sa.Table(
    "account",
    metadata,
    _company(),
    sa.Column("account_id", sa.Text, primary_key=True),
    _text("name", ""),
    _text("currency", ""),
    sa.Column("bank_accounts", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("registered", sa.Boolean, nullable=False, server_default="false"),
    _text("party_id", ""),
)

account_lookup_key = sa.Table(
    "account_lookup_key",
    metadata,
    _company(),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Index("account_lookup_key_of_account", "company", "account_id"),
)

account_link = sa.Table(
    "account_link",
    metadata,
    _company(),
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("to_account_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("from_on", sa.Date),
    sa.Column("to_on", sa.Date),
)

account_cash = sa.Table(
    "account_cash",
    metadata,
    _company(),
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("currency", sa.CHAR(3), primary_key=True),
    _minor("unapplied_minor"),
    _minor("on_account_minor"),
    _version(),
    sa.CheckConstraint("unapplied_minor >= 0 and on_account_minor >= 0", name="account_cash_not_negative"),
)

document = sa.Table(
    "document",
    metadata,
    _company(),
    sa.Column("document_id", sa.Uuid, primary_key=True),
    _text("account_id"),
    _text("document_type"),
    _text("number"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _minor("total_minor"),
    _day("document_on"),
    _day("business_date"),
    sa.Column("cancelled_on", sa.Date),
    sa.Column("replaced_by", sa.Uuid),
    sa.CheckConstraint("total_minor >= 0", name="document_total"),
)

document_wait = sa.Table(
    "document_wait",
    metadata,
    _company(),
    sa.Column("document_id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("other_id", sa.Uuid, primary_key=True),
    _minor("amount_minor"),
    sa.Column("keeps_due_date", sa.Boolean, nullable=False),
    sa.Column("on", sa.Date),
    sa.CheckConstraint("kind in ('credit', 'cancel', 'rebill')", name="document_wait_kind"),
)

RELIEF_COLUMNS = tuple(f"relief_{name}" for name in FUNDINGS)

open_item = sa.Table(
    "open_item",
    metadata,
    _company(),
    sa.Column("item_id", sa.Uuid, primary_key=True),
    sa.Column("document_id", sa.Uuid, nullable=False),
    _text("line"),
    _text("number"),
    _text("kind"),
    _text("side"),
    _text("account_id"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _minor("original_minor"),
    _minor("remaining_minor"),
    _minor("disputed_minor", "0"),
    *(_minor(name, "0") for name in RELIEF_COLUMNS),
    _day("document_on"),
    _day("due_on"),
    _day("business_date"),
    _day("accounted_on"),
    _text("payment_reference", ""),
    sa.Column("discounts", JSONB, nullable=False, server_default="{}"),
    sa.Column("base_currency", sa.CHAR(3), nullable=False),
    sa.Column("rate", sa.Numeric),
    _text("rate_id", ""),
    _version(),
    sa.Column("posting_id", sa.Uuid, nullable=False),
    sa.CheckConstraint("remaining_minor between 0 and original_minor", name="open_item_remaining"),
    sa.CheckConstraint(
        "original_minor = remaining_minor + " + " + ".join(RELIEF_COLUMNS), name="open_item_relief_sums"
    ),
    sa.CheckConstraint("side in ('debit', 'credit')", name="open_item_side"),
    sa.CheckConstraint("disputed_minor >= 0", name="open_item_disputed"),
    sa.Index("open_item_of_account", "company", "account_id", postgresql_where=sa.text("remaining_minor > 0")),
    sa.Index("open_item_of_document", "company", "document_id"),
    sa.Index(
        "open_item_of_amount", "company", "currency", "remaining_minor", postgresql_where=sa.text("remaining_minor > 0")
    ),
    sa.Index(
        "open_item_of_undisputed",
        *("company", "currency", sa.text("(remaining_minor - disputed_minor)")),
        postgresql_where=sa.text("remaining_minor > 0 and disputed_minor > 0"),
    ),
    postgresql_with={"fillfactor": "80"},
)

item_lookup_key = sa.Table(
    "item_lookup_key",
    metadata,
    _company(),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("item_id", sa.Uuid, primary_key=True),
    _text("account_id"),
)

posting = sa.Table(
    "posting",
    metadata,
    sa.Column("posting_id", sa.Uuid, primary_key=True),
    sa.Column("company", sa.Text, nullable=False),
    _text("kind"),
    _text("origin"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("base_currency", sa.CHAR(3), nullable=False),
    _text("rate_id"),
    sa.Column("cause_id", sa.Uuid, nullable=False),
    _text("account_id"),
    sa.Column("payment_id", sa.Uuid),
    sa.Column("reverses_posting_id", sa.Uuid),
    _text("reason_code"),
    _text("rule"),
    _text("policy"),
    sa.Column("certificate_id", sa.Uuid),
    _text("actor"),
    _day("business_date"),
    _day("valued_on"),
    _day("accounted_on"),
    sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
    _xid(),
    sa.CheckConstraint("origin in ('feed', 'recoup')", name="posting_origin"),
    sa.Index("posting_of_payment", "company", "payment_id", postgresql_where=sa.text("payment_id is not null")),
)

journal_line = sa.Table(
    "journal_line",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True, cache=1), primary_key=True),
    sa.Column("posting_id", sa.Uuid, nullable=False),
    _text("company"),
    _text("ledger"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _minor("amount_minor"),
    _minor("base_minor"),
    _text("account_id"),
    sa.Column("item_id", sa.Uuid),
    _text("side"),
    sa.Column("payment_id", sa.Uuid),
    _text("bank_account"),
    _text("funding"),
    _day("accounted_on"),
    sa.Index("journal_line_of_posting", "posting_id"),
    sa.Index("journal_line_of_item", "item_id", postgresql_where=sa.text("item_id is not null")),
)

receipt = sa.Table(
    "receipt",
    metadata,
    _company(),
    sa.Column("payment_id", sa.Uuid, primary_key=True),
    _text("bank_account"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    *(_minor(f"{name}_minor") for name in ("amount", "open", "unidentified", "refunded", "non_ar", "returned", "gain")),
    _day("document_on"),
    _day("valued_on"),
    _day("accounted_on"),
    _day("business_date"),
    sa.Column("base_currency", sa.CHAR(3), nullable=False),
    sa.Column("rate", sa.Numeric),
    _text("rate_id"),
    sa.Column("view", JSONB, nullable=False),
    sa.Column("posting_id", sa.Uuid, nullable=False),
    _text("account_id"),
    _text("outcome"),
    _text("reason_code"),
    _text("rule"),
    sa.Column("flags", ARRAY(sa.Text), nullable=False),
    sa.Column("certificate_id", sa.Uuid),
    sa.Column("by_person", sa.Boolean, nullable=False),
    sa.Column("tried_on", sa.Date),
    _version(),
    sa.CheckConstraint(
        "unidentified_minor >= 0 and refunded_minor >= 0 and non_ar_minor >= 0 and returned_minor >= 0"
        " and gain_minor >= 0 and open_minor >= 0 and open_minor <= amount_minor",
        name="receipt_not_negative",
    ),
    sa.Index("receipt_waiting", "company", "tried_on", postgresql_where=sa.text("open_minor > 0")),
    sa.Index(
        "receipt_of_amount",
        *("company", "currency", "open_minor", "business_date", "payment_id"),
        postgresql_where=sa.text("open_minor <> 0 and not by_person"),
    ),
    sa.Index("receipt_alike", "company", "currency", "amount_minor", "valued_on"),
    sa.Index("receipt_by_day", "company", "business_date", "payment_id"),
    postgresql_with={"fillfactor": "80"},
)

receipt_part = sa.Table(
    "receipt_part",
    metadata,
    _company(),
    sa.Column("payment_id", sa.Uuid, primary_key=True),
    sa.Column("account_id", sa.Text, primary_key=True),
    _minor("applied_minor"),
    _minor("unapplied_minor"),
    _minor("on_account_minor"),
    sa.CheckConstraint("unapplied_minor >= 0 and on_account_minor >= 0", name="receipt_part_not_negative"),
    sa.Index("receipt_part_of_account", "company", "account_id"),
    sa.Index(
        "receipt_part_standing", "company", postgresql_where=sa.text("unapplied_minor > 0 or on_account_minor > 0")
    ),
)

receipt_key = sa.Table(
    "receipt_key",
    metadata,
    _company(),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("payment_id", sa.Uuid, primary_key=True),
)

application = sa.Table(
    "application",
    metadata,
    sa.Column("posting_id", sa.Uuid, primary_key=True),
    sa.Column("item_id", sa.Uuid, primary_key=True),
    _text("company"),
    sa.Column("payment_id", sa.Uuid, nullable=False),
    _text("account_id"),
    _text("side"),
    *(_minor(f"{name}_minor") for name in ("cash", "discount", "small_difference", "bank_charge", "deduction")),
    sa.Column("deduction_item_id", sa.Uuid),
    _minor("gain_minor"),
    _text("rule"),
    sa.Column("reversed_by", sa.Uuid),
    sa.Index("application_of_payment", "payment_id"),
    sa.Index("application_of_item", "item_id"),
)

credit_use = sa.Table(
    "credit_use",
    metadata,
    sa.Column("posting_id", sa.Uuid, primary_key=True),
    sa.Column("credit_item_id", sa.Uuid, primary_key=True),
    sa.Column("debit_item_id", sa.Uuid, primary_key=True),
    _text("company"),
    _minor("amount_minor"),
    sa.Column("reversed_by", sa.Uuid),
    sa.Index("credit_use_of_credit", "credit_item_id"),
    sa.Index("credit_use_of_debit", "debit_item_id"),
)

suggestion = sa.Table(
    "suggestion",
    metadata,
    _company(),
    sa.Column("payment_id", sa.Uuid, primary_key=True),
    sa.Column("rank", sa.Integer, primary_key=True),
    _text("account_id"),
    sa.Column("items", JSONB, nullable=False),
    _text("rule"),
    _text("why"),
    _text("chance"),
    sa.Column("certificate_id", sa.Uuid),
)

candidate = sa.Table(
    "candidate",
    metadata,
    sa.Column("candidate_id", sa.Uuid, primary_key=True),
    _text("company"),
    sa.Column("origin_id", sa.Uuid, nullable=False),
    _text("group_id"),
    _text("account_id"),
    sa.Column("payment_id", sa.Uuid),
    _minor("amount_minor"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("evidence", ARRAY(sa.Text), nullable=False),
    _text("source"),
    _day("since_on"),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Index("candidate_of_origin", "company", "origin_id"),
    sa.Index("candidate_of_group", "company", "group_id", postgresql_where=sa.text("open and group_id <> ''")),
    sa.Index("candidate_of_account", "company", "account_id", postgresql_where=sa.text("open")),
)

unbooked_cash = sa.Table(
    "unbooked_cash",
    metadata,
    _company(),
    sa.Column("origin_id", sa.Uuid, primary_key=True),
    _text("group_id"),
    sa.Column("payment_id", sa.Uuid),
    _text("source"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _minor("amount_minor"),
    _day("valued_on"),
    _day("since_on"),
    sa.Column("view", JSONB, nullable=False),
    sa.Column("keys", ARRAY(sa.Text), nullable=False),
    sa.CheckConstraint("source in ('announced', 'held', 'quarantined')", name="unbooked_cash_source"),
    sa.Index("unbooked_cash_of_amount", "company", "currency", "amount_minor", "since_on", "origin_id"),
    sa.Index("unbooked_cash_of_group", "company", "group_id"),
    sa.Index("unbooked_cash_keys", "keys", postgresql_using="gin"),
)

certificate = sa.Table(
    "certificate",
    metadata,
    sa.Column("certificate_id", sa.Uuid, primary_key=True),
    _text("company"),
    sa.Column("payment_id", sa.Uuid, nullable=False),
    sa.Column("posting_id", sa.Uuid),
    sa.Column("content", JSONB, nullable=False),
    sa.Column("snapshot", Snapshot, nullable=False),
    _xid(),
    sa.CheckConstraint(f"octet_length(content::text) <= {CERTIFICATE_TEXT_BYTES_MAX}", name="certificate_size"),
    sa.Index("certificate_of_payment", "company", "payment_id"),
)

open_debit = sa.Table(
    "open_debit",
    metadata,
    _company(),
    sa.Column("debit_id", sa.Uuid, primary_key=True),
    _text("bank_account"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _minor("amount_minor"),
    _minor("left_minor"),
    _day("valued_on"),
    _day("accounted_on"),
    _text("reason_code"),
    sa.Column("keys", ARRAY(sa.Text), nullable=False),
    sa.Column("payment_id", sa.Uuid),
    sa.CheckConstraint("left_minor between 0 and amount_minor", name="open_debit_left"),
    sa.Index("open_debit_keys", "keys", postgresql_using="gin", postgresql_where=sa.text("left_minor > 0")),
    sa.Index("open_debit_of_payment", "company", "payment_id", postgresql_where=sa.text("left_minor > 0")),
)

refund = sa.Table(
    "refund",
    metadata,
    _company(),
    sa.Column("refund_id", sa.Uuid, primary_key=True),
    _text("account_id"),
    sa.Column("payment_id", sa.Uuid, nullable=False),
    _minor("amount_minor"),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _text("bank_account"),
    _text("status"),
    _text("requested_by"),
    _day("requested_on"),
    _text("from_place"),
    _text("approved_by"),
    sa.Column("approved_on", sa.Date),
    sa.Column("approval_id", sa.Uuid),
    _version(),
    sa.CheckConstraint("status in ('requested', 'approved', 'paid')", name="refund_status"),
    sa.CheckConstraint("status = 'requested' or approved_by <> requested_by", name="refund_maker_is_not_checker"),
    sa.Index("refund_of_payment", "company", "payment_id"),
    sa.Index("refund_of_account", "company", "account_id"),
    sa.Index(
        "refund_payable", "company", "bank_account", "amount_minor", postgresql_where=sa.text("status = 'approved'")
    ),
)

item_dispute = sa.Table(
    "item_dispute",
    metadata,
    _company(),
    sa.Column("dispute_id", sa.Uuid, primary_key=True),
    sa.Column("item_id", sa.Uuid, nullable=False),
    _version(),
    _minor("held_minor"),
)

statement = sa.Table(
    "statement",
    metadata,
    _company(),
    sa.Column("bank_account", sa.Text, primary_key=True),
    sa.Column("statement_id", sa.Text, primary_key=True),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    _day("from_on"),
    _day("to_on"),
    _minor("opening_minor"),
    _minor("closing_minor"),
    _minor("credits_minor"),
    _minor("debits_minor"),
    sa.Column("lines", sa.Integer, nullable=False),
)

day_total = sa.Table(
    "day_total",
    metadata,
    _company(),
    sa.Column("accounted_on", sa.Date, primary_key=True),
    sa.Column("bank_account", sa.Text, primary_key=True),
    sa.Column("currency", sa.CHAR(3), primary_key=True),
    sa.Column("ledger", sa.Text, primary_key=True),
    sa.Column("side", sa.Text, primary_key=True),
    _minor("debit_minor"),
    _minor("credit_minor"),
    _minor("base_minor"),
)

day_total_reach = sa.Table(
    "day_total_reach",
    metadata,
    sa.Column("one", sa.Boolean, sa.CheckConstraint("one"), primary_key=True),
    sa.Column("line_id", sa.BigInteger, nullable=False),
)

add_runtime_tables(metadata)
