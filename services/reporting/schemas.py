"""What the API answers with. Amounts are integer minor units beside their currency; ratios are decimal text or null."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(from_attributes=True, extra="ignore", json_schema_extra={"examples": [values]})


class AgingRow(BaseModel):
    """`credits_minor` is zero or negative: credit items, unapplied and unidentified cash; never netted into buckets."""

    model_config = _example(
        group="", currency="EUR", buckets={"current": 100000, "1-30": 250000, "31-60": 70000, "61-90": 90000,
        "91-120": 30000, "over_120": 0}, disputed={"current": 0, "1-30": 0, "31-60": 0, "61-90": 0, "91-120": 0,
        "over_120": 0}, gross_minor=540000, credits_minor=-40000, net_minor=500000, overdue_minor=440000,
        disputed_minor=0,
    )  # fmt: skip
    group: str
    currency: str
    buckets: dict[str, int]
    disputed: dict[str, int]
    gross_minor: int
    credits_minor: int
    net_minor: int
    overdue_minor: int
    disputed_minor: int


class AgingReport(BaseModel):
    """One page of `rows`, by group and currency. `in_base`: the sum of all rows; null when a rate is missing."""

    as_of: date
    known_at: datetime | None
    by: str
    basis: Literal["due", "invoice"]
    base_currency: str
    rows: list[AgingRow]
    next: str | None = None
    in_base: AgingRow | None


class ItemRow(BaseModel):
    model_config = _example(
        item_id="0f7d3c5c-5b7c-4d0c-9a53-c8a1c2d9b001", account_id="C-1", account_name="Debtor Ltd", number="INV-1001",
        line="001", kind="invoice", side="debit", currency="EUR", original_minor=120000, remaining_minor=20000,
        disputed_minor=0, document_on="2026-02-01", due_on="2026-03-03", days_past_due=28,
    )  # fmt: skip
    item_id: UUID
    account_id: str
    account_name: str
    number: str
    line: str
    kind: str
    side: str
    currency: str
    original_minor: int
    remaining_minor: int
    disputed_minor: int
    document_on: date
    due_on: date
    days_past_due: int


class AccountRow(BaseModel):
    account_id: str
    name: str
    country: str
    industry: str
    collector: str
    status: str
    open: list[dict[str, Any]]


class StatementLine(BaseModel):
    """`amount_minor` raises the balance when positive. `kind`: document, `cash`, `cash_taken_back` or relief."""

    model_config = _example(
        day="2026-03-02", kind="invoice", reference="INV-1001", currency="EUR", amount_minor=120000,
        due_on="2026-04-01", balance_minor=120000,
    )  # fmt: skip
    day: date
    kind: str
    reference: str
    currency: str
    amount_minor: int
    due_on: date | None
    balance_minor: int


class StatementCurrency(BaseModel):
    """`difference_minor`: closing less opening less lines; anything but zero is shown, never plugged."""

    currency: str
    opening_minor: int
    closing_minor: int
    difference_minor: int


class AccountStatement(BaseModel):
    company: str
    account_id: str
    name: str
    from_on: date
    to_on: date
    known_at: datetime | None
    balances: list[StatementCurrency]
    lines: list[StatementLine]


class PromiseRow(BaseModel):
    promise_id: UUID
    account_id: str
    account_name: str
    status: str
    currency: str
    amount_minor: int
    received_minor: int
    taken_on: date
    due_on: date
    grace_days: int
    taken_by: str
    corrected: bool
    cash_waits: bool


class PromiseSummary(BaseModel):
    """Ratios over matured promises (kept, partly kept, broken), as parts of one.

    `cash_waits`: how many of those not kept belong to accounts whose cash of that time waits for a person.
    """

    kept: int
    partly_kept: int
    broken: int
    open: int
    cash_waits: int
    kept_by_count: str | None
    kept_by_value: str | None


class DisputeRow(BaseModel):
    dispute_id: UUID
    account_id: str
    account_name: str
    number: str
    status: str
    currency: str
    disputed_minor: int
    credited_minor: int
    reason_code: str
    text: str
    owner: str
    outcome: str
    opened_on: date
    due_on: date | None
    resolved_on: date | None


class HoldRow(BaseModel):
    """`in_force`: ordered, confirmed by the access system, and the confirmed lease runs; `lapsed`: that lease ended.

    `unconfirmed`: its newest version is not confirmed.
    """

    hold_id: UUID
    version: int
    account_id: str
    account_name: str
    status: str
    kind: str
    grade: str
    targets: list[str]
    cause: str
    policy: str
    approved_by: str
    from_at: datetime | None
    overdue_minor: int
    currency: str
    confirmed_version: int
    confirmed_at: datetime | None
    in_force: bool
    lapsed: bool
    unconfirmed: bool


class NoticeRow(BaseModel):
    notice_id: UUID
    account_id: str
    account_name: str
    kind: str
    level: int
    channel: str
    status: str
    day: date
    outcome_on: date | None
    sent_at: datetime | None
    reasons: list[dict[str, Any]]
    totals: list[dict[str, Any]]
    policy: str


class WithheldReason(BaseModel):
    model_config = _example(code="CASH_CANDIDATE", notices=12, alone=9)
    code: str
    notices: int
    alone: int


class WithheldSummary(BaseModel):
    """Outcomes by status; `by_reason` counts a notice once for each reason it names, `alone` if it names no other."""

    by_status: dict[str, int]
    by_reason: list[WithheldReason]


class CashDay(BaseModel):
    model_config = _example(
        accounted_on="2026-03-02", bank_account="EUR-1", currency="EUR", payments=41, amount_minor=5120000
    )
    accounted_on: date
    bank_account: str
    currency: str
    payments: int
    amount_minor: int


class DsoReport(BaseModel):
    """All in the base currency; null where there are no sales or a rate is missing. `count_back` may be `> days`."""

    model_config = _example(
        as_of="2026-03-31", base_currency="EUR", days=90, sales_minor=135000000, receivables_minor=45000000,
        simple="30.0", best_possible="21.0", add="9.0", count_back="31.5", negative=False,
    )  # fmt: skip
    as_of: date
    base_currency: str
    days: int
    sales_minor: int | None
    receivables_minor: int | None = None
    simple: str | None
    best_possible: str | None
    add: str | None
    count_back: str | None = None
    negative: bool = False


class ReconciliationRow(BaseModel):
    """One figure of ours beside what the subledger vouched for. `later_minor`: part of later business days."""

    model_config = _example(
        date="2026-03-31", scope="items", figure="debit_minor", currency="EUR", expected_minor=100000,
        found_minor=100000, difference_minor=0, later_minor=0,
    )  # fmt: skip
    date: date
    scope: str
    figure: str
    currency: str
    expected_minor: int | None
    found_minor: int
    difference_minor: int | None
    later_minor: int


class DayRow(BaseModel):
    date: date
    number: int
    base_currency: str
    bank_accounts: dict[str, date | None]
    figures: dict[str, Any]


class Exceptions(BaseModel):
    """What waits for a person. Each list is bounded; `truncated` names those that hold more."""

    waiting_cash: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    held_statements: list[dict[str, Any]]
    statement_gaps: list[dict[str, Any]]
    parked: list[dict[str, Any]]
    notices_unknown: list[dict[str, Any]]
    notices_failed: list[dict[str, Any]]
    holds_unconfirmed: list[dict[str, Any]]
    truncated: list[str]
