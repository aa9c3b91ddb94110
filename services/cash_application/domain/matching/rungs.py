"""The rungs of the ladder: small pure rules, each of which posts, stops the ladder, or lets the next one try.

Invariant: only a reference with check digits decides alone; every other number has a second witness, and an amount
alone speaks only for a known payer who cites nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, product

from services.cash_application.domain.matching.case import Case, earlier_twin
from services.cash_application.domain.matching.designation import Designation, read_designation, settle_designation
from services.cash_application.domain.matching.model import Reason
from services.cash_application.domain.matching.references import Citation
from services.cash_application.domain.matching.settlement import Settlement, settle

READINGS_MAX = 64
EVIDENCE_MAX = 8
Evidence = tuple[str, int, int, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rung says. `settlement` without `reason` is posted; `final` ends the ladder; `proposals` are settlements
    that a person may take, best first; `witness` names what stands behind the citation; `chance` is λ, over `subsets`
    of `searched` items."""

    rung: str
    reason: Reason | None = None
    settlement: Settlement | None = None
    witness: str = ""
    evidence: tuple[Evidence, ...] = ()
    proposals: tuple[Settlement, ...] = ()
    documents: tuple[str, ...] = ()
    final: bool = False
    skipped: bool = False
    chance: Fraction | None = None
    subsets: int = 0
    searched: int = 0

    @property
    def posts(self) -> bool:
        """True if the rung applies the payment."""
        return self.settlement is not None and self.reason is None


Rung = Callable[[Case], Verdict]


def own_reference(case: Case) -> Verdict:
    """An ISO 11649 reference that we issued decides alone which document is meant; while further documents of the
    same debtor are cited or something cited is unread, only together with what explains the amount to the last unit."""
    citations = case.found.references
    if not citations:
        return Verdict("own_reference", skipped=True)
    widened = _with_cited_documents(case, citations) if case.found.documents else ()
    verdict = replace(_settle_cited(case, "own_reference", widened or citations), witness="check_digits", final=True)
    if not verdict.posts or verdict.settlement.explains_amount:
        return verdict
    if any(place.strong for place in case.found.unresolved):
        return replace(verdict, reason=Reason.CITATION_UNRESOLVED, proposals=(verdict.settlement,))
    if _names_more(case, citations):
        return replace(verdict, reason=Reason.DESIGNATION_INCONSISTENT, proposals=(verdict.settlement,))
    others = _others(case, citations)
    same = case.accounts_of(verdict.documents) | set(case.payer.known)
    if any(case.open_items(c.documents) and case.accounts_of(c.documents) <= same for c in others):
        together = _settle_cited(case, "own_reference", citations + others)
        proposals = tuple(s for s in (together.settlement, verdict.settlement) if s and s.applications)
        return replace(verdict, reason=together.reason or Reason.CITATION_WITHOUT_WITNESS, proposals=proposals)
    return verdict


def _names_more(case: Case, citations: tuple[Citation, ...]) -> bool:
    """Whether the payer's structured lines name further documents, known or not, beside the own references."""
    designation = read_designation(case)
    referred = {d for citation in citations for d in citation.documents}
    return designation is not None and bool(designation.open_ends or set(designation.documents) - referred)


def _others(case: Case, citations: tuple[Citation, ...]) -> tuple[Citation, ...]:
    """Citations of further documents beside own references."""
    named = {d for citation in citations for d in citation.documents}
    return tuple(c for c in case.found.documents if not set(c.documents) & named)


def _with_cited_documents(case: Case, citations: tuple[Citation, ...]) -> tuple[Citation, ...]:
    """Reference and document numbers together, if together and only so they explain the amount to the last unit."""
    others = _others(case, citations)
    if not others or _explained(case, citations):
        return ()
    together = citations + others
    return together if _explained(case, together) else ()


def _explained(case: Case, citations: tuple[Citation, ...]) -> bool:
    verdict = _settle_cited(case, "own_reference", citations)
    return verdict.posts and verdict.settlement.explains_amount


def structured_designation(case: Case) -> Verdict:
    """The payer's structured remittance, with a second witness: a known payer, our own reference, or the amount.

    It stands before the own reference because it says more about the same documents; a reference to another document
    decides alone.
    """
    designation = read_designation(case)
    referred = {d for citation in case.found.references for d in citation.documents}
    if not designation or not referred <= set(designation.documents):
        return Verdict("structured_designation", skipped=True)
    evidence = tuple(
        (f"document:{at}", 0, 0, "structured") for at in range(min(len(case.payment.remittance), EVIDENCE_MAX))
    )
    if not designation.lines:
        ambiguous = any(documents for _, documents in designation.open_ends)
        reason = Reason.CITATION_AMBIGUOUS if ambiguous else Reason.CITATION_UNRESOLVED
        return Verdict("structured_designation", reason, evidence=evidence)
    stopped = _stopped("structured_designation", case, designation.documents, evidence)
    if stopped:
        return stopped
    settlement = settle_designation(case, designation)
    witness = _witness_of_designation(case, designation, settlement)
    incomplete = bool(designation.open_ends) and not designation.has_amounts
    return _judged(case, "structured_designation", designation.documents, settlement, witness, evidence, incomplete)


