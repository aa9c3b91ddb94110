"""Finds in a payment what it cites: own references with check digits and document numbers, with the span as evidence.

A citation names documents of the candidates; several documents mean that the text alone cannot tell. What looks like a
citation and leads to no candidate is `unresolved`: it blocks every rung that looks at amounts alone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from stdnum.iso7064 import mod_97_10

from services.cash_application.domain.matching.folding import compact
from services.cash_application.domain.matching.model import Candidates, ItemView, PaymentView
from services.cash_application.domain.matching.numbers import (
    CORE_MIN,
    KINDS,
    LABELLED_MIN,
    chains_by_ending,
    number_parts,
    own_reference,
    places,
    printed_numbers,
)
from services.cash_application.domain.matching.scan import (
    GAP_MAX,
    Chain,
    Scan,
    customer_numbers,
    label_before,
    loose_digits,
    scan,
)

WEAK_MIN = 5
REFERENCE_MAX = 25
REFERENCES_KEPT = 8192
_RF_START = re.compile(r"(?<![A-Z0-9])RF[^A-Z0-9]?\d{2}")


@dataclass(frozen=True, slots=True)
class Citation:
    """One place of the payment that names documents. `kind` is one of KINDS, the first the strongest."""

    field: str
    start: int
    end: int
    kind: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A place that reads like a citation of ours (`strong`) or merely like some number, and leads nowhere."""

    field: str
    start: int
    end: int
    text: str
    strong: bool


@dataclass(frozen=True, slots=True)
class Found:
    """All citations of a payment, those that lead nowhere, and the candidate accounts whose number is cited.
    `customers`: these, and accounts whose number is cited by its digits under a label. `loose`: digits beside document
    numbers that nobody explains; they may be further documents in a short form."""

    references: tuple[Citation, ...]
    documents: tuple[Citation, ...]
    unresolved: tuple[Unresolved, ...]
    accounts: frozenset[str]
    loose: tuple[tuple[str, int, int, str], ...] = ()
    customers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Looks:
    """How the candidates' numbers look: their letters, and how many digits they end with."""

    letters: frozenset[str]
    lengths: frozenset[int]

    @classmethod
    def of(cls, items: Iterable[ItemView]) -> "Looks":
        """Looks of all printed numbers."""
        parts = [number_parts(item.number) for item in items]
        letters = frozenset(prefix for number in parts for prefix in number.prefixes if len(prefix) >= LABELLED_MIN)
        return cls(letters, frozenset(length for number in parts for length in (len(number.digits), number.ending)))

    def like(self, chain: Chain, read: Scan) -> bool:
        """True if a reader would take the chain for one of our numbers: labelled, with our letters, or as long."""
        if len(chain.digits) < LABELLED_MIN or chain.glued:
            return False
        before = read.runs[chain.first - 1][0] if chain.first else ""
        as_long = len(chain.digits) >= WEAK_MIN and len(chain.digits) in self.lengths
        return bool(chain.label) or before in self.letters or as_long


def fields_of(payment: PaymentView) -> list[tuple[str, str]]:
    """Named texts that may carry citations. A line may break inside a number, so the lines are read as one text."""
    named = [("text", "\n".join(payment.remittance_text)), ("creditor_reference", payment.creditor_reference or "")]
    if payment.end_to_end and payment.end_to_end.upper() != "NOTPROVIDED":
        named.append(("end_to_end", payment.end_to_end))
    return [(name, text) for name, text in named if text]


def references_in(read: Scan, length: int = REFERENCE_MAX) -> list[tuple[str, int, int]]:
    """Every (reference, start, end) that begins at an `RF`, ends with a run and has valid check digits.

    An `RF` that is followed by nothing valid is returned with an empty reference, over as many characters as our own
    have (`length`), one less lest one was lost: digits of a reference that was mistyped are no document number.
    """
    if "RF" not in read.text:
        return []
    found = []
    for begin in _RF_START.finditer(read.text):
        found += _references_from(read, begin.start()) or [
            ("", begin.start(), _end_of_broken(read, begin.start(), length - 1))
        ]
    return found


