"""The books of one batch: what was loaded, as it evolves fact by fact, and everything that must be written and told.

Invariant: an item, an account's cash or a payment is told once per cause that touched it, with the next version.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.cash_application.domain.cash import AccountCash, Place, Receipt, cash_fact
from services.cash_application.domain.exchange import Exchange, Rate
from services.cash_application.domain.items import Item, item_fact
from services.cash_application.domain.journal import DEBIT, Kind, Ledger, Line, Origin, Posting
from services.cash_application.domain.matching.keys import account_keys, lookup_keys
from services.cash_application.domain.matching.model import AccountView, ReceiptView
from services.cash_application.domain.rows import (
    Account,
    Applied,
    Approval,
    Candidate,
    CreditUse,
    Document,
    DocumentWait,
    OpenDebit,
    Refund,
    Suggested,
    UnbookedCash,
)
from shared.events.facts import Fact
from shared.events.ledger import Application, PaymentApplied
from shared.ids import derive

Key = tuple[str, str]
AmountKey = tuple[str, str, int]
"""Company, currency, minor units."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The input that is being decided: who, when, for which company."""

    event_id: UUID
    type: str
    company: str
    base_currency: str
    business_date: date
    known_at: datetime
    actor: str
    on_behalf_of: str = ""

    @property
    def by_person(self) -> bool:
        return self.actor.startswith("user:")


@dataclass(frozen=True, slots=True)
class Told:
    """A fact to publish, with its subject; `key` where the fact has no account of its own."""

    cause: int
    fact: Fact
    subject: str
    key: str = ""
    policy: str = ""


@dataclass(slots=True)
class Written:
    """Rows of a batch that `save` writes, besides the touched items, receipts, accounts and cash."""

    postings: list[Posting] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    reversed: list[tuple[UUID, UUID, UUID]] = field(default_factory=list)
    credit_uses: list[CreditUse] = field(default_factory=list)
    credit_uses_reversed: list[tuple[UUID, UUID, UUID, UUID]] = field(default_factory=list)
    documents: dict[UUID, Document] = field(default_factory=dict)
    waits: list[DocumentWait] = field(default_factory=list)
    waits_done: list[DocumentWait] = field(default_factory=list)
    items: dict[UUID, Item] = field(default_factory=dict)
    receipts: dict[UUID, Receipt] = field(default_factory=dict)
    receipt_keys: list[tuple[str, str, UUID]] = field(default_factory=list)
    accounts: dict[Key, Account] = field(default_factory=dict)
    links: list[tuple[str, str, str, str, date | None, date | None, bool]] = field(default_factory=list)
    cash: dict[tuple[str, str, str], AccountCash] = field(default_factory=dict)
    item_keys: list[tuple[str, str, UUID, str]] = field(default_factory=list)
    candidates: dict[UUID, Candidate] = field(default_factory=dict)
    unbooked: dict[UUID, UnbookedCash] = field(default_factory=dict)
    unbooked_gone: dict[UUID, UnbookedCash] = field(default_factory=dict)
    suggestions: dict[UUID, Receipt] = field(default_factory=dict)
    certificates: list[tuple[UUID, str, UUID, UUID | None, dict[str, Any]]] = field(default_factory=list)
    open_debits: dict[UUID, OpenDebit] = field(default_factory=dict)
    refunds: dict[UUID, Refund] = field(default_factory=dict)
    approvals: dict[UUID, Approval] = field(default_factory=dict)
    disputes: dict[UUID, tuple[str, UUID, UUID, int, int]] = field(default_factory=dict)
    statements: list[Any] = field(default_factory=list)


