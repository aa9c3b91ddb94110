"""Documents that change other documents: credit memos, debit memos, cancellations and rebills.

An adjustment always comes before the payment it concerns, so that what the
customer owes on the day it pays is never in doubt.
"""

from datetime import date, timedelta
from random import Random

from sample.behaviour import pay_day
from sample.business_days import Timeline, step
from sample.customers import Customer
from sample.documents import Document, Item, Line, bill, tax_minor

CREDIT_REASONS = ("PRICE", "QUANTITY", "SERVICE", "GOODWILL")
CANCEL_REASONS = ("WRONG_ADDRESS", "WRONG_PROJECT", "MISSING_PO", "WRONG_PRICE")


def _free(document: Document) -> bool:
    return (
        document.kind == "invoice"
        and document.is_single
        and not document.items[0].script
        and document.cancelled_on is None
        and not document.customer.habit.direct_debit
        and document.discount is None
    )


def _days_before_payment(document: Document, timeline: Timeline) -> list[date]:
    """Business days of the run after the document was fed and at least two before it is paid."""
    pay_on = document.items[0].pay_on
    return [day for day in timeline.days if day > document.fed_on and (pay_on is None or step(day, 2) <= pay_on)]


def credit(document: Document, amount_minor: int, on: date, reason_code: str) -> Document:
    """A credit memo applied to one invoice; reduces what is payable on it."""
    memo = credit_on_account(document.customer, amount_minor, on, reason_code)
    memo.applies_to = [(document, amount_minor)]
    memo.project, memo.source_system = document.project, document.source_system
    document.items[0].credited_minor += amount_minor
    if document.items[0].payable_minor == 0:
        document.items[0].pay_on = None
    return memo


def credit_on_account(customer: Customer, amount_minor: int, on: date, reason_code: str) -> Document:
    """A credit memo that names no invoice; the customer nets it when it pays."""
    tax = amount_minor * 19 // 119 if tax_minor(customer, 100) else 0
    memo = Document("credit_memo", customer, on, on, on, amount_minor - tax, tax, reason_code=reason_code)
    memo.items.append(Item(memo, "001", on, amount_minor))
    return memo


def make_credits(rng: Random, documents: list[Document], timeline: Timeline, count: int) -> list[Document]:
    """Three in four name their invoice (one in four of these in full), the rest stands open on the account."""
    pool = [document for document in documents if _free(document) and _days_before_payment(document, timeline)]
    rng.shuffle(pool)
    memos = []
    for document in pool[:count]:
        on, reason = rng.choice(_days_before_payment(document, timeline)), rng.choice(CREDIT_REASONS)
        part = max(1, document.total_minor * rng.randrange(5, 45) // 100)
        if rng.randrange(4) == 0:
            memos.append(credit_on_account(document.customer, part, on, reason))
            continue
        document.items[0].script = "credited"
        memos.append(credit(document, document.total_minor if rng.randrange(4) == 0 else part, on, reason))
    return memos


def make_debits(rng: Random, documents: list[Document], timeline: Timeline, count: int) -> list[Document]:
    """Later charges for what an invoice forgot; due and paid like an invoice."""
    pool = [document for document in documents if document.kind == "invoice" and document.cancelled_on is None]
    memos = []
    for document in rng.sample(pool, count):
        on = rng.choice([day for day in timeline.days if day >= document.fed_on])
        customer, net = document.customer, rng.randrange(2_000, 60_000)
        memo = Document("debit_memo", customer, on, on, on, net, tax_minor(customer, net), reason_code="LATE_USAGE")
        memo.terms, memo.project = f"NET {customer.terms.days}", document.project
        memo.due_on = on + timedelta(days=customer.terms.days)
        item = Item(memo, "001", memo.due_on, memo.total_minor)
        item.pay_on = pay_day(rng, customer.habit, customer.phase, memo.due_on, None)
        item.pay_on = item.pay_on and max(item.pay_on, on)
        memo.items.append(item)
        memos.append(memo)
    return memos


def make_cancellations(
    rng: Random, documents: list[Document], timeline: Timeline, count: int, rebills: int
) -> list[Document]:
    """`count` invoices are withdrawn, `rebills` of them billed anew the same day, some with the old due date."""
    pool = [document for document in documents if _free(document) and _days_before_payment(document, timeline)]
    rng.shuffle(pool)
    rows: list[Document] = []
    for place, document in enumerate(pool[:count]):
        on, reason = rng.choice(_days_before_payment(document, timeline)), rng.choice(CANCEL_REASONS)
        document.cancelled_on, document.items[0].pay_on, document.items[0].script = on, None, "cancelled"
        row = Document("cancellation", document.customer, on, on, on, 0, 0, reason_code=reason, cancels=document)
        row.source_system = document.source_system
        rows.append(row)
        if place < rebills:
            rows.append(_rebill(rng, document, on, reason))
    return rows


def _rebill(rng: Random, document: Document, on: date, reason: str) -> Document:
    """The corrected invoice; a wrong price is lowered, everything else keeps the amount."""
    net = document.net_minor * rng.randrange(80, 97) // 100 if reason == "WRONG_PRICE" else document.net_minor
    anew = bill(rng, document.customer, on, [Line("Corrected invoice", 1, net, "room")])
    while not anew.is_single:
        anew = bill(rng, document.customer, on, [Line("Corrected invoice", 1, net, "room")])
    anew.kind, anew.replaces, anew.source_system = "rebill", document, document.source_system
    anew.keeps_due_date, anew.reason_code = document.due_on >= on and rng.randrange(2) == 0, reason
    if anew.keeps_due_date:
        anew.due_on = anew.items[0].due_on = document.due_on
    anew.items[0].script = "rebilled"
    return anew
