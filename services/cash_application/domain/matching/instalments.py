"""Which instalments of named documents a payment means: whole ones from the oldest on, or one that is the amount.

Invariant: of one document no instalment gets money before an older one is relieved in full, except the only one that
is exactly the amount; and money beyond an instalment never runs into one that is not yet due.
"""

from collections.abc import Iterable, Sequence

from services.cash_application.domain.matching.case import Case
from services.cash_application.domain.matching.model import DEBIT, ItemView

CHOICES_MAX = 2
SUMS_MAX = 5000
Shares = list[tuple[ItemView, int]]


def by_document(items: Iterable[ItemView]) -> list[list[ItemView]]:
    """Debit items by document, in the order given within each."""
    groups: dict[str, list[ItemView]] = {}
    for item in items:
        if item.side == DEBIT:
            groups.setdefault(item.document_id, []).append(item)
    return list(groups.values())


def oldest_of_each(amounts: Sequence[Sequence[int]], target: int) -> list[tuple[int, ...]]:
    """How many of the first amounts of each group, at least one of each, add up to the target; up to CHOICES_MAX
    answers. Two answers are also given, though they be equal, when more than SUMS_MAX sums would have to be followed:
    what cannot be searched is not unique."""
    if not amounts:
        return []
    sums: dict[int, list[tuple[int, ...]]] = {0: [()]}
    least, most = sum(group[0] for group in amounts), sum(map(sum, amounts))
    for group in amounts:
        least, most = least - group[0], most - sum(group)
        reached: dict[int, list[tuple[int, ...]]] = {}
        for so_far, choices in sums.items():
            total = so_far
            for count, minor in enumerate(group, 1):
                total += minor
                if total + least <= target <= total + most:
                    kept = reached.setdefault(total, [])
                    kept += [(*choice, count) for choice in choices[: CHOICES_MAX - len(kept)]]
        if len(reached) > SUMS_MAX:
            return [tuple(1 for _ in amounts)] * CHOICES_MAX
        sums = reached
    return sums.get(target, [])


def only_exact(items: Sequence[ItemView], amount_minor: int) -> ItemView | None:
    """The only one of a document's instalments that is exactly the amount; none if an older one is meant as likely.

    A total that does not divide evenly gives instalments that differ by the rounding; such are the same amount.
    """
    exact = [item for item in items if item.remaining_minor == amount_minor]
    if len(exact) != 1:
        return None
    older = items[: items.index(exact[0])]
    return None if any(alike(item, amount_minor, len(items)) for item in older) else exact[0]


def alike(item: ItemView, amount_minor: int, instalments: int) -> bool:
    """True if what is open differs by no more than the rounding of that many equal instalments."""
    return abs(item.remaining_minor - amount_minor) <= instalments


def relieve(case: Case, items: Sequence[ItemView], amount_minor: int) -> Shares:
    """How an amount that is meant for one document goes on its open debit items, given in order of due date: the
    oldest that add up to it, or the only one that is exactly it, or as far as it reaches in order of due date. What
    is shared out may be less than the amount; the rest belongs to no instalment."""
    if not items:
        return []
    if counts := oldest_of_each([[item.remaining_minor for item in items]], amount_minor):
        return [(item, item.remaining_minor) for item in items[: counts[0][0]]]
    if exact := only_exact(items, amount_minor):
        return [(exact, amount_minor)]
    return in_due_order(case, items, amount_minor)


def in_due_order(case: Case, items: Sequence[ItemView], amount_minor: int) -> Shares:
    """The debits in the order given until the money is used up or only instalments that are not yet due are left."""
    shares: Shares = []
    for item in items:
        if amount_minor > 0 and item.side == DEBIT and not too_early(case, items, item):
            shares.append((item, min(amount_minor, item.remaining_minor)))
            amount_minor -= shares[-1][1]
    return shares


def whole_ones(case: Case, shares: Shares) -> Shares:
    """Without a last part that would begin a further instalment of a document after whole ones were paid, by the same
    payment now or before: too much came, or the next one was begun, and the payer, who named only the document, did
    not say which."""
    if not shares:
        return shares
    item, minor = shares[-1]
    beside = any(one.document_id == item.document_id for one, _ in shares[:-1])
    rest = case.available_minor < case.payment.amount_minor and len(case.documents[item.document_id]) > 1
    return shares[:-1] if minor < item.remaining_minor and (beside or rest) else shares


def too_early(case: Case, items: Sequence[ItemView], item: ItemView) -> bool:
    """True for an instalment that was not due when the money came and that is not the next one to pay; for what is
    left of a payment (its own instalment has got its money) no instalment but the document's first is the next."""
    if item.due_on <= case.payment.valued_on:
        return False
    rest = case.available_minor < case.payment.amount_minor
    among = case.documents[item.document_id] if rest else items
    return next(i for i in among if i.document_id == item.document_id and i.side == DEBIT) is not item
