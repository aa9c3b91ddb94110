"""Facts of `ar.invoices`: documents of the books as the ERP issued them. Key: `company/account`.

`sum(instalments) = total_minor - prepaid_minor`; a credit memo has none. All amounts are positive.
"""

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.facts import Amount, Currency, DocumentRef, Fact, Part, Source


class Instalment(Part):
    line: str = "001"
    due_on: date
    amount_minor: Amount


class Discount(Part):
    """Cash discount in minor units that is earned when the money is valued up to and including `until_on`."""

    until_on: date
    amount_minor: Amount


class DocumentLine(Part):
    text: str = ""
    quantity: str = "1"
    net_minor: int = 0
    tax_rate: str = ""
    product: str = ""


class References(Part):
    purchase_order: str = ""
    contract: str = ""
    project: str = ""
    payment_reference: str = ""
    buyer: str = ""


class AppliesTo(Part):
    document_id: UUID
    amount_minor: Amount


class Document(Fact):
    document_id: UUID
    source_system: str
    document_type: Literal["invoice", "debit_memo", "credit_memo"]
    source_document_id: str
    number: str
    account_id: str
    document_on: date
    service_from_on: date | None = None
    service_to_on: date | None = None
    terms: str = ""
    due_on: date
    currency: Currency
    net_minor: Amount = 0
    tax_minor: Amount = 0
    total_minor: Amount
    prepaid_minor: Amount = 0
    references: References = References()
    lines: list[DocumentLine] = Field(default_factory=list, max_length=500)
    document_ref: DocumentRef | None = None
    copy_ref: DocumentRef | None = None
    source: Source = Source()


class DebitDocument(Document):
    instalments: list[Instalment] = Field(min_length=1, max_length=120)
    discounts: list[Discount] = Field(default_factory=list, max_length=5)


class InvoiceIssued(DebitDocument):
    TYPE: ClassVar[str] = "invoice.issued"


class DebitMemoIssued(DebitDocument):
    TYPE: ClassVar[str] = "debit_memo.issued"


class CreditMemoIssued(Document):
    TYPE: ClassVar[str] = "credit_memo.issued"

    reason_code: str = ""
    applies_to: list[AppliesTo] = Field(default_factory=list, max_length=100)


class InvoiceCancelled(Fact):
    TYPE: ClassVar[str] = "invoice.cancelled"

    document_id: UUID
    account_id: str
    cancelled_on: date
    reason_code: str = ""
    number: str = ""


class InvoiceRebilled(Fact):
    """Stands beside the `invoice.issued` of the new document; `keeps_due_date` keeps the old item's due date."""

    TYPE: ClassVar[str] = "invoice.rebilled"

    document_id: UUID
    account_id: str
    replaces_document_id: UUID
    keeps_due_date: bool = True
    rebilled_on: date | None = None
