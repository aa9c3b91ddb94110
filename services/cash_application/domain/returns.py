"""A bank takes a credit back: every consequence of the payment is reversed and its items stand open as before.

Invariant: what a return takes and what is left of the payment make up its amount. A return that comes before its
payment stands as a debit not yet explained until the payment comes.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from services.cash_application.domain.application import (
    Share,
    put_on_items,
    take_off_items,
    tell_applied,
    tell_unapplied,
)
from services.cash_application.domain.books import Books
from services.cash_application.domain.candidates import candidates_of_person
from services.cash_application.domain.cash import Place, Receipt
from services.cash_application.domain.exchange import Rate
from services.cash_application.domain.items import Item
from services.cash_application.domain.journal import DEBIT, Kind, Ledger, Posting
from services.cash_application.domain.matching.folding import account_number
from services.cash_application.domain.receipt_keys import UNIQUE, receipt_keys
from services.cash_application.domain.rows import Applied, OpenDebit
from services.cash_application.domain.suggestions import withdraw
from shared.events.catalogue import key_of
from shared.events.ledger import ChargePosted, PaymentUnapplied, PaymentUnidentified
from shared.events.payments import PaymentReturned
from shared.ids import derive

RETURNED = "RETURNED"


@dataclass(frozen=True, slots=True)
class Taken:
    """A debit that takes cash back. `contra` is the bank itself, or SUSPENSE where the debit was booked before."""

    debit_id: UUID
    amount_minor: int
    reason_code: str
    contra: Ledger
    valued_on: date
    accounted_on: date


def return_payment(books: Books, fact: PaymentReturned) -> None:
    """Book a return on its payment, or as not explained while the payment is not there. Again: nothing changes."""
    if fact.return_id in books.open_debits:
        return
    debit = OpenDebit(
        fact.company,
        fact.return_id,
        fact.bank_account,
        fact.currency,
        fact.amount_minor,
        fact.amount_minor,
        fact.valued_on,
        fact.accounted_on,
        fact.reason_code,
        tuple(receipt_keys(fact.references)),
        fact.payment_id,
    )
    rate = _rate(books, fact)
    _fee(books, fact, rate)
    receipt = find_receipt(books, debit, fact.payer.account)
    if receipt is not None:
        _take_for(books, debit, receipt, Ledger.BANK, fact.accounted_on)
    if debit.left_minor:
        _not_explained(books, fact, rate, debit.left_minor)
    keep_debit(books, debit)


def keep_debit(books: Books, debit: OpenDebit) -> None:
    books.open_debits[debit.debit_id] = debit
    books.written.open_debits[debit.debit_id] = debit


def find_receipt(books: Books, debit: OpenDebit, payer_account: str = "") -> Receipt | None:
    """The payment that a return names: by id, by a unique key, else by reference, amount and payer together."""
    if debit.payment_id is not None:
        return books.receipts.get(debit.payment_id)
    for key in debit.keys:
        ids = books.receipt_ids_by_key.get((debit.company, key), ())
        found = [r for i in ids if _could_be(r := books.receipts[i], debit)]
        if not key.startswith(UNIQUE):
            whole = [r for r in found if r.amount_minor - r.returned_minor == debit.left_minor]
            found = [r for r in whole if _same_payer(r, payer_account)]
        payers = {r.view.payer_account for r in found}
        if len(found) == 1 or (found and len(payers) == 1 and payers != {None}):
            return max(found, key=lambda r: (r.valued_on, str(r.payment_id)))
    return None


def meets(debit: OpenDebit, receipt: Receipt, keys: list[str]) -> bool:
    """Whether a return that waits is for a payment that came now."""
    if (debit.bank_account, debit.currency) != (receipt.bank_account, receipt.currency) or not debit.left_minor:
        return False
    if debit.payment_id is not None:
        return debit.payment_id == receipt.payment_id
    shared = set(debit.keys) & set(keys)
    return any(key.startswith(UNIQUE) for key in shared) or (bool(shared) and debit.left_minor == receipt.amount_minor)


def explain(books: Books, debit: OpenDebit, receipt: Receipt) -> None:
    """A debit that waited is explained by a payment: the payment's cash goes against it."""
    _take_for(books, debit, receipt, Ledger.SUSPENSE, max(debit.accounted_on, books.cause.business_date))
    keep_debit(books, debit)


