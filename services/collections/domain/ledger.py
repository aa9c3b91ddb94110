"""Own copies of items, cash and receipts, as ar.ledger tells them.

Invariant: the higher version wins; an event of a version already seen changes nothing.
"""

from dataclasses import replace
from datetime import date, datetime

from services.collections.domain.case import Case
from services.collections.domain.rows import Application, Candidate, Cash, Item, Receipt, age_class
from shared.events.ledger import (
    CashCandidate,
    CashCandidateCleared,
    CashChanged,
    ItemState,
    PaymentApplied,
    PaymentState,
    PaymentUnapplied,
)


def take_item(case: Case, fact: ItemState, on: date) -> bool:
    """Store the item's state; True if it was news. A debit item settled by cash adds to the account's lateness."""
    before = case.items.get(fact.item_id)
    if before is not None and fact.version <= before.version:
        return False
    item = Item(
        company=case.company,
        account_id=case.account_id,
        item_id=fact.item_id,
        document_id=fact.document_id,
        line=fact.line,
        number=fact.number,
        kind=fact.kind,
        side=fact.side,
        version=fact.version,
        currency=fact.currency,
        original_minor=fact.original_minor,
        remaining_minor=fact.remaining_minor,
        credit_relief_minor=fact.relief.credit + fact.relief.cancelled,
        document_on=fact.document_on,
        due_on=fact.due_on,
        changed_on=on,
    )
    if before is not None:
        item = replace(item, level=before.level, level_on=before.level_on, warned_on=before.warned_on)
    settled = item.remaining_minor == 0 and (before is None or before.remaining_minor > 0)
    if settled and item.side == "debit" and fact.relief.cash > 0:
        _count_lateness(case, age_class(((fact.valued_on or on) - item.due_on).days))
    case.put(item)
    return True


def _count_lateness(case: Case, place: int) -> None:
    counts = list(case.account.lateness)
    counts[place] += 1
    case.put(replace(case.account, lateness=counts))


def take_cash(case: Case, fact: CashChanged, on: date) -> None:
    before = case.cash.get(fact.currency)
    if before is not None and fact.version <= before.version:
        return
    case.put(
        Cash(
            company=case.company,
            account_id=case.account_id,
            currency=fact.currency,
            version=fact.version,
            unapplied_minor=fact.unapplied_minor,
            on_account_minor=fact.on_account_minor,
            changed_on=on,
        )
    )


def take_candidate(case: Case, fact: CashCandidate, on: date) -> None:
    case.put(
        Candidate(
            company=case.company,
            account_id=case.account_id,
            candidate_id=fact.candidate_id,
            payment_id=fact.payment_id,
            amount_minor=fact.amount_minor,
            currency=fact.currency,
            source=fact.source,
            since_on=fact.since_on or on,
        )
    )


def clear_candidate(case: Case, fact: CashCandidateCleared) -> None:
    found = case.candidates.get(fact.candidate_id)
    if found is not None:
        case.put(replace(found, cleared=True))


def take_payment(case: Case, fact: PaymentState, on: date, known_at: datetime) -> None:
    """What of the payment stands on this account now; an account that its split no longer names has none of it."""
    before = case.receipts.get(fact.payment_id)
    if before is not None and fact.payment_version <= before.payment_version:
        return
    amount = sum(
        part.applied_minor + part.unapplied_minor + part.on_account_minor
        for part in fact.split
        if part.account_id == case.account_id
    )
    if before is None and amount == 0:
        return
    again = before is not None and before.amount_minor > 0
    case.put(
        Receipt(
            company=case.company,
            account_id=case.account_id,
            payment_id=fact.payment_id,
            payment_version=fact.payment_version,
            currency=fact.currency,
            valued_on=fact.valued_on or (before.valued_on if before else on),
            amount_minor=amount,
            since_at=before.since_at if before and again else known_at,
            returned=fact.returned_minor > 0,
        )
    )


def take_application(case: Case, fact: PaymentApplied) -> None:
    for part in fact.applications:
        if (fact.posting_id, part.item_id) in case.applications:
            continue
        case.put(
            Application(
                company=case.company,
                account_id=case.account_id,
                posting_id=fact.posting_id,
                item_id=part.item_id,
                payment_id=fact.payment_id,
                cash_minor=part.cash_minor,
            )
        )


def reverse_application(case: Case, fact: PaymentUnapplied) -> None:
    for application in list(case.applications.values()):
        if application.posting_id == fact.reverses_posting_id and not application.reversed:
            case.put(replace(application, reversed=True))
