"""Promises to pay: making, counting, judging. Rules of H1 (EX-H2, EX-H3).

Invariant: a promise has one status, which changes only along TRANSITIONS; a kept promise becomes broken only because
a counted receipt was returned.
"""

from dataclasses import replace
from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Any
from uuid import UUID

from services.collections.domain.case import Case
from services.collections.domain.rows import Promise, Receipt
from shared.events.collections import (
    PromiseBroken,
    PromiseCancelled,
    PromiseKept,
    PromiseMade,
    PromisePartlyKept,
    PromiseReceipt,
    PromiseState,
    PromiseSuperseded,
)

TRANSITIONS: dict[str, frozenset[str]] = {
    "open": frozenset({"kept", "partly_kept", "broken", "superseded", "cancelled"}),
    "kept": frozenset({"broken"}),
    "partly_kept": frozenset({"kept"}),
    "broken": frozenset({"kept"}),
    "superseded": frozenset(),
    "cancelled": frozenset(),
}
FACT_OF: dict[str, type[PromiseState]] = {
    "open": PromiseMade,
    "kept": PromiseKept,
    "partly_kept": PromisePartlyKept,
    "broken": PromiseBroken,
    "superseded": PromiseSuperseded,
    "cancelled": PromiseCancelled,
}
RECEIPTS_MAX = 500


def enough_minor(promise: Promise) -> int:
    """The least amount by which the promise is kept: amount × (1 − tolerance), rounded up."""
    least = Decimal(promise.amount_minor) * (1 - Decimal(promise.tolerance))
    return int(least.to_integral_value(rounding=ROUND_CEILING))


def counts(receipt: Receipt, promise: Promise) -> bool:
    """Whether money of a receipt may count: valued between the taking and the end of grace, not on the account when
    the promise was taken. What was returned of it is no longer in its amount."""
    return (
        receipt.currency == promise.currency
        and promise.taken_on <= receipt.valued_on <= promise.judged_from_on
        and receipt.since_at > promise.taken_at
    )


