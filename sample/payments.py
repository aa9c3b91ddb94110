"""Payments: which items a customer pays together on a day, and with what money.

Per part: open amount of the item = cash + discount + deduction + fee + what stays
open. The amount on the bank line is the sum of the parts' cash and the surplus.
"""

from dataclasses import dataclass, field
from datetime import date
from random import Random

from sample.business_days import Timeline, step
from sample.customers import Customer
from sample.documents import Document, Item
from sample.payers import Payer
from sample.promises import Promise
from sample.remittance import Citation


@dataclass
class Part:
    """What of a payment belongs to one item; `cash_minor` is negative for a credit memo that is netted."""

    item: Item
    cash_minor: int
    discount_minor: int = 0
    deduction_minor: int = 0
    deduction_reason: str = ""
    fee_minor: int = 0

    @property
    def document(self) -> Document:
        return self.item.document

    @property
    def relief_minor(self) -> int:
        """What the item is relieved of at once; a deduction stays open until somebody decides about it."""
        return self.cash_minor + self.discount_minor + self.fee_minor

    @property
    def kept_back_minor(self) -> int:
        return self.discount_minor + self.deduction_minor + self.fee_minor


@dataclass
class Payment:
    """One credit on a bank account. `customer` is who really paid, None for money that is not the company's."""

    ref: str
    customer: Customer | None
    currency: str
    paid_on: date
    parts: list[Part]
    surplus_minor: int = 0
    promise_ref: str = ""
    method: str = "transfer"
    kinds: set[str] = field(default_factory=set)
    repeats: "Payment | None" = None
    returned_on: date | None = None
    return_reason: str = ""
    undecidable: str = ""
    payer: Payer | None = None
    citation: Citation | None = None

    @property
    def amount_minor(self) -> int:
        return sum(part.cash_minor for part in self.parts) + self.surplus_minor

    @property
    def known_on(self) -> date:
        """The business day whose folder holds the statement with this payment."""
        return step(self.paid_on, 1)

    @property
    def bank_account(self) -> str:
        return f"{self.currency}-1"

    @property
    def is_plain(self) -> bool:
        """Paid exactly, and nothing was decided about it yet."""
        altered = {"partial", "deduction", "fee", "double", "overpayment", "returned", "netted_credit", "paid_twice"}
        return not (altered & self.kinds) and not self.promise_ref and self.surplus_minor == 0


def _part(item: Item, paid_on: date) -> Part:
    discount = item.document.discount
    if discount and paid_on <= discount[0] and item.document.customer.habit.takes_discount:
        return Part(item, item.payable_minor - discount[1], discount_minor=discount[1])
    return Part(item, item.payable_minor)


def _group_key(item: Item, ordinal: int) -> tuple[object, ...]:
    if item.script.startswith("PRM"):
        return (item.pay_on, item.script)
    return (item.pay_on, ordinal if _is_paid_alone(item) else "")


def _is_paid_alone(item: Item) -> bool:
    """Direct debits, invoices paid on receipt, and room fees of customers that pay each room by itself."""
    habit = item.document.customer.habit
    by_room = habit.separate and item.document.recurring and habit.persona != "holdout"
    return by_room or habit.direct_debit or item.script == "paid_before_fed"


def _payment(items: list[Item]) -> Payment:
    customer, paid_on = items[0].document.customer, items[0].pay_on
    assert paid_on is not None
    payment = Payment("", customer, customer.currency, paid_on, [_part(item, paid_on) for item in items])
    payment.method = "direct_debit" if customer.habit.direct_debit else "transfer"
    payment.promise_ref = items[0].script if items[0].script.startswith("PRM") else ""
    return payment


def build_payments(
    customers: list[Customer], documents: list[Document], promises: list[Promise], timeline: Timeline
) -> list[Payment]:
    """Payments of the run by habit, before anything goes wrong; ordered by customer and day."""
    owed: dict[str, list[Item]] = {customer.account_id: [] for customer in customers}
    for document in documents:
        if document.kind != "credit_memo" and document.cancelled_on is None:
            items = [item for item in document.items if timeline.banks_on(item.pay_on) and item.payable_minor > 0]
            owed[document.customer.account_id] += items
    payments: list[Payment] = []
    for items in owed.values():
        groups: dict[tuple[object, ...], list[Item]] = {}
        for ordinal, item in enumerate(items):
            groups.setdefault(_group_key(item, ordinal), []).append(item)
        payments += [_payment(group) for group in groups.values()]
    return _apply_promises(payments, promises, timeline)


