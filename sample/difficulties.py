"""The planted difficulties of money and payers: how many payments get which, and what becomes of their amounts.

Shares are planned a little above what is asked for, since later steps add
payments. Every step draws from the payments that a difficulty can really befall.
"""

from collections.abc import Callable
from datetime import date
from random import Random

from sample.business_days import Timeline, step
from sample.contacts import affiliate_of
from sample.customers import Customer
from sample.payers import UNLIKE, Purses, make_payer, make_stranger
from sample.payments import Part, Payment, cut_to, rest_payment

# Percent of payments: (asked for at least, planned), in tenths of a percent.
RATES = {
    "no_reference": (150, 175),
    "wrong_reference": (40, 48),
    "wrong_reference_hits_other": (10, 16),
    "payer_unlike": (120, 140),
    "several": (200, 250),
    "deduction": (60, 70),
    "fee": (30, 37),
    "partial": (40, 48),
    "double_or_over": (20, 25),
    "unknown_payer": (20, 25),
    "returned": (10, 13),
    "invoice_after_payment": (30, 37),
    "undecidable": (50, 60),
}
RETURN_CODES = {"EUR": ("AM04", "AC04", "MD06", "MS03"), "GBP": ("AM04", "AC04", "MD07"), "USD": ("R01", "R03", "R10")}
RECALL_CODES = ("DUPL", "TECH", "FRAD", "CUST")