def document_number(case: Case) -> Verdict:
    """Document numbers in the text, with a second witness: a known payer, or the payment equals the open sum."""
    citations = case.found.documents
    if not citations:
        return Verdict("document_number", skipped=True)
    verdict = _settle_cited(case, "document_number", citations)
    if verdict.settlement is None or (verdict.reason and not verdict.settlement.applications):
        return verdict
    witness = _witness(case, case.accounts_of(verdict.documents), verdict.settlement)
    incomplete = bool(case.found.loose) or any(place.strong for place in case.found.unresolved)
    evidence = (*verdict.evidence, *case.found.loose)[:EVIDENCE_MAX]
    return _judged(case, "document_number", verdict.documents, verdict.settlement, witness, evidence, incomplete)


def _witness(case: Case, accounts: frozenset[str], settlement: Settlement) -> str:
    """`payer`, `amount`, or nothing. A payer known to be somebody else speaks against what the amount says."""
    if all(case.payer.knows(account, case.policy.name_is_witness) for account in accounts):
        return "payer"
    strangers = not case.payer.someone or case.policy.amount_witness_against_payer
    return "amount" if settlement.explains_amount and strangers else ""


def _witness_of_designation(case: Case, designation: Designation, settlement: Settlement) -> str:
    rest = tuple(d for d in designation.documents if d not in designation.decided)
    return "check_digits" if not rest else _witness(case, case.accounts_of(rest), settlement)


def _judged(
    case: Case,
    rung: str,
    documents: tuple[str, ...],
    settlement: Settlement,
    witness: str,
    evidence: tuple[Evidence, ...],
    incomplete: bool,
) -> Verdict:
    """The settlement as a verdict: it posts only with a witness, and to the last unit if something cited is unread."""
    reason = settlement.reason
    if not witness:
        contradicted = settlement.explains_amount and case.payer.someone
        reason = Reason.PAYER_CONTRADICTS if contradicted else Reason.CITATION_WITHOUT_WITNESS
    elif reason is None and incomplete and not settlement.explains_amount:
        reason = Reason.CITATION_UNRESOLVED
    proposals = (settlement,) if reason and settlement.applications else ()
    final = reason is None or reason is Reason.WAITS_FOR_CLOSE
    return Verdict(rung, reason, settlement, witness, evidence, proposals, documents, final)


def _settle_cited(case: Case, rung: str, citations: tuple[Citation, ...]) -> Verdict:
    """Chooses the documents that the citations mean and settles them; several readings only if one fits the amount."""
    evidence = _evidence(citations)
    options = [case.narrowed(citation) for citation in citations]
    sure = tuple(sorted({documents[0] for documents in options if len(documents) == 1}))
    every = tuple(sorted({d for documents in options for d in documents}))
    stopped = _stopped(rung, case, every, evidence)
    if stopped:
        return stopped
    if all(len(documents) == 1 for documents in options):
        settlement = settle(case, case.open_items(sure))
        proposals = (settlement,) if settlement.reason and settlement.applications else ()
        return Verdict(rung, settlement.reason, settlement, "", evidence, proposals, sure, settlement.reason is None)
    return _settle_ambiguous(case, rung, options, every, evidence)


def _settle_ambiguous(
    case: Case, rung: str, options: list[tuple[str, ...]], every: tuple[str, ...], evidence: tuple[Evidence, ...]
) -> Verdict:
    """One number on several documents: posts only if the amount explains just one reading, or covers all of them."""
    readings = []
    for picked in islice(product(*[[*((d,) for d in documents), documents] for documents in options]), READINGS_MAX):
        chosen = tuple(sorted({d for documents in picked for d in documents}))
        if chosen not in readings and case.open_items(chosen):
            readings.append(chosen)
    settled = [(chosen, settle(case, case.open_items(chosen))) for chosen in readings]
    exact = [(chosen, s) for chosen, s in settled if s.explains_amount]
    if len(exact) == 1:
        return Verdict(rung, None, exact[0][1], "", evidence, (), exact[0][0], True)
    whole = [(chosen, s) for chosen, s in settled if chosen == every and s.kind == "overpaid" and not s.reason]
    if not exact and whole and rung == "own_reference":
        return Verdict(rung, None, whole[0][1], "", evidence, (), every, True)
    proposals = tuple(s for _, s in (exact or settled) if s.applications)
    return Verdict(rung, Reason.CITATION_AMBIGUOUS, None, "", evidence, proposals, every)


def _stopped(rung: str, case: Case, documents: tuple[str, ...], evidence: tuple[Evidence, ...]) -> Verdict | None:
    """Verdict that ends the ladder whatever else is said: parked, nothing open, another currency."""
    items = case.open_items(documents)
    if case.accounts_of(documents) & case.payer.parked:
        reason = Reason.ACCOUNT_PARKED
    elif not items:
        reason = Reason.DUPLICATE if earlier_twin(case, documents) else Reason.ALREADY_SETTLED
    elif any(item.currency != case.payment.currency for item in items):
        reason = Reason.CURRENCY_DIFFERS
    else:
        return None
    return Verdict(rung, reason, None, "", evidence, (), documents, True)


def _evidence(citations: tuple[Citation, ...]) -> tuple[Evidence, ...]:
    return tuple((c.field, c.start, c.end, c.kind) for c in citations[:EVIDENCE_MAX])
