"""Candidate cash: money that evidence connects with an account but that is not applied. It stops wrongful notices.

Invariant: a candidate stands exactly as long as the money waits and the evidence holds; each change is told once.
"""

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID

from services.cash_application.domain.books import Books
from services.cash_application.domain.cash import Receipt
from services.cash_application.domain.matching.folding import account_number, name_key
from services.cash_application.domain.matching.keys import lookup_keys, tokens
from services.cash_application.domain.matching.ladder import match
from services.cash_application.domain.matching.model import Candidates, Decision, Outcome, PaymentView, ReceiptView
from services.cash_application.domain.matching.policy import Policy
from services.cash_application.domain.rows import Candidate, UnbookedCash
from shared.events.ledger import CashCandidate, CashCandidateCleared
from shared.events.payments import PaymentAnnounced, QuarantineState, StatementHeld
from shared.ids import derive

_IBAN = re.compile(r"(?!RF)[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
ANNOUNCED_DAYS = 5
"""Days between an announcement and its booking, at most, when only payer and amount tell that they are one."""
ANNOUNCED_DAYS_MAX = 21
"""Calendar days after its value date (or after it was announced, if that is later) on which an announcement that is not
booked ends. More than the 10 business days, with any bank holidays, for which candidate cash stands against a notice
by default."""

Evidence = tuple[str, ...]
Wanted = dict[str, tuple[Evidence, str, int]]
"""account -> (evidence, source, minor units)"""


@dataclass(frozen=True, slots=True)
class CandidateCash:
    """The money of which candidates tell. `origin_id`: payment, announcement, held credit or quarantined record.
    `since_on`: since when cash that is not booked is known; without it a candidate stands from the day it is raised."""

    origin_id: UUID
    group_id: str
    payment_id: UUID | None
    amount_minor: int
    currency: str
    source: str
    since_on: date | None = None


def candidates_of_decision(books: Books, receipt: Receipt, decision: Decision) -> None:
    """Candidates of a payment after a decision: of what waits on accounts, and of what evidence connects besides."""
    evidence = {c.account_id: tuple(c.evidence) for c in decision.candidates}
    suggested = {s.account_id for s in decision.suggestions} if decision.outcome is Outcome.SUGGESTED else set()
    wanted: Wanted = {}
    open_minor = receipt.open_minor
    if open_minor and not receipt.by_person:
        waiting = "unidentified" if receipt.unidentified_minor else "unapplied"
        for account_id, found in evidence.items():
            wanted[account_id] = (found, "suggested" if account_id in suggested else waiting, open_minor)
    _add_waiting(books, receipt, wanted, evidence)
    _reconcile(books, receipt, wanted)


def candidates_of_person(books: Books, receipt: Receipt) -> None:
    """Candidates after a person or a return changed the payment: only what waits on accounts, with known evidence."""
    wanted: Wanted = {}
    _add_waiting(books, receipt, wanted, {})
    if receipt.unidentified_minor:
        for row in _standing(books, receipt.payment_id):
            wanted.setdefault(row.account_id, (row.evidence, row.source, receipt.unidentified_minor))
    _reconcile(books, receipt, wanted)


def _add_waiting(books: Books, receipt: Receipt, wanted: Wanted, evidence: dict[str, Evidence]) -> None:
    known = {row.account_id: row.evidence for row in books.candidates.get(receipt.payment_id, {}).values()}
    for account_id, part in receipt.parts.items():
        if part.unapplied_minor:
            found = evidence.get(account_id) or known.get(account_id) or ("reference",)
            wanted[account_id] = (found, "unapplied", part.unapplied_minor)


def _standing(books: Books, origin_id: UUID) -> list[Candidate]:
    return [row for row in books.candidates.get(origin_id, {}).values() if row.open]


def _reconcile(books: Books, receipt: Receipt, wanted: Wanted) -> None:
    for row in _standing(books, receipt.payment_id):
        if row.account_id not in wanted:
            clear(books, row)
    for account_id in sorted(wanted):
        evidence, source, amount = wanted[account_id]
        cash = CandidateCash(receipt.payment_id, "", receipt.payment_id, amount, receipt.currency, source)
        raise_candidate(books, cash, account_id, evidence)


def raise_candidate(books: Books, cash: CandidateCash, account_id: str, evidence: Evidence) -> None:
    """Tell a candidate that is new or changed; one that stands as it is stays silent."""
    cause = books.cause
    rows = books.candidates.setdefault(cash.origin_id, {})
    old = rows.get(account_id)
    row = Candidate(
        derive("candidate", cause.company, cash.origin_id, account_id),
        cause.company,
        cash.origin_id,
        cash.group_id,
        account_id,
        cash.payment_id,
        cash.amount_minor,
        cash.currency,
        evidence,
        cash.source,
        old.since_on if old and old.open else cash.since_on or cause.business_date,
    )
    if old == row:
        return
    rows[account_id] = row
    books.candidates_before.setdefault(row.candidate_id, old)
    books.written.candidates[row.candidate_id] = row
    books.tell(candidate_fact(row), row.candidate_id)


def clear(books: Books, row: Candidate) -> None:
    """The money is applied, gone, or nothing connects it any more."""
    closed = replace(row, open=False)
    books.candidates[row.origin_id][row.account_id] = closed
    books.candidates_before.setdefault(row.candidate_id, row)
    books.written.candidates[row.candidate_id] = closed
    books.tell(cleared_fact(row), row.candidate_id)


def candidate_fact(row: Candidate) -> CashCandidate:
    """The event of a candidate that is new or changed."""
    return CashCandidate(
        company=row.company,
        candidate_id=row.candidate_id,
        account_id=row.account_id,
        payment_id=row.payment_id,
        amount_minor=row.amount_minor,
        currency=row.currency,
        evidence=list(row.evidence),
        source=row.source,
        since_on=row.since_on,
    )


def cleared_fact(row: Candidate) -> CashCandidateCleared:
    """The event of a candidate that no longer stands."""
    return CashCandidateCleared(
        company=row.company, candidate_id=row.candidate_id, account_id=row.account_id, payment_id=row.payment_id
    )


def clear_group(books: Books, group_id: str) -> None:
    """A held statement or a quarantined record was released: what it stood for is cleared."""
    for cash in books.unbooked_of(books.cause.company, (group_id,)):
        books.forget_unbooked(cash)
    for rows in list(books.candidates.values()):
        for row in list(rows.values()):
            if row.open and row.group_id == group_id:
                clear(books, row)


def end_announcement(books: Books, receipt: Receipt) -> None:
    """A booking ends one announcement: that of its id, else the oldest of its reference, else the oldest of its payer
    and amount."""
    if books.unbooked:
        found = _announcement_of(books, receipt.view)
        if found is not None:
            _end(books, found)


def _announcement_of(books: Books, view: PaymentView) -> UnbookedCash | None:
    own = books.unbooked.get(UUID(view.payment_id))
    if own is not None and own.source == "announced":
        return own
    for group_id in announcement_groups(view):
        found = books.unbooked_of(view.company, (group_id,))
        if group_id[len("announced/")] != "e":
            found = [cash for cash in found if _may_be_booked_as(cash.view, view)]
        if found:
            return min(found, key=lambda cash: (cash.view.valued_on, cash.origin_id))
    return None


def _may_be_booked_as(announced: PaymentView, booked: PaymentView) -> bool:
    """By payer and amount alone: no booking of an earlier month ends the announcement of this one."""
    early = (announced.valued_on - booked.valued_on).days > ANNOUNCED_DAYS
    return not early and _same_payer(announced, booked)


def end_old_announcements(books: Books, company: str, on: date) -> None:
    """At a day's close: what was announced and is not booked since `ANNOUNCED_DAYS_MAX` will not be."""
    old = [cash for cash in books.unbooked.values() if cash.company == company and _is_over(cash, on)]
    for cash in sorted(old, key=lambda c: c.origin_id):
        _end(books, cash)


def _is_over(cash: UnbookedCash, on: date) -> bool:
    last_on = max(cash.view.valued_on, cash.since_on)
    return cash.source == "announced" and on - last_on > timedelta(days=ANNOUNCED_DAYS_MAX)


def _end(books: Books, cash: UnbookedCash) -> None:
    books.forget_unbooked(cash)
    for row in _standing(books, cash.origin_id):
        clear(books, row)


def announcement_groups(view: PaymentView) -> list[str]:
    """What an announcement and its booking may share, the surest first, each with currency and amount."""
    groups = []
    for mark, text in (("e", view.end_to_end), ("a", view.payer_account), ("n", view.payer_name)):
        if text and text.upper() != "NOTPROVIDED":
            plain = "".join(text.split()).upper()
            groups.append(f"announced/{mark}/{plain}/{view.currency}/{view.amount_minor}")
    return [*groups, f"announced/{view.payment_id}"]


def announce(books: Books, fact: PaymentAnnounced, view: PaymentView, candidates: Candidates, policy: Policy) -> None:
    """Cash seen before it is booked never posts; it counts as candidate cash until the booking closes it.

    One that comes after its booking (same payer and amount, booked a few days around) says nothing new.
    """
    if fact.payment_id in books.receipts or any(_booked(view, other) for other in candidates.receipts):
        return
    groups = announcement_groups(view)
    keys = (*groups, *tokens(view))
    noted = UnbookedCash(groups[0], fact.payment_id, "announced", books.cause.business_date, view, keys)
    _note(books, noted, candidates, policy)


def _booked(view: PaymentView, other: ReceiptView) -> bool:
    near = abs((view.valued_on - other.valued_on).days) <= ANNOUNCED_DAYS
    same = (view.currency, view.amount_minor) == (other.currency, other.amount_minor)
    return near and same and _same_payer(view, other)


def _same_payer(view: PaymentView, other: PaymentView | ReceiptView) -> bool:
    """The name counts only where an account is not told."""
    mine = (account_number(view.payer_account), name_key(view.payer_name))
    theirs = (account_number(other.payer_account), name_key(other.payer_name))
    return mine[0] == theirs[0] if mine[0] and theirs[0] else bool(mine[1]) and mine[1] == theirs[1]


def held_views(fact: StatementHeld) -> list[PaymentView]:
    """The credits of a held statement as payments that the matcher can read."""
    return [
        PaymentView(
            payment_id=str(derive("held", fact.company, fact.bank_account, fact.statement_id, number)),
            company=fact.company,
            bank_account=fact.bank_account,
            currency=fact.currency,
            amount_minor=credit.amount_minor,
            valued_on=fact.to_on,
            payer_name=credit.payer_hint or None,
            payer_account=credit.payer_account or None,
            remittance_text=tuple(credit.references),
        )
        for number, credit in enumerate(fact.credits)
        if credit.amount_minor > 0
    ]


def quarantine_view(fact: QuarantineState, on: date) -> PaymentView | None:
    """A quarantined payment as far as it tells; None when it has no amount. Which hint is what is told by its form."""
    if not fact.amount_minor or not fact.currency:
        return None
    accounts = [hint for hint in fact.hints if _IBAN.fullmatch("".join(hint.split()).upper())]
    names = [hint for hint in fact.hints if hint not in accounts and not any(char.isdigit() for char in hint)]
    return PaymentView(
        payment_id=str(fact.record_id),
        company=fact.company,
        bank_account="",
        currency=fact.currency,
        amount_minor=fact.amount_minor,
        valued_on=on,
        payer_name=names[0] if names else None,
        payer_account=accounts[0] if accounts else None,
        remittance_text=tuple(hint for hint in fact.hints if hint not in accounts),
    )


def hold(books: Books, view: PaymentView, group_id: str, candidates: Candidates, policy: Policy, source: str) -> None:
    """Candidates of money that ingest holds back: a credit of a held statement, a quarantined payment."""
    keys = tuple(tokens(view))
    _note(books, UnbookedCash(group_id, None, source, books.cause.business_date, view, keys), candidates, policy)


def _note(books: Books, cash: UnbookedCash, candidates: Candidates, policy: Policy) -> None:
    books.note_unbooked(cash)
    connect_unbooked(books, cash, candidates, policy)


def connect_unbooked(books: Books, cash: UnbookedCash, candidates: Candidates, policy: Policy) -> None:
    """Candidates of cash that is not booked, by the evidence there is now, besides what stands already."""
    _add(books, cash, _evidence(books, cash, candidates, policy))


def connect_document(books: Books, document_id: UUID, policy: Policy) -> None:
    """A document opened: cash that is not booked and cites it is connected with its account.

    Its amount alone is looked at when the batch is written, over all accounts that owe it.
    """
    items = books.document_items.get(document_id, ())
    if not items or not books.unbooked:
        return
    company, account_id = items[0].company, items[0].account_id
    account = books.account_view(books.accounts[company, account_id])
    candidates = Candidates(tuple(item.view() for item in items), (account,))
    for cash in books.unbooked_of(company, lookup_keys(items[0].view())):
        evidence = _evidence(books, cash, candidates, policy)
        if "reference" in evidence.get(account_id, ()):
            _add(books, cash, evidence)


def _evidence(books: Books, cash: UnbookedCash, candidates: Candidates, policy: Policy) -> dict[str, set[str]]:
    """Account -> evidence. What the rules would post is cited."""
    decision = match(cash.view, candidates, policy, closing=False, on=books.cause.business_date)
    evidence = {c.account_id: set(c.evidence) for c in decision.candidates}
    named = {a.account_id for a in decision.applications} | ({decision.account_id} if decision.account_id else set())
    for account_id in named:
        evidence.setdefault(account_id, {"reference"})
    return evidence


def _add(books: Books, cash: UnbookedCash, evidence: dict[str, set[str]]) -> None:
    view = cash.view
    money = CandidateCash(
        cash.origin_id, cash.group_id, cash.payment_id, view.amount_minor, view.currency, cash.source, cash.since_on
    )
    for account_id in sorted(evidence):
        old = books.candidates.get(cash.origin_id, {}).get(account_id)
        standing = set(old.evidence) if old is not None and old.open else set()
        raise_candidate(books, money, account_id, tuple(sorted(standing | evidence[account_id])))
