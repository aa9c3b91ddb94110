"""Decides what facts, commands, disputes and closed days do to the subledger. Pure but for load, save and totals.

Invariant: the money equation holds per company, bank account and currency at every commit; `totals` proves it before a
day's marker vouches for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from services.cash_application.domain import commands, documents, refunds, returns
from services.cash_application.domain.accounts import link, register, unlink
from services.cash_application.domain.books import Books, Cause, Told
from services.cash_application.domain.candidates import (
    CandidateCash,
    announce,
    clear_group,
    connect_document,
    connect_unbooked,
    end_old_announcements,
    held_views,
    hold,
    quarantine_view,
    raise_candidate,
)
from services.cash_application.domain.cash import payment_view
from services.cash_application.domain.disputes import ItemUnknown, dispute
from services.cash_application.domain.documents import DocumentConflict
from services.cash_application.domain.exchange import Exchange, RateMissing
from services.cash_application.domain.journal import Imbalance
from services.cash_application.domain.matching.closing import closing_order
from services.cash_application.domain.matching.ladder import match
from services.cash_application.domain.matching.policy import Policy as MatchingPolicy
from services.cash_application.domain.matching.policy import PolicyInvalid, read_policy
from services.cash_application.domain.needs import needs_of
from services.cash_application.domain.receiving import book_again, gather, receive
from services.cash_application.domain.refund_approval import approve_refund, ask_approval
from services.cash_application.domain.vouching import NotBalanced, vouch
from services.cash_application.store import connect, load_books, load_totals, lock_amounts, roll_up, save_books
from shared.errors import Rejected, Stop
from shared.events import accounts, collections, invoices, payments
from shared.events.codec import Event
from shared.events.facts import Fact
from shared.events.ledger import CashCandidate, CashCandidateCleared
from shared.runtime.effects import DayWork, Effects, Emission, Moment, PoisonEvent, Policy
from shared.runtime.policies import name_refused

POLICY = "matching"
MONEY_KINDS = frozenset({"payment", "bank_line", "remittance"})
"""Kinds of quarantined records that are money."""
INDIGESTIBLE = (Imbalance, DocumentConflict, RateMissing, ItemUnknown)
State = tuple[Books, str]
"""Books and the database snapshot on which they are decided."""


class CashApplicationHandler:
    """The subledger's part of the transaction."""

    day_parts = 0
    day_phase2 = True

    async def load(self, db: Any, events: Sequence[Event], moment: Moment) -> State:
        name_refused(self, events)
        needs = needs_of((e.company, e.envelope.business_date, e.data) for e in events)
        needs.days = [(e.data.company, e.data.date) for e in events if type(e.data) is DayWork and e.data.phase == 2]
        return await load_books(db, needs, Exchange(moment.rate))

    def decide(self, state: State, events: Sequence[Event], moment: Moment) -> Effects:
        books, snapshot = state
        effects = Effects(rows=(books, snapshot, events))
        policies = Policies(moment)
        for number, event in enumerate(events):
            rule = RULES.get(type(event.data))
            if rule is None:
                continue
            books.begin(_cause(event, moment), number)
            try:
                effects.reply = rule(books, event, policies)
                books.finish()
            except commands.Refusal as refusal:
                raise Rejected(refusal.code, str(refusal), refusal.status) from refusal
            except INDIGESTIBLE as problem:
                code = getattr(problem, "code", PoisonEvent.code)
                raise PoisonEvent(event, f"{event.type} {event.envelope.id}: {problem}", code) from problem
        effects.emissions = [_emission(events[told.cause], told) for told in books.told]
        return effects

    async def save(self, db: Any, effects: Effects) -> None:
        """Write the batch; then look which accounts owe exactly what waits, as the whole transaction left it."""
        books, snapshot, events = effects.rows
        await lock_amounts(db, books)
        await save_books(db, books, snapshot)
        connected = await connect(db, books)
        if connected.retold:
            effects.emissions = [e for e in effects.emissions if _stands(e.data, connected.retold)]
            effects.emissions += [_emission(events[told.cause], told) for told in connected.told]

    async def totals(self, db: Any, closed: DayWork) -> dict[str, Any]:
        """What this service vouches for at a day's close. Raises Stop when the books do not balance."""
        await roll_up(db)
        sums = await load_totals(db, closed.company, closed.date)
        try:
            return vouch(sums)
        except NotBalanced as problem:
            raise Stop(f"{closed.company} {closed.date}: {problem}; run audit/ before anything is posted") from problem

    def policy_problem(self, name: str, content: dict[str, Any]) -> str | None:
        if name != POLICY:
            return None
        try:
            matching_policy(content, "", "")
        except PolicyInvalid as problem:
            return str(problem)
        return ""


