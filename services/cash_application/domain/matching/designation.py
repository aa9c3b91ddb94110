"""Structured remittance: the payer says per document what is paid, which discount is taken and what is withheld.

Invariant: a line never gets more than is open of its items; discount is granted only if it was earned, a deduction
only with a reason; what is neither stays open.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.cash_application.domain.matching.case import Case
from services.cash_application.domain.matching.model import CREDIT, Application, ItemView, Reason, RemittanceLine
from services.cash_application.domain.matching.numbers import own_reference
from services.cash_application.domain.matching.references import Citation, find_numbers, references_in
from services.cash_application.domain.matching.scan import scan
from services.cash_application.domain.matching.settlement import Settlement, application, settle


@dataclass(frozen=True, slots=True)
class Designation:
    """Lines with the document each means. `decided`: documents named by our own reference; `open_ends`: lines that
    name no candidate or several."""

    lines: tuple[tuple[RemittanceLine, str], ...]
    decided: frozenset[str]
    open_ends: tuple[tuple[int, tuple[str, ...]], ...]

    @property
    def documents(self) -> tuple[str, ...]:
        """Documents named, each once."""
        return tuple(sorted({document for _, document in self.lines}))

    @property
    def has_amounts(self) -> bool:
        """Every resolved line states what is paid."""
        return all(line.paid_minor is not None for line, _ in self.lines)


def read_designation(case: Case) -> Designation | None:
    """The payer's structured designation, None if no line names a document."""
    lines: list[tuple[RemittanceLine, str]] = []
    decided: set[str] = set()
    open_ends: list[tuple[int, tuple[str, ...]]] = []
    for at, line in enumerate(case.payment.remittance):
        if not line.document:
            continue
        documents, own = _documents_of(case, at, line.document)
        if len(documents) == 1:
            lines.append((line, documents[0]))
            decided |= set(documents) if own else set()
        else:
            open_ends.append((at, documents))
    return Designation(tuple(lines), frozenset(decided), tuple(open_ends)) if lines or open_ends else None


def _documents_of(case: Case, at: int, text: str) -> tuple[tuple[str, ...], bool]:
    """Documents that a line can mean, and whether our own reference says so."""
    read = scan(text)
    references = {reference for reference, _, _ in references_in(read) if reference}
    if references:
        owners = {i.document_id for i in case.candidates.items if own_reference(i.payment_reference) in references}
        return tuple(sorted(owners)), True
    found = find_numbers(f"document:{at}", read, case.candidates.items, case.policy.suffix_digits_min)
    named = tuple(sorted({d for citation in found for d in citation.documents}))
    return case.narrowed(Citation("document", 0, len(text), "full", named)), False


def settle_designation(case: Case, designation: Designation) -> Settlement:
    """Settlement by the stated amounts; without amounts as for documents named in free text."""
    items = case.open_items(designation.documents)
    if not designation.has_amounts:
        return settle(case, items)
    paid = sum(line.paid_minor or 0 for line, _ in designation.lines)
    if paid > case.available_minor or paid <= 0:
        return Settlement("advice_differs", (), case.available_minor, reason=Reason.DESIGNATION_INCONSISTENT)
    left: dict[str, Application] = {}
    flags: set[str] = set()
    for line, document in designation.lines:
        _apply_line(case, line, case.open_items((document,)), left, flags)
    applications = tuple(left.values())
    rest = case.available_minor - sum(a.signed_cash_minor for a in applications)
    if rest < 0 or not applications:
        return Settlement("advice_differs", (), case.available_minor, reason=Reason.DESIGNATION_INCONSISTENT)
    return Settlement(_kind(items, applications, rest), applications, rest, flags=tuple(sorted(flags)))


def _kind(items: Sequence[ItemView], applications: tuple[Application, ...], rest: int) -> str:
    relieved = {a.item_id: a.relief_minor for a in applications}
    deducted = any(a.deduction_minor for a in applications)
    if rest == 0 and not deducted and all(relieved.get(i.item_id) == i.remaining_minor for i in items):
        return "discount" if any(a.discount_minor for a in applications) else "exact"
    return "designated"


def _apply_line(
    case: Case, line: RemittanceLine, items: Sequence[ItemView], done: dict[str, Application], flags: set[str]
) -> None:
    """Adds the line to the applications so far; cash goes to the document's items in order of due date."""
    wanted = line.paid_minor or 0
    side = CREDIT if wanted < 0 else "debit"
    cash = abs(wanted)
    touched = [item for item in items if item.side == side]
    for item in touched:
        before = done.get(item.item_id) or application(item, 0)
        now = min(cash, item.remaining_minor - before.relief_minor)
        cash -= now
        if now:
            done[item.item_id] = replace(before, cash_minor=before.cash_minor + now)
    if cash:
        flags.add("OVERPAID_LINE")
    if touched and side != CREDIT:
        _apply_withheld(case, line, touched[-1], done, flags)


def _apply_withheld(
    case: Case, line: RemittanceLine, item: ItemView, done: dict[str, Application], flags: set[str]
) -> None:
    """Discount and deduction of a line go to the document's last item, as far as it is still open."""
    before = done.get(item.item_id) or application(item, 0)
    open_minor = item.remaining_minor - before.relief_minor
    discount = line.discount_minor if 0 < line.discount_minor <= case.earned_discount_minor(item) else 0
    if line.discount_minor > discount:
        flags.add("DISC_UNEARNED")
    discount = min(discount, open_minor)
    deduction = min(line.deduction_minor, open_minor - discount) if case.policy.deduction == "deduct" else 0
    if line.deduction_minor and not line.reason:
        flags.add("DEDUCTION_WITHOUT_REASON")
        deduction = 0
    if discount or deduction:
        reason = line.reason if deduction else before.deduction_reason
        done[item.item_id] = replace(
            before,
            discount_minor=before.discount_minor + discount,
            deduction_minor=before.deduction_minor + deduction,
            deduction_reason=reason,
        )
