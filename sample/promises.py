"""Promises to pay: taken on overdue items, and kept, partly kept or broken by what is really paid.

No other money of the account is valued between the day the promise is taken and
the end of its grace, so that the outcome follows from the bank lines alone.
"""

from dataclasses import dataclass
from datetime import date
from random import Random

from sample.business_days import Timeline, step
from sample.customers import Customer
from sample.documents import Document, Item

GRACE_DAYS = 3
OUTCOMES = {"kept": 52, "partly_kept": 20, "broken": 28}
ITEMS_MAX = 4


@dataclass
class Promise:
    """`paid_minor` is what is received in time; `decided_on` is the business day whose bank data settle the matter."""

    ref: str
    customer: Customer
    items: list[Item]
    amount_minor: int
    taken_on: date
    due_on: date
    outcome: str
    paid_minor: int = 0
    paid_on: date | None = None
    rest_on: date | None = None
    decided_on: date | None = None

    @property
    def grace_until_on(self) -> date:
        return step(self.due_on, GRACE_DAYS)


def _overdue(items: list[Item], on: date) -> list[Item]:
    """Items a collector could talk about on that day."""
    return [
        item
        for item in items
        if item.due_on < on
        and item.document.fed_on <= on
        and not item.script
        and item.document.is_single
        and item.document.discount is None
        and item.payable_minor > 0
        and (item.pay_on is None or item.pay_on > on)
    ][:ITEMS_MAX]


def _due_in(rng: Random, timeline: Timeline) -> int:
    """Business days from the call to the promised day; short in a short run, so that promises mature in it."""
    return rng.randrange(3, 11) if len(timeline.days) >= 20 else rng.randrange(0, 2)


def _settle(rng: Random, promise: Promise, timeline: Timeline) -> None:
    """Decide when and how much is paid, and let the items follow."""
    first = step(promise.taken_on, 1) if promise.due_on > promise.taken_on else promise.taken_on
    late_on = step(promise.grace_until_on, rng.randrange(4, 15))
    comes_late = rng.randrange(100) < 55
    if promise.outcome == "broken":
        promise.rest_on = late_on if comes_late else None
        for item in promise.items:
            item.pay_on = promise.rest_on
        return
    span = [day for day in (step(first, n) for n in range(12)) if first <= day <= promise.due_on]
    promise.paid_on = rng.choice(span)
    promise.paid_minor = promise.amount_minor
    for item in promise.items:
        item.pay_on = promise.paid_on
    if promise.outcome == "partly_kept":
        whole_units = promise.amount_minor * rng.randrange(30, 71) // 100 // 10_000 * 10_000
        promise.paid_minor = whole_units or promise.amount_minor // 2
        promise.rest_on = late_on if comes_late else None


def _clear_window(rng: Random, promise: Promise, items: list[Item]) -> None:
    """Move the account's other payments behind the window."""
    end = promise.grace_until_on
    mine = {id(item) for item in promise.items}
    for item in items:
        if id(item) not in mine and item.pay_on is not None and promise.taken_on <= item.pay_on <= end:
            item.pay_on = step(end, rng.randrange(2, 6))


def make_promises(
    rng: Random, customers: list[Customer], documents: list[Document], timeline: Timeline, count: int
) -> list[Promise]:
    """`count` promises at most, one per account; the first three are one of each outcome."""
    by_account: dict[str, list[Item]] = {customer.account_id: [] for customer in customers}
    for document in documents:
        if document.kind in ("invoice", "debit_memo") and document.cancelled_on is None:
            by_account[document.customer.account_id] += document.items
    pool = [c for c in customers if c.habit.persona in ("late", "heavy", "never") and not c.habit.direct_debit]
    rng.shuffle(pool)
    promises: list[Promise] = []
    for customer in pool:
        if len(promises) == count:
            break
        promise = _take(rng, customer, by_account[customer.account_id], timeline, len(promises))
        if promise is not None:
            promises.append(promise)
    return sorted(promises, key=lambda one: (one.taken_on, one.ref))


def _take(rng: Random, customer: Customer, items: list[Item], timeline: Timeline, ordinal: int) -> Promise | None:
    """Take a promise on some day on which the account has overdue items; None if nothing fits."""
    if any(item.script not in ("", "credited", "rebilled", "cancelled") for item in items):
        return None
    days = list(timeline.days) if len(timeline.days) >= 20 else list(timeline.days[:1])
    rng.shuffle(days)
    for day in days[:8]:
        chosen = _overdue(items, day)
        if not chosen:
            continue
        total = sum(item.payable_minor for item in chosen)
        outcome = rng.choices(list(OUTCOMES), weights=list(OUTCOMES.values()))[0]
        if ordinal < len(OUTCOMES):
            outcome = list(OUTCOMES)[ordinal]
        due_on = step(day, 0 if outcome == "broken" and len(timeline.days) < 20 else _due_in(rng, timeline))
        promise = Promise(f"PRM-{ordinal + 1:04d}", customer, chosen, total, day, due_on, outcome)
        _settle(rng, promise, timeline)
        _clear_window(rng, promise, items)
        known_on = promise.paid_on if outcome == "kept" else promise.grace_until_on
        decided_on = step(known_on or promise.due_on, 1)
        promise.decided_on = decided_on if decided_on <= timeline.last else None
        customer.has_promise = True
        for item in chosen:
            item.script = promise.ref
        return promise
    return None