def planned(kind: str, payments: int) -> int:
    """Number of payments that get a difficulty; at least one."""
    return max(1, -(-payments * RATES[kind][1] // 1000))


def pick(rng: Random, payments: list[Payment], count: int, fits: Callable[[Payment], bool]) -> list[Payment]:
    pool = [payment for payment in payments if fits(payment)]
    rng.shuffle(pool)
    return pool[: max(0, count)]


def is_ordinary(payment: Payment) -> bool:
    return payment.is_plain and payment.method == "transfer" and "rest" not in payment.kinds


def _may_repeat(payment: Payment) -> bool:
    """Ordinary, and of a customer whose promises no later money can disturb."""
    return is_ordinary(payment) and payment.customer is not None and not payment.customer.has_promise


def no_discount(payment: Payment) -> bool:
    return all(part.discount_minor == 0 for part in payment.parts)


def is_earned(part: Part, paid_on: date) -> bool:
    """Whether what the customer takes off is the discount that its invoice still grants on that day."""
    granted = part.document.discount
    return granted is not None and paid_on <= granted[0] and part.deduction_minor == granted[1]


def shorten(rng: Random, payments: list[Payment], timeline: Timeline, expected: int) -> list[Payment]:
    """Deductions, bank fees and partial payments; returns the later payments of the rest."""
    for payment in pick(rng, payments, planned("deduction", expected), is_ordinary):
        part = max(payment.parts, key=lambda one: one.cash_minor)
        reason = rng.choice(("SERVICE_CREDIT", "PRICE", "TAX_WITHHELD", "PENALTY", "UNEARNED_DISCOUNT"))
        share = 200 if reason == "UNEARNED_DISCOUNT" else rng.randrange(150, 1500)
        part.deduction_minor, part.deduction_reason = max(1, part.cash_minor * share // 10_000), reason
        part.cash_minor -= part.deduction_minor
        if is_earned(part, payment.paid_on):
            part.discount_minor, part.deduction_minor, part.deduction_reason = part.deduction_minor, 0, ""
        else:
            payment.kinds.add("deduction")
    abroad = [payment for payment in payments if payment.currency != "EUR"]
    for payment in pick(rng, abroad, planned("fee", expected), is_ordinary):
        part = max(payment.parts, key=lambda one: one.cash_minor)
        part.fee_minor = rng.choice((750, 1000, 1200, 1500, 1850, 2000, 2500, 3500))
        part.cash_minor -= part.fee_minor
        payment.kinds.add("fee")
    later = []
    missing = planned("partial", expected) - sum(1 for payment in payments if "partial" in payment.kinds)
    singles = [payment for payment in payments if len(payment.parts) == 1 and no_discount(payment)]
    for payment in pick(rng, singles, missing, _may_repeat):
        whole_units = payment.amount_minor * rng.randrange(30, 71) // 100 // 5_000 * 5_000
        rests = cut_to(payment, whole_units or payment.amount_minor // 2)
        on = step(payment.paid_on, rng.randrange(6, 20))
        if rng.randrange(100) < 60 and timeline.banks_on(on):
            later.append(rest_payment(payment, rests, on))
    return later


def exceed(rng: Random, payments: list[Payment], timeline: Timeline, expected: int) -> list[Payment]:
    """Half pay an amount too high, half pay the same invoice a second time; returns the second payments."""
    count = planned("double_or_over", expected)
    for payment in pick(rng, payments, count // 2, lambda one: is_ordinary(one) and no_discount(one)):
        payment.surplus_minor = rng.choice((100, 990, 5_000, 9_000, 10_000, 18_000, 50_000))
        payment.kinds.add("overpayment")
    doubles = []
    for payment in pick(rng, payments, 2 * count, _may_repeat):
        on = step(payment.paid_on, rng.randrange(1, 7))
        if len(doubles) < count - count // 2 and timeline.banks_on(on):
            twice = Payment("", payment.customer, payment.currency, on, [], payment.amount_minor, repeats=payment)
            twice.kinds.add("double")
            payment.kinds.add("paid_twice")
            doubles.append(twice)
    return doubles


def send_back(rng: Random, payments: list[Payment], timeline: Timeline, expected: int) -> list[Payment]:
    """Returned direct debits first, recalled transfers for the rest; returns the payments that make good for them."""
    count = planned("returned", expected)

    def in_time(payment: Payment) -> bool:
        undisturbed = payment.customer is not None and not payment.customer.has_promise
        plain = payment.is_plain and "rest" not in payment.kinds
        return plain and undisturbed and timeline.banks_on(step(payment.paid_on, 2))

    debits = pick(rng, payments, count * 2 // 3, lambda one: in_time(one) and one.method == "direct_debit")
    recalls = pick(rng, payments, count - len(debits), lambda one: in_time(one) and one.method == "transfer")
    again = []
    for payment in debits + recalls:
        payment.returned_on = min(step(payment.paid_on, rng.randrange(2, 5)), timeline.last_bank_day)
        codes = RETURN_CODES[payment.currency] if payment.method == "direct_debit" else RECALL_CODES
        payment.return_reason = rng.choice(codes)
        payment.kinds.add("returned")
        on = step(payment.returned_on, rng.randrange(5, 15))
        if rng.randrange(100) < 60 and timeline.banks_on(on):
            parts = [Part(part.item, part.cash_minor + part.discount_minor) for part in payment.parts]
            again.append(rest_payment(payment, parts, on))
    return again


def stray_payments(rng: Random, timeline: Timeline, expected: int) -> list[Payment]:
    """Money of strangers that is not the company's at all: a third of the unknown payers."""
    strays = []
    for _ in range(-(-planned("unknown_payer", expected) // 3)):
        currency, on = rng.choice(("EUR", "EUR", "GBP", "USD")), rng.choice(timeline.bank_days)
        stray = Payment("", None, currency, on, [], rng.randrange(5_000, 300_000))
        stray.kinds |= {"unknown_payer", "stray"}
        strays.append(stray)
    return strays


def choose_payers(rng: Random, payments: list[Payment], customers: list[Customer], purses: Purses) -> None:
    """Third parties by habit, more by chance until the planned share is met, and strangers."""
    count = len(payments)
    strays = sum(1 for payment in payments if payment.customer is None)
    singles = [payment for payment in payments if len(payment.parts) == 1]
    for payment in pick(rng, singles, planned("unknown_payer", count) - strays, is_ordinary):
        payment.kinds.add("unknown_payer")
    for payment in payments:
        if payment.customer is None or "unknown_payer" in payment.kinds:
            payment.payer = make_stranger(rng)
        else:
            customer = payment.customer
            affiliate = affiliate_of(customer, customers)
            payment.payer = make_payer(rng, customer, customer.habit.payer, affiliate, purses)
    missing = planned("payer_unlike", count) - sum(1 for payment in payments if _is_unlike(payment))
    own = [payment for payment in payments if payment.customer is not None and not _is_unlike(payment)]
    for payment in pick(rng, own, missing, lambda one: one.method == "transfer"):
        assert payment.customer is not None
        relation = rng.choice(("agent", "holding", "abbreviation"))
        payment.payer = make_payer(rng, payment.customer, relation, None, purses)
    for payment in payments:
        _name_payer_kinds(payment)


def _is_unlike(payment: Payment) -> bool:
    """The name on the line is not the name of the customer who paid; strangers' own money has no customer."""
    return payment.customer is not None and payment.payer is not None and payment.payer.relation in UNLIKE


def _name_payer_kinds(payment: Payment) -> None:
    payer, customer = payment.payer, payment.customer
    assert payer is not None
    if _is_unlike(payment):
        payment.kinds.add("payer_unlike")
    if customer is not None and payer.account is not None and payer.account.number not in customer.known_accounts:
        payment.kinds.add("account_not_in_master")
