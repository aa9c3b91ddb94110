"""What a payer writes about the invoices it pays, and what that designates.

A citation keeps the words as they stand on the bank line and, apart from them,
the documents that the words or structures name. Mistakes are made in `mistakes.py`.
"""

from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import TYPE_CHECKING

from sample.documents import Document
from sample.payers import plain_letters
from sample.words import DEDUCTION_REASONS, EMPTY_WORDS, INVOICE_WORDS

if TYPE_CHECKING:
    from sample.payments import Part, Payment

TEXT_CHARACTERS_MAX = 140
PART_WORDS = {"de": "Teilzahlung", "fr": "Acompte", "en": "Part payment", "nl": "Deelbetaling"}
ACCOUNT_WORDS = {"de": "Kd-Nr.", "fr": "No client", "en": "Customer", "nl": "Debiteurnr"}


@dataclass(frozen=True)
class Structured:
    """One structured remittance block: a creditor reference, or a referred document with its amounts."""

    creditor_reference: str = ""
    document_kind: str = ""
    number: str = ""
    document_on: date | None = None
    due_minor: int = 0
    discount_minor: int = 0
    deduction_minor: int = 0
    deduction_reason: str = ""
    remitted_minor: int = 0


@dataclass
class Citation:
    """`designated` is what the payer literally names, with an amount where it states one; `mistaken` if by mistake."""

    style: str
    texts: list[str] = field(default_factory=list)
    structured: list[Structured] = field(default_factory=list)
    designated: list[tuple[Document, int | None]] = field(default_factory=list)
    cited: list[str] = field(default_factory=list)
    mistaken: bool = False
    end_to_end: str = "NOTPROVIDED"

    @property
    def is_empty(self) -> bool:
        return not self.cited


def grouped(reference: str) -> str:
    return " ".join(reference[place : place + 4] for place in range(0, len(reference), 4))


def number_variant(rng: Random, number: str) -> str:
    """A printed number as people shorten and misspell it: same digits of the running number, other dress."""
    head, year, running = number.split("-")
    return rng.choice(
        (
            f"{year}-{running}",
            f"{head} {year} {running}",
            number.lower(),
            f"{head}{year}{running}",
            f"{year}{running}",
            running,
            running.lstrip("0"),
            f"{running.lstrip('0')}/{year}",
        )
    )


def _words(rng: Random, payment: "Payment") -> tuple[str, str]:
    assert payment.customer is not None
    language = payment.customer.country.language
    word = rng.choice(INVOICE_WORDS[language])
    return (f"{PART_WORDS[language]} {word}" if "partial" in payment.kinds else word), language


def _deduction_text(rng: Random, parts: list["Part"]) -> str:
    """Two in three payers say in words what they kept back."""
    said = [
        f"{DEDUCTION_REASONS[part.deduction_reason]} {part.deduction_minor // 100}.{part.deduction_minor % 100:02d}"
        for part in parts
        if part.deduction_minor
    ]
    return ", ".join(said) if said and rng.randrange(3) else ""


def wrap(rng: Random, text: str, currency: str) -> list[str]:
    """One line; correspondent banks of dollar payments often cut at 35 characters, within a word if need be."""
    text = plain_letters(text)
    if currency == "USD" and len(text) > 35 and rng.randrange(2):
        return [text[place : place + 35] for place in range(0, len(text), 35)]
    return [text]


def cite_nothing(rng: Random, payment: "Payment") -> Citation:
    """No document is named: no text at all, empty words, or the customer number alone."""
    citation = Citation("none", end_to_end=_own_end_to_end(rng))
    language = payment.customer.country.language if payment.customer else "en"
    form = rng.randrange(10)
    if form < 5:
        citation.texts = [plain_letters(rng.choice(EMPTY_WORDS[language]))]
    elif form < 7 and payment.customer is not None and "unknown_payer" not in payment.kinds:
        citation.texts = [f"{ACCOUNT_WORDS[language]} {payment.customer.account_id}"]
    return citation


def _own_end_to_end(rng: Random) -> str:
    prefix = rng.choice(("PAY", "TRF", "ZA", "AP"))
    return "NOTPROVIDED" if rng.randrange(4) == 0 else f"{prefix}{rng.randrange(10**8):08d}"


def _cite_texts(rng: Random, payment: "Payment", tokens: list[str], style: str) -> Citation:
    word, _ = _words(rng, payment)
    separator = rng.choice((", ", " ", "; ", " + ", "/ "))
    text = f"{word} {separator.join(tokens)}"
    deduction = _deduction_text(rng, payment.parts)
    if deduction and len(text) + len(deduction) + 1 <= TEXT_CHARACTERS_MAX:
        text = f"{text} {deduction}"
    citation = Citation(style, wrap(rng, text, payment.currency), cited=tokens, end_to_end=_own_end_to_end(rng))
    citation.designated = [(part.document, None) for part in payment.parts]
    if len(tokens) == 1 and style == "number_text" and rng.randrange(6) == 0:
        citation.end_to_end = tokens[0]
    return citation


def _cite_documents(rng: Random, payment: "Payment") -> Citation:
    citation = Citation("document_structured", end_to_end=_own_end_to_end(rng))
    for part in payment.parts:
        credit = part.document.kind == "credit_memo"
        owed = part.item.payable_minor if "partial" in payment.kinds else abs(part.cash_minor) + part.kept_back_minor
        citation.structured.append(
            Structured(
                document_kind={"credit_memo": "CREN", "debit_memo": "DEBN"}.get(part.document.kind, "CINV"),
                number=part.document.number,
                document_on=part.document.document_on,
                due_minor=owed,
                discount_minor=part.discount_minor,
                deduction_minor=part.deduction_minor,
                deduction_reason=part.deduction_reason,
                remitted_minor=abs(part.cash_minor) + part.fee_minor,
            )
        )
        stated = part.cash_minor + part.fee_minor
        citation.designated.append((part.document, -abs(stated) if credit else stated))
        citation.cited.append(part.document.number)
    return citation


def _cite_references(payment: "Payment", end_to_end: str) -> Citation:
    references = [part.document.payment_reference for part in payment.parts]
    return Citation(
        "rf_structured",
        structured=[Structured(creditor_reference=reference) for reference in references],
        designated=[(part.document, None) for part in payment.parts],
        cited=references,
        end_to_end=end_to_end,
    )


def _number_tokens(rng: Random, parts: list["Part"], style: str) -> list[str]:
    if style == "number_text":
        return [part.document.number for part in parts]
    return [number_variant(rng, part.document.number) for part in parts]


def cite(rng: Random, payment: "Payment", style: str) -> Citation:
    """Name every paid document in the given style; falls back to structures where the text would be too long."""
    if payment.method == "direct_debit":
        return _cite_references(payment, payment.parts[0].document.number)
    nets_credit = any(part.cash_minor < 0 for part in payment.parts)
    if nets_credit and style in ("rf_structured", "rf_text"):
        style = "number_text"
    if style == "rf_structured":
        return _cite_references(payment, _own_end_to_end(rng))
    if style == "document_structured":
        return _cite_documents(rng, payment)
    if style == "rf_text":
        spaced = rng.randrange(2)
        tokens = [part.document.payment_reference for part in payment.parts]
        citation = _cite_texts(rng, payment, [grouped(token) if spaced else token for token in tokens], style)
    else:
        citation = _cite_texts(rng, payment, _number_tokens(rng, payment.parts, style), style)
    if sum(len(text) for text in citation.texts) > TEXT_CHARACTERS_MAX:
        return _cite_documents(rng, payment)
    return citation
