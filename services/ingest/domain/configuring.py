"""Companies and policies: what a configuration must be, and how a proposed policy comes into force.

Invariant: whoever proposed a policy never activates it, and what is activated is what was proposed, by hash.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.ingest.domain.commands import ApprovePolicy, ProposePolicy
from shared.approval import ApprovalRequest, Approved, Refused, decide
from shared.calendars import CalendarUnknown, check_calendar
from shared.errors import Rejected
from shared.events.control import CompanyConfigured, PolicyActivated
from shared.events.envelope import Envelope
from shared.ids import derive
from shared.money import MoneyError, minor_digits

APPROVAL_KIND = "policy"


def check_company(new: CompanyConfigured, before: CompanyConfigured | None) -> None:
    """Raises Rejected 422 for what cannot work: zone, calendars, currencies, doubled accounts, a changed currency."""
    try:
        ZoneInfo(new.time_zone)
        for calendar in {new.calendar, *(account.calendar for account in new.bank_accounts)}:
            check_calendar(calendar)
        for currency in {new.base_currency, *(account.currency for account in new.bank_accounts)}:
            minor_digits(currency)
    except (ZoneInfoNotFoundError, ValueError) as error:
        named = (
            error if isinstance(error, CalendarUnknown | MoneyError) else f"time zone {new.time_zone!r} is not known"
        )
        raise Rejected("company_not_valid", str(named), 422) from None
    ids = [account.id for account in new.bank_accounts]
    if len(set(ids)) != len(ids):
        raise Rejected("company_not_valid", "two bank accounts have the same id", 422)
    if before is not None:
        _check_change(new, before)


def _check_change(new: CompanyConfigured, before: CompanyConfigured) -> None:
    if new.base_currency != before.base_currency:
        raise Rejected("base_currency_fixed", "the base currency of a company cannot be changed; books are kept in it")
    currencies = {account.id: account.currency for account in before.bank_accounts}
    for account in new.bank_accounts:
        if currencies.get(account.id, account.currency) != account.currency:
            raise Rejected("bank_account_fixed", f"the currency of bank account {account.id!r} cannot be changed")


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposed policy as it is kept until a second person decides."""

    draft_id: UUID
    company: str
    name: str
    version: str
    sha256: str
    content: dict[str, Any]
    effective_on: date
    proposed_by: str
    proposed_at: datetime


def draft(body: ProposePolicy, envelope: Envelope, *, known: bool) -> tuple[Draft, ApprovalRequest]:
    """A draft with its request for approval. Raises Rejected when this version is in force or waits already."""
    if known:
        raise Rejected(
            "policy_version_known",
            f"{body.name}@{body.version} is activated or waits for approval; propose a new version",
        )
    draft_id = derive("policy_draft", envelope.company, body.name, body.version, envelope.id)
    made = Draft(
        draft_id, envelope.company, body.name, body.version, body.sha256, body.content, body.effective_on,
        envelope.actor, envelope.known_at,
    )  # fmt: skip
    request = ApprovalRequest(
        id=draft_id,
        company=envelope.company,
        kind=APPROVAL_KIND,
        subject_id=f"{body.name}@{body.version}",
        body_hash=body.sha256,
        customer_id="",
        reason_code="",
        amount_minor=None,
        currency=None,
        requested_by=envelope.actor,
        requested_at=envelope.known_at,
        requested_on_behalf_of=envelope.on_behalf_of or None,
    )
    return made, request


@dataclass(frozen=True, slots=True)
class _Checker:
    """The approver as shared.approval wants to see one."""

    actor: str
    kind: Any
    companies: frozenset[str]
    on_behalf_of: str | None


def activate(
    body: ApprovePolicy, loaded: tuple[Draft, ApprovalRequest] | None, envelope: Envelope
) -> tuple[tuple[ApprovalRequest, Approved], PolicyActivated]:
    """The decision and the fact. Raises Rejected with the code of the approval rule."""
    if loaded is None:
        raise Rejected(
            "draft_unknown",
            f"company {envelope.company!r} has no policy draft {body.draft_id}",
            404,
            what_to_do=f"use a draft_id of GET /v1/companies/{envelope.company}/policies",
        )
    made, request = loaded
    checker = _Checker(envelope.actor, body.kind, frozenset(body.companies), body.on_behalf_of)
    decision = decide(request, checker, {}, (), envelope.known_at, shown_hash=body.sha256, current_hash=made.sha256)
    if isinstance(decision, Refused):
        raise Rejected(decision.code, decision.reason, decision.status)
    fact = PolicyActivated(
        company=made.company,
        name=made.name,
        version=made.version,
        sha256=made.sha256,
        content=made.content,
        effective_on=made.effective_on,
        approver=envelope.actor,
    )
    return (request, decision), fact
