"""How much of an account may be asked for: open, past due, not disputed, not promised, not covered by its own money.

Invariant: nothing is asked for that money or credits of the account would cover if they were applied (oldest first).
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from services.collections.domain.case import Case
from services.collections.domain.rows import Item


@dataclass(frozen=True, slots=True)
class Claim:
    """An open item with the part of it that may be asked for. `covered_minor` is what the account's money would pay."""

    item: Item
    days_past_due: int
    undisputed_minor: int
    covered_minor: int
    promised: bool

    @property
    def net_minor(self) -> int:
        return self.undisputed_minor - self.covered_minor


def claims(case: Case, on: date) -> list[Claim]:
    """Every open debit item, oldest first; the account's money is laid on the undisputed parts in that order."""
    promised = case.promised_items()
    left: dict[str, int] = {}
    found = []
    for item in case.open_debits():
        undisputed = item.remaining_minor - case.disputed_minor(item, on)
        available = left.setdefault(item.currency, case.credit_minor(item.currency))
        covered = min(undisputed, available)
        left[item.currency] = available - covered
        found.append(Claim(item, item.days_past_due(on), undisputed, covered, item.item_id in promised))
    return found


def overdue(case: Case, on: date) -> list[Claim]:
    """Claims that are past due (at least one day) with an undisputed part."""
    return [claim for claim in claims(case, on) if claim.days_past_due >= 1 and claim.undisputed_minor > 0]


def sums(found: list[Claim], part: Callable[[Claim], int]) -> dict[str, int]:
    """Sum of `part` by currency, in order of currency."""
    totals: dict[str, int] = defaultdict(int)
    for claim in found:
        totals[claim.item.currency] += part(claim)
    return dict(sorted(totals.items()))
