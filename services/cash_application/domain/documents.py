"""Documents of the books become open items, credits meet their invoices, and cancelled documents leave.

Everything here mirrors what the ERP has booked: AR against ERP_CONTROL, origin `feed`. A cancellation first gives back
the cash and the credits that stand on the items, then relieves them as cancelled.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from services.cash_application.domain.application import unapply
from services.cash_application.domain.books import Books
from services.cash_application.domain.candidates import candidates_of_person
from services.cash_application.domain.items import Item, discounts_of_instalments
from services.cash_application.domain.journal import CREDIT, DEBIT, Kind, Ledger, Line
from services.cash_application.domain.matching.model import Discount
from services.cash_application.domain.rows import Account, Applied, CreditUse, Document, DocumentWait
from shared.events.invoices import (
    CreditMemoIssued,
    DebitDocument,
    InvoiceCancelled,
    InvoiceRebilled,
)
from shared.events.invoices import Document as DocumentFact
from shared.ids import item_id as derive_item_id


class DocumentConflict(ValueError):
    """A document of the same identity came with other content; the text says which."""


def issue(books: Books, fact: DebitDocument) -> None:
    """An invoice or debit memo opens one item per instalment. The same document again changes nothing."""
    if _known(books, fact):
        return
    amounts = [instalment.amount_minor for instalment in fact.instalments]
    if sum(amounts) != fact.total_minor - fact.prepaid_minor:
        raise DocumentConflict(
            f"{fact.document_type} {fact.number}: instalments sum to {sum(amounts)}, "
            f"total less prepaid is {fact.total_minor - fact.prepaid_minor}"
        )
    _head(books, fact)
    shared = discounts_of_instalments([(d.until_on, d.amount_minor) for d in fact.discounts], amounts, fact.total_minor)
    lines = [(i.line, i.due_on, i.amount_minor) for i in fact.instalments]
    if len({line for line, _, _ in lines}) < len(lines):
        lines = [(f"{number:03d}", due_on, minor) for number, (_, due_on, minor) in enumerate(lines, 1)]
    items = [
        _item(books, fact, Part(line, fact.document_type, DEBIT, due_on, minor, discounts))
        for (line, due_on, minor), discounts in zip(lines, shared, strict=True)
    ]
    _open(books, fact, items)
    _do_waiting(books, fact.document_id)


def issue_credit(books: Books, fact: CreditMemoIssued) -> None:
    """A credit memo opens one item on the credit side and goes on the documents that it names."""
    if _known(books, fact):
        return
    _head(books, fact)
    credit = _item(books, fact, Part("001", "credit_memo", CREDIT, fact.due_on, fact.total_minor))
    _open(books, fact, [credit])
    for target in fact.applies_to:
        wait = DocumentWait(fact.company, target.document_id, "credit", fact.document_id, target.amount_minor)
        if target.document_id in books.documents:
            _use_credit(books, wait)
        else:
            books.written.waits.append(wait)
            books.waits.setdefault(target.document_id, []).append(wait)
    _do_waiting(books, fact.document_id)


def cancel(books: Books, fact: InvoiceCancelled) -> None:
    """The ERP cancelled a document. One that is not known yet is cancelled as soon as it comes."""
    _cancel_or_wait(books, fact.company, fact.document_id, fact.cancelled_on, fact.document_id)


def rebill(books: Books, fact: InvoiceRebilled) -> None:
    """A new document stands in for an old one, which is cancelled; it may keep the old due date."""
    wait = DocumentWait(
        fact.company,
        fact.document_id,
        "rebill",
        fact.replaces_document_id,
        keeps_due_date=fact.keeps_due_date,
        on=fact.rebilled_on or books.cause.business_date,
    )
    if fact.document_id in books.documents:
        _rebill(books, wait)
    else:
        books.written.waits.append(wait)
        books.waits.setdefault(fact.document_id, []).append(wait)


def _known(books: Books, fact: DocumentFact) -> bool:
    known = books.documents.get(fact.document_id)
    if known is None:
        return False
    if (known.total_minor, known.currency, known.account_id) != (fact.total_minor, fact.currency, fact.account_id):
        raise DocumentConflict(
            f"{fact.document_type} {fact.number} is in the books with {known.total_minor} {known.currency} on account "
            f"{known.account_id}; it came again with {fact.total_minor} {fact.currency} on {fact.account_id}"
        )
    return True


def _head(books: Books, fact: DocumentFact) -> None:
    document = Document(
        fact.company,
        fact.document_id,
        fact.account_id,
        fact.document_type,
        fact.number,
        fact.currency,
        fact.total_minor,
        fact.document_on,
        books.cause.business_date,
        fresh=True,
    )
    books.documents[fact.document_id] = document
    books.written.documents[fact.document_id] = document
    key = (fact.company, fact.account_id)
    if key not in books.accounts:
        books.accounts[key] = Account(*key)


@dataclass(frozen=True, slots=True)
class Part:
    """What of a document is due on one day: an instalment, or the whole."""

    line: str
    kind: str
    side: str
    due_on: date
    amount_minor: int
    discounts: tuple[Discount, ...] = ()


def _item(books: Books, fact: DocumentFact, part: Part) -> Item:
    cause = books.cause
    rate = books.exchange.rate(fact.company, fact.currency, cause.base_currency, fact.document_on, cause.business_date)
    return Item(
        fact.company,
        derive_item_id(fact.document_id, part.line),
        fact.document_id,
        part.line,
        fact.number,
        part.kind,
        part.side,
        fact.account_id,
        fact.currency,
        part.amount_minor,
        part.amount_minor,
        fact.document_on,
        part.due_on,
        cause.business_date,
        cause.business_date,
        rate,
        fact.references.payment_reference,
        part.discounts,
    )


def _open(books: Books, fact: DocumentFact, items: list[Item]) -> None:
    cause = books.cause
    posting = books.entry(
        Kind.DOCUMENT,
        fact.currency,
        valued_on=fact.document_on,
        accounted_on=cause.business_date,
        origin="feed",
        account_id=fact.account_id,
        rate_id=items[0].rate.rate_id,
    )
    for item in items:
        books.add_item(item)
        line = item.opening_line()
        posting.lines.append(line)
        posting.lines.append(Line(Ledger.ERP_CONTROL, -line.amount_minor, -line.base_minor, item.account_id))
    books.book(posting)


def _do_waiting(books: Books, document_id: UUID) -> None:
    """What came before the document: credits for it, its rebill, its cancellation."""
    for wait in books.waits.pop(document_id, []):
        books.written.waits_done.append(wait)
        if wait.kind == "credit":
            _use_credit(books, wait)
        elif wait.kind == "rebill":
            _rebill(books, wait)
        else:
            _cancel(books, books.documents[document_id], wait.on or books.cause.business_date)


def do_waiting_again(books: Books, company: str) -> None:
    """What waits for a document that is there is done: both may have been taken in at the same instant."""
    met = [d for d in books.waits if d in books.documents and books.documents[d].company == company]
    for document_id in sorted(met, key=str):
        _do_waiting(books, document_id)
        books.next_step()


def _use_credit(books: Books, wait: DocumentWait) -> None:
    """Set the credit against the document's items, earliest due first, as far as both are open."""
    credit = next(iter(books.document_items.get(wait.other_id, ())), None)
    if credit is None or credit.company != wait.company:
        return
    debits = sorted(
        (
            i
            for i in books.document_items.get(wait.document_id, ())
            if i.side == DEBIT and i.currency == credit.currency
        ),
        key=lambda item: (item.due_on, item.line),
    )
    left = wait.amount_minor
    for debit in debits:
        amount = min(left, credit.remaining_minor, debit.remaining_minor)
        if amount > 0:
            set_credit(books, credit, debit, amount)
            left -= amount


