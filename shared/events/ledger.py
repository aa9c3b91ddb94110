"""Facts of `ar.ledger`, published by cash_application alone: absolute values with a version per thing.

Key: `company/account`, or `company/~payment_id` while a payment has no account. Consumers take the higher version.
"""

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.facts import Amount, Currency, Fact, Part

ItemKind = Literal["invoice", "debit_memo", "credit_memo", "deduction", "charge"]
Side = Literal["debit", "credit"]
Evidence = Literal["name", "bank_account", "reference", "exact_amount"]
CandidateSource = Literal["unapplied", "unidentified", "suggested", "announced", "held", "quarantined"]


class Relief(Part):
    """How an item was relieved, by funding, in minor units; original = sum + remaining."""

    cash: int = 0
    credit: int = 0
    discount: int = 0
    small_difference: int = 0
    bank_charge: int = 0
    commission: int = 0
    write_off: int = 0
    moved: int = 0
    fx: int = 0
    cancelled: int = 0

    def total(self) -> int:
        return sum(getattr(self, name) for name in type(self).model_fields)


class ItemState(Fact):
    """State of one open item after a posting set. `remaining_minor` is between 0 and `original_minor`."""

    item_id: UUID
    document_id: UUID
    line: str
    number: str
    kind: ItemKind
    side: Side
    account_id: str
    version: int
    currency: Currency
    original_minor: Amount
    remaining_minor: Amount
    disputed_minor: Amount = 0
    relief: Relief = Relief()
    document_on: date
    due_on: date
    posting_id: UUID | None = None
    cause: str = ""
    valued_on: date | None = None
    accounted_on: date | None = None
    base_minor: int = 0
    base_currency: str = ""
    payment_reference: str = ""


class ItemOpened(ItemState):
    TYPE: ClassVar[str] = "item.opened"


class ItemChanged(ItemState):
    TYPE: ClassVar[str] = "item.changed"


class ItemSettled(ItemState):
    TYPE: ClassVar[str] = "item.settled"


class ItemReopened(ItemState):
    TYPE: ClassVar[str] = "item.reopened"


class CashChanged(Fact):
    """Cash of an account that is not on items; `version` counts per account and currency."""

    TYPE: ClassVar[str] = "cash.changed"

    account_id: str
    currency: Currency
    version: int
    unapplied_minor: Amount
    on_account_minor: Amount
    posting_id: UUID | None = None


class SplitPart(Part):
    account_id: str
    applied_minor: int = 0
    unapplied_minor: int = 0
    on_account_minor: int = 0


class PaymentState(Fact):
    """Where the whole of a payment stands; the parts, with the small gain kept, sum to `amount_minor`."""

    payment_id: UUID
    payment_version: int
    bank_account: str
    currency: Currency
    amount_minor: Amount
    valued_on: date | None = None
    accounted_on: date | None = None
    split: list[SplitPart] = Field(default_factory=list, max_length=200)
    unidentified_minor: int = 0
    refunded_minor: int = 0
    non_ar_minor: int = 0
    returned_minor: int = 0
    small_gain_minor: int = 0


class PaymentIdentified(PaymentState):
    TYPE: ClassVar[str] = "payment.identified"

    account_id: str
    rule: str
    certificate_id: UUID | None = None


class PaymentUnidentified(PaymentState):
    TYPE: ClassVar[str] = "payment.unidentified"

    reason_code: str = ""


class Application(Part):
    item_id: UUID
    cash_minor: int
    discount_minor: int = 0
    small_difference_minor: int = 0
    deduction_minor: int = 0
    bank_charge_minor: int = 0


class PaymentApplied(PaymentState):
    TYPE: ClassVar[str] = "payment.applied"

    posting_id: UUID
    account_id: str
    applications: list[Application] = Field(max_length=1000)
    left_minor: int
    rule: str
    automatic: bool
    certificate_id: UUID | None = None


class PaymentUnapplied(PaymentState):
    """MISAPPLIED counts as a wrong decision of the rule that posted it; RETURNED follows a bank return."""

    TYPE: ClassVar[str] = "payment.unapplied"

    posting_id: UUID
    reverses_posting_id: UUID
    account_id: str
    reason_code: str


class SuggestedItem(Part):
    item_id: UUID
    amount_minor: Amount


class PaymentSuggested(Fact):
    TYPE: ClassVar[str] = "payment.suggested"

    payment_id: UUID
    account_id: str
    amount_minor: Amount
    currency: Currency
    items: list[SuggestedItem] = Field(max_length=200)
    rank: int
    lambda_value: str = ""
    rule: str = ""
    certificate_id: UUID | None = None


class SuggestionWithdrawn(Fact):
    TYPE: ClassVar[str] = "suggestion.withdrawn"

    payment_id: UUID
    account_id: str
    rank: int = 1


class CashCandidate(Fact):
    """Cash that evidence connects with the account but that is not applied."""

    TYPE: ClassVar[str] = "cash.candidate"

    candidate_id: UUID
    account_id: str
    payment_id: UUID | None = None
    amount_minor: Amount
    currency: Currency
    evidence: list[Evidence] = Field(default_factory=list, max_length=4)
    source: CandidateSource
    since_on: date | None = None


class CashCandidateCleared(Fact):
    TYPE: ClassVar[str] = "cash.candidate_cleared"

    candidate_id: UUID
    account_id: str
    payment_id: UUID | None = None


class DeductionRaised(Fact):
    TYPE: ClassVar[str] = "deduction.raised"

    item_id: UUID
    from_item_id: UUID
    account_id: str
    amount_minor: Amount
    currency: Currency
    reason_code: str
    payment_id: UUID | None = None


class RefundRequested(Fact):
    TYPE: ClassVar[str] = "refund.requested"

    refund_id: UUID
    account_id: str
    payment_id: UUID | None = None
    amount_minor: Amount
    currency: Currency
    approval_id: UUID | None = None


class RefundPaid(Fact):
    TYPE: ClassVar[str] = "refund.paid"

    refund_id: UUID
    account_id: str
    amount_minor: Amount
    currency: Currency
    paid_on: date


class WriteOffPosted(Fact):
    TYPE: ClassVar[str] = "write_off.posted"

    item_id: UUID
    account_id: str
    amount_minor: Amount
    currency: Currency
    reason_code: str = ""
    approval_id: UUID | None = None


class ChargePosted(Fact):
    """Interest, fee or compensation as a new item; `base_minor × rate` from `from_on` to `to_on` for interest."""

    TYPE: ClassVar[str] = "charge.posted"

    item_id: UUID
    account_id: str
    kind: Literal["interest", "fee", "compensation"]
    amount_minor: Amount
    currency: Currency
    base_minor: int = 0
    rate: str = ""
    from_on: date | None = None
    to_on: date | None = None
