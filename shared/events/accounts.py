"""Facts of `ar.accounts`: the debtor's account, its links and contacts, inbound messages. Key: `company/account`."""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.facts import Currency, DocumentRef, Fact, Part, Personal, PersonalText

DebtorKind = Literal[
    "organisation", "public_body", "sole_trader", "natural_person", "employee", "former_employee", "unknown"
]  # fmt: skip


class PayingAccount(Part):
    """A bank account from which the account pays, as the ERP knows it."""

    iban: PersonalText
    name: PersonalText = ""


class AccountState(Fact):
    """Whole state of an account; unknown `debtor_kind` counts as natural_person."""

    account_id: str = Field(min_length=1, max_length=60)
    party_id: str = ""
    name: PersonalText
    debtor_kind: DebtorKind = "unknown"
    country: str = Field(pattern="^[A-Z]{2}$")
    region: str = ""
    subdivision: str = ""
    industry: str = ""
    segment: str = ""
    language: str = "en"
    currency: Currency
    time_zone: str = ""
    tax_ids: Annotated[list[str], Personal, Field(max_length=20)] = []
    external_ids: Annotated[list[str], Field(max_length=20)] = []
    terms: str = ""
    credit_limit_minor: int | None = None
    collector: str = ""
    sales_owner: str = ""
    customer_since_on: date | None = None
    bank_accounts: Annotated[list[PayingAccount], Personal, Field(max_length=50)] = []
    access_targets: Annotated[list[str], Field(max_length=100)] = []
    confidentiality: Literal["normal", "restricted"] = "normal"
    status: str = "active"


class AccountRegistered(AccountState):
    TYPE: ClassVar[str] = "account.registered"


class AccountUpdated(AccountState):
    TYPE: ClassVar[str] = "account.updated"

    changed: list[str] = Field(default_factory=list, max_length=50)


class AccountLink(Fact):
    """`account_id` is the account the link starts from and the one that keys the event."""

    account_id: str
    to_account_id: str
    kind: Literal["pays_for", "rolls_up_to", "dunned_at"]
    from_on: date | None = None
    to_on: date | None = None


class AccountLinked(AccountLink):
    TYPE: ClassVar[str] = "account.linked"


class AccountUnlinked(AccountLink):
    TYPE: ClassVar[str] = "account.unlinked"


class ContactUpdated(Fact):
    TYPE: ClassVar[str] = "contact.updated"

    account_id: str
    contact_id: str
    name: PersonalText = ""
    roles: list[str] = Field(default_factory=list, max_length=10)
    email: PersonalText = ""
    phone: PersonalText = ""
    address: PersonalText = ""
    language: str = ""
    time_zone: str = ""
    channels: list[str] = Field(default_factory=list, max_length=10)
    consents: list[str] = Field(default_factory=list, max_length=20)
    valid: bool = True


class MessageReceived(Fact):
    TYPE: ClassVar[str] = "message.received"

    message_id: str
    thread: str = ""
    kind: Literal["bounce", "reply", "remittance", "other"] = "other"
    account_id: str | None = None
    text: PersonalText = ""
    document_refs: list[DocumentRef] = Field(default_factory=list, max_length=20)
    notice_id: UUID | None = None
