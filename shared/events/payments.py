"""Facts of `ar.payments`: what banks booked, announced or took back. Key: `company/payment_id` or own id.

Personal: payer and remittance text. Amounts are positive minor units.
"""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.facts import Amount, Currency, Fact, Part, Personal, PersonalText, Signed, Source

Times = Annotated[int, Field(ge=1)]
Method = Literal["transfer", "direct_debit", "cheque", "card", "cash", "netting", "other"]


class Payer(Part):
    name: PersonalText = ""
    account: PersonalText = ""
    bank: str = ""
    address: PersonalText = ""


class PaymentReferences(Part):
    end_to_end: str = ""
    creditor_reference: str = ""
    uetr: str = ""
    mandate: str = ""
    cheque: str = ""
    bank: str = ""


class RemittanceLine(Part):
    """One document that the payer names. `paid_minor` is what the payer says it pays for it."""

    document: str
    gross_minor: int | None = None
    discount_minor: Amount = 0
    deduction_minor: Amount = 0
    reason: str = ""
    paid_minor: int | None = None


class Original(Part):
    """The amount as the payer ordered it, before charges or conversion."""

    amount_minor: Amount
    currency: Currency
    rate: str = ""


class BankCredit(Fact):
    payment_id: UUID
    bank_account: str
    document_on: date
    valued_on: date
    accounted_on: date
    amount_minor: Amount
    currency: Currency
    method: Method = "transfer"
    payer: Annotated[Payer, Personal] = Payer()
    references: PaymentReferences = PaymentReferences()
    remittance_text: Annotated[list[str], Personal, Field(max_length=100)] = []
    remittance: list[RemittanceLine] = Field(default_factory=list, max_length=1000)
    charges_minor: Amount = 0
    original: Original | None = None
    source: Source = Source()


class PaymentReceived(BankCredit):
    TYPE: ClassVar[str] = "payment.received"


class PaymentAnnounced(BankCredit):
    TYPE: ClassVar[str] = "payment.announced"


class PaymentReturned(Fact):
    """A bank took a credit back. `payment_id` is given when the feed itself can tell which."""

    TYPE: ClassVar[str] = "payment.returned"

    return_id: UUID
    payment_id: UUID | None = None
    bank_account: str
    document_on: date
    valued_on: date
    accounted_on: date
    amount_minor: Amount
    currency: Currency
    references: PaymentReferences = PaymentReferences()
    payer: Annotated[Payer, Personal] = Payer()
    remittance_text: Annotated[list[str], Personal, Field(max_length=100)] = []
    reason_code: str = ""
    fee_minor: Amount = 0
    source: Source = Source()


class BankDebitReceived(Fact):
    """Another debit line: refund paid, bank charge, or money that has nothing to do with receivables."""

    TYPE: ClassVar[str] = "bank_debit.received"

    debit_id: UUID
    bank_account: str
    document_on: date
    valued_on: date
    accounted_on: date
    amount_minor: Amount
    currency: Currency
    kind: Literal["charge", "refund", "other"] = "other"
    text: Annotated[list[str], Personal, Field(max_length=100)] = []
    references: PaymentReferences = PaymentReferences()
    source: Source = Source()


class StatementReceived(Fact):
    """Head of a booked statement. `complete_through_on` is how far the unbroken chain of the account now reaches."""

    TYPE: ClassVar[str] = "statement.received"

    statement_id: str
    bank_account: str
    currency: Currency
    from_on: date
    to_on: date
    opening_minor: Signed
    closing_minor: Signed
    lines: int
    credits_minor: Amount
    debits_minor: Amount
    balanced: bool
    complete_through_on: date | None = None
    source: Source = Source()


class StatementGapNoticed(Fact):
    TYPE: ClassVar[str] = "statement.gap_noticed"

    statement_id: str
    bank_account: str
    expected: str
    found: str


class HeldCredit(Part):
    amount_minor: Amount
    payer_hint: PersonalText = ""
    payer_account: PersonalText = ""
    references: list[str] = Field(default_factory=list, max_length=20)


class StatementHeld(Fact):
    TYPE: ClassVar[str] = "statement.held"

    statement_id: str
    bank_account: str
    currency: Currency
    from_on: date
    to_on: date
    opening_minor: Signed
    closing_minor: Signed
    reason: str
    times: Times = 1
    credits: Annotated[list[HeldCredit], Personal, Field(max_length=1000)] = []
    source: Source = Source()


class StatementReleased(Fact):
    TYPE: ClassVar[str] = "statement.released"

    statement_id: str
    bank_account: str
    outcome: Literal["booked", "refused"]
    times: Times = 1


class RemittanceReceived(Fact):
    TYPE: ClassVar[str] = "remittance.received"

    remittance_id: UUID
    account_hints: list[str] = Field(default_factory=list, max_length=20)
    payer: Annotated[Payer, Personal] = Payer()
    currency: Currency
    total_minor: Amount
    pays_on: date | None = None
    payment_reference: str = ""
    lines: list[RemittanceLine] = Field(default_factory=list, max_length=1000)
    source: Source = Source()


class QuarantineState(Fact):
    """`account_id` and `amount_minor` as far as the refused record tells them; `topic` is where it would have gone.

    `times`: how often the record was held back so far; one that was released or discarded may be refused again.
    """

    record_id: UUID
    kind: str
    account_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    hints: Annotated[list[str], Personal, Field(max_length=20)] = []
    reason: str
    times: Times = 1


class RecordQuarantined(QuarantineState):
    TYPE: ClassVar[str] = "record.quarantined"


class RecordReleased(QuarantineState):
    TYPE: ClassVar[str] = "record.released"
