"""What may be said of a promise whose cash is not counted: money that came in its time and lies unapplied, money that
may be the debtor's, money that went to other items.

Invariant: nothing here changes a promise; its status follows the counted money alone (rules of H1).
"""

from dataclasses import dataclass

from services.collections.domain.case import Case
from services.collections.domain.promises import counts
from services.collections.domain.rows import Promise
from shared import money


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Minor units in the promise's currency. `waiting`: the account's, on no item. `perhaps`: of candidates, where the
    account's own money does not tell. `elsewhere`: the account's, on items that were not promised."""

    waiting_minor: int
    perhaps_minor: int
    elsewhere_minor: int

    @property
    def waits(self) -> bool:
        return self.waiting_minor > 0 or self.perhaps_minor > 0


def uncounted(case: Case, promise: Promise) -> Uncounted:
    """Money of the time of the promise that its status does not count."""
    came = sum(receipt.amount_minor for receipt in case.receipts.values() if counts(receipt, promise))
    left = max(0, came - received_minor(promise))
    cash = case.cash.get(promise.currency)
    waiting = min(left, cash.unapplied_minor + cash.on_account_minor) if cash else 0
    perhaps = [
        found.amount_minor
        for found in case.candidates.values()
        if not found.cleared and found.currency == promise.currency and found.since_on >= promise.taken_on
    ]
    return Uncounted(waiting, max(perhaps, default=0) if waiting == 0 else 0, left - waiting)


def received_minor(promise: Promise) -> int:
    return sum(entry["amount_minor"] for entry in promise.received)


def told(promise: Promise, of: Uncounted) -> str:
    """What came for the promise, in words that accuse nobody of what is not known."""
    parts = []
    if counted := received_minor(promise):
        parts.append(f"only {_shown(counted, promise)} was counted")
    if of.waiting_minor:
        parts.append(f"{_shown(of.waiting_minor, promise)} came and is not applied yet")
    if of.perhaps_minor:
        parts.append(f"{_shown(of.perhaps_minor, promise)} that may be theirs is not applied yet")
    if of.elsewhere_minor:
        parts.append(f"{_shown(of.elsewhere_minor, promise)} came for other items")
    return ", ".join(parts) or "nothing came"


def _shown(amount_minor: int, promise: Promise) -> str:
    return f"{money.text(amount_minor, promise.currency)} {promise.currency}"
