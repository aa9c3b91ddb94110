"""The rung that looks at amounts alone: exactly one item of a known payer, unique, and hardly possible by chance.

Invariant: it posts only in the run at the day's close, only when nothing is cited, and only within the policy's λ.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile

from services.cash_application.domain.matching.case import Case, earlier_twin, twin_that_waits
from services.cash_application.domain.matching.combinations import chance, count_in_window, search, window
from services.cash_application.domain.matching.instalments import alike
from services.cash_application.domain.matching.model import DEBIT, ItemView, Reason
from services.cash_application.domain.matching.rungs import EVIDENCE_MAX, Verdict
from services.cash_application.domain.matching.settlement import Settlement, application

PAIRS_ONLY_ABOVE = 400


@dataclass(frozen=True, slots=True)
class AmountSearch:
    """All exact hits found up to the limit, smallest first, and λ over everything that was searched."""

    hits: tuple[Settlement, ...]
    subsets: int
    items: int
    chance: Fraction


def search_amount(case: Case, accounts: frozenset[str]) -> AmountSearch | None:
    """Looks for sets of items of the accounts that the payment equals exactly; None if they owe nothing here."""
    items = case.payable_items(accounts)
    if not items:
        return None
    amounts = [item.undisputed_minor for item in items]
    reach = _reach(case, len(items))
    low, high = window(case.available_minor)
    reduced = [(item, item.undisputed_minor - d) for item in items if (d := _discount(case, item))]
    subsets = count_in_window(amounts, low, high, reach) + sum(low <= minor <= high for _, minor in reduced)
    limit = case.policy.alternatives_max
    hits = [_plain([items[i] for i in hit]) for hit in search(amounts, case.available_minor, reach, limit)]
    hits += [_reduced(case, item) for item, minor in reduced if minor == case.available_minor]
    place = {item.item_id: at for at, item in enumerate(items)}
    hits.sort(key=lambda hit: (len(hit.applications), place[hit.applications[0].item_id]))
    return AmountSearch(tuple(hits), subsets, len(items), chance(case.available_minor, amounts, subsets))


def _reach(case: Case, count: int) -> int:
    """How many items a set may have, so that the search stays within its budget."""
    if count <= case.policy.subset_candidates_max:
        return case.policy.subset_items_max
    return min(case.policy.subset_items_max, 2 if count <= PAIRS_ONLY_ABOVE else 1)


def _discount(case: Case, item: ItemView) -> int:
    return case.earned_discount_minor(item) if not item.disputed_minor else 0


def _plain(items: list[ItemView]) -> Settlement:
    return Settlement("exact", tuple(application(item, item.undisputed_minor) for item in items))


def _reduced(case: Case, item: ItemView) -> Settlement:
    discount = _discount(case, item)
    return Settlement("discount", (application(item, item.remaining_minor - discount, discount_minor=discount),))


def exact_amount(case: Case) -> Verdict:
    """Exact amount of one item of a known payer, nothing cited, unique, λ within the policy, on the payment's own day.

    On a later day what is open says nothing of what the payer meant: an amount that fitted two items then may fit one
    now, because the other was settled since.
    """
    if not case.payer.known:
        return Verdict("exact_amount", skipped=True)
    if set(case.payer.known) & case.payer.parked:
        return Verdict("exact_amount", Reason.ACCOUNT_PARKED, final=True)
    if _cites_something(case):
        return Verdict("exact_amount", Reason.CITATION_UNRESOLVED, evidence=_unread(case))
    if case.found.customers - set(case.payer.known):
        return Verdict("exact_amount", Reason.PAYER_CONTRADICTS)
    if "exact_amount" in case.policy.closing_only and not case.closing:
        return Verdict("exact_amount", Reason.WAITS_FOR_CLOSE, final=True)
    searched = search_amount(case, frozenset(case.payer.known))
    if searched is None or not searched.hits:
        twin = earlier_twin(case, ())
        return Verdict("exact_amount", Reason.DUPLICATE if twin else Reason.NO_MATCH)
    figures = {"chance": searched.chance, "subsets": searched.subsets, "searched": searched.items}
    if len(searched.hits) > 1 or len(searched.hits[0].applications) > 1:
        return Verdict("exact_amount", Reason.AMOUNT_NOT_UNIQUE, proposals=searched.hits, **figures)
    if others := _as_likely(case, searched.hits[0]):
        return Verdict("exact_amount", Reason.AMOUNT_NOT_UNIQUE, proposals=others, **figures)
    if case.found.customers and searched.hits[0].applications[0].account_id not in case.found.customers:
        return Verdict("exact_amount", Reason.PAYER_CONTRADICTS, proposals=searched.hits, **figures)
    if searched.chance > case.policy.lambda_max:
        return Verdict("exact_amount", Reason.CHANCE_TOO_HIGH, proposals=searched.hits, **figures)
    if twin_that_waits(case):
        return Verdict("exact_amount", Reason.AMOUNT_NOT_UNIQUE, proposals=searched.hits, **figures)
    if case.payment.late:
        return Verdict("exact_amount", Reason.AMOUNT_LATE, proposals=searched.hits, **figures)
    return Verdict("exact_amount", None, searched.hits[0], "payer", final=True, **figures)


def _as_likely(case: Case, hit: Settlement) -> tuple[Settlement, ...]:
    """The hit among open items that the amount does not tell from it, in order of due date; empty if there are none:
    equal ones, disputed too, and older instalments of its document that differ by the rounding of the split."""
    chosen = hit.applications[0]
    instalments = [item for item in case.documents[chosen.document_id] if item.side == DEBIT]
    older = takewhile(lambda item: item.item_id != chosen.item_id, instalments)
    likely = {i.item_id for i in older if i.remaining_minor and alike(i, case.available_minor, len(instalments))}
    likely |= {i.item_id for i in case.candidates.items if _equal_debit(case, i)} - {chosen.item_id}
    if not likely:
        return ()
    payable = case.payable_items(frozenset(case.payer.known))
    every = {i.item_id: _part(i, case.available_minor) for i in payable if i.item_id in likely} | {chosen.item_id: hit}
    return tuple(every[i.item_id] for i in case.candidates.items if i.item_id in every)


def _equal_debit(case: Case, item: ItemView) -> bool:
    ours = item.account_id in case.payer.known and item.currency == case.payment.currency
    return ours and item.side == DEBIT and item.remaining_minor == case.available_minor


def _part(item: ItemView, available_minor: int) -> Settlement:
    return Settlement("alike", (application(item, min(item.undisputed_minor, available_minor)),))


def _cites_something(case: Case) -> bool:
    found = case.found
    lines = any(line.document for line in case.payment.remittance)
    return bool(found.unresolved or found.references or found.documents or lines)


def _unread(case: Case) -> tuple[tuple[str, int, int, str], ...]:
    return tuple((place.field, place.start, place.end, "unresolved") for place in case.found.unresolved[:EVIDENCE_MAX])
