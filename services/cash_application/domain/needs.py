"""What a batch needs from the store, read from its events alone: keys, ids and accounts, before anything is locked."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from services.cash_application.domain import commands
from services.cash_application.domain.candidates import announcement_groups, held_views, quarantine_view
from services.cash_application.domain.cash import payment_view
from services.cash_application.domain.matching.keys import number_keys, tokens
from services.cash_application.domain.matching.model import PaymentView
from services.cash_application.domain.receipt_keys import receipt_keys
from shared.events import accounts, collections, invoices, payments

Key = tuple[str, str]
Id = tuple[str, UUID]


@dataclass(slots=True)
class Needs:
    """`owners`: accounts of the events themselves (a row is made for one that is new). `opening_keys`: lookup keys of
    documents that open. `views`, `tokens_of`: payments
    to match, by payment id; `unbooked`: those of them that never post. `touched`: payments whose applications are
    needed; `cancelled`: documents likewise."""

    on: date
    owners: set[Key] = field(default_factory=set)
    named: set[Key] = field(default_factory=set)
    views: dict[str, PaymentView] = field(default_factory=dict)
    tokens_of: dict[str, list[str]] = field(default_factory=dict)
    unbooked: set[str] = field(default_factory=set)
    payments: set[Id] = field(default_factory=set)
    touched: set[Id] = field(default_factory=set)
    receipt_keys: set[Key] = field(default_factory=set)
    debit_keys: set[Key] = field(default_factory=set)
    items: set[Id] = field(default_factory=set)
    documents: set[Id] = field(default_factory=set)
    cancelled: set[Id] = field(default_factory=set)
    origins: set[Id] = field(default_factory=set)
    groups: set[Key] = field(default_factory=set)
    debits: set[Id] = field(default_factory=set)
    refunds: set[Id] = field(default_factory=set)
    payable: set[tuple[str, str, int]] = field(default_factory=set)
    disputes: set[Id] = field(default_factory=set)
    days: list[tuple[str, date]] = field(default_factory=list)
    opening_keys: set[Key] = field(default_factory=set)

    def tokens(self) -> set[Key]:
        """(company, key) of everything that is to be matched."""
        return {(self.views[name].company, token) for name, found in self.tokens_of.items() for token in found}


def needs_of(facts: Iterable[tuple[str, date, Any]]) -> Needs:
    """Needs of (company, business date, payload) in the order of the batch."""
    listed = list(facts)
    needs = Needs(max((on for _, on, _ in listed), default=date.min))
    for company, on, data in listed:
        reader = _READERS.get(type(data))
        if reader is not None:
            reader(needs, company, on, data)
    return needs


def see(needs: Needs, view: PaymentView) -> None:
    """A payment is to be matched."""
    if view.open_minor > 0:
        needs.views[view.payment_id] = view
        needs.tokens_of[view.payment_id] = tokens(view)


def _account(needs: Needs, company: str, on: date, fact: Any) -> None:
    needs.owners.add((company, fact.account_id))


def _document(needs: Needs, company: str, on: date, fact: invoices.Document) -> None:
    needs.owners.add((company, fact.account_id))
    needs.documents.add((company, fact.document_id))
    keys = number_keys(fact.number, fact.references.payment_reference or None)
    needs.opening_keys.update((company, key) for key in keys)
    for target in getattr(fact, "applies_to", ()):
        needs.documents.add((company, target.document_id))


def _cancelled(needs: Needs, company: str, on: date, fact: invoices.InvoiceCancelled) -> None:
    needs.owners.add((company, fact.account_id))
    needs.cancelled.add((company, fact.document_id))


def _rebilled(needs: Needs, company: str, on: date, fact: invoices.InvoiceRebilled) -> None:
    needs.owners.add((company, fact.account_id))
    needs.documents.add((company, fact.document_id))
    needs.cancelled.add((company, fact.replaces_document_id))


def _received(needs: Needs, company: str, on: date, fact: payments.PaymentReceived) -> None:
    view = payment_view(fact)
    see(needs, view)
    needs.payments.add((company, fact.payment_id))
    needs.origins.add((company, fact.payment_id))
    needs.groups.update((company, group) for group in announcement_groups(view))
    needs.debit_keys.update((company, key) for key in receipt_keys(fact.references))


def _announced(needs: Needs, company: str, on: date, fact: payments.PaymentAnnounced) -> None:
    see(needs, payment_view(fact))
    needs.unbooked.add(str(fact.payment_id))
    needs.payments.add((company, fact.payment_id))
    needs.origins.add((company, fact.payment_id))


def _returned(needs: Needs, company: str, on: date, fact: payments.PaymentReturned) -> None:
    needs.debits.add((company, fact.return_id))
    needs.receipt_keys.update((company, key) for key in receipt_keys(fact.references))
    if fact.payment_id is not None:
        needs.touched.add((company, fact.payment_id))


def _bank_debit(needs: Needs, company: str, on: date, fact: payments.BankDebitReceived) -> None:
    needs.debits.add((company, fact.debit_id))
    if fact.kind == "refund":
        needs.payable.add((company, fact.bank_account, fact.amount_minor))


def _held(needs: Needs, company: str, on: date, fact: payments.StatementHeld) -> None:
    for view in held_views(fact):
        see(needs, view)
        needs.unbooked.add(view.payment_id)
        needs.origins.add((company, UUID(view.payment_id)))


def _released(needs: Needs, company: str, on: date, fact: payments.StatementReleased) -> None:
    needs.groups.add((company, f"held/{fact.bank_account}/{fact.statement_id}"))


def _quarantined(needs: Needs, company: str, on: date, fact: payments.RecordQuarantined) -> None:
    view = quarantine_view(fact, on)
    if view is not None:
        see(needs, view)
        needs.unbooked.add(view.payment_id)
    if fact.account_id:
        needs.named.add((company, fact.account_id))
    needs.origins.add((company, fact.record_id))


def _record_released(needs: Needs, company: str, on: date, fact: payments.RecordReleased) -> None:
    needs.groups.add((company, f"quarantined/{fact.record_id}"))


def _dispute(needs: Needs, company: str, on: date, fact: collections.DisputeState) -> None:
    needs.owners.add((company, fact.account_id))
    needs.items.add((company, fact.item_id))
    needs.disputes.add((company, fact.dispute_id))


def _command(needs: Needs, company: str, on: date, command: commands.Command) -> None:
    needs.touched.add((company, command.payment_id))
    if account_id := getattr(command, "account_id", None):
        needs.named.add((company, account_id))
    if isinstance(command, commands.Apply):
        needs.items.update((company, line.item_id) for line in command.lines)
    if isinstance(command, commands.ApproveRefund):
        needs.refunds.add((company, command.refund_id))
    if isinstance(command, commands.ExplainDebit):
        needs.debits.add((company, command.debit_id))


_READERS: dict[type, Any] = {
    accounts.AccountRegistered: _account,
    accounts.AccountUpdated: _account,
    accounts.AccountLinked: _account,
    accounts.AccountUnlinked: _account,
    invoices.InvoiceIssued: _document,
    invoices.DebitMemoIssued: _document,
    invoices.CreditMemoIssued: _document,
    invoices.InvoiceCancelled: _cancelled,
    invoices.InvoiceRebilled: _rebilled,
    payments.PaymentReceived: _received,
    payments.PaymentAnnounced: _announced,
    payments.PaymentReturned: _returned,
    payments.BankDebitReceived: _bank_debit,
    payments.StatementHeld: _held,
    payments.StatementReleased: _released,
    payments.RecordQuarantined: _quarantined,
    payments.RecordReleased: _record_released,
    collections.DisputeOpened: _dispute,
    collections.DisputeUpdated: _dispute,
    collections.DisputeResolved: _dispute,
    **dict.fromkeys(commands.COMMANDS, _command),
}
