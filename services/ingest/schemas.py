"""Bodies and answers of the API. Ids are shown with their prefix; amounts are minor units beside a currency."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.events.control import BankAccount


def example(value: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [value]}, extra="forbid")


class RecordProblem(BaseModel):
    """Why one record was not taken. `statement_id`: of the statement that is held, for its release."""

    position: int
    kind: str
    place: str
    outcome: str
    code: str
    field: str
    reason: str
    record_id: str | None = None
    statement_id: str | None = None


class Receipt(BaseModel):
    """What became of a submission. `counts` by outcome: written, known, quarantined, held, ignored.

    `known`: the content came before and this is its first receipt. `problems` are the first 20; the rest is paged.
    """

    submission_id: str
    company: str
    state: Literal["receiving", "accepted", "done", "rejected"]
    known: bool = False
    format: str
    file_name: str
    sha256: str
    bytes: int
    records: int
    counts: dict[str, int]
    received_at: datetime
    business_date: date
    actor: str
    code: str = ""
    place: str = ""
    reason: str = ""
    problems: list[RecordProblem] = []


class RecordsIn(BaseModel):
    """Records as in a JSON file; amounts are text."""

    model_config = example(
        {
            "records": [
                {
                    "record_type": "invoice",
                    "source_system": "erp",
                    "source_document_id": "900017",
                    "number": "R-2026-0017",
                    "account_id": "C-1001",
                    "document_on": "2026-03-02",
                    "due_on": "2026-04-01",
                    "currency": "EUR",
                    "net": "1000.00",
                    "tax": "190.00",
                    "total": "1190.00",
                    "payment_reference": "RF18539007547034",
                }
            ]
        }
    )
    records: list[dict[str, Any]] = Field(min_length=1, max_length=50_000)


class PaymentsIn(BaseModel):
    """Payments of a feed that knows them without a statement (gateway, lockbox service)."""

    model_config = example(
        {
            "payments": [
                {
                    "bank_account": "EUR-1",
                    "source_payment_id": "gw-81723",
                    "document_on": "2026-03-31",
                    "amount": "1190.00",
                    "currency": "EUR",
                    "payer": {"name": "Nordlicht Werft GmbH", "account": "DE89370400440532013000"},
                    "remittance_text": ["R-2026-0017"],
                }
            ]
        }
    )
    payments: list[dict[str, Any]] = Field(min_length=1, max_length=50_000)


class CompanyIn(BaseModel):
    """Configuration of a creditor. Calendars are keys of the holidays library (XECB, GB, DE-BY)."""

    model_config = example(
        {
            "name": "Harbour Data Rooms GmbH",
            "base_currency": "EUR",
            "time_zone": "Europe/Berlin",
            "calendar": "XECB",
            "day_close_at": "18:00",
            "bank_accounts": [{"id": "EUR-1", "iban": "DE89370400440532013000", "currency": "EUR", "calendar": "XECB"}],
            "source_systems": ["erp"],
        }
    )
    name: str = Field(default="", max_length=200)
    base_currency: str = Field(pattern="^[A-Z]{3}$")
    time_zone: str = Field(max_length=60)
    calendar: str = Field(max_length=20)
    day_close_at: str = Field(default="18:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    bank_accounts: list[BankAccount] = Field(default_factory=list, max_length=100)
    source_systems: list[str] = Field(default_factory=list, max_length=100)


class CompanyOut(CompanyIn):
    """With how far the bank data of each account reach."""

    model_config = ConfigDict(json_schema_extra=None)

    company: str
    complete_through_on: dict[str, date | None] = {}


class RateIn(BaseModel):
    pair: str = Field(pattern="^[A-Z]{3}/[A-Z]{3}$")
    rate: str = Field(pattern=r"^\d{1,12}(\.\d{1,12})?$")
    on: date
    source: str = Field(default="", max_length=60)


class RatesIn(BaseModel):
    """`rate`: units of the second currency for one of the first."""

    model_config = example({"rates": [{"pair": "EUR/USD", "rate": "1.0842", "on": "2026-03-31", "source": "ECB"}]})
    rates: list[RateIn] = Field(min_length=1, max_length=1_000)


class RatesPublished(BaseModel):
    """How many rates went out."""

    published: int


class PolicyIn(BaseModel):
    """A policy file, as text (YAML or JSON) or as an object. It counts when a second person has approved it."""

    model_config = example(
        {
            "name": "dunning",
            "version": "2026-1",
            "effective_on": "2026-01-01",
            "content": "levels:\n  - {days_past_due: 7, template: reminder}\n",
        }
    )
    name: str = Field(pattern="^[a-z][a-z0-9_]{1,39}$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")
    effective_on: date
    content: str | dict[str, Any]


class PolicyProposed(BaseModel):
    """`sha256` is what the approver names; `draft_id` stands in the path of the approval."""

    draft_id: str
    sha256: str
    state: Literal["proposed"]


class PolicyApproval(BaseModel):
    """`sha256` is the hash that was shown with the draft: what is approved is what was seen."""

    model_config = example({"sha256": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"})
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class PolicyActive(BaseModel):
    name: str
    version: str
    state: Literal["activated"]


class PolicyOut(BaseModel):
    draft_id: str
    name: str
    version: str
    sha256: str
    effective_on: date
    state: str
    proposed_by: str
    decided_by: str | None = None
    content: dict[str, Any]


class QuarantinedOut(BaseModel):
    """A held-back record. `waits_for` names what would free it by itself."""

    record_id: str
    kind: str
    place: str
    account_id: str | None
    amount_minor: int | None
    currency: str | None
    code: str
    field: str
    reason: str
    waits_for: str
    state: str
    submission_id: str
    quarantined_at: datetime
    body: dict[str, Any]


class Discard(BaseModel):
    model_config = example({"reason": "test data of the ERP, asked for by the controller"})
    reason: str = Field(min_length=3, max_length=500)


class StatementOut(BaseModel):
    statement_id: str
    bank_account: str
    number: str
    from_on: date
    to_on: date
    opening_minor: int | None
    closing_minor: int | None
    currency: str
    lines: int
    state: str
    code: str
    reason: str
    gap: bool
    chained: bool


class StatementRelease(BaseModel):
    """`booked` also accepts the gap before a booked statement. `overlap`: whether equal lines add or repeat."""

    model_config = example({"outcome": "booked", "overlap": "maximum", "reason": "the bank confirmed a re-issue"})
    outcome: Literal["booked", "refused"]
    overlap: Literal["add", "maximum"] | None = None
    reason: str = Field(min_length=3, max_length=500)


class StatementReleased(BaseModel):
    """`submission_id`: under which the statement's lines are written again, null where none are."""

    statement_id: str
    state: str
    submission_id: UUID | None


class Tick(BaseModel):
    model_config = example({"at": "2026-03-31T07:30:00+02:00"})
    at: AwareDatetime


class DayClose(BaseModel):
    model_config = example({"date": "2026-03-31"})
    date: date


class MarkerWritten(BaseModel):
    """`number` is null when there was nothing to write: the day was closed before."""

    number: int | None


class Inspection(BaseModel):
    """What a file would bring, without taking it. References to accounts and documents are not checked."""

    format: str
    records: int
    kinds: dict[str, int]
    problems: list[RecordProblem]
    statements: list[dict[str, Any]] = []