def explain_waiting(books: Books, company: str) -> None:
    """Returns that wait are looked up again: return and payment may have been taken in at the same instant."""
    waiting = [d for d in books.open_debits.values() if d.company == company and d.left_minor]
    for debit in sorted(waiting, key=lambda d: (d.valued_on, str(d.debit_id))):
        receipt = find_receipt(books, debit)
        if receipt is not None and receipt.amount_minor > receipt.returned_minor:
            explain(books, debit, receipt)
            books.next_step()


def _take_for(books: Books, debit: OpenDebit, receipt: Receipt, contra: Ledger, accounted_on: date) -> None:
    taken = Taken(debit.debit_id, debit.left_minor, debit.reason_code, contra, debit.valued_on, accounted_on)
    debit.left_minor = take_back(books, receipt, taken)
    debit.payment_id = receipt.payment_id


def take_back(books: Books, receipt: Receipt, taken: Taken) -> int:
    """Take cash of a payment back, what waits first, then what is applied, the latest first. What could not be taken.

    Cash that was refunded already is charged to the account as a new item.
    """
    posting = books.entry(
        Kind.RETURN,
        receipt.currency,
        valued_on=taken.valued_on,
        accounted_on=max(taken.accounted_on, receipt.accounted_on),
        payment_id=receipt.payment_id,
        account_id=receipt.account_id,
        reverses_posting_id=receipt.posting_id,
        reason_code=taken.reason_code or RETURNED,
        rate_id=receipt.rate.rate_id,
    )
    left = _take_places(books, posting, receipt, taken.amount_minor)
    rows, left, again = _take_applied(books, posting, receipt, left)
    refunded = min(left, receipt.refunded_minor)
    back = taken.amount_minor - left
    if refunded:
        _charge(books, posting, receipt, refunded)
    if not back and not refunded:
        return left
    booked = back + refunded
    books.plain_line(posting, taken.contra, -booked, receipt.rate, receipt.bank_account, payment_id=receipt.payment_id)
    receipt.returned_minor += back
    books.touch_receipt(receipt)
    books.book(posting)
    _tell(books, receipt, posting, rows, again)
    return left - refunded


def _take_places(books: Books, posting: Posting, receipt: Receipt, left: int) -> int:
    accounts = sorted(receipt.parts)
    places = [(Place.UNIDENTIFIED, "")]
    places += [(Place.UNAPPLIED, account_id) for account_id in accounts]
    places += [(Place.ON_ACCOUNT, account_id) for account_id in accounts] + [(Place.NON_AR, "")]
    for place, account_id in places:
        amount = min(left, receipt.at(place, account_id))
        books.cash_line(posting, receipt, place, account_id, -amount)
        left -= amount
    return left


def _take_applied(
    books: Books, posting: Posting, receipt: Receipt, left: int
) -> tuple[list[Applied], int, list[Applied]]:
    """Rows taken off, what is left to take, and rows put back because only a part of an entry was needed."""
    rows: list[Applied] = []
    again: list[Applied] = []
    by_entry: dict[UUID, list[Applied]] = {}
    for row in books.live_applied(receipt.payment_id):
        by_entry.setdefault(row.posting_id, []).append(row)
    for entry in reversed(list(by_entry.values())):
        if not left:
            break
        freed = sum(take_off_items(books, posting, receipt, entry).values())
        rows += entry
        if freed > left:
            again += _put_back(books, posting, receipt, entry, freed - left)
            freed = left
        left -= freed
    return rows, left, again


def _put_back(books: Books, posting: Posting, receipt: Receipt, entry: list[Applied], amount: int) -> list[Applied]:
    """Cash of an entry that stays goes back on its items in their order; discounts and differences do not."""
    shares = []
    for row in entry:
        item = books.items[row.item_id]
        cash = min(amount, row.cash_minor) if row.side == DEBIT else 0
        if cash > 0:
            shares.append(Share(item, cash))
            amount -= cash
    rows = put_on_items(books, posting, receipt, shares)
    if amount:
        books.cash_line(posting, receipt, Place.UNAPPLIED, entry[0].account_id, amount)
    return rows