class Books:
    """State of a batch. Rules read and change it between `begin` and `finish` of one cause at a time."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.items: dict[UUID, Item] = {}
        self.items_of: dict[Key, dict[UUID, Item]] = {}
        self.item_ids_by_key: dict[Key, set[UUID]] = {}
        self.accounts: dict[Key, Account] = {}
        self.locked: set[Key] = set()
        self.account_ids_by_key: dict[Key, set[str]] = {}
        self.parked: set[Key] = set()
        self.documents: dict[UUID, Document] = {}
        self.document_items: dict[UUID, list[Item]] = {}
        self.waits: dict[UUID, list[DocumentWait]] = {}
        self.receipts: dict[UUID, Receipt] = {}
        self.receipt_ids_by_key: dict[Key, set[UUID]] = {}
        self.cash: dict[tuple[str, str, str], AccountCash] = {}
        self.applied: dict[UUID, list[Applied]] = {}
        self.credit_uses: dict[UUID, list[CreditUse]] = {}
        self.candidates: dict[UUID, dict[str, Candidate]] = {}
        self.candidates_before: dict[UUID, Candidate | None] = {}
        self.unbooked: dict[UUID, UnbookedCash] = {}
        self.unbooked_by: dict[Key, set[UUID]] = {}
        self.suggestions: dict[UUID, list[Suggested]] = {}
        self.open_debits: dict[UUID, OpenDebit] = {}
        self.refunds: dict[UUID, Refund] = {}
        self.approvals: dict[UUID, Approval] = {}
        self.disputes: dict[UUID, tuple[str, UUID, UUID, int, int]] = {}
        self.amount_items: dict[tuple[str, str, int], list[Item]] = {}
        self.amounts: dict[AmountKey, int] = {}
        self.open_before: dict[UUID, int] = {}
        self.causes: dict[int, Cause] = {}
        self.tokens_of: dict[str, list[str]] = {}
        self.lookalikes: dict[tuple[str, str, int], list[ReceiptView]] = {}
        self.waiting_alike: dict[AmountKey, list[ReceiptView]] = {}
        self.beyond: set[str] = set()
        self.written = Written()
        self.told: list[Told] = []
        self.cause: Cause
        self._cause_number = -1
        self._ordinal = 0
        self._touched_items: dict[UUID, Item] = {}
        self._touched_cash: dict[tuple[str, str, str], tuple[AccountCash, int, int, UUID | None]] = {}
        self._touched_receipts: dict[UUID, Receipt] = {}

    # -- one cause ---------------------------------------------------------------------------------------------

    def begin(self, cause: Cause, number: int) -> None:
        """Start deciding one input; `number` is its place in the batch."""
        self.cause, self._cause_number, self._ordinal = cause, number, 0
        self.causes[number] = cause
        self._touched_items, self._touched_cash, self._touched_receipts = {}, {}, {}

    def next_step(self) -> None:
        """Between two payments that one cause decides, as the run at a day's close does: each is told by itself."""
        self.finish()
        self._touched_items, self._touched_cash, self._touched_receipts = {}, {}, {}

    def finish(self) -> None:
        """Tell what the cause did to items and to cash off items, once each."""
        for item in self._touched_items.values():
            item.version += 1
            item.cause = self.cause.type
            self.written.items[item.item_id] = item
            self._note_amounts(item)
            self.tell(item_fact(item), item.item_id)
        for key, (cash, unapplied, on_account, posting_id) in self._touched_cash.items():
            if (cash.unapplied_minor, cash.on_account_minor) != (unapplied, on_account):
                cash.version += 1
                self.written.cash[key] = cash
                self.tell(cash_fact(cash, posting_id), cash.account_id)
        for receipt in self._touched_receipts.values():
            receipt.check()
            if receipt.open_minor and not receipt.by_person:
                self.amounts[receipt.company, receipt.currency, receipt.open_minor] = self._cause_number

    def tell(self, fact: Fact, subject: object, key: str = "", policy: str = "") -> None:
        self.told.append(Told(self._cause_number, fact, str(subject), key, policy))

    # -- entries -----------------------------------------------------------------------------------------------

    def entry(
        self, kind: Kind, currency: str, *, valued_on: date, accounted_on: date, origin: Origin = "recoup", **facts: Any
    ) -> Posting:
        """A new entry of the current cause. Give it lines by `item_line`, `cash_line`, `bank_line`; then `book` it."""
        cause = self.cause
        posting_id = derive("posting", cause.event_id, self._ordinal)
        self._ordinal += 1
        return Posting(
            posting_id,
            cause.company,
            kind,
            origin,
            currency,
            cause.base_currency,
            cause.event_id,
            cause.business_date,
            valued_on,
            accounted_on,
            cause.known_at,
            cause.actor,
            **facts,
        )

    def book(self, posting: Posting) -> Posting:
        """Close the entry: it balances, and nothing it touches is ever dated before what it held already."""
        posting.close()
        self.written.postings.append(posting)
        for line in posting.lines:
            if line.payment_id is not None:
                receipt = self.receipts[line.payment_id]
                receipt.accounted_on = max(receipt.accounted_on, posting.accounted_on)
            if line.item_id is not None:
                item = self.items[line.item_id]
                item.posting_id, item.valued_on = posting.posting_id, posting.valued_on
                item.accounted_on = max(item.accounted_on, posting.accounted_on)
        return posting

    def item_line(
        self, posting: Posting, item: Item, funding: str, amount_minor: int, receipt: Receipt | None = None
    ) -> Line:
        """Relieve an item inside an entry (negative: take relief back)."""
        self.touch_item(item)
        line = item.relieve(funding, amount_minor)
        if funding == "cash" and receipt is not None:
            line.payment_id, line.bank_account = receipt.payment_id, receipt.bank_account
        posting.accounted_on = max(posting.accounted_on, item.accounted_on)
        posting.lines.append(line)
        return line

    def cash_line(self, posting: Posting, receipt: Receipt, place: Place, account_id: str, amount_minor: int) -> None:
        """Move cash of a payment into a place (out of it when negative)."""
        if not amount_minor:
            return
        self.touch_receipt(receipt)
        if place in (Place.UNAPPLIED, Place.ON_ACCOUNT):
            self._move_account_cash(posting, receipt, place, account_id, amount_minor)
        posting.accounted_on = max(posting.accounted_on, receipt.accounted_on)
        posting.lines.append(receipt.put(place, account_id, amount_minor))

    def plain_line(
        self, posting: Posting, ledger: Ledger, amount_minor: int, rate: Rate, bank_account: str = "", **facts: Any
    ) -> None:
        """A line of an account that is neither item nor place of a payment."""
        if amount_minor:
            line = Line(ledger, amount_minor, rate.base(amount_minor), bank_account=bank_account, **facts)
            posting.lines.append(line)

    def _move_account_cash(
        self, posting: Posting, receipt: Receipt, place: Place, account_id: str, amount_minor: int
    ) -> None:
        key = (receipt.company, account_id, receipt.currency)
        cash = self.cash.get(key)
        if cash is None:
            cash = self.cash[key] = AccountCash(*key)
        _, unapplied, on_account, _ = self._touched_cash.get(
            key, (None, cash.unapplied_minor, cash.on_account_minor, None)
        )
        self._touched_cash[key] = (cash, unapplied, on_account, posting.posting_id)
        if place is Place.UNAPPLIED:
            cash.unapplied_minor += amount_minor
        else:
            cash.on_account_minor += amount_minor

    # -- touching ----------------------------------------------------------------------------------------------

    def touch_item(self, item: Item) -> None:
        if item.item_id not in self._touched_items:
            item.before_minor = item.remaining_minor
            self._touched_items[item.item_id] = item
            self._note_amounts(item)

    def _note_amounts(self, item: Item) -> None:
        """What an item owed or owes now: cash of that amount may gain or lose its evidence."""
        for key in amounts_of(item):
            self.amounts[key] = self._cause_number

    def touch_receipt(self, receipt: Receipt) -> None:
        self._touched_receipts[receipt.payment_id] = receipt
        self.written.receipts[receipt.payment_id] = receipt

    def next_version(self, receipt: Receipt) -> None:
        """Every payment.* event has a version of its own."""
        receipt.version += 1
        self.touch_receipt(receipt)

    # -- adding ------------------------------------------------------------------------------------------------

    def hold_item(self, item: Item) -> None:
        """Take a loaded or new item into the books."""
        self.items[item.item_id] = item
        self.items_of.setdefault((item.company, item.account_id), {})[item.item_id] = item
        self.document_items.setdefault(item.document_id, []).append(item)

    def add_item(self, item: Item) -> None:
        """Open a new item: it can be found by its keys from now on, also within the batch."""
        item.fresh = True
        self.hold_item(item)
        self.touch_item(item)
        for key in lookup_keys(item.view()):
            self.item_ids_by_key.setdefault((item.company, key), set()).add(item.item_id)
            self.written.item_keys.append((item.company, key, item.item_id, item.account_id))

    def hold_receipt(self, receipt: Receipt) -> None:
        self.receipts[receipt.payment_id] = receipt

    def note_unbooked(self, cash: UnbookedCash) -> None:
        """Cash that is known but not booked yet; its amount may be one that somebody owes."""
        self.written.unbooked[cash.origin_id] = cash
        self.hold_unbooked(cash)
        self.amounts[cash.amount] = self._cause_number

    def hold_unbooked(self, cash: UnbookedCash) -> None:
        """It is found by its group and by its lookup keys."""
        self.unbooked[cash.origin_id] = cash
        for mark in (cash.group_id, *cash.keys):
            self.unbooked_by.setdefault((cash.company, mark), set()).add(cash.origin_id)

    def unbooked_of(self, company: str, marks: Iterable[str]) -> list[UnbookedCash]:
        """Cash that is not booked, of any of these groups or keys."""
        found = {origin_id for mark in marks for origin_id in self.unbooked_by.get((company, mark), ())}
        return [self.unbooked[origin_id] for origin_id in sorted(found & self.unbooked.keys())]

    def forget_unbooked(self, cash: UnbookedCash) -> None:
        """It is booked, released or refused, or was announced too long ago."""
        del self.unbooked[cash.origin_id]
        self.written.unbooked.pop(cash.origin_id, None)
        self.written.unbooked_gone[cash.origin_id] = cash

    def add_applied(self, applied: Applied) -> None:
        self.written.applied.append(applied)
        self.hold_applied(applied)

    def hold_applied(self, applied: Applied) -> None:
        self.applied.setdefault(applied.payment_id, []).append(applied)

    def set_account(self, account: Account) -> None:
        """Register or replace an account with its lookup keys."""
        key = (account.company, account.account_id)
        old = self.accounts.get(key)
        for stale in account_keys(self.account_view(old)) if old else ():
            self.account_ids_by_key.get((account.company, stale), set()).discard(account.account_id)
        self.accounts[key] = account
        self.written.accounts[key] = account
        for fresh in account_keys(self.account_view(account)):
            self.account_ids_by_key.setdefault((account.company, fresh), set()).add(account.account_id)

    # -- reading -----------------------------------------------------------------------------------------------

    def account_view(self, account: Account) -> AccountView:
        """The account as the matcher sees it."""
        parked = (account.company, account.account_id) in self.parked
        return AccountView(account.account_id, account.name, account.bank_accounts, account.pays_for, parked)

    def open_items(self, company: str, account_id: str) -> Iterator[Item]:
        for item in self.items_of.get((company, account_id), {}).values():
            if item.remaining_minor:
                yield item

    def live_applied(self, payment_id: UUID) -> list[Applied]:
        return [row for row in self.applied.get(payment_id, ()) if row.reversed_by is None]

    def live_applied_to(self, item_ids: Iterable[UUID]) -> list[Applied]:
        wanted = set(item_ids)
        return [
            row for rows in self.applied.values() for row in rows if row.item_id in wanted and row.reversed_by is None
        ]


def amounts_of(item: Item) -> set[AmountKey]:
    """Amounts that an item owes: all that remains, and what of it is not disputed. A credit owes nothing."""
    if item.side != DEBIT or not item.remaining_minor:
        return set()
    minors = {item.remaining_minor, item.remaining_minor - item.disputed_now_minor} - {0}
    return {(item.company, item.currency, minor) for minor in minors}


def applied_fact(
    receipt: Receipt, posting: Posting, account_id: str, rows: list[Applied], left_minor: int, automatic: bool
) -> PaymentApplied:
    """payment.applied for one account of an entry."""
    return PaymentApplied(
        **receipt.split(),
        posting_id=posting.posting_id,
        account_id=account_id,
        applications=[
            Application(
                item_id=row.item_id,
                cash_minor=row.cash_minor,
                discount_minor=row.discount_minor,
                small_difference_minor=row.small_difference_minor,
                deduction_minor=row.deduction_minor,
                bank_charge_minor=row.bank_charge_minor,
            )
            for row in rows
        ],
        left_minor=left_minor,
        rule=posting.rule,
        automatic=automatic,
        certificate_id=posting.certificate_id,
    )
