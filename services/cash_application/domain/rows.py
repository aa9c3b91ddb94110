"""Values of the subledger beside items and receipts: accounts, documents, applications, suggestions, candidates.

They carry no rules; each is one row of the table of its name.
"""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from services.cash_application.domain.matching.model import PaymentView


@dataclass(slots=True)
class Account:
    """A debtor's account, as far as it tells who pays. Its row is the unit of locking."""

    company: str
    account_id: str
    name: str = ""
    currency: str = ""
    bank_accounts: tuple[str, ...] = ()
    pays_for: tuple[str, ...] = ()
    registered: bool = False
    version: int = 0
    party_id: str = ""

    @property
    def customer_id(self) -> str:
        """The legal person over all its accounts; the account itself where the ERP names none."""
        return self.party_id or self.account_id


@dataclass(slots=True)
class Document:
    """Head of a document of the books. `cancelled_on` is set once; `replaced_by` by a rebill."""

    company: str
    document_id: UUID
    account_id: str
    document_type: str
    number: str
    currency: str
    total_minor: int
    document_on: date
    business_date: date
    cancelled_on: date | None = None
    replaced_by: UUID | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class DocumentWait:
    """Something that concerns a document not seen yet: cancel, rebill (`other_id` = the one replaced), or a credit of
    `amount_minor` (`other_id` = the credit memo)."""

    company: str
    document_id: UUID
    kind: str
    other_id: UUID
    amount_minor: int = 0
    keeps_due_date: bool = False
    on: date | None = None


@dataclass(slots=True)
class Applied:
    """Cash of one payment on one item by one entry. Cash of a credit item is cash taken out of that credit.

    `gain_minor` is the small gain of the entry, kept on its first row. A row lives until `reversed_by` is set.
    """

    company: str
    posting_id: UUID
    item_id: UUID
    payment_id: UUID
    account_id: str
    side: str
    cash_minor: int
    discount_minor: int = 0
    small_difference_minor: int = 0
    bank_charge_minor: int = 0
    deduction_minor: int = 0
    deduction_item_id: UUID | None = None
    gain_minor: int = 0
    rule: str = ""
    reversed_by: UUID | None = None

    @property
    def signed_cash_minor(self) -> int:
        return self.cash_minor if self.side == "debit" else -self.cash_minor


@dataclass(slots=True)
class CreditUse:
    """Credit of one item set against a debit item, without cash."""

    company: str
    posting_id: UUID
    credit_item_id: UUID
    debit_item_id: UUID
    amount_minor: int
    reversed_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Suggested:
    """A proposal for a payment that a person may take: item -> cash (unsigned; credit items give)."""

    rank: int
    account_id: str
    items: tuple[tuple[UUID, int], ...]
    rule: str
    why: str
    chance: str
    certificate_id: UUID | None = None


@dataclass(slots=True)
class Candidate:
    """Cash that evidence connects with an account but that is not applied. `origin_id`: payment, announcement, held
    credit or quarantined record; `group_id`: the statement or record that is released as a whole."""

    candidate_id: UUID
    company: str
    origin_id: UUID
    group_id: str
    account_id: str
    payment_id: UUID | None
    amount_minor: int
    currency: str
    evidence: tuple[str, ...]
    source: str
    since_on: date
    open: bool = True


@dataclass(frozen=True, slots=True)
class UnbookedCash:
    """Cash that is known but not booked: announced, a credit of a held statement, a quarantined payment. It stands
    until its group is released or refused, or until it is booked or, announced only, too old. `keys`: by which an item
    that opens later finds it, and its booking."""

    group_id: str
    payment_id: UUID | None
    source: str
    since_on: date
    view: PaymentView
    keys: tuple[str, ...]

    @property
    def company(self) -> str:
        return self.view.company

    @property
    def origin_id(self) -> UUID:
        return UUID(self.view.payment_id)

    @property
    def amount(self) -> tuple[str, str, int]:
        """Company, currency, minor units."""
        return self.view.company, self.view.currency, self.view.amount_minor


@dataclass(slots=True)
class OpenDebit:
    """A debit of the bank that is not explained yet: a return before its payment, or one that exceeds it."""

    company: str
    debit_id: UUID
    bank_account: str
    currency: str
    amount_minor: int
    left_minor: int
    valued_on: date
    accounted_on: date
    reason_code: str
    keys: tuple[str, ...]
    payment_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A request for approval and its outcome (`shared.approval`). The amount is in base currency as of the request."""

    company: str
    id: UUID
    kind: str
    subject_id: str
    body_hash: str
    customer_id: str
    reason_code: str
    amount_minor: int
    currency: str
    requested_by: str
    requested_on_behalf_of: str | None
    requested_at: datetime
    outcome: str = "pending"
    decided_by: str | None = None
    decided_on_behalf_of: str | None = None
    decided_at: datetime | None = None


@dataclass(slots=True)
class Refund:
    """A refund: requested by one person, approved by another, paid by the bank."""

    company: str
    refund_id: UUID
    account_id: str
    payment_id: UUID
    amount_minor: int
    currency: str
    bank_account: str
    status: str
    requested_by: str
    requested_on: date
    from_place: str
    approved_by: str = ""
    approved_on: date | None = None
    approval_id: UUID | None = None
    version: int = 1