def _end_of_broken(read: Scan, begin: int, length: int) -> int:
    """Where a mistyped reference ends: with the run that reaches the length, or before a gap."""
    behind, size = begin, 0
    for run, start, end in read.runs:
        if start >= begin:
            if size >= length or (size and start - behind > GAP_MAX):
                break
            size += len(run)
            behind = end
    return behind


@lru_cache(maxsize=REFERENCES_KEPT)
def _references_from(read: Scan, begin: int) -> tuple[tuple[str, int, int], ...]:
    """Asked for twice of every payment: for the keys to look up and for the citation."""
    found = []
    candidate = ""
    for run, start, end in read.runs:
        if start >= begin:
            candidate += run
            if len(candidate) > REFERENCE_MAX:
                break
            if len(candidate) > 4 and mod_97_10.is_valid(candidate[4:] + candidate[:4]):
                found.append((candidate, begin, end))
    return tuple(found)


def find(payment: PaymentView, candidates: Candidates, suffix_min: int = WEAK_MIN) -> Found:
    """What the payment cites among the candidates.

    Own references that alone explain the amount end the search: nothing else that is written can change the answer.
    """
    fields = fields_of(payment)
    if decided := _decided_by_reference(payment, candidates, fields):
        return Found(decided, (), (), frozenset())
    references: list[Citation] = []
    documents: list[Citation] = []
    unresolved: list[Unresolved] = []
    accounts: set[str] = set()
    customers: set[str] = set()
    read_so_far: list[tuple[str, Scan, list[tuple[int, int]], set[str]]] = []
    looks = Looks.of(candidates.items)
    for field, text in fields:
        read = scan(text)
        own, broken = _find_references(field, read, candidates.items)
        numbers = find_numbers(field, read, candidates.items, suffix_min)
        spans = [(c.start, c.end) for c in (*own, *broken)]
        numbers = [c for c in numbers if not _covered(c.start, c.end, spans)]
        cited = {a.account_id for a in candidates.accounts if _cites_account(read, a.account_id)}
        references += own
        documents += numbers
        accounts |= cited
        labelled, strangers = _customers(field, read, candidates)
        customers |= cited | labelled
        if field != "end_to_end":
            spans += [(c.start, c.end) for c in numbers]
            unresolved += broken + _find_unresolved(field, read, looks, spans, cited) + strangers
            read_so_far.append((field, read, spans, cited))
    loose = [place for entry in read_so_far for place in _find_loose(*entry)] if documents else ()
    return Found(
        tuple(references),
        tuple(documents),
        tuple(unresolved),
        frozenset(accounts),
        tuple(loose),
        frozenset(customers),
    )


def _decided_by_reference(
    payment: PaymentView, candidates: Candidates, fields: list[tuple[str, str]]
) -> tuple[Citation, ...]:
    """Own references whose documents are open with exactly the payment's amount; empty if that is not so."""
    if any(line.document for line in payment.remittance):
        return ()
    marked = [(field, scan(text)) for field, text in fields if "RF" in text.upper()]
    own = tuple(c for field, read in marked for c in _find_references(field, read, candidates.items)[0])
    named = {d for citation in own for d in citation.documents}
    open_minor = sum(item.signed_minor for item in candidates.items if item.document_id in named)
    return own if own and open_minor == payment.open_minor else ()


def _find_references(field: str, read: Scan, items: Iterable[ItemView]) -> tuple[list[Citation], list[Unresolved]]:
    if "RF" not in read.text:
        return [], []
    owners: dict[str, set[str]] = {}
    for item in items:
        if reference := own_reference(item.payment_reference):
            owners.setdefault(reference, set()).add(item.document_id)
    hits = references_in(read, max(map(len, owners), default=REFERENCE_MAX))
    own = [Citation(field, a, b, "reference", tuple(sorted(owners[r]))) for r, a, b in hits if r in owners]
    known = {citation.start for citation in own}
    broken = {a: Unresolved(field, a, b, read.text[a:b], True) for _, a, b in hits if a not in known}
    return own, list(broken.values())


