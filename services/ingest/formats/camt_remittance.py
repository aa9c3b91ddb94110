"""Remittance information of a camt detail: free text, creditor reference, and what the payer says of each document."""

from typing import Any

from services.ingest.formats.records import REMITTANCE_LINES_MAX, TEXT_LINES_MAX
from services.ingest.formats.xml_parts import Element, child, children, either, text

CREDIT_DOCUMENTS = frozenset({"CREN", "SOAC"})


def remittance(element: Element | None) -> dict[str, Any]:
    """`text`, `creditor_reference` and `remittance` of an RmtInf, empty ones without."""
    blocks = children(element, "Strd")
    texts = [" ".join((part.text or "").split()) for part in children(element, "Ustrd")]
    texts += [text_ for block in blocks for part in children(block, "AddtlRmtInf") if (text_ := _own(part))]
    references = [text(block, "CdtrRefInf", "Ref") for block in blocks]
    lines = [line for block in blocks for line in _block(block, alone=len(blocks) == 1)]
    return {
        "text": [line for line in texts if line][:TEXT_LINES_MAX],
        "creditor_reference": next((reference for reference in references if reference), ""),
        "remittance": bounded(lines),
    }


def bounded(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines, or none if there are more than an event carries: a cut list would say something false."""
    return lines if len(lines) <= REMITTANCE_LINES_MAX else []


def _own(part: Element) -> str:
    return " ".join((part.text or "").split())


def _block(block: Element, *, alone: bool) -> list[dict[str, Any]]:
    """Documents of one Strd. Its amounts count for its document; with several documents they cannot be divided."""
    documents = [part for part in children(block, "RfrdDocInf") if text(part, "Nb")]
    amounts = _amounts(child(block, "RfrdDocAmt"))
    if not documents:
        reference = text(block, "CdtrRefInf", "Ref")
        return [{"document": reference, **amounts}] if reference and (amounts or not alone) else []
    if len(documents) > 1:
        amounts = {}
    return [_signed({"document": text(part, "Nb"), **amounts}, part) for part in documents]


def _signed(line: dict[str, Any], document: Element) -> dict[str, Any]:
    code = either(document, ("Tp", "CdOrPrtry", "Cd"), ("Tp", "CdOrPrtry", "Prtry"))
    return {**line, "credit": True} if code in CREDIT_DOCUMENTS or "credit" in line else line


def _amounts(amounts: Element | None) -> dict[str, Any]:
    """Decimal text per currency: gross (due), discount, deduction with reason, paid (remitted or credited)."""
    if amounts is None:
        return {}
    found: dict[str, Any] = {}
    _put(found, "gross", child(amounts, "DuePyblAmt"))
    for part in children(amounts, "DscntApldAmt"):
        inner = child(part, "Amt")
        _put(found, "discount", inner if inner is not None else part)
    _put(found, "paid", child(amounts, "RmtdAmt"))
    if "paid" not in found and child(amounts, "CdtNoteAmt") is not None:
        _put(found, "paid", child(amounts, "CdtNoteAmt"))
        found["credit"] = True
    _put_deductions(found, children(amounts, "AdjstmntAmtAndRsn"))
    return found


def _put(found: dict[str, Any], name: str, amount: Element | None) -> None:
    if amount is not None and amount.get("Ccy") and text(amount):
        found.setdefault("currency", amount.get("Ccy"))
        if found["currency"] == amount.get("Ccy"):
            found.setdefault(name, text(amount))


def _put_deductions(found: dict[str, Any], adjustments: list[Element]) -> None:
    """Reductions of what is paid; an adjustment that raises it is left out."""
    taken = [part for part in adjustments if text(part, "CdtDbtInd") != "CRDT"]
    amounts = [child(part, "Amt") for part in taken]
    found_amounts = [amount for amount in amounts if amount is not None]
    if found_amounts:
        found["deductions"] = [text(amount) for amount in found_amounts]
        found.setdefault("currency", found_amounts[0].get("Ccy", ""))
        found["reason"] = either(taken[0], ("Rsn",), ("AddtlInf",))
