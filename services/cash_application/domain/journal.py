"""The journal: chart of accounts, kinds of entries with their typed reversals, and lines.

Invariant: an entry balances per bank account tag (the cash that its lines trace to; "" for none) and in base currency.
Because every entry does, the money equation holds per bank account at every commit.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

Origin = Literal["feed", "recoup"]
DEBIT, CREDIT = "debit", "credit"


class Imbalance(AssertionError):
    """An entry does not balance: a defect of the code that built it, never of the data. It must not be written."""


class Ledger(StrEnum):
    """Accounts of the journal. `CHART` says what each holds."""

    BANK = "BANK"
    AR = "AR"
    AR_DED = "AR_DED"
    UNAPP = "UNAPP"
    ONACC = "ONACC"
    UNID = "UNID"
    REFUND = "REFUND"
    NON_AR = "NON_AR"
    SUSPENSE = "SUSPENSE"
    ERP_CONTROL = "ERP_CONTROL"
    DISC = "DISC"
    SMALL = "SMALL"
    BANKFEE = "BANKFEE"
    FXR = "FXR"


CHART: dict[Ledger, str] = {
    Ledger.BANK: "cash at the bank, one per bank account",
    Ledger.AR: "receivables: debit items less credit items",
    Ledger.AR_DED: "deductions taken by payers, under inquiry",
    Ledger.UNAPP: "cash of a known account that waits to be applied",
    Ledger.ONACC: "cash left on an account by decision",
    Ledger.UNID: "cash of an unknown payer (suspense liability)",
    Ledger.REFUND: "refunds approved and payable",
    Ledger.NON_AR: "money that has nothing to do with receivables",
    Ledger.SUSPENSE: "debits not yet explained",
    Ledger.ERP_CONTROL: "what the ERP has booked and this ledger mirrors; never exported",
    Ledger.DISC: "cash discount granted",
    Ledger.SMALL: "small differences, losses and gains",
    Ledger.BANKFEE: "charges of banks",
    Ledger.FXR: "realised exchange differences; base currency only",
}


class Kind(StrEnum):
    """What an entry does."""

    DOCUMENT = "document"
    DOCUMENT_CANCELLED = "document_cancelled"
    RECEIPT = "receipt"
    RETURN = "return"
    APPLICATION = "application"
    UNAPPLICATION = "unapplication"
    CREDIT_USE = "credit_use"
    CREDIT_USE_REVERSED = "credit_use_reversed"
    CASH_MOVE = "cash_move"
    BANK_DEBIT = "bank_debit"
    REFUND_APPROVED = "refund_approved"
    REFUND_CANCELLED = "refund_cancelled"
    REFUND_PAID = "refund_paid"


REVERSAL: dict[Kind, Kind] = {
    Kind.DOCUMENT: Kind.DOCUMENT_CANCELLED,
    Kind.RECEIPT: Kind.RETURN,
    Kind.APPLICATION: Kind.UNAPPLICATION,
    Kind.CREDIT_USE: Kind.CREDIT_USE_REVERSED,
    Kind.CASH_MOVE: Kind.CASH_MOVE,
    Kind.REFUND_APPROVED: Kind.REFUND_CANCELLED,
}
"""Typed reversal of each kind. A receipt that also applied is un-applied by UNAPPLICATION and taken back by RETURN."""

FUNDINGS = (
    "cash", "credit", "discount", "small_difference", "bank_charge",
    "commission", "write_off", "moved", "fx", "cancelled",
)  # fmt: skip
"""How an item may be relieved, in the order in which items keep their relief."""


@dataclass(slots=True)
class Line:
    """Signed minor units: debit positive, credit negative. `side` is that of the item, for control totals."""

    ledger: Ledger
    amount_minor: int
    base_minor: int
    account_id: str = ""
    item_id: UUID | None = None
    side: str = ""
    payment_id: UUID | None = None
    bank_account: str = ""
    funding: str = ""


@dataclass(slots=True)
class Posting:
    """One entry. `accounted_on` is never before that of any item or receipt it touches."""

    posting_id: UUID
    company: str
    kind: Kind
    origin: Origin
    currency: str
    base_currency: str
    cause_id: UUID
    business_date: date
    valued_on: date
    accounted_on: date
    known_at: datetime
    actor: str
    account_id: str = ""
    payment_id: UUID | None = None
    reverses_posting_id: UUID | None = None
    reason_code: str = ""
    rule: str = ""
    policy: str = ""
    certificate_id: UUID | None = None
    rate_id: str = ""
    lines: list[Line] = field(default_factory=list)

    def close(self) -> "Posting":
        """Give the exchange difference its own line and check both balances. Raises Imbalance."""
        difference = sum(line.base_minor for line in self.lines)
        if difference:
            if self.base_currency == self.currency:
                raise Imbalance(f"{self.kind} {self.posting_id}: base differs by {difference} without any exchange")
            self.lines.append(Line(Ledger.FXR, 0, -difference))
        check(self)
        return self


def check(posting: Posting) -> None:
    """Raises Imbalance unless the entry balances per bank account tag and in base currency."""
    sums: dict[str, int] = {}
    base = 0
    for line in posting.lines:
        sums[line.bank_account] = sums.get(line.bank_account, 0) + line.amount_minor
        base += line.base_minor
    wrong = {tag: amount for tag, amount in sums.items() if amount}
    if wrong or base:
        raise Imbalance(f"{posting.kind} {posting.posting_id} does not balance: {wrong or base}")
