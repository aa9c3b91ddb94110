"""Everything a rung looks at: one payment, its candidates in a fixed order, what it cites and who pays.

Invariant: a case depends on its inputs as sets; the order in which candidates were loaded never shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from services.cash_application.domain.matching.folding import account_number, name_key
from services.cash_application.domain.matching.model import DEBIT, Candidates, ItemView, PaymentView, ReceiptView
from services.cash_application.domain.matching.payer import Payer, recognise
from services.cash_application.domain.matching.policy import Policy
from services.cash_application.domain.matching.references import Citation, Found, find


@dataclass(frozen=True, slots=True)
class Case:
    """One payment to decide. `documents`: items by document, each in order of due date."""

    payment: PaymentView
    candidates: Candidates
    policy: Policy
    closing: bool
    on: date
    found: Found
    payer: Payer
    documents: dict[str, tuple[ItemView, ...]]

    @property
    def available_minor(self) -> int:
        """What is to be applied."""
        return self.payment.open_minor

    def accounts_of(self, documents: tuple[str, ...]) -> frozenset[str]:
        """Accounts that owe the documents."""
        return frozenset(item.account_id for d in documents for item in self.documents[d])

    def open_items(self, documents: tuple[str, ...]) -> tuple[ItemView, ...]:
        """What is open of the documents, in order of due date, in any currency."""
        return tuple(sorted((i for d in documents for i in self.documents[d] if i.remaining_minor > 0), key=due_order))

    def payable_items(self, accounts: frozenset[str]) -> list[ItemView]:
        """Debit items in the payment's currency that amounts alone may point to: undisputed, not parked."""
        return [
            item
            for item in self.candidates.items
            if item.account_id in accounts
            and item.side == DEBIT
            and item.currency == self.payment.currency
            and item.undisputed_minor > 0
            and item.account_id not in self.payer.parked
        ]

    def earned_discount_minor(self, item: ItemView) -> int:
        """Discount of the item that a payment valued on this day has earned; 0 if none or if too little is open."""
        grace = timedelta(days=self.policy.discount_grace_days)
        earned = [d.amount_minor for d in item.discounts if self.payment.valued_on <= d.until_on + grace]
        best = max(earned, default=0)
        return best if item.side == DEBIT and 0 < best < item.remaining_minor else 0

    def narrowed(self, citation: Citation) -> tuple[str, ...]:
        """Documents a citation can mean: those of the payer's accounts if there are any, open ones if there are any."""
        documents = citation.documents
        if len(documents) > 1:
            documents = tuple(d for d in documents if self.accounts_of((d,)) & self.payer.someone) or documents
            documents = tuple(d for d in documents if self.open_items((d,))) or documents
        return documents


def due_order(item: ItemView) -> tuple[date, date, str, str, str]:
    """The order in which items are paid where nothing else decides."""
    return item.due_on, item.document_on, item.number, item.line, item.item_id


def build_case(payment: PaymentView, candidates: Candidates, policy: Policy, closing: bool, on: date) -> Case:
    """Reads the payment against its candidates. Candidates of another company must not be among them (caller)."""
    items = tuple(sorted(candidates.items, key=due_order))
    accounts = tuple(sorted(candidates.accounts, key=lambda account: account.account_id))
    ordered = Candidates(items, accounts, candidates.receipts)
    documents: dict[str, tuple[ItemView, ...]] = {}
    for item in ordered.items:
        documents[item.document_id] = (*documents.get(item.document_id, ()), item)
    found = find(payment, ordered, policy.suffix_digits_min)
    payer = recognise(payment, ordered, found.accounts)
    return Case(payment, ordered, policy, closing, on, found, payer, documents)


def earlier_twin(case: Case, documents: tuple[str, ...]) -> ReceiptView | None:
    """A receipt of the same payer and amount a few days before, for the same documents where both name some."""
    return next((r for r in _twins(case) if not (documents and r.documents) or set(documents) & set(r.documents)), None)


def twin_that_waits(case: Case) -> ReceiptView | None:
    """An earlier receipt of the same payer or account of which the same amount waits, however long: it may be the one
    that was meant."""
    own = (case.payment.valued_on, case.payment.payment_id)
    for receipt in case.candidates.receipts:
        waits = (receipt.currency, receipt.open_minor) == (case.payment.currency, case.available_minor)
        if waits and (receipt.valued_on, receipt.payment_id) < own:
            if receipt.account_id in case.payer.known or _same_payer(case.payment, receipt):
                return receipt
    return None


def _twins(case: Case) -> Iterator[ReceiptView]:
    """Receipts of the same payer and amount within the days of a duplicate, oldest first."""
    payment = case.payment
    for receipt in sorted(case.candidates.receipts, key=lambda r: (r.valued_on, r.payment_id)):
        days = abs((payment.valued_on - receipt.valued_on).days)
        same_money = (receipt.currency, receipt.amount_minor) == (payment.currency, payment.amount_minor)
        if receipt.payment_id != payment.payment_id and same_money and days <= case.policy.duplicate_days:
            if _same_payer(payment, receipt):
                yield receipt


def _same_payer(payment: PaymentView, receipt: ReceiptView) -> bool:
    bank_account, name = account_number(payment.payer_account), name_key(payment.payer_name)
    same_account = bool(bank_account) and account_number(receipt.payer_account) == bank_account
    return same_account or (bool(name) and name_key(receipt.payer_name) == name)
