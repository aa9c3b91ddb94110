"""Wrong references: transposed, mistyped, or by bad luck the number of another customer's open invoice.

The words are checked against all numbers that exist, so the truth knows for each
mistake whether it names nothing or whose document it names.
"""

from datetime import date
from random import Random

from sample.documents import Document
from sample.payments import Payment
from sample.remittance import Citation, cite_nothing, wrap
from sample.words import INVOICE_WORDS


class Register:
    """All printed numbers and references of the run, and which documents are open on a day."""

    def __init__(self, documents: list[Document], payments: list[Payment]) -> None:
        self._numbers = {document.number: document for document in documents if document.number}
        self._references = {document.payment_reference for document in documents if document.payment_reference}
        self._paid_on: dict[int, date] = {}
        for payment in payments:
            for part in payment.parts:
                known = self._paid_on.get(id(part.document), payment.paid_on)
                self._paid_on[id(part.document)] = min(known, payment.paid_on)

    def exists(self, text: str) -> bool:
        return text in self._numbers or text in self._references

    def is_open(self, document: Document, payment: Payment) -> bool:
        """Fed when the payment becomes known, not cancelled or credited in full, and not paid before or with it."""
        on = payment.paid_on
        owed = document.kind in ("invoice", "rebill") and sum(item.payable_minor for item in document.items) > 0
        cancelled = document.cancelled_on is not None and document.cancelled_on <= on
        paid_on = self._paid_on.get(id(document))
        return owed and not cancelled and document.fed_on <= payment.known_on and (paid_on is None or paid_on > on)

    def others_open(self, payment: Payment) -> list[Document]:
        """Open invoices of other customers in the payment's currency."""
        return [
            document
            for document in self._numbers.values()
            if document.customer is not payment.customer
            and document.customer.currency == payment.currency
            and self.is_open(document, payment)
        ]


def typos(text: str) -> list[str]:
    """All transpositions of neighbouring digits and all changes of one digit behind the year."""
    start = len(text) - 6
    found = []
    for place in range(start, len(text)):
        if place + 1 < len(text) and text[place] != text[place + 1]:
            found.append(text[:place] + text[place + 1] + text[place] + text[place + 2 :])
        found += [text[:place] + digit + text[place + 1 :] for digit in "0123456789" if digit != text[place]]
    return found


def distance(left: str, right: str) -> int:
    return sum(a != b for a, b in zip(left, right, strict=False)) + abs(len(left) - len(right))


def _mistaken(rng: Random, payment: Payment, token: str, hit: Document | None) -> Citation:
    assert payment.customer is not None
    word = rng.choice(INVOICE_WORDS[payment.customer.country.language])
    citation = cite_nothing(rng, payment)
    citation.style, citation.mistaken, citation.cited = "wrong", True, [token]
    citation.texts = wrap(rng, f"{word} {token}", payment.currency)
    citation.designated = [(hit, None)] if hit is not None else []
    return citation


def cite_nonexistent(rng: Random, payment: Payment, register: Register) -> Citation:
    """A transposed creditor reference (its check digits fail) or a mistyped number that was never issued."""
    document = payment.parts[0].document
    text = document.payment_reference if rng.randrange(2) else document.number
    wrong = [typo for typo in typos(text) if not register.exists(typo)]
    if text == document.number:
        year = "2024" if "-2025-" in text else "2062"
        wrong.append(text.replace("-2025-", f"-{year}-").replace("-2026-", f"-{year}-"))
        wrong.append(text[:-1])
    return _mistaken(rng, payment, rng.choice(wrong), None)


def cite_other(rng: Random, payment: Payment, register: Register) -> Citation | None:
    """The number of another customer's open invoice that differs least from the right one; None if none is open."""
    right = payment.parts[0].document.number
    others = register.others_open(payment)
    if not others:
        return None
    least = min(distance(right, document.number) for document in others)
    hit = rng.choice([document for document in others if distance(right, document.number) == least])
    return _mistaken(rng, payment, hit.number, hit)