class Policies:
    """The matching policy in effect per company and day; each is read and checked once a batch."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._read: dict[tuple[str, str], MatchingPolicy | None] = {}

    def of(self, event: Event) -> MatchingPolicy:
        """One that cannot be read is passed over for the one before it; without any the cautious defaults count."""
        for active in self._moment.policies_until(event.company, POLICY, event.envelope.business_date):
            if (policy := self._readable(active)) is not None:
                return policy
        return DEFAULT_POLICY

    def _readable(self, active: Policy) -> MatchingPolicy | None:
        key = (active.version, active.sha256)
        if key not in self._read:
            try:
                self._read[key] = matching_policy(active.content, active.version, active.sha256)
            except PolicyInvalid:  # shown under /v1/runtime/policies
                self._read[key] = None
        return self._read[key]


def matching_policy(content: dict[str, Any], version: str, sha256: str) -> MatchingPolicy:
    """Policy of an activated file, whose head (`name`, `version`) is not a setting. Raises PolicyInvalid."""
    return read_policy({key: value for key, value in content.items() if key != "version"}, version, sha256)


DEFAULT_POLICY = MatchingPolicy(version="default")
Rule = Callable[[Books, Event, Policies], Any]


def _cause(event: Event, moment: Moment) -> Cause:
    envelope = event.envelope
    base = moment.companies[envelope.company].base_currency
    return Cause(
        envelope.id,
        envelope.type,
        envelope.company,
        base,
        envelope.business_date,
        envelope.known_at,
        envelope.actor,
        envelope.on_behalf_of,
    )


def _emission(cause: Event, told: Told) -> Emission:
    return Emission(cause, told.fact, told.subject, key=told.key, policy=told.policy)


def _stands(fact: Fact, retold: set[UUID]) -> bool:
    return not isinstance(fact, CashCandidate | CashCandidateCleared) or fact.candidate_id not in retold


def _plain(rule: Callable[[Books, Any], None]) -> Rule:
    return lambda books, event, policies: rule(books, event.data)


def _document(rule: Callable[[Books, Any], None]) -> Rule:
    """A document that opens may be what cash was announced, held or quarantined for."""

    def run(books: Books, event: Event, policies: Policies) -> None:
        rule(books, event.data)
        if books.unbooked:
            connect_document(books, event.data.document_id, policies.of(event))

    return run


def _receive(books: Books, event: Event, policies: Policies) -> None:
    receive(books, event.data, policies.of(event))


def _announce(books: Books, event: Event, policies: Policies) -> None:
    view = payment_view(event.data)
    if view.amount_minor:
        announce(books, event.data, view, gather(books, view), policies.of(event))


def _hold_statement(books: Books, event: Event, policies: Policies) -> None:
    fact = event.data
    for view in held_views(fact):
        group = f"held/{fact.bank_account}/{fact.statement_id}"
        hold(books, view, group, gather(books, view), policies.of(event), "held")


def _release_statement(books: Books, event: Event, policies: Policies) -> None:
    clear_group(books, f"held/{event.data.bank_account}/{event.data.statement_id}")


def _quarantine(books: Books, event: Event, policies: Policies) -> None:
    """A quarantined payment is cash that may belong to somebody; other records are no cash."""
    fact = event.data
    if fact.kind not in MONEY_KINDS:
        return
    group = f"quarantined/{fact.record_id}"
    view = quarantine_view(fact, event.envelope.business_date)
    if view is not None:
        hold(books, view, group, gather(books, view), policies.of(event), "quarantined")
    if fact.account_id and fact.currency and fact.account_id not in books.candidates.get(fact.record_id, {}):
        cash = CandidateCash(fact.record_id, group, None, fact.amount_minor or 0, fact.currency, "quarantined")
        raise_candidate(books, cash, fact.account_id, ("reference",))


def _release_record(books: Books, event: Event, policies: Policies) -> None:
    clear_group(books, f"quarantined/{event.data.record_id}")


def _note_statement(books: Books, event: Event, policies: Policies) -> None:
    books.written.statements.append(event.data)


def _close_day(books: Books, event: Event, policies: Policies) -> None:
    """Try every payment whose cash waits, over the complete day in a fixed order."""
    if event.data.phase != 2:
        return
    policy = policies.of(event)
    on = event.data.date
    documents.do_waiting_again(books, event.company)
    returns.explain_waiting(books, event.company)
    waiting = {str(r.payment_id): r for r in books.receipts.values() if r.open_minor and r.business_date <= on}
    own = [r for r in waiting.values() if r.company == event.company]
    late = event.company in books.beyond
    views = [replace(r.view, available_minor=r.open_minor, late=late or r.business_date < on) for r in own]
    for view in closing_order(views):
        decision = match(view, gather(books, view), policy, closing=True, on=on)
        book_again(books, waiting[view.payment_id], decision, policy)
        books.next_step()
    end_old_announcements(books, event.company, on)
    unbooked = [c for c in books.unbooked.values() if c.company == event.company and c.since_on <= on]
    for cash in sorted(unbooked, key=lambda c: c.origin_id):
        connect_unbooked(books, cash, gather(books, cash.view), policy)


def _command(rule: Callable[[Books, Any, Any], Any]) -> Rule:
    def run(books: Books, event: Event, policies: Policies) -> dict[str, Any]:
        receipt = books.receipts.get(event.data.payment_id)
        if receipt is None or receipt.company != event.company:
            raise commands.Refusal("payment_unknown", f"payment {event.data.payment_id} is not in the books", 404)
        answer = rule(books, receipt, event.data)
        split = [part.model_dump(mode="json") for part in receipt.split()["split"]]
        reply = {
            "payment_id": str(receipt.payment_id),
            "payment_version": receipt.version,
            "outcome": receipt.outcome,
            "account_id": receipt.account_id or None,
            "unidentified_minor": receipt.unidentified_minor,
            "open_minor": receipt.open_minor,
            "split": split,
        }
        return reply | (answer or {})

    return run


def _request_refund(books: Books, receipt: Any, command: commands.RequestRefund) -> dict[str, Any]:
    refund = commands.request_refund(books, receipt, command)
    ask_approval(books, receipt, refund)
    return {"refund_id": str(refund.refund_id), "refund_status": refund.status}


def _approve_refund(books: Books, event: Event, policies: Policies) -> dict[str, Any]:
    return _command(partial(approve_refund, principal=event.principal))(books, event, policies)


def _explain_debit(books: Books, receipt: Any, command: commands.ExplainDebit) -> None:
    debit = books.open_debits.get(command.debit_id)
    if debit is None or not debit.left_minor or debit.company != receipt.company:
        raise commands.Refusal("debit_unknown", f"debit {command.debit_id} does not wait to be explained", 404)
    if (debit.bank_account, debit.currency) != (receipt.bank_account, receipt.currency):
        raise commands.Refusal("other_bank_account", "the debit is of another bank account than the payment", 422)
    returns.explain(books, debit, receipt)


RULES: dict[type, Rule] = {
    accounts.AccountRegistered: _plain(register),
    accounts.AccountUpdated: _plain(register),
    accounts.AccountLinked: _plain(link),
    accounts.AccountUnlinked: _plain(unlink),
    invoices.InvoiceIssued: _document(documents.issue),
    invoices.DebitMemoIssued: _document(documents.issue),
    invoices.CreditMemoIssued: _document(documents.issue_credit),
    invoices.InvoiceCancelled: _plain(documents.cancel),
    invoices.InvoiceRebilled: _plain(documents.rebill),
    payments.PaymentReceived: _receive,
    payments.PaymentAnnounced: _announce,
    payments.PaymentReturned: _plain(returns.return_payment),
    payments.BankDebitReceived: _plain(refunds.take_debit),
    payments.StatementReceived: _note_statement,
    payments.StatementHeld: _hold_statement,
    payments.StatementReleased: _release_statement,
    payments.RecordQuarantined: _quarantine,
    payments.RecordReleased: _release_record,
    collections.DisputeOpened: _plain(dispute),
    collections.DisputeUpdated: _plain(dispute),
    collections.DisputeResolved: _plain(dispute),
    DayWork: _close_day,
    commands.Identify: _command(commands.identify),
    commands.Apply: _command(commands.apply),
    commands.ApplySuggestion: _command(commands.apply_suggestion),
    commands.Unapply: _command(commands.take_off),
    commands.PutOnAccount: _command(commands.put_on_account),
    commands.RequestRefund: _command(_request_refund),
    commands.ApproveRefund: _approve_refund,
    commands.ExplainDebit: _command(_explain_debit),
}
