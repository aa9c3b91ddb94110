"""What the matching engine is given and what it answers: values only, no behaviour beyond small sums.

Amounts are integer minor units of the one `currency` beside them and never negative; an item's `side` says the
direction. Invariant of every `Decision`: the signed cash of its applications + `left_minor` + `gain_minor` is exactly
what was available of the payment.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Any

DEBIT = "debit"
CREDIT = "credit"


class Outcome(StrEnum):
    """How a payment ended. Cash that is not applied stands where `Decision.left_to` says."""

    POSTED = "posted"
    SUGGESTED = "suggested"
    UNAPPLIED = "unapplied"
    UNIDENTIFIED = "unidentified"


class LeftTo(StrEnum):
    """Where the rest of a payment waits: on account by decision, unapplied of an account, or with no account at all."""

    NOTHING = "nothing"
    ON_ACCOUNT = "on_account"
    UNAPPLIED = "unapplied"
    UNIDENTIFIED = "unidentified"


class Reason(StrEnum):
    """Why (the rest of) a payment was not applied by itself; one code, stable, shown to people and sent in events."""

    NO_EVIDENCE = "NO_EVIDENCE"
    NO_MATCH = "NO_MATCH"
    OVERPAID = "OVERPAID"
    ALREADY_SETTLED = "ALREADY_SETTLED"
    DUPLICATE = "DUPLICATE"
    CURRENCY_DIFFERS = "CURRENCY_DIFFERS"
    ACCOUNT_PARKED = "ACCOUNT_PARKED"
    WAITS_FOR_CLOSE = "WAITS_FOR_CLOSE"
    CITATION_UNRESOLVED = "CITATION_UNRESOLVED"
    CITATION_AMBIGUOUS = "CITATION_AMBIGUOUS"
    CITATION_WITHOUT_WITNESS = "CITATION_WITHOUT_WITNESS"
    PAYER_CONTRADICTS = "PAYER_CONTRADICTS"
    DESIGNATION_INCONSISTENT = "DESIGNATION_INCONSISTENT"
    SHORT_UNALLOCATED = "SHORT_UNALLOCATED"
    AMOUNT_NOT_UNIQUE = "AMOUNT_NOT_UNIQUE"
    AMOUNT_LATE = "AMOUNT_LATE"
    CHANCE_TOO_HIGH = "CHANCE_TOO_HIGH"


@dataclass(frozen=True, slots=True)
class RemittanceLine:
    """One line of structured remittance. `paid_minor` is negative for a credit the payer deducts; None = not stated."""

    document: str
    gross_minor: int | None = None
    discount_minor: int = 0
    deduction_minor: int = 0
    reason: str | None = None
    paid_minor: int | None = None


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A receipt as the matcher sees it. `available_minor` is what is still unapplied (None: the whole amount); `late`:
    what is open now is not what was open on the day on which it came."""

    payment_id: str
    company: str
    bank_account: str
    currency: str
    amount_minor: int
    valued_on: date
    payer_name: str | None = None
    payer_account: str | None = None
    remittance_text: tuple[str, ...] = ()
    remittance: tuple[RemittanceLine, ...] = ()
    end_to_end: str | None = None
    creditor_reference: str | None = None
    charges_minor: int = 0
    available_minor: int | None = None
    late: bool = False

    @property
    def open_minor(self) -> int:
        """What may still be applied."""
        return self.amount_minor if self.available_minor is None else self.available_minor


@dataclass(frozen=True, slots=True)
class Discount:
    """Cash discount of an item: `amount_minor` may be taken when the payment is valued on or before `until_on`."""

    until_on: date
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ItemView:
    """An open (or settled: `remaining_minor` 0) item; `version` and `posting_hash` name the state decided on."""

    item_id: str
    document_id: str
    number: str
    account_id: str
    currency: str
    original_minor: int
    remaining_minor: int
    due_on: date
    document_on: date
    line: str = "001"
    kind: str = "invoice"
    side: str = DEBIT
    disputed_minor: int = 0
    payment_reference: str | None = None
    discounts: tuple[Discount, ...] = ()
    version: int = 1
    posting_hash: str = ""

    @property
    def undisputed_minor(self) -> int:
        """The part that may be paid off without the payer naming the item."""
        return max(0, self.remaining_minor - self.disputed_minor)

    @property
    def signed_minor(self) -> int:
        """What is open, positive for a debit, negative for a credit."""
        return self.remaining_minor if self.side == DEBIT else -self.remaining_minor


@dataclass(frozen=True, slots=True)
class AccountView:
    """The ERP's record of a customer, as far as it tells who pays. `pays_for` holds the links in force on the day."""

    account_id: str
    name: str
    bank_accounts: tuple[str, ...] = ()
    pays_for: tuple[str, ...] = ()
    parked: bool = False


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """Another receipt of the same amount and currency; `documents`: what it paid; `open_minor`: what of it waits, on
    `account_id` if that is known."""

    payment_id: str
    currency: str
    amount_minor: int
    valued_on: date
    payer_account: str | None = None
    payer_name: str | None = None
    documents: tuple[str, ...] = ()
    open_minor: int = 0
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Everything loaded for one payment: items of its keys (settled ones too), items of the accounts its payer leads
    to, those accounts, and receipts that look alike. Items loaded for their amount alone may be among them."""

    items: tuple[ItemView, ...] = ()
    accounts: tuple[AccountView, ...] = ()
    receipts: tuple[ReceiptView, ...] = ()


@dataclass(frozen=True, slots=True)
class Application:
    """Relief of one item by this payment. `cash_minor` of a credit item is cash taken *out of* that credit."""

    item_id: str
    document_id: str
    account_id: str
    side: str
    version: int
    posting_hash: str
    cash_minor: int = 0
    discount_minor: int = 0
    small_difference_minor: int = 0
    bank_charge_minor: int = 0
    deduction_minor: int = 0
    deduction_reason: str | None = None

    @property
    def relief_minor(self) -> int:
        """By how much `remaining_minor` of the item goes down."""
        return (
            self.cash_minor
            + self.discount_minor
            + self.small_difference_minor
            + self.bank_charge_minor
            + self.deduction_minor
        )

    @property
    def signed_cash_minor(self) -> int:
        """The item's share of the payment: negative where a credit adds to what can be paid."""
        return self.cash_minor if self.side == DEBIT else -self.cash_minor


@dataclass(frozen=True, slots=True)
class SuggestedItem:
    """An item and the cash that the suggestion would put on it (unsigned, as in `Application`)."""

    item_id: str
    amount_minor: int
    version: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One way to apply the payment that a person may take; rank 1 is the best. `chance` is λ where amounts decided."""

    rank: int
    account_id: str
    items: tuple[SuggestedItem, ...]
    rule: str
    why: str
    chance: Fraction | None = None


@dataclass(frozen=True, slots=True)
class CashCandidate:
    """An account with which evidence connects cash that is not applied (`cash.candidate`)."""

    account_id: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one payment. `account_id` is the account identified (None: nobody is), also for what is left."""

    payment_id: str
    outcome: Outcome
    rule: str
    account_id: str | None
    identified_by: str | None
    applications: tuple[Application, ...]
    left_minor: int
    left_to: LeftTo
    gain_minor: int = 0
    reason: Reason | None = None
    flags: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    candidates: tuple[CashCandidate, ...] = ()
    certificate: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)

    @property
    def applied_minor(self) -> int:
        """Cash of the payment that went to items (credits count against it)."""
        return sum(application.signed_cash_minor for application in self.applications)