def set_credit(books: Books, credit: Item, debit: Item, amount_minor: int) -> None:
    """A CREDIT_USE entry: both items go down by the amount, funding credit."""
    posting = books.entry(
        Kind.CREDIT_USE,
        debit.currency,
        valued_on=credit.document_on,
        accounted_on=books.cause.business_date,
        origin="feed",
        account_id=debit.account_id,
    )
    books.item_line(posting, debit, "credit", amount_minor)
    books.item_line(posting, credit, "credit", amount_minor)
    books.book(posting)
    use = CreditUse(debit.company, posting.posting_id, credit.item_id, debit.item_id, amount_minor)
    books.written.credit_uses.append(use)
    books.credit_uses.setdefault(debit.item_id, []).append(use)


def _cancel_or_wait(books: Books, company: str, document_id: UUID, on: date, other_id: UUID) -> None:
    document = books.documents.get(document_id)
    if document is not None:
        _cancel(books, document, on)
        return
    wait = DocumentWait(company, document_id, "cancel", other_id, on=on)
    books.written.waits.append(wait)
    books.waits.setdefault(document_id, []).append(wait)


def _cancel(books: Books, document: Document, on: date) -> None:
    if document.cancelled_on is not None:
        return
    document.cancelled_on = on
    books.written.documents[document.document_id] = document
    items = [item for item in books.document_items.get(document.document_id, ()) if item.kind != "deduction"]
    _give_back_cash(books, items)
    _give_back_credits(books, items)
    posting = books.entry(
        Kind.DOCUMENT_CANCELLED,
        document.currency,
        valued_on=on,
        accounted_on=books.cause.business_date,
        origin="feed",
        account_id=document.account_id,
    )
    for item in items:
        if item.remaining_minor:
            line = books.item_line(posting, item, "cancelled", item.remaining_minor)
            posting.lines.append(Line(Ledger.ERP_CONTROL, -line.amount_minor, -line.base_minor, item.account_id))
    if posting.lines:
        books.book(posting)


