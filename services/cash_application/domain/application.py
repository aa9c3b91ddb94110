"""Putting cash on items and taking it back: what a decision of the matcher or of a person does to the books.

Invariant: an application relieves each item by its fundings, and its reversal restores every one of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from services.cash_application.domain.books import Books, applied_fact
from services.cash_application.domain.cash import Place, Receipt
from services.cash_application.domain.items import Item
from services.cash_application.domain.journal import DEBIT, Kind, Ledger, Line, Posting
from services.cash_application.domain.rows import Applied
from shared.events.ledger import DeductionRaised, PaymentUnapplied
from shared.ids import derive

Source = tuple[Place, str, int]


@dataclass(frozen=True, slots=True)
class Share:
    """What one item gets of a payment. `cash_minor` of a credit item is cash taken out of that credit."""

    item: Item
    cash_minor: int
    discount_minor: int = 0
    small_difference_minor: int = 0
    bank_charge_minor: int = 0
    deduction_minor: int = 0
    deduction_reason: str = ""

    @property
    def signed_cash_minor(self) -> int:
        return self.cash_minor if self.item.side == DEBIT else -self.cash_minor


CONTRA = {
    "discount": Ledger.DISC,
    "small_difference": Ledger.SMALL,
    "bank_charge": Ledger.BANKFEE,
}


def put_on_items(
    books: Books, posting: Posting, receipt: Receipt, shares: Iterable[Share], gain_minor: int = 0
) -> list[Applied]:
    """Lines and rows of an application inside `posting`; the caller brings the cash from its place."""
    rows = [_put(books, posting, receipt, share) for share in shares]
    if gain_minor:
        books.plain_line(
            posting, Ledger.SMALL, -gain_minor, receipt.rate, receipt.bank_account, payment_id=receipt.payment_id
        )
        receipt.gain_minor += gain_minor
        rows[0].gain_minor = gain_minor
    return rows


def _put(books: Books, posting: Posting, receipt: Receipt, share: Share) -> Applied:
    item = share.item
    row = Applied(
        receipt.company,
        posting.posting_id,
        item.item_id,
        receipt.payment_id,
        item.account_id,
        item.side,
        share.cash_minor,
        share.discount_minor,
        share.small_difference_minor,
        share.bank_charge_minor,
        share.deduction_minor,
        rule=posting.rule,
    )
    if share.cash_minor:
        books.item_line(posting, item, "cash", share.cash_minor, receipt)
    _relieve_without_cash(books, posting, item, row, 1)
    if share.deduction_minor:
        row.deduction_item_id = _raise_deduction(books, posting, receipt, share)
    receipt.part(item.account_id).applied_minor += share.signed_cash_minor
    books.touch_receipt(receipt)
    books.add_applied(row)
    return row


def _relieve_without_cash(books: Books, posting: Posting, item: Item, row: Applied, direction: int) -> None:
    for funding, contra in CONTRA.items():
        amount = direction * getattr(row, f"{funding}_minor")
        if amount:
            line = books.item_line(posting, item, funding, amount)
            posting.lines.append(
                Line(contra, -line.amount_minor, -line.base_minor, item.account_id, payment_id=row.payment_id)
            )


def _raise_deduction(books: Books, posting: Posting, receipt: Receipt, share: Share) -> UUID:
    """The part that the payer kept back becomes an item of its own, which can become a dispute."""
    source = share.item
    item_id = derive("deduction", source.item_id, posting.posting_id)
    item = Item(
        source.company,
        item_id,
        source.document_id,
        f"D{posting.posting_id.hex[:8]}",
        source.number,
        "deduction",
        DEBIT,
        source.account_id,
        source.currency,
        share.deduction_minor,
        share.deduction_minor,
        source.document_on,
        source.due_on,
        books.cause.business_date,
        posting.accounted_on,
        source.rate,
    )
    books.item_line(posting, source, "moved", share.deduction_minor)
    books.add_item(item)
    opening = item.opening_line()
    opening.funding = "moved"
    posting.lines.append(opening)
    raised = DeductionRaised(
        company=source.company,
        item_id=item_id,
        from_item_id=source.item_id,
        account_id=source.account_id,
        amount_minor=share.deduction_minor,
        currency=source.currency,
        reason_code=share.deduction_reason or "UNSPECIFIED",
        payment_id=receipt.payment_id,
    )
    books.tell(raised, item_id)
    return item_id


def take_off_items(books: Books, posting: Posting, receipt: Receipt, rows: Iterable[Applied]) -> dict[str, int]:
    """Reverse applications inside `posting`: every funding goes back. Cash set free per account; the caller puts it.

    A deduction is taken back as far as it is still open.
    """
    freed: dict[str, int] = {}
    for row in rows:
        item = books.items[row.item_id]
        if row.cash_minor:
            books.item_line(posting, item, "cash", -row.cash_minor, receipt)
        _relieve_without_cash(books, posting, item, row, -1)
        if row.deduction_item_id is not None:
            _lower_deduction(books, posting, item, books.items[row.deduction_item_id])
        if row.gain_minor:
            books.plain_line(
                posting, Ledger.SMALL, row.gain_minor, receipt.rate, receipt.bank_account, payment_id=receipt.payment_id
            )
            receipt.gain_minor -= row.gain_minor
        receipt.part(row.account_id).applied_minor -= row.signed_cash_minor
        row.reversed_by = posting.posting_id
        books.written.reversed.append((row.posting_id, row.item_id, posting.posting_id))
        freed[row.account_id] = freed.get(row.account_id, 0) + row.signed_cash_minor + row.gain_minor
    books.touch_receipt(receipt)
    return _none_negative(freed)


def _lower_deduction(books: Books, posting: Posting, source: Item, deduction: Item) -> None:
    back = min(deduction.remaining_minor, source.original_minor - source.remaining_minor)
    if back:
        books.item_line(posting, deduction, "moved", back)
        books.item_line(posting, source, "moved", -back)


def _none_negative(freed: dict[str, int]) -> dict[str, int]:
    """An account that only gave credit frees less than nothing: then all goes to the account that got most."""
    if all(amount >= 0 for amount in freed.values()):
        return {account_id: amount for account_id, amount in freed.items() if amount}
    most = max(sorted(freed), key=lambda account_id: freed[account_id])
    return {most: sum(freed.values())}


def take_sources(books: Books, posting: Posting, receipt: Receipt, sources: Iterable[Source], needed_minor: int) -> int:
    """Bring up to `needed_minor` out of the places, in order. What could not be brought, in minor units."""
    for place, account_id, held in sources:
        taken = min(held, needed_minor)
        books.cash_line(posting, receipt, place, account_id, -taken)
        needed_minor -= taken
    return needed_minor


def apply_cash(
    books: Books, receipt: Receipt, shares: list[Share], sources: list[Source], *, gain_minor: int = 0, **facts: Any
) -> tuple[Posting, list[Applied]]:
    """One APPLICATION entry: cash of the sources goes on the items. The sources hold enough; Imbalance otherwise."""
    posting = books.entry(
        Kind.APPLICATION,
        receipt.currency,
        valued_on=receipt.valued_on,
        accounted_on=books.cause.business_date,
        payment_id=receipt.payment_id,
        account_id=shares[0].item.account_id,
        rate_id=receipt.rate.rate_id,
        **facts,
    )
    take_sources(books, posting, receipt, sources, sum(s.signed_cash_minor for s in shares) + gain_minor)
    rows = put_on_items(books, posting, receipt, shares, gain_minor)
    books.book(posting)
    return posting, rows


def tell_applied(books: Books, receipt: Receipt, posting: Posting, rows: list[Applied], automatic: bool) -> None:
    """One payment.applied per account concerned, each with the whole split."""
    by_account: dict[str, list[Applied]] = {}
    for row in rows:
        by_account.setdefault(row.account_id, []).append(row)
    for account_id, own in by_account.items():
        books.next_version(receipt)
        fact = applied_fact(receipt, posting, account_id, own, receipt.open_minor, automatic)
        books.tell(fact, receipt.payment_id, policy=posting.policy)


def unapply(
    books: Books, receipt: Receipt, rows: list[Applied], reason_code: str, accounted_on: date | None = None
) -> Posting:
    """Reverse live applications of one entry: the items stand as before, the cash waits unapplied on their accounts."""
    posting = books.entry(
        Kind.UNAPPLICATION,
        receipt.currency,
        valued_on=receipt.valued_on,
        accounted_on=accounted_on or books.cause.business_date,
        payment_id=receipt.payment_id,
        account_id=rows[0].account_id,
        reverses_posting_id=rows[0].posting_id,
        reason_code=reason_code,
        rule=rows[0].rule,
        rate_id=receipt.rate.rate_id,
    )
    for account_id, amount in take_off_items(books, posting, receipt, rows).items():
        books.cash_line(posting, receipt, Place.UNAPPLIED, account_id, amount)
    books.book(posting)
    tell_unapplied(books, receipt, posting, rows, reason_code)
    return posting


def tell_unapplied(books: Books, receipt: Receipt, posting: Posting, rows: list[Applied], reason_code: str) -> None:
    """One payment.unapplied per entry and account that was reversed."""
    for posting_id, account_id in dict.fromkeys((row.posting_id, row.account_id) for row in rows):
        books.next_version(receipt)
        fact = PaymentUnapplied(
            **receipt.split(),
            posting_id=posting.posting_id,
            reverses_posting_id=posting_id,
            account_id=account_id,
            reason_code=reason_code,
        )
        books.tell(fact, receipt.payment_id)
