"""Structured remittance: the payer says per document what is paid, which discount is taken and what is withheld.

Invariant: a line never gets more than is open of its items; discount is granted only if it was earned, a deduction
only with a reason; what is neither stays open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.cash_application.domain.matching.case import Case
from services.cash_application.domain.matching.instalments import relieve
from services.cash_application.domain.matching.model import (
    CREDIT,
    DEBIT,
    Application,
    ItemView,
    Reason,
    RemittanceLine,
)
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
    flags: set[str] = set()
    by_document: dict[str, list[RemittanceLine]] = {}
    for line, document in designation.lines:
        by_document.setdefault(document, []).append(line)
    applications = tuple(a for d, lines in by_document.items() for a in _pay_document(case, d, lines, flags))
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


def _pay_document(case: Case, document: str, lines: Sequence[RemittanceLine], flags: set[str]) -> Iterator[Application]:
    """What all lines of a document say together, on its instalments: two lines of one amount mean two instalments."""
    items = case.open_items((document,))
    debits = [item for item in items if item.side == DEBIT]
    taken = -sum(line.paid_minor or 0 for line in lines if (line.paid_minor or 0) < 0)
    for item in (item for item in items if item.side == CREDIT):
        if now := min(taken, item.remaining_minor):
            yield application(item, now)
        taken -= now
    said = [line for line in lines if (line.paid_minor or 0) >= 0]
    paid = sum(line.paid_minor or 0 for line in said)
    open_minor = sum(item.remaining_minor for item in debits)
    cash = min(paid, open_minor)
    deduction, reason = _deduction(case, said, flags)
    discount, deduction = _within(open_minor - cash, sum(max(0, line.discount_minor) for line in said), deduction)
    shares = relieve(case, debits, cash + discount + deduction)
    if discount > sum(min(minor, case.earned_discount_minor(item)) for item, minor in shares):
        flags.add("DISC_UNEARNED")
        discount, deduction = _within(open_minor - cash, 0, _deduction(case, said, flags)[0])
        shares = relieve(case, debits, cash + deduction)
    if taken or paid + discount + deduction > sum(minor for _, minor in shares):
        flags.add("OVERPAID_LINE")
    yield from _shared_out(case, shares, discount, deduction, reason)


def _within(open_minor: int, discount: int, deduction: int) -> tuple[int, int]:
    """Discount, then deduction, as far as the document is still open after the cash."""
    discount = min(discount, open_minor)
    return discount, min(deduction, open_minor - discount)


def _deduction(case: Case, lines: Sequence[RemittanceLine], flags: set[str]) -> tuple[int, str | None]:
    """What the lines withhold with a reason, and the last such reason."""
    if any(line.deduction_minor and not line.reason for line in lines):
        flags.add("DEDUCTION_WITHOUT_REASON")
    withheld = [line for line in lines if line.deduction_minor > 0 and line.reason]
    if case.policy.deduction != "deduct" or not withheld:
        return 0, None
    return sum(line.deduction_minor for line in withheld), withheld[-1].reason


def _shared_out(
    case: Case, shares: Sequence[tuple[ItemView, int]], discount: int, deduction: int, reason: str | None
) -> Iterator[Application]:
    """Splits each instalment's relief: its earned discount, the deduction on the last ones, the rest is cash."""
    parts: list[Application] = []
    for item, minor in reversed(shares):
        off = min(discount, case.earned_discount_minor(item), minor)
        withheld = min(deduction, minor - off)
        discount, deduction = discount - off, deduction - withheld
        parts.append(
            application(
                item,
                minor - off - withheld,
                discount_minor=off,
                deduction_minor=withheld,
                deduction_reason=reason if withheld else None,
            )
        )
    return reversed(parts)
