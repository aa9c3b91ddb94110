"""Refunds and other debits of the bank: requested by one person, approved by another, paid when the bank says so.

Cash moves only at the approval (to REFUND payable) and at the bank's debit.
"""

from uuid import UUID

from services.cash_application.domain.books import Books
from services.cash_application.domain.candidates import candidates_of_person
from services.cash_application.domain.cash import Place, Receipt
from services.cash_application.domain.journal import Kind, Ledger, Posting
from services.cash_application.domain.movement import tell_waiting
from services.cash_application.domain.rows import OpenDebit, Refund
from services.cash_application.domain.suggestions import withdraw
from shared.events.ledger import RefundPaid, RefundRequested
from shared.events.payments import BankDebitReceived

REQUESTED, APPROVED, PAID = "requested", "approved", "paid"


def approve(books: Books, receipt: Receipt, refund: Refund, approver: str, approval_id: UUID) -> Posting:
    """REFUND_APPROVED: the cash is payable from now on. The place holds enough (checked by the command)."""
    posting = books.entry(
        Kind.REFUND_APPROVED,
        refund.currency,
        valued_on=books.cause.business_date,
        accounted_on=books.cause.business_date,
        payment_id=receipt.payment_id,
        account_id=refund.account_id,
        rate_id=receipt.rate.rate_id,
    )
    books.cash_line(posting, receipt, Place(refund.from_place), refund.account_id, -refund.amount_minor)
    books.cash_line(posting, receipt, Place.REFUND, refund.account_id, refund.amount_minor)
    books.book(posting)
    refund.status, refund.approved_by, refund.approval_id = APPROVED, approver, approval_id
    refund.approved_on = books.cause.business_date
    refund.version += 1
    keep(books, refund)
    tell_waiting(books, receipt)
    fact = RefundRequested(
        company=refund.company,
        refund_id=refund.refund_id,
        account_id=refund.account_id,
        payment_id=refund.payment_id,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        approval_id=approval_id,
    )
    books.tell(fact, refund.refund_id)
    withdraw(books, receipt)
    candidates_of_person(books, receipt)
    return posting


def keep(books: Books, refund: Refund) -> None:
    books.refunds[refund.refund_id] = refund
    books.written.refunds[refund.refund_id] = refund


def take_debit(books: Books, fact: BankDebitReceived) -> None:
    """A debit line of the bank that is no return: a charge, a refund that was paid, or money of another kind."""
    if fact.debit_id in books.open_debits:
        return
    cause = books.cause
    rate = books.exchange.rate(fact.company, fact.currency, cause.base_currency, fact.accounted_on, cause.business_date)
    posting = books.entry(
        Kind.BANK_DEBIT, fact.currency, valued_on=fact.valued_on, accounted_on=fact.accounted_on, rate_id=rate.rate_id
    )
    refund = _refund_paid(books, fact) if fact.kind == "refund" else None
    ledger = {"charge": Ledger.BANKFEE, "other": Ledger.NON_AR, "refund": Ledger.SUSPENSE}[fact.kind]
    if refund is not None:
        posting.kind, ledger = Kind.REFUND_PAID, Ledger.REFUND
        posting.account_id, posting.payment_id = refund.account_id, refund.payment_id
    account_id = refund.account_id if refund else ""
    books.plain_line(posting, ledger, fact.amount_minor, rate, fact.bank_account, account_id=account_id)
    books.plain_line(posting, Ledger.BANK, -fact.amount_minor, rate, fact.bank_account)
    books.book(posting)
    left = fact.amount_minor if ledger is Ledger.SUSPENSE else 0
    debit = OpenDebit(
        fact.company,
        fact.debit_id,
        fact.bank_account,
        fact.currency,
        fact.amount_minor,
        left,
        fact.valued_on,
        fact.accounted_on,
        fact.kind,
        (),
    )
    books.open_debits[debit.debit_id] = debit
    books.written.open_debits[debit.debit_id] = debit


def _refund_paid(books: Books, fact: BankDebitReceived) -> Refund | None:
    """The approved refund that this debit pays: named by its reference, else the only one of that amount."""
    approved = [
        refund
        for refund in books.refunds.values()
        if refund.status == APPROVED
        and (refund.company, refund.bank_account) == (fact.company, fact.bank_account)
        and (refund.amount_minor, refund.currency) == (fact.amount_minor, fact.currency)
    ]
    reference = fact.references.end_to_end.replace("-", "").lower()
    named = [refund for refund in approved if reference and refund.refund_id.hex[:20] in reference]
    found = named or approved
    if len(found) != 1:
        return None
    refund = found[0]
    refund.status = PAID
    refund.version += 1
    keep(books, refund)
    paid = RefundPaid(
        company=refund.company,
        refund_id=refund.refund_id,
        account_id=refund.account_id,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        paid_on=fact.valued_on,
    )
    books.tell(paid, refund.refund_id)
    return refund
