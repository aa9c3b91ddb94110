"""A payment comes in, or is tried again at the day's close: gather what it could mean, have it decided, book it.

Invariant: rules touch only accounts whose rows are locked, and never move cash that a person put on an account to
another one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from services.cash_application.domain.application import (
    Share,
    apply_cash,
    put_on_items,
    tell_applied,
)
from services.cash_application.domain.books import Books
from services.cash_application.domain.candidates import candidates_of_decision, end_announcement
from services.cash_application.domain.cash import Place, Receipt, payment_view
from services.cash_application.domain.items import Item
from services.cash_application.domain.journal import Imbalance, Kind, Ledger, Posting
from services.cash_application.domain.matching.keys import lookup_keys, tokens
from services.cash_application.domain.matching.ladder import match
from services.cash_application.domain.matching.model import (
    Candidates,
    Decision,
    LeftTo,
    Outcome,
    PaymentView,
    ReceiptView,
)
from services.cash_application.domain.matching.policy import Policy
from services.cash_application.domain.movement import move_cash, tell_waiting
from services.cash_application.domain.receipt_keys import receipt_keys
from services.cash_application.domain.returns import explain, meets
from services.cash_application.domain.suggestions import in_order, suggest
from shared.events.payments import PaymentReceived
from shared.ids import derive

PLACE_OF = {
    LeftTo.ON_ACCOUNT: Place.ON_ACCOUNT,
    LeftTo.UNAPPLIED: Place.UNAPPLIED,
    LeftTo.UNIDENTIFIED: Place.UNIDENTIFIED,
}


def new_receipt(books: Books, fact: PaymentReceived) -> Receipt:
    """The receipt of a booked credit, with the keys by which a return finds it."""
    cause = books.cause
    rate = books.exchange.rate(fact.company, fact.currency, cause.base_currency, fact.accounted_on, cause.business_date)
    receipt = Receipt(
        fact.company,
        fact.payment_id,
        fact.bank_account,
        fact.currency,
        fact.amount_minor,
        fact.document_on,
        fact.valued_on,
        fact.accounted_on,
        cause.business_date,
        rate,
        payment_view(fact),
        fresh=True,
    )
    books.hold_receipt(receipt)
    for key in receipt_keys(fact.references):
        books.receipt_ids_by_key.setdefault((fact.company, key), set()).add(fact.payment_id)
        books.written.receipt_keys.append((fact.company, key, fact.payment_id))
    return receipt


def receipt_entry(books: Books, receipt: Receipt, rule: str = "", policy: str = "") -> Posting:
    """The RECEIPT entry with its bank line; the caller says where the cash goes and books it."""
    posting = books.entry(
        Kind.RECEIPT,
        receipt.currency,
        valued_on=receipt.valued_on,
        accounted_on=receipt.accounted_on,
        payment_id=receipt.payment_id,
        rule=rule,
        policy=policy,
        rate_id=receipt.rate.rate_id,
    )
    books.plain_line(
        posting,
        Ledger.BANK,
        receipt.amount_minor,
        receipt.rate,
        receipt.bank_account,
        payment_id=receipt.payment_id,
    )
    receipt.posting_id = posting.posting_id
    return posting


def receive(books: Books, fact: PaymentReceived, policy: Policy) -> None:
    """Decide and book a fresh payment. A payment known already changes nothing.

    One whose return came before it is booked as unidentified and taken back at once, without being matched.
    """
    if fact.payment_id in books.receipts or not fact.amount_minor:
        return
    receipt = new_receipt(books, fact)
    end_announcement(books, receipt)
    keys = receipt_keys(fact.references)
    waiting = next((debit for debit in books.open_debits.values() if meets(debit, receipt, keys)), None)
    if waiting is not None and waiting.left_minor >= receipt.amount_minor:
        _book_returned(books, receipt)
    else:
        decision = match(receipt.view, gather(books, receipt.view), policy, closing=False, on=books.cause.business_date)
        book_decision(books, receipt, decision, policy)
    if waiting is not None:
        explain(books, waiting, receipt)


def _book_returned(books: Books, receipt: Receipt) -> None:
    posting = receipt_entry(books, receipt, rule="returned_before")
    books.cash_line(posting, receipt, Place.UNIDENTIFIED, "", receipt.amount_minor)
    receipt.outcome, receipt.rule = str(Outcome.UNIDENTIFIED), "returned_before"
    books.book(posting)


def gather(books: Books, view: PaymentView) -> Candidates:
    """Everything loaded that could concern a payment, in its current state; nothing of a later business day."""
    company, on = view.company, books.cause.business_date
    items: dict[UUID, object] = {}
    accounts: dict[str, object] = {}
    payers: set[str] = set()
    asked = books.tokens_of.get(view.payment_id) or tokens(view)
    for token in asked:
        key = (company, token)
        for item_id in books.item_ids_by_key.get(key, ()):
            item = books.items.get(item_id)
            if item is not None and item.business_date <= on:
                items[item_id] = item
                accounts[item.account_id] = None
        for account_id in books.account_ids_by_key.get(key, ()):
            accounts[account_id] = None
            if token[0] in "ap":
                payers.add(account_id)
    for account_id in sorted(payers):
        payers.update(books.accounts[company, account_id].pays_for)
    for account_id in payers:
        accounts[account_id] = None
        items.update((i.item_id, i) for i in books.open_items(company, account_id) if i.business_date <= on)
    for item in books.amount_items.get((company, view.currency, view.open_minor), ()):
        if item.business_date <= on and item.remaining_minor and not _cited_unlocked(books, item, asked):
            items.setdefault(item.item_id, item)
            accounts.setdefault(item.account_id, None)
    known = [books.accounts[company, a] for a in sorted(accounts) if (company, a) in books.accounts]
    return Candidates(
        items=tuple(item.view() for item in items.values()),
        accounts=tuple(books.account_view(account) for account in known),
        receipts=tuple(_alike(books, view)),
    )


def _cited_unlocked(books: Books, item: Item, asked: Sequence[str]) -> bool:
    """An item that was loaded for its amount only, though the payment names its number: more items carry the number
    than a key may bring, its account is not locked, and nothing may be posted on it."""
    unlocked = (item.company, item.account_id) not in books.locked
    return unlocked and not set(lookup_keys(item.view())).isdisjoint(asked)


def _alike(books: Books, view: PaymentView) -> Iterator[ReceiptView]:
    """Receipts that look alike, as they are now: the batch may have applied what waited when they were loaded."""
    key = (view.company, view.currency)
    for alike in (
        *books.lookalikes.get((*key, view.amount_minor), ()),
        *books.waiting_alike.get((*key, view.open_minor), ()),
    ):
        receipt = books.receipts.get(UUID(alike.payment_id)) if alike.open_minor else None
        yield replace(alike, open_minor=receipt.open_minor) if receipt is not None else alike


def book_decision(books: Books, receipt: Receipt, decision: Decision, policy: Policy) -> None:
    """Book what was decided about a fresh payment, in one entry, and tell it."""
    posting = receipt_entry(books, receipt, decision.rule, policy.label)
    posting.certificate_id = _certify(books, receipt, decision, posting.posting_id)
    _note(receipt, decision, posting.certificate_id)
    rows = put_on_items(books, posting, receipt, _shares(books, decision), decision.gain_minor)
    if decision.left_minor:
        books.cash_line(posting, receipt, PLACE_OF[decision.left_to], _left_account(decision), decision.left_minor)
    posting.account_id = receipt.account_id
    books.touch_receipt(receipt)
    books.book(posting)
    if rows:
        tell_applied(books, receipt, posting, rows, automatic=True)
    else:
        tell_waiting(books, receipt)
    _remember(books, receipt, [row.item_id for row in rows])
    suggest(books, receipt, decision)
    candidates_of_decision(books, receipt, decision)


def book_again(books: Books, receipt: Receipt, decision: Decision, policy: Policy) -> None:
    """Book what the day's close decided about a payment whose cash still waits. Nothing new: nothing is written but
    suggestions and candidates that changed."""
    receipt.tried_on = books.cause.business_date
    books.touch_receipt(receipt)
    decision = _respecting_person(receipt, decision)
    posted = bool(decision.applications)
    moves = not posted and decision.account_id and receipt.unidentified_minor and not receipt.by_person
    certificate_id = receipt.certificate_id
    if posted or moves or _says_something_new(books, receipt, decision):
        certificate_id = _certify(books, receipt, decision, None)
    _note(receipt, decision, certificate_id, keep_account=not moves and not posted)
    if posted:
        _apply_waiting(books, receipt, decision, policy)
    elif moves:
        move_cash(books, receipt, (Place.UNIDENTIFIED, ""), (Place.UNAPPLIED, receipt.account_id), rule=decision.rule)
        tell_waiting(books, receipt)
    suggest(books, receipt, decision)
    candidates_of_decision(books, receipt, decision)


def _apply_waiting(books: Books, receipt: Receipt, decision: Decision, policy: Policy) -> None:
    posting, rows = apply_cash(
        books,
        receipt,
        _shares(books, decision),
        receipt.open_places(),
        gain_minor=decision.gain_minor,
        rule=decision.rule,
        policy=policy.label,
        certificate_id=receipt.certificate_id,
    )
    tell_applied(books, receipt, posting, rows, automatic=True)
    if receipt.unidentified_minor and receipt.account_id:
        move_cash(books, receipt, (Place.UNIDENTIFIED, ""), (Place.UNAPPLIED, receipt.account_id), rule=decision.rule)
        tell_waiting(books, receipt)


def _shares(books: Books, decision: Decision) -> list[Share]:
    """The decision's applications on the items of the books. Raises Imbalance for one whose account is not locked."""
    shares = []
    for row in decision.applications:
        item = books.items[UUID(row.item_id)]
        if (item.company, item.account_id) not in books.locked or item.version != row.version:
            raise Imbalance(f"item {item.item_id} was decided on without its account's lock or in an old state")
        shares.append(
            Share(
                item,
                row.cash_minor,
                row.discount_minor,
                row.small_difference_minor,
                row.bank_charge_minor,
                row.deduction_minor,
                row.deduction_reason or "",
            )
        )
    return shares