def _give_back_cash(books: Books, items: list[Item]) -> None:
    """The cash on the items waits on their account from now on, as candidate."""
    entries: dict[tuple[UUID, UUID], list[Applied]] = {}
    for row in books.live_applied_to(item.item_id for item in items):
        entries.setdefault((row.payment_id, row.posting_id), []).append(row)
    receipts = {}
    for (payment_id, _), rows in sorted(entries.items()):
        receipt = receipts[payment_id] = books.receipts[payment_id]
        receipt.reason_code = "DOCUMENT_CANCELLED"
        unapply(books, receipt, rows, "DOCUMENT_CANCELLED")
    for receipt in receipts.values():
        candidates_of_person(books, receipt)


def _give_back_credits(books: Books, items: list[Item]) -> None:
    own = {item.item_id for item in items}
    for uses in list(books.credit_uses.values()):
        for use in uses:
            if use.reversed_by is None and own & {use.credit_item_id, use.debit_item_id}:
                reverse_credit(books, use)


def reverse_credit(books: Books, use: CreditUse) -> None:
    """The credit and the debit item stand as before the use."""
    debit, credit = books.items[use.debit_item_id], books.items[use.credit_item_id]
    posting = books.entry(
        Kind.CREDIT_USE_REVERSED,
        debit.currency,
        valued_on=credit.document_on,
        accounted_on=books.cause.business_date,
        origin="feed",
        account_id=debit.account_id,
        reverses_posting_id=use.posting_id,
    )
    books.item_line(posting, debit, "credit", -use.amount_minor)
    books.item_line(posting, credit, "credit", -use.amount_minor)
    books.book(posting)
    use.reversed_by = posting.posting_id
    books.written.credit_uses_reversed.append(
        (use.posting_id, use.credit_item_id, use.debit_item_id, posting.posting_id)
    )


def _rebill(books: Books, wait: DocumentWait) -> None:
    new = sorted(books.document_items.get(wait.document_id, ()), key=lambda item: item.line)
    old = {item.line: item for item in books.document_items.get(wait.other_id, ()) if item.kind != "deduction"}
    _cancel_or_wait(books, wait.company, wait.other_id, wait.on or books.cause.business_date, wait.document_id)
    document = books.documents.get(wait.other_id)
    if document is not None:
        document.replaced_by = wait.document_id
        books.written.documents[document.document_id] = document
    if not wait.keeps_due_date or not old:
        return
    earliest = min(item.due_on for item in old.values())
    for item in new:
        due_on = old[item.line].due_on if item.line in old else earliest
        if item.due_on != due_on:
            books.touch_item(item)
            item.due_on = due_on