class Pool:
    """The money of an account's receipts while it is laid on promises; nothing is counted twice."""

    def __init__(self, case: Case) -> None:
        self.receipts = sorted(case.receipts.values(), key=lambda r: (r.valued_on, str(r.payment_id)))
        self.left = {receipt.payment_id: receipt.amount_minor for receipt in self.receipts}
        self.on_item: dict[tuple[UUID, UUID], int] = {}
        for application in case.applications.values():
            if not application.reversed:
                place = (application.payment_id, application.item_id)
                self.on_item[place] = self.on_item.get(place, 0) + application.cash_minor

    def keep(self, counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What still stands of money that was counted before; the rest was returned."""
        returned = {receipt.payment_id: receipt.returned for receipt in self.receipts}
        kept = []
        for entry in counted:
            payment_id, amount = UUID(entry["payment_id"]), entry["amount_minor"]
            if payment_id not in returned:
                continue
            standing = min(amount, self.left[payment_id]) if returned[payment_id] else amount
            self.left[payment_id] = max(0, self.left[payment_id] - standing)
            if standing:
                kept.append({**entry, "amount_minor": standing})
        return kept

    def take(self, promise: Promise, wanted_minor: int) -> list[dict[str, Any]]:
        """Money for a promise, oldest value date first, at most `wanted_minor`."""
        taken = []
        for receipt in self.receipts:
            if wanted_minor <= 0 or not counts(receipt, promise):
                continue
            amount = min(wanted_minor, self._available(receipt.payment_id, promise))
            if amount > 0:
                self._use(receipt.payment_id, promise, amount)
                wanted_minor -= amount
                taken.append(_entry(receipt, amount))
        return taken

    def _available(self, payment_id: UUID, promise: Promise) -> int:
        if promise.scope == "account":
            return self.left[payment_id]
        applied = sum(self.on_item.get((payment_id, UUID(item)), 0) for item in promise.items)
        return min(self.left[payment_id], applied)

    def _use(self, payment_id: UUID, promise: Promise, amount_minor: int) -> None:
        self.left[payment_id] -= amount_minor
        if promise.scope == "account":
            return
        for item in promise.items:
            place = (payment_id, UUID(item))
            used = min(amount_minor, self.on_item.get(place, 0))
            if used:
                self.on_item[place] -= used
                amount_minor -= used


def _entry(receipt: Receipt, amount_minor: int) -> dict[str, Any]:
    return {
        "payment_id": str(receipt.payment_id),
        "amount_minor": amount_minor,
        "valued_on": receipt.valued_on.isoformat(),
    }


def first_in_first_out(case: Case) -> list[Promise]:
    """Promises that money may count for, by promised date."""
    live = [promise for promise in case.promises.values() if TRANSITIONS[promise.status]]
    return sorted(live, key=lambda promise: (promise.due_on, promise.taken_at, str(promise.promise_id)))


def judge(case: Case, on: date, complete_through_on: date | None) -> list[PromiseState]:
    """Advance every promise of a case at the close of `on`; puts the changed rows and returns their facts.

    `complete_through_on`: how far all bank data of the company reach, None if unknown.
    """
    order = first_in_first_out(case)
    pool = Pool(case)
    counted = {p.promise_id: pool.keep(p.received) for p in order if p.status != "open"}
    facts: list[PromiseState] = []
    for promise in order:
        already = counted.get(promise.promise_id, [])
        missing = promise.amount_minor - _total(already)
        if promise.status == "kept" and already == promise.received:
            continue
        received = already + pool.take(promise, missing)
        judged = complete_through_on is not None and min(complete_through_on, on) >= promise.judged_from_on
        advanced = advance(promise, received[:RECEIPTS_MAX], judged=judged, on=on)
        if advanced is not promise:
            case.put(advanced)
            facts.append(fact_of(advanced))
    return facts


def advance(promise: Promise, received: list[dict[str, Any]], *, judged: bool, on: date) -> Promise:
    """The promise after counting `received`; the same object if nothing changes.

    `judged`: its time is over and bank data are complete. A kept promise is given here only when counted money was
    returned.
    """
    total = _total(received)
    enough = total >= enough_minor(promise)
    if promise.status == "kept":
        status = "kept" if enough else "broken"
        return _changed(promise, status, received, on, corrected=enough)
    if enough:
        return _changed(promise, "kept", received, on, corrected=promise.status != "open")
    if promise.status == "open" and judged:
        return _changed(promise, "partly_kept" if total else "broken", received, on, corrected=False)
    return promise


def end(promise: Promise, status: str, on: date) -> Promise:
    """A live promise superseded or cancelled."""
    return _changed(promise, status, promise.received, on, corrected=False)


def _changed(promise: Promise, status: str, received: list[dict[str, Any]], on: date, *, corrected: bool) -> Promise:
    allowed = status == promise.status == "kept" or status in TRANSITIONS[promise.status]
    assert allowed, f"promise {promise.promise_id}: {promise.status} never becomes {status}"
    return replace(
        promise,
        status=status,
        received=received,
        corrected=corrected,
        version=promise.version + 1,
        status_on=on,
    )


def _total(received: list[dict[str, Any]]) -> int:
    return sum(entry["amount_minor"] for entry in received)


def fact_of(promise: Promise) -> PromiseState:
    """The event that says the promise's whole state."""
    return FACT_OF[promise.status](
        company=promise.company,
        promise_id=promise.promise_id,
        version=promise.version,
        account_id=promise.account_id,
        contact_id=promise.contact_id,
        amount_minor=promise.amount_minor,
        currency=promise.currency,
        taken_at=promise.taken_at,
        taken_on=promise.taken_on,
        due_on=promise.due_on,
        grace_days=promise.grace_days,
        tolerance=promise.tolerance,
        scope=promise.scope,
        items=[UUID(item) for item in promise.items],
        received=[PromiseReceipt(**entry) for entry in promise.received],
        corrected=promise.corrected,
        channel=promise.channel,
        taken_by=promise.taken_by,
    )
