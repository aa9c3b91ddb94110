"""Ways to apply a payment that a person may take, best first; and the accounts that the money could concern.

Invariant: a suggestion never exceeds what is open of an item nor what is there of the payment.
"""

from collections.abc import Iterator
from fractions import Fraction

from rapidfuzz.distance import OSA

from services.cash_application.domain.matching.amounts import search_amount
from services.cash_application.domain.matching.case import Case, due_order
from services.cash_application.domain.matching.model import (
    DEBIT,
    Application,
    CashCandidate,
    ItemView,
    Reason,
    SuggestedItem,
    Suggestion,
)
from services.cash_application.domain.matching.numbers import number_parts
from services.cash_application.domain.matching.rungs import Verdict
from services.cash_application.domain.matching.settlement import application, fill

TYPO_DIGITS_MIN = 4
TYPO_DISTANCE_MAX = 2
NEAR_PER_CENT = 10
FILL_ITEMS_MAX = 20
SILENT = frozenset(
    {Reason.WAITS_FOR_CLOSE, Reason.ACCOUNT_PARKED, Reason.DUPLICATE, Reason.CURRENCY_DIFFERS, Reason.OVERPAID}
)
Idea = tuple[tuple[Application, ...], str, str, Fraction | None]


def suggest(case: Case, verdicts: tuple[Verdict, ...], reason: Reason) -> tuple[Suggestion, ...]:
    """Up to the policy's number of different suggestions; none where a person should not apply the payment yet."""
    if reason in SILENT:
        return ()
    seen: set[frozenset[tuple[str, int]]] = set()
    kept: list[Suggestion] = []
    for applications, rule, why, chance in _ideas(case, verdicts):
        key = frozenset((a.item_id, a.cash_minor) for a in applications)
        if not key or key in seen:
            continue
        seen.add(key)
        items = tuple(SuggestedItem(a.item_id, a.cash_minor, a.version) for a in applications)
        kept.append(Suggestion(len(kept) + 1, applications[0].account_id, items, rule, why, chance))
        if len(kept) == case.policy.alternatives_max:
            break
    return tuple(kept)


def _ideas(case: Case, verdicts: tuple[Verdict, ...]) -> Iterator[Idea]:
    """Candidate suggestions, the most credible first."""
    likely = likely_accounts(case)
    yield from _proposed(verdicts, True)
    yield from _typos(case, likely)
    yield from _by_amount(case, frozenset(case.payer.known), verdicts)
    if likely != frozenset(case.payer.known):
        yield from _by_amount(case, likely, ())
    yield from _proposed(verdicts, False)
    everybody = frozenset(item.account_id for item in case.candidates.items)
    if len(everybody) <= case.policy.amount_accounts_max:
        yield from _singles(case, everybody - likely)
    yield from _nearly(case, likely)
    yield from _oldest_first(case)


def _proposed(verdicts: tuple[Verdict, ...], credible: bool) -> Iterator[Idea]:
    """What the citations say: credible with a witness or as the whole amount, else behind what the amounts say."""
    for verdict in verdicts:
        for settlement in verdict.proposals if verdict.rung != "exact_amount" else ():
            if bool(verdict.witness or settlement.explains_amount) == credible:
                yield settlement.applications, verdict.rung, f"{verdict.reason}: {settlement.kind}", None


def likely_accounts(case: Case) -> frozenset[str]:
    """Accounts that anything but the amount connects with the payment."""
    cited = {d for c in (*case.found.references, *case.found.documents) for d in c.documents}
    alike = {case.payer.alike} if case.payer.alike else set()
    return frozenset(case.payer.someone | case.found.accounts | case.accounts_of(tuple(cited)) | alike)


def _by_amount(case: Case, accounts: frozenset[str], verdicts: tuple[Verdict, ...]) -> Iterator[Idea]:
    """Sets of open items that make the amount; what the rung has found already is not searched again."""
    why = "amount of open items of the likely payer"
    done = [verdict for verdict in verdicts if verdict.chance is not None]
    if done:
        for hit in done[0].proposals:
            yield hit.applications, "exact_amount", why, done[0].chance
        return
    searched = search_amount(case, accounts) if accounts else None
    for hit in searched.hits if searched else ():
        yield hit.applications, "exact_amount", why, searched.chance


