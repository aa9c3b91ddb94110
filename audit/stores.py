"""Read-only SQL on the stores of the services; rows become plain dictionaries with ids as text.

Invariant: every store is read in one repeatable-read transaction that cannot write.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

Row = dict[str, Any]
CONNECT_TIMEOUT_S, STATEMENT_TIMEOUT_S = 20, 300
RELIEF = (
    "cash", "credit", "discount", "small_difference", "bank_charge",
    "commission", "write_off", "moved", "fx", "cancelled",
)  # fmt: skip

CASH_APPLICATION = {
    "postings": """select posting_id, company, kind, origin, currency, base_currency, rate_id, cause_id, account_id,
        payment_id, reverses_posting_id, reason_code, rule, policy, certificate_id, actor, business_date, accounted_on,
        known_at, xid::text as xid from posting order by posting_id""",
    "lines": """select id, posting_id, company, ledger, currency, amount_minor, base_minor, account_id, item_id, side,
        payment_id, bank_account, funding, accounted_on from journal_line order by id""",
    "items": f"""select company, item_id, document_id, line, number, kind, side, account_id, currency, original_minor,
        remaining_minor, disputed_minor, {", ".join(f"relief_{name}" for name in RELIEF)}, due_on, business_date,
        accounted_on, payment_reference, base_currency, rate, version, posting_id from open_item
        order by company, item_id""",
    "documents": """select company, document_id, account_id, document_type, number, currency, total_minor, cancelled_on
        from document order by company, document_id""",
    "receipts": """select company, payment_id, bank_account, currency, amount_minor, open_minor, unidentified_minor,
        refunded_minor, non_ar_minor, returned_minor, gain_minor, valued_on, accounted_on, base_currency, rate,
        posting_id, account_id, outcome, rule, certificate_id, by_person, version from receipt
        order by company, payment_id""",
    "parts": """select company, payment_id, account_id, applied_minor, unapplied_minor, on_account_minor
        from receipt_part order by company, payment_id, account_id""",
    "cash": """select company, account_id, currency, unapplied_minor, on_account_minor, version from account_cash
        order by company, account_id, currency""",
    "applications": """select posting_id, item_id, company, payment_id, account_id, side, cash_minor, discount_minor,
        small_difference_minor, bank_charge_minor, deduction_minor, deduction_item_id, gain_minor, rule, reversed_by
        from application order by posting_id, item_id""",
    "credit_uses": """select posting_id, credit_item_id, debit_item_id, company, amount_minor, reversed_by
        from credit_use order by posting_id""",
    "certificates": """select certificate_id, company, payment_id, posting_id, content::text as content,
        snapshot::text as snapshot, xid::text as xid from certificate order by certificate_id""",
    "suggestions": """select company, payment_id, rank, account_id, items::text as items, rule, chance, certificate_id
        from suggestion order by company, payment_id, rank""",
    "open_debits": """select company, debit_id, bank_account, currency, amount_minor, left_minor, reason_code
        from open_debit order by company, debit_id""",
    "refunds": """select company, refund_id, account_id, payment_id, amount_minor, currency, bank_account, status,
        requested_by, approved_by from refund order by company, refund_id""",
}
INGEST = {
    "submissions": """select submission_id, company, sha256, file_name, format, state from submission
        where state in ('accepted', 'done') order by number""",
    "statements": """select company, statement_id, bank_account, printed_id, number, from_on, to_on, opening_minor,
        closing_minor, credits_minor, debits_minor, lines, currency, state, submission_id from bank_statement
        order by company, bank_account, to_on""",
    "quarantined": """select record_id, company, kind, account_id, amount_minor, currency, state
        from quarantined_record order by number""",
}
NOTIFICATIONS = {
    "notices": """select company, notice_id, account_id, kind, status, message_id, decided_at from notice
        order by company, notice_id""",
    "gate_records": """select company, subject_id, claim, "of", outcome, decided_at, judged_at, tick_at from gate_record
        order by company, subject_id, claim""",
    "effects": """select company, effect_id, hold_id, account_id, version, state, grade, status, attempts from effect
        order by company, hold_id, version""",
}
COLLECTIONS = {
    "approvals": """select company, id, kind, subject_id, body_hash, requested_by, requested_on_behalf_of, outcome,
        decided_by, decided_on_behalf_of from approval order by company, id""",
    "holds": """select company, hold_id, account_id, version, status, body_sha256, approval_id, approved_by, proposed_by
        from hold order by company, hold_id""",
}
REPORTING = {
    "items": """select company, item_id, account_id, currency, side, version, original_minor, remaining_minor, due_on
        from item order by company, item_id""",
    "cash": """select company, account_id, currency, version, unapplied_minor, on_account_minor from cash
        order by company, account_id, currency""",
    "payments": """select company, payment_id, bank_account, currency, version, amount_minor, unidentified_minor,
        refunded_minor, non_ar_minor, returned_minor, small_gain_minor from payment order by company, payment_id""",
    "payment_parts": """select company, payment_id, account_id, applied_minor, unapplied_minor, on_account_minor
        from payment_part order by company, payment_id, account_id""",
    "receipts": """select company, payment_id, bank_account, currency, amount_minor, accounted_on from receipt
        order by company, payment_id""",
    "reconciliation": """select company, date, scope, figure, currency, expected_minor, found_minor, difference_minor,
        later_minor from reconciliation order by company, date, scope, figure""",
}
QUERIES: Mapping[str, Mapping[str, str]] = {
    "cash_application": CASH_APPLICATION,
    "ingest": INGEST,
    "notifications": NOTIFICATIONS,
    "collections": COLLECTIONS,
    "reporting": REPORTING,
}
OUTBOX = "select id, topic, partition, key, headers, value from outbox order by id"
PARKED = "select key, error from parked_key order by key"


@dataclass(slots=True)
class Store:
    """Rows of one store by the names above, with what its relay has not sent yet and the keys it has parked."""

    service: str
    tables: dict[str, list[Row]] = field(default_factory=dict)
    unsent: list[Row] = field(default_factory=list)
    parked: list[Row] = field(default_factory=list)

    def __getitem__(self, name: str) -> list[Row]:
        return self.tables[name]


async def read_store(service: str, dsn: str) -> Store:
    """One consistent picture of a store."""
    db = await asyncpg.connect(
        dsn,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=STATEMENT_TIMEOUT_S,
        server_settings={"default_transaction_read_only": "on", "application_name": "recoup audit"},
    )
    try:
        async with db.transaction(isolation="repeatable_read", readonly=True):
            return await load(db, service)
    finally:
        await db.close()


async def load(db: asyncpg.Connection, service: str) -> Store:
    """Everything of a store, in the open transaction of `db`."""
    store = Store(service)
    for name, query in QUERIES[service].items():
        store.tables[name] = [plain(row) for row in await db.fetch(query)]
    store.unsent = [dict(row) for row in await db.fetch(OUTBOX)]
    store.parked = [dict(row) for row in await db.fetch(PARKED)]
    return store


def plain(row: Mapping[str, Any]) -> Row:
    """Values of a row; ids become text, as they stand in the log."""
    return {name: str(value) if isinstance(value, UUID) else value for name, value in row.items()}