def find_numbers(field: str, read: Scan, items: Iterable[ItemView], suffix_min: int) -> list[Citation]:
    """Citations of document numbers in a scanned text: better kinds first, none overlapping a better one."""
    endings = chains_by_ending(read, suffix_min)
    hits: dict[tuple[int, int, str], set[str]] = {}
    for item in items:
        for printed in printed_numbers(item.number, item.payment_reference):
            for place in places(number_parts(printed), read, endings, suffix_min):
                hits.setdefault(place, set()).add(item.document_id)
    kept: list[Citation] = []
    for start, end, kind in sorted(hits, key=lambda hit: (KINDS.index(hit[2]), hit[0] - hit[1], hit[0])):
        if not _covered(start, end, [(c.start, c.end) for c in kept]):
            kept.append(Citation(field, start, end, kind, tuple(sorted(hits[start, end, kind]))))
    return sorted(kept, key=lambda c: c.start)


def _find_unresolved(
    field: str, read: Scan, looks: Looks, spans: list[tuple[int, int]], cited_accounts: set[str]
) -> list[Unresolved]:
    own_digits = {number_parts(account).digits for account in cited_accounts}
    found = [Unresolved(field, start, end, text, False) for text, start, end in orders_in(read)]
    for chain in (chain for chains in read.chains.values() for chain in chains if chain.first == chain.last):
        start, end = read.runs[chain.first][1:]
        strong = looks.like(chain, read)
        if (strong or len(chain.digits) >= WEAK_MIN) and chain.digits not in own_digits:
            if not _covered(start, end, spans):
                found.append(Unresolved(field, start, end, chain.digits, strong))
    return found


def _find_loose(
    field: str, read: Scan, spans: list[tuple[int, int]], cited_accounts: set[str]
) -> Iterable[tuple[str, int, int, str]]:
    own_digits = {number_parts(account).digits for account in cited_accounts}
    free = (place for place in loose_digits(read) if place[0] not in own_digits)
    return [(field, start, end, "unread") for _, start, end in free if not _covered(start, end, spans)]


def orders_in(read: Scan) -> list[tuple[str, int, int]]:
    """Order and contract numbers: they say what is paid, but not to us, so amounts alone must not guess."""
    runs = enumerate(read.runs)
    return [
        run for at, run in runs if len(run[0]) >= CORE_MIN and run[0] < "A" and label_before(read.runs, at) == "order"
    ]


def _cites_account(read: Scan, account_id: str) -> bool:
    whole = compact(account_id)
    at = read.joined.find(whole) if len(whole) >= CORE_MIN else -1
    end = at + len(whole)
    return at >= 0 and at in read.offsets and (end in read.offsets or end == len(read.joined))


def _customers(field: str, read: Scan, candidates: Candidates) -> tuple[set[str], list[Unresolved]]:
    """Candidate accounts whose number stands under a customer's label, if only by its digits; and such numbers of
    nobody among the candidates: the payer speaks of an account that is not loaded."""
    numbers = customer_numbers(read)
    if not numbers:
        return set(), []
    owners: dict[str, set[str]] = {}
    for account in candidates.accounts:
        owners.setdefault(number_parts(account.account_id).digits, set()).add(account.account_id)
    strange = [Unresolved(field, start, end, digits, False) for digits, start, end in numbers if digits not in owners]
    return {account_id for digits, _, _ in numbers for account_id in owners.get(digits, ())}, strange


def _covered(start: int, end: int, spans: list[tuple[int, int]]) -> bool:
    return any(a < end and start < b for a, b in spans)