def _singles(case: Case, accounts: frozenset[str]) -> Iterator[Idea]:
    """Items of anybody whose open amount is the payment: worth a look only while few accounts fit."""
    hits = [i for i in case.payable_items(accounts) if i.undisputed_minor == case.available_minor]
    for item in hits:
        yield (
            (application(item, item.undisputed_minor),),
            "exact_amount",
            f"one of {len(hits)} items of that amount",
            None,
        )


def _typos(case: Case, likely: frozenset[str]) -> Iterator[Idea]:
    """Items whose number is the unread citation with a digit wrong or two transposed; equal amounts first."""
    unread = [
        place.text for place in case.found.unresolved if len(place.text) >= TYPO_DIGITS_MIN and place.text.isdigit()
    ]
    found = []
    for item in case.payable_items(frozenset(i.account_id for i in case.candidates.items)) if unread else ():
        distance = min(_distance(text, number_parts(item.number).digits) for text in unread)
        equal = item.undisputed_minor == case.available_minor
        if distance <= TYPO_DISTANCE_MAX and (equal or (item.account_id in likely and distance == 1)):
            found.append((not equal, item.account_id not in likely, distance, due_order(item), item))
    for unequal, _, _, _, item in sorted(found, key=lambda entry: entry[:4]):
        why = f"the number cited is nearly {item.number}" + ("" if unequal else ", and the amount is equal")
        yield (application(item, min(item.undisputed_minor, case.available_minor)),), "near_number", why, None


def _distance(text: str, digits: str) -> int:
    return OSA.distance(text, digits[-len(text) :], score_cutoff=TYPO_DISTANCE_MAX)


def _nearly(case: Case, likely: frozenset[str]) -> Iterator[Idea]:
    """One item of a likely payer of which a little is missing: a deduction or a fee that nobody explained."""
    limit = case.available_minor * NEAR_PER_CENT // 100
    near = [i for i in case.payable_items(likely) if 0 < i.undisputed_minor - case.available_minor <= limit]
    for item in sorted(near, key=lambda i: (i.undisputed_minor, due_order(i))):
        short = item.undisputed_minor - case.available_minor
        yield (application(item, case.available_minor),), "near_amount", f"short by {short} minor units", None


def _oldest_first(case: Case) -> Iterator[Idea]:
    """What the known payer owes, in order of due date, until the money is used up."""
    items: list[ItemView] = case.payable_items(frozenset(case.payer.known))[:FILL_ITEMS_MAX]
    if items and case.payer.sole_owner and not any(item.disputed_minor for item in items):
        yield fill(case, items), "oldest_first", "oldest items of the known payer", None


def cash_candidates(case: Case) -> tuple[CashCandidate, ...]:
    """Accounts with which evidence connects the money; the amount alone counts while at most a few accounts fit."""
    evidence: dict[str, set[str]] = {}
    for account, how in case.payer.known.items():
        evidence.setdefault(account, set()).add("bank_account" if how != "name_and_account" else "name")
    for account in (*case.payer.named, *([case.payer.alike] if case.payer.alike else [])):
        evidence.setdefault(account, set()).add("name")
    cited = {d for c in (*case.found.references, *case.found.documents) for d in c.documents}
    lines = _structured_documents(case)
    for account in (*case.found.accounts, *case.accounts_of(tuple(cited | lines))):
        evidence.setdefault(account, set()).add("reference")
    equal = {i.account_id for i in case.candidates.items if _equal_amount(case, i)}
    for account in equal if len(equal) <= case.policy.amount_accounts_max else equal & set(evidence):
        evidence.setdefault(account, set()).add("exact_amount")
    return tuple(CashCandidate(account, tuple(sorted(evidence[account]))) for account in sorted(evidence))


def _structured_documents(case: Case) -> set[str]:
    texts = {number_parts(line.document).whole for line in case.payment.remittance if line.document}
    return {i.document_id for i in case.candidates.items if texts and number_parts(i.number).whole in texts}


def _equal_amount(case: Case, item: ItemView) -> bool:
    if item.side != DEBIT or item.currency != case.payment.currency or not item.remaining_minor:
        return False
    discounted = item.remaining_minor - case.earned_discount_minor(item)
    return case.available_minor in (item.remaining_minor, item.undisputed_minor, discounted)
