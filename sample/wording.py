"""The planted difficulties of words: silence, mistakes, and what cannot be told from the data.

Payments that cannot be decided are chosen first, among those where another item
of the account stands open with the same amount; who is left cites as usual.
"""

from random import Random

from sample.difficulties import is_ordinary, no_discount, pick, planned
from sample.documents import Document
from sample.mistakes import Register, cite_nonexistent, cite_other
from sample.payments import Payment
from sample.remittance import cite, cite_nothing


def choose_words(rng: Random, payments: list[Payment], documents: list[Document]) -> None:
    """Undecidable ones first, then unknown payers, mistakes, silence up to the planned share, and plain citations."""
    count = len(payments)
    twins = twin_payments(payments, documents)
    for payment in pick(rng, payments, planned("undecidable", count), lambda one: id(one) in twins):
        payment.citation = cite_nothing(rng, payment)
    for payment in payments:
        if "unknown_payer" in payment.kinds and (payment.customer is None or rng.randrange(4)):
            payment.citation = cite_nothing(rng, payment)
    _plant_mistakes(rng, payments, documents)
    _plant_silence(rng, payments)
    for payment in sorted(payments, key=lambda one: one.repeats is not None):
        if payment.citation is None and payment.repeats is not None:
            payment.citation = payment.repeats.citation
        elif payment.citation is None:
            payment.citation = cite(rng, payment, _style(rng, payment))
    for payment in payments:
        _name_citation_kinds(payment)


def _style(rng: Random, payment: Payment) -> str:
    """The customer's usual style, one in five times another."""
    assert payment.customer is not None
    style = payment.customer.habit.style
    if style == "none" or rng.randrange(5) == 0:
        return rng.choice(("rf_structured", "rf_text", "number_text", "number_variant", "document_structured"))
    return style


def _plant_mistakes(rng: Random, payments: list[Payment], documents: list[Document]) -> None:
    register = Register(documents, payments)
    count = len(payments)

    def fits(payment: Payment) -> bool:
        return payment.citation is None and is_ordinary(payment) and len(payment.parts) == 1 and not _late_fed(payment)

    hits = planned("wrong_reference_hits_other", count)
    for payment in pick(rng, payments, planned("wrong_reference", count), fits):
        other = cite_other(rng, payment, register) if hits > 0 else None
        hits -= other is not None
        payment.citation = other or cite_nonexistent(rng, payment, register)


def _plant_silence(rng: Random, payments: list[Payment]) -> None:
    """Payers who never name anything come first."""
    missing = planned("no_reference", len(payments))
    missing -= sum(1 for payment in payments if payment.citation is not None and payment.citation.is_empty)

    def silent(payment: Payment) -> bool:
        return payment.citation is None and payment.method == "transfer" and payment.repeats is None

    pool = pick(rng, payments, len(payments), silent)
    pool.sort(key=lambda one: one.customer is None or one.customer.habit.style != "none")
    for payment in pool[: max(0, missing)]:
        payment.citation = cite_nothing(rng, payment)


def _late_fed(payment: Payment) -> bool:
    return any(part.document.fed_on > payment.known_on for part in payment.parts)


def _name_citation_kinds(payment: Payment) -> None:
    citation = payment.citation
    assert citation is not None
    if citation.is_empty:
        payment.kinds.add("no_reference")
    if citation.mistaken:
        payment.kinds.add("wrong_reference")
        if citation.designated:
            payment.kinds.add("wrong_reference_hits_other")
    if _late_fed(payment):
        payment.kinds.add("invoice_after_payment")
    if sum(1 for part in payment.parts if part.cash_minor > 0) > 1:
        payment.kinds.add("several")
    if any(part.discount_minor for part in payment.parts):
        payment.kinds.add("discount")


def twin_payments(payments: list[Payment], documents: list[Document]) -> set[int]:
    """Plain payments of one item while another item of the same account is open with the same amount."""
    paid_on = {id(part.item): payment.paid_on for payment in payments for part in payment.parts}
    by_amount: dict[tuple[str, int], list[tuple[int, Document]]] = {}
    for document in documents:
        if document.kind in ("invoice", "rebill") and document.cancelled_on is None:
            for item in document.items:
                key = (document.customer.account_id, item.payable_minor)
                by_amount.setdefault(key, []).append((id(item), document))
    found = set()
    for payment in payments:
        if not (is_ordinary(payment) and no_discount(payment) and len(payment.parts) == 1):
            continue
        assert payment.customer is not None
        mine = id(payment.parts[0].item)
        equals = by_amount.get((payment.customer.account_id, payment.amount_minor), [])
        if any(
            other != mine
            and document.fed_on <= payment.known_on
            and paid_on.get(other, payment.paid_on) >= payment.paid_on
            for other, document in equals
        ):
            found.add(id(payment))
    return found