def _apply_promises(payments: list[Payment], promises: list[Promise], timeline: Timeline) -> list[Payment]:
    """A partly kept promise pays its items in order until the money is spent; the rest comes later or never."""
    partly = {promise.ref: promise for promise in promises if promise.outcome == "partly_kept"}
    later: list[Payment] = []
    for payment in payments:
        promise = partly.get(payment.promise_ref)
        if promise is None:
            continue
        rests = cut_to(payment, promise.paid_minor)
        if timeline.banks_on(promise.rest_on) and promise.rest_on is not None:
            later.append(rest_payment(payment, rests, promise.rest_on))
    return payments + later


def cut_to(payment: Payment, amount_minor: int) -> list[Part]:
    """Shorten a payment to an amount, first items first; returns what is still owed."""
    rests: list[Part] = []
    left = amount_minor
    for part in payment.parts:
        paid = min(left, part.cash_minor)
        left -= paid
        if paid < part.cash_minor:
            rests.append(Part(part.item, part.cash_minor - paid))
        part.cash_minor = paid
    payment.parts = [part for part in payment.parts if part.cash_minor]
    payment.kinds.add("partial")
    return rests


def rest_payment(payment: Payment, rests: list[Part], on: date) -> Payment:
    rest = Payment("", payment.customer, payment.currency, on, rests)
    rest.kinds.add("rest")
    return rest


def merge_near(rng: Random, payments: list[Payment], wanted: int, days_max: int = 12) -> list[Payment]:
    """Join single payments of one customer a few days apart until `wanted` payments pay several items.

    The later day counts. Gives up when nothing fits any more.
    """
    several = sum(1 for payment in payments if len(payment.parts) > 1)
    while several < wanted:
        gone = _join(rng, [payment for payment in payments if _may_merge(payment)], wanted - several, days_max)
        if not gone:
            break
        several += len(gone)
        payments = [payment for payment in payments if id(payment) not in gone]
    return payments


def _join(rng: Random, singles: list[Payment], count: int, days_max: int) -> set[int]:
    """Join at most `count` pairs of neighbours in time; returns the payments that went into the later ones."""
    singles.sort(key=lambda one: (one.customer.account_id if one.customer else "", one.paid_on))
    pairs = [
        (first, second)
        for first, second in zip(singles, singles[1:], strict=False)
        if first.customer is second.customer and (second.paid_on - first.paid_on).days <= days_max
    ]
    rng.shuffle(pairs)
    gone: set[int] = set()
    touched: set[int] = set()
    for first, second in pairs:
        if len(gone) < count and not {id(first), id(second)} & touched:
            second.parts = [_part(part.item, second.paid_on) for part in first.parts + second.parts]
            gone.add(id(first))
            touched |= {id(first), id(second)}
    return gone


def _may_merge(payment: Payment) -> bool:
    customer = payment.customer
    assert customer is not None
    plain = payment.is_plain and "rest" not in payment.kinds and customer.habit.persona != "holdout"
    return plain and len(payment.parts) == 1 and not _is_paid_alone(payment.parts[0].item)


def net_credits(payments: list[Payment], documents: list[Document]) -> None:
    """A credit memo that names no invoice is netted in the first later payment of its customer that is large enough."""
    for memo in documents:
        if memo.kind != "credit_memo" or memo.applies_to:
            continue
        fitting = [
            payment
            for payment in payments
            if payment.customer is memo.customer
            and payment.is_plain
            and payment.method == "transfer"
            and "rest" not in payment.kinds
            and payment.paid_on >= memo.fed_on
            and payment.amount_minor > memo.total_minor * 6 // 5
        ]
        if fitting:
            payment = min(fitting, key=lambda one: one.paid_on)
            payment.parts.append(Part(memo.items[0], -memo.total_minor))
            payment.kinds.add("netted_credit")