def _charge(books: Books, posting: Posting, receipt: Receipt, amount_minor: int) -> None:
    """The bank took back what had been refunded: the account owes it."""
    account_id = receipt.account_id
    item_id = derive("charge", receipt.payment_id, posting.posting_id)
    item = Item(
        receipt.company,
        item_id,
        receipt.payment_id,
        "R01",
        f"RET-{receipt.payment_id.hex[:8]}",
        "charge",
        DEBIT,
        account_id,
        receipt.currency,
        amount_minor,
        amount_minor,
        posting.valued_on,
        books.cause.business_date,
        books.cause.business_date,
        posting.accounted_on,
        receipt.rate,
    )
    books.add_item(item)
    line = item.opening_line()
    line.payment_id, line.bank_account, line.funding = receipt.payment_id, receipt.bank_account, "cash"
    posting.lines.append(line)
    fact = ChargePosted(
        company=receipt.company,
        item_id=item_id,
        account_id=account_id,
        kind="compensation",
        amount_minor=amount_minor,
        currency=receipt.currency,
    )
    books.tell(fact, item_id)


def _tell(books: Books, receipt: Receipt, posting: Posting, rows: list[Applied], again: list[Applied]) -> None:
    receipt.reason_code = RETURNED
    if receipt.returned_minor == receipt.amount_minor:
        receipt.outcome = "returned"
    account_id = receipt.account_id or next(iter(sorted(receipt.parts)), "")
    if rows:
        tell_unapplied(books, receipt, posting, rows, RETURNED)
    elif account_id:
        books.next_version(receipt)
        fact = PaymentUnapplied(
            **receipt.split(),
            posting_id=posting.posting_id,
            reverses_posting_id=posting.reverses_posting_id or posting.posting_id,
            account_id=account_id,
            reason_code=RETURNED,
        )
        books.tell(fact, receipt.payment_id)
    else:
        books.next_version(receipt)
        unknown = PaymentUnidentified(**receipt.split(), reason_code=RETURNED)
        books.tell(unknown, receipt.payment_id, key=key_of(receipt.company, own=receipt.payment_id))
    if again:
        tell_applied(books, receipt, posting, again, automatic=True)
    withdraw(books, receipt)
    candidates_of_person(books, receipt)


def _could_be(receipt: Receipt, debit: OpenDebit) -> bool:
    mine = (receipt.company, receipt.bank_account, receipt.currency)
    same = mine == (debit.company, debit.bank_account, debit.currency)
    return same and receipt.amount_minor > receipt.returned_minor and receipt.valued_on <= debit.valued_on


def _same_payer(receipt: Receipt, payer_account: str) -> bool:
    mine = account_number(receipt.view.payer_account)
    return not mine or not payer_account or mine == account_number(payer_account)


def _rate(books: Books, fact: PaymentReturned) -> Rate:
    cause = books.cause
    return books.exchange.rate(fact.company, fact.currency, cause.base_currency, fact.accounted_on, cause.business_date)


def _fee(books: Books, fact: PaymentReturned, rate: Rate) -> None:
    """The bank's own charge for the return, debited beside the amount."""
    if not fact.fee_minor:
        return
    posting = _debit_entry(books, fact)
    books.plain_line(posting, Ledger.BANKFEE, fact.fee_minor, rate, fact.bank_account)
    books.plain_line(posting, Ledger.BANK, -fact.fee_minor, rate, fact.bank_account)
    books.book(posting)


def _not_explained(books: Books, fact: PaymentReturned, rate: Rate, amount_minor: int) -> None:
    posting = _debit_entry(books, fact)
    books.plain_line(posting, Ledger.SUSPENSE, amount_minor, rate, fact.bank_account)
    books.plain_line(posting, Ledger.BANK, -amount_minor, rate, fact.bank_account)
    books.book(posting)


def _debit_entry(books: Books, fact: PaymentReturned) -> Posting:
    return books.entry(
        Kind.BANK_DEBIT,
        fact.currency,
        valued_on=fact.valued_on,
        accounted_on=fact.accounted_on,
        reason_code=fact.reason_code,
    )
