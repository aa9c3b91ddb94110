"""How each projection is written: one named, set-based statement per table.

Invariant: a versioned row is replaced by a higher version only; postings, applications and reversals once.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upsert:
    """`source` names the rows of a batch; `columns` are the parameters in order, one array each.

    Those in `json` are given as JSON text: the driver would take a list inside an array for one more dimension.
    """

    source: str
    columns: tuple[str, ...]
    json: frozenset[str]
    sql: str


def _upsert(
    table: str, columns: str, *, keys: int, source: str = "", newer: str = "", once: bool = False, own: str = ""
) -> Upsert:
    """`columns` is `name type, …`; the first `keys` are the primary key. `newer`: condition to replace a row.

    `own`: the columns to replace, where another statement owns the others."""
    pairs = [part.split() for part in columns.split(",")]
    names = [name for name, _ in pairs]
    arrays = ", ".join(f"${n}::{'text' if kind == 'jsonb' else kind}[]" for n, (_, kind) in enumerate(pairs, 1))
    values = ", ".join(f'"{name}"::jsonb' if kind == "jsonb" else f'"{name}"' for name, kind in pairs)
    quoted = [f'"{name}"' for name in names]
    listed = ", ".join(quoted)
    order = ", ".join(quoted[:keys])
    changes = ", ".join(f"{name} = excluded.{name}" for name in _replaced(quoted[keys:], own))
    action = "do nothing" if once else f"do update set {changes}" + (f" where {newer}" if newer else "")
    sql = (
        f"insert into {table} ({listed}) select {values} from unnest({arrays}) as n({listed}) order by {order} "
        f"on conflict ({order}) {action}"
    )
    return Upsert(source or table, tuple(names), frozenset(n for n, kind in pairs if kind == "jsonb"), sql)


def _replaced(quoted: list[str], own: str) -> list[str]:
    return [f'"{name.strip()}"' for name in own.split(",")] if own else quoted


ACCOUNTS = _upsert(
    "account",
    "company text, account_id text, party_id text, name text, debtor_kind text, country text, region text, "
    "industry text, "
    "segment text, language text, currency text, time_zone text, terms text, collector text, sales_owner text, "
    "confidentiality text, status text, credit_limit_minor bigint, customer_since_on date, access_targets jsonb",
    keys=2,
)
CONTACTS = _upsert(
    "contact",
    "company text, account_id text, contact_id text, name text, email text, phone text, address text, language text, "
    "roles jsonb, channels jsonb, valid bool",
    keys=3,
)
CONTACT_REFUSALS = _upsert(
    "contact_refusal", "company text, account_id text, contact_id text, channel text, evidence text", keys=4
)
DOCUMENTS = _upsert(
    "document",
    "company text, document_id uuid, account_id text, document_type text, number text, currency text, terms text, "
    "reason_code text, purchase_order text, contract text, project text, payment_reference text, document_on date, "
    "due_on date, service_from_on date, service_to_on date, net_minor bigint, tax_minor bigint, total_minor bigint, "
    "prepaid_minor bigint, lines jsonb, known_at timestamptz",
    keys=2,
)
CANCELLATIONS = _upsert("cancellation", "company text, document_id uuid, reason_code text, cancelled_on date", keys=2)
ITEMS = _upsert(
    "item",
    "company text, item_id uuid, document_id uuid, account_id text, line text, number text, kind text, side text, "
    "currency text, cause text, payment_reference text, version bigint, original_minor bigint, remaining_minor bigint, "
    "disputed_minor bigint, relief jsonb, document_on date, due_on date, accounted_on date, valued_on date",
    keys=2,
    newer="item.version < excluded.version",
)
ITEM_POSTINGS = _upsert(
    "item_posting",
    "company text, item_id uuid, version bigint, account_id text, currency text, side text, cause text, "
    "remaining_delta_minor bigint, disputed_delta_minor bigint, relief_delta jsonb, posting_id uuid, "
    "accounted_on date, "
    "valued_on date, business_date date, known_at timestamptz",
    keys=3,
    once=True,
)
CASH = _upsert(
    "cash",
    "company text, account_id text, currency text, version bigint, unapplied_minor bigint, on_account_minor bigint",
    keys=3,
    newer="cash.version < excluded.version",
)
RECEIPTS = _upsert(
    "receipt",
    "company text, payment_id uuid, bank_account text, currency text, method text, payer_name text, "
    "remittance_text text, "
    "statement_id text, amount_minor bigint, charges_minor bigint, document_on date, valued_on date, "
    "accounted_on date, "
    "business_date date, known_at timestamptz",
    keys=2,
    once=True,
)
BANK_DEBITS = _upsert(
    "bank_debit",
    "company text, debit_id uuid, bank_account text, currency text, kind text, reason_code text, amount_minor bigint, "
    "payment_id uuid, valued_on date, accounted_on date, business_date date, known_at timestamptz",
    keys=2,
    once=True,
)
PAYMENTS = _upsert(
    "payment",
    "company text, payment_id uuid, version bigint, bank_account text, currency text, account_id text, rule text, "
    "reason_code text, status text, automatic bool, amount_minor bigint, unidentified_minor bigint, "
    "refunded_minor bigint, non_ar_minor bigint, returned_minor bigint, small_gain_minor bigint, split jsonb, "
    "valued_on date, accounted_on date",
    keys=2,
    newer="payment.version < excluded.version",
)
PAYMENT_PARTS = _upsert(
    "payment_part",
    "company text, payment_id uuid, account_id text, currency text, bank_account text, applied_minor bigint, "
    "unapplied_minor bigint, on_account_minor bigint",
    keys=3,
)
PAYMENT_POSTINGS = _upsert(
    "payment_posting",
    "company text, payment_id uuid, version bigint, place text, account_id text, currency text, bank_account text, "
    "delta_minor bigint, accounted_on date, business_date date, known_at timestamptz",
    keys=5,
    once=True,
)
APPLICATIONS = _upsert(
    "application",
    "company text, posting_id uuid, item_id uuid, payment_id uuid, account_id text, currency text, cash_minor bigint, "
    "discount_minor bigint, small_difference_minor bigint, deduction_minor bigint, bank_charge_minor bigint, "
    "rule text, "
    "automatic bool, valued_on date, accounted_on date, business_date date",
    keys=3,
    once=True,
)
APPLICATION_REVERSALS = _upsert(
    "application_reversal",
    "company text, posting_id uuid, by_posting_id uuid, reason_code text, business_date date",
    keys=2,
    once=True,
)
SUGGESTIONS = _upsert(
    "suggestion",
    "company text, payment_id uuid, account_id text, rank int, currency text, amount_minor bigint, items jsonb, "
    "rule text, chance text, live bool",
    keys=4,
)
CANDIDATES = _upsert(
    "candidate",
    "company text, candidate_id uuid, account_id text, payment_id uuid, currency text, amount_minor bigint, "
    "source text, "
    "evidence jsonb, since_on date, live bool",
    keys=3,
)
PROMISES = _upsert(
    "promise",
    "company text, promise_id uuid, version bigint, account_id text, contact_id text, status text, currency text, "
    "channel text, taken_by text, amount_minor bigint, received_minor bigint, taken_on date, due_on date, "
    "grace_days int, items jsonb, corrected bool, business_date date",
    keys=2,
    newer="promise.version < excluded.version",
)
DISPUTES = _upsert(
    "dispute",
    "company text, dispute_id uuid, version bigint, account_id text, status text, currency text, reason_code text, "
    "text text, owner text, outcome text, item_id uuid, disputed_minor bigint, credited_minor bigint, opened_on date, "
    "due_on date, resolved_on date",
    keys=2,
    newer="dispute.version < excluded.version",
)
HOLDS = _upsert(
    "hold",
    "company text, hold_id uuid, version bigint, account_id text, status text, kind text, grade text, cause text, "
    "policy text, approved_by text, currency text, targets jsonb, from_at timestamptz, lease_s bigint, "
    "overdue_minor bigint, business_date date",
    keys=2,
    newer="hold.version < excluded.version",
)
EFFECTS = _upsert(
    "effect",
    "company text, effect_id uuid, of text, subject_id uuid, account_id text, target text, state text, code text, "
    "version bigint, attempts int, confirmed bool, answered_at timestamptz, reasons jsonb, business_date date",
    keys=2,
    newer="excluded.confirmed or not effect.confirmed",
)
NOTICE_REQUESTS = _upsert(
    "notice",
    "company text, notice_id uuid, account_id text, contact_id text, kind text, channel text, level int, "
    "template text, "
    "policy text, decided_on date, items jsonb, totals jsonb, expires_at timestamptz",
    keys=2,
    source="notice_request",
)
NOTICE_OUTCOMES = _upsert(
    "notice",
    "company text, notice_id uuid, account_id text, contact_id text, kind text, channel text, level int, status text, "
    "rank int, reasons jsonb, code text, sent_at timestamptz, outcome_on date",
    keys=2,
    source="notice_outcome",
    newer="notice.rank <= excluded.rank",
    own="status, rank, reasons, code, sent_at, outcome_on",
)
ACTIVITIES = _upsert(
    "activity",
    "company text, activity_id uuid, account_id text, kind text, direction text, contact_id text, addressee text, "
    "outcome_code text, next_step text, text text, by text, next_on date, done_on date, minutes int, supersedes uuid, "
    "follows uuid, known_at timestamptz",
    keys=2,
    once=True,
)
ESCALATIONS = _upsert(
    "escalation",
    "company text, escalation_id uuid, account_id text, addressee text, reason text, currency text, level int, "
    "overdue_minor bigint, raised_on date",
    keys=2,
    once=True,
)
STATEMENTS = _upsert(
    "statement",
    "company text, bank_account text, statement_id text, currency text, state text, reason text, "
    "from_on date, to_on date, "
    "opening_minor bigint, closing_minor bigint, credits_minor bigint, debits_minor bigint, lines bigint, "
    "balanced bool, "
    "complete_through_on date, rank int",
    keys=3,
    newer="statement.rank < excluded.rank",
)
STATEMENT_GAPS = _upsert(
    "statement_gap",
    "company text, bank_account text, statement_id text, expected text, found text, noticed_on date",
    keys=3,
    once=True,
)
QUARANTINE = _upsert(
    "quarantine",
    "company text, record_id uuid, kind text, account_id text, amount_minor bigint, currency text, reason text, "
    "released bool, since_on date, rank int",
    keys=2,
    newer="quarantine.rank < excluded.rank",
)
DAY_SNAPSHOTS = _upsert(
    "day_snapshot",
    "company text, date date, number bigint, base_currency text, bank_accounts jsonb, figures jsonb",
    keys=2,
)
DAY_AGING = _upsert(
    "day_aging",
    "company text, date date, currency text, bucket text, amount_minor bigint, disputed_minor bigint, "
    "base_minor bigint",
    keys=4,
)
RECONCILIATION = _upsert(
    "reconciliation",
    "company text, date date, scope text, figure text, currency text, expected_minor bigint, found_minor bigint, "
    "difference_minor bigint, later_minor bigint",
    keys=5,
)

IN_ORDER = (
    ACCOUNTS, CONTACTS, CONTACT_REFUSALS, DOCUMENTS, CANCELLATIONS, ITEMS, ITEM_POSTINGS, CASH, RECEIPTS, BANK_DEBITS,
    PAYMENTS, PAYMENT_PARTS, PAYMENT_POSTINGS, APPLICATIONS, APPLICATION_REVERSALS, SUGGESTIONS, CANDIDATES, PROMISES,
    DISPUTES, HOLDS, EFFECTS, NOTICE_REQUESTS, NOTICE_OUTCOMES, ACTIVITIES, ESCALATIONS, STATEMENTS, STATEMENT_GAPS,
    QUARANTINE, DAY_SNAPSHOTS, DAY_AGING, RECONCILIATION,
)  # fmt: skip
"""Every statement of a batch in the one order in which all replicas write."""