def _left_account(decision: Decision) -> str:
    return "" if decision.left_to is LeftTo.UNIDENTIFIED else decision.account_id or ""


def _certify(books: Books, receipt: Receipt, decision: Decision, posting_id: UUID | None) -> UUID:
    certificate_id = derive("certificate", books.cause.event_id, receipt.payment_id)
    books.written.certificates.append(
        (certificate_id, receipt.company, receipt.payment_id, posting_id, decision.certificate)
    )
    return certificate_id


def _note(receipt: Receipt, decision: Decision, certificate_id: UUID | None, keep_account: bool = False) -> None:
    receipt.outcome = str(decision.outcome)
    receipt.reason_code = str(decision.reason) if decision.reason else ""
    receipt.rule = decision.rule
    receipt.flags = tuple(decision.flags)
    receipt.certificate_id = certificate_id
    unidentified = decision.left_to is LeftTo.UNIDENTIFIED and not decision.applications
    if not keep_account and not unidentified:
        receipt.account_id = decision.account_id or ""


def _respecting_person(receipt: Receipt, decision: Decision) -> Decision:
    """A rule may apply what a person put on an account only to items of that account."""
    if not receipt.by_person or all(row.account_id in receipt.parts for row in decision.applications):
        return decision
    return replace(decision, applications=(), gain_minor=0, left_minor=receipt.open_minor)


def _says_something_new(books: Books, receipt: Receipt, decision: Decision) -> bool:
    told = {(s.rank, s.account_id, s.items) for s in books.suggestions.get(receipt.payment_id, ())}
    fresh = {
        (s.rank, s.account_id, in_order((UUID(i.item_id), i.amount_minor) for i in s.items))
        for s in decision.suggestions
    }
    return told != fresh or receipt.reason_code != (str(decision.reason) if decision.reason else "")


def _remember(books: Books, receipt: Receipt, item_ids: list[UUID]) -> None:
    """Later payments of the batch that look alike must see this one."""
    view = receipt.view
    documents = tuple(dict.fromkeys(str(books.items[item_id].document_id) for item_id in item_ids))
    alike = ReceiptView(
        str(receipt.payment_id),
        receipt.currency,
        receipt.amount_minor,
        receipt.valued_on,
        view.payer_account,
        view.payer_name,
        documents,
        receipt.open_minor,
        receipt.account_id,
    )
    books.lookalikes.setdefault((receipt.company, receipt.currency, receipt.amount_minor), []).append(alike)
