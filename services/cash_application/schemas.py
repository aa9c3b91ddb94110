"""Bodies and answers of the API. Amounts are integer minor units beside their currency."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.cash_application.domain.cash import Place
from services.cash_application.domain.commands import ApplyLine
from shared.events.facts import Amount, Currency

AccountId = Field(min_length=1, max_length=60)


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IdentifyBody(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"account_id": "C-10017"}]})

    account_id: str = AccountId


class ApplyBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "currency": "EUR",
                    "lines": [{"item_id": "bbbf437e-dcff-582e-b7a8-82d09a082118", "cash_minor": 118000}],
                }
            ]
        }
    )

    currency: Currency
    lines: list[ApplyLine] = Field(min_length=1, max_length=200)


class SuggestionBody(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"rank": 1}]})

    rank: int = Field(ge=1, le=20)


class UnapplyBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"posting_id": "e3e50909-0521-53af-8c7f-bdc059ab627a", "reason_code": "MISAPPLIED"}]
        }
    )

    posting_id: UUID
    reason_code: Literal["MISAPPLIED", "DUPLICATE", "CUSTOMER_REQUEST", "OTHER"]


class OnAccountBody(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"account_id": "C-10017", "amount_minor": 1000, "currency": "EUR"}]}
    )

    account_id: str = AccountId
    amount_minor: Amount = Field(gt=0)
    currency: Currency


class RefundBody(OnAccountBody):
    place: Place = Place.UNAPPLIED


class ApprovalBody(Body):
    """`shown_amount_minor`: the amount that the approver saw; another amount in the books refuses the approval."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"shown_amount_minor": 1000}]})

    shown_amount_minor: Amount


class ExplainBody(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"debit_id": "0a1b6c1e-3f0a-5d5f-9a40-0c6f5c7f1a11"}]})

    debit_id: UUID


class Split(BaseModel):
    account_id: str
    applied_minor: int
    unapplied_minor: int
    on_account_minor: int


class CommandReply(BaseModel):
    """Where the payment stands after the command."""

    payment_id: UUID
    payment_version: int
    outcome: str
    account_id: str | None
    unidentified_minor: int
    open_minor: int
    split: list[Split]
    refund_id: UUID | None = None
    refund_status: str | None = None
    approval_id: UUID | None = None


class Item(BaseModel):
    item_id: UUID
    document_id: UUID
    line: str
    number: str
    kind: str
    side: str
    account_id: str
    currency: str
    original_minor: int
    remaining_minor: int
    disputed_minor: int
    document_on: date
    due_on: date
    version: int
    payment_reference: str


class Line(BaseModel):
    """A line of the journal that touched the item. Debit positive, credit negative."""

    posting_id: UUID
    kind: str
    origin: str
    funding: str
    amount_minor: int
    base_minor: int
    payment_id: UUID | None
    reverses_posting_id: UUID | None
    reason_code: str
    rule: str
    policy: str
    certificate_id: UUID | None
    actor: str
    valued_on: date
    accounted_on: date
    known_at: datetime


class ItemDetail(Item):
    relief: dict[str, int]
    lines: list[Line]


class Payment(BaseModel):
    payment_id: UUID
    bank_account: str
    currency: str
    amount_minor: int
    open_minor: int
    unidentified_minor: int
    refunded_minor: int
    non_ar_minor: int
    returned_minor: int
    small_gain_minor: int
    document_on: date
    valued_on: date
    account_id: str | None
    outcome: str
    reason_code: str
    rule: str
    flags: list[str]
    payer_name: str | None
    payer_account: str | None
    text: list[str]
    payment_version: int


class Application(BaseModel):
    posting_id: UUID
    item_id: UUID
    number: str
    account_id: str
    cash_minor: int
    discount_minor: int
    small_difference_minor: int
    bank_charge_minor: int
    deduction_minor: int
    rule: str
    reversed_by: UUID | None


class Suggestion(BaseModel):
    """`items`: item id -> cash in minor units. `chance` is λ, the expected number of chance hits of an amount."""

    rank: int
    account_id: str
    items: dict[UUID, int]
    rule: str
    why: str
    chance: str
    certificate_id: UUID | None


class Candidate(BaseModel):
    candidate_id: UUID
    account_id: str
    payment_id: UUID | None
    amount_minor: int
    currency: str
    evidence: list[str]
    source: str
    since_on: date


class Certificate(BaseModel):
    """Why: rungs tried, evidence, chosen items by posting, λ, policy, as of the snapshot on which it was decided."""

    certificate_id: UUID
    posting_id: UUID | None
    snapshot: str
    content: dict[str, Any]


class PaymentDetail(Payment):
    split: list[Split]
    applications: list[Application]
    suggestions: list[Suggestion]
    candidates: list[Candidate]
    certificates: list[Certificate]


class Cash(BaseModel):
    currency: str
    unapplied_minor: int
    on_account_minor: int
    version: int


class AccountCash(BaseModel):
    account_id: str
    cash: list[Cash]


class Debit(BaseModel):
    debit_id: UUID
    bank_account: str
    currency: str
    amount_minor: int
    left_minor: int
    valued_on: date
    reason_code: str
    payment_id: UUID | None


class Refund(BaseModel):
    refund_id: UUID
    account_id: str
    payment_id: UUID
    amount_minor: int
    currency: str
    bank_account: str
    status: str
    requested_by: str
    requested_on: date
    approved_by: str
    approval_id: UUID | None
