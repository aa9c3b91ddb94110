"""Cash of a payment moves from one place to another, and where a waiting payment stands is told."""

from services.cash_application.domain.books import Books
from services.cash_application.domain.cash import Place, Receipt
from services.cash_application.domain.journal import Kind, Posting
from shared.events.catalogue import key_of
from shared.events.ledger import PaymentIdentified, PaymentUnidentified

Spot = tuple[Place, str]
"""Place and account ("" where the place has none)."""


def move_cash(
    books: Books, receipt: Receipt, source: Spot, target: Spot, amount_minor: int = 0, **facts: str
) -> Posting:
    """A CASH_MOVE entry from one place to another; the whole place when no amount is given."""
    posting = books.entry(
        Kind.CASH_MOVE,
        receipt.currency,
        valued_on=receipt.valued_on,
        accounted_on=books.cause.business_date,
        payment_id=receipt.payment_id,
        account_id=target[1] or source[1],
        rate_id=receipt.rate.rate_id,
        **facts,
    )
    amount = amount_minor or receipt.at(*source)
    books.cash_line(posting, receipt, *source, -amount)
    books.cash_line(posting, receipt, *target, amount)
    return books.book(posting)


def tell_waiting(books: Books, receipt: Receipt) -> None:
    """payment.identified when its account is known, else payment.unidentified."""
    books.next_version(receipt)
    if receipt.account_id:
        fact = PaymentIdentified(
            **receipt.split(),
            account_id=receipt.account_id,
            rule=receipt.rule,
            certificate_id=receipt.certificate_id,
        )
        books.tell(fact, receipt.payment_id)
    else:
        unknown = PaymentUnidentified(**receipt.split(), reason_code=receipt.reason_code)
        books.tell(unknown, receipt.payment_id, key=key_of(receipt.company, own=receipt.payment_id))
