"""Documents of the books as facts: invoices, debit and credit memos, cancellations, rebills.

Invariants: sum(instalments) = total − prepaid; net + tax = total where both are given; nothing is due before it was
issued. A document's identity is company / source system / family / source id, never its printed number.
"""

import hashlib
from datetime import date
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from services.ingest.domain.accounts import account_key
from services.ingest.domain.fields import (
    Body,
    Refused,
    amount,
    build,
    currency,
    day,
    minor,
    pairs,
    required,
    required_day,
    text,
    yes_no,
)
from shared.events.facts import Source
from shared.events.invoices import (
    CreditMemoIssued,
    DebitMemoIssued,
    Document,
    InvoiceCancelled,
    InvoiceIssued,
    InvoiceRebilled,
)
from shared.ids import document_id
from shared.money import text as money_text

FAMILY = {"invoice": "invoice", "rebill": "invoice", "debit_memo": "debit_memo", "credit_memo": "credit_memo"}
FAMILIES = frozenset(FAMILY.values())
_document_id = lru_cache(maxsize=16_384)(document_id)
Issued = InvoiceIssued | DebitMemoIssued | CreditMemoIssued
_MODEL: dict[str, type[Issued]] = {
    "invoice": InvoiceIssued, "debit_memo": DebitMemoIssued, "credit_memo": CreditMemoIssued,
}  # fmt: skip


def identity(company: str, kind: str, body: Body) -> UUID:
    """Id of the document that a record is about; a cancellation names an invoice unless `applies_to` names a family."""
    family = FAMILY.get(kind) or _cancelled_family(body)
    return _document_id(company, required(body, "source_system"), family, required(body, "source_document_id"))


def _cancelled_family(body: Body) -> str:
    named = body.get("applies_to")
    return named if isinstance(named, str) and named in FAMILIES else "invoice"


def replaced_identity(company: str, body: Body) -> UUID:
    """Id of the invoice that a rebill replaces."""
    return document_id(company, required(body, "source_system"), "invoice", required(body, "replaces_document_id"))


def issued(company: str, kind: str, body: Body, source: Source) -> Issued:
    """The issued document of a record. Raises Refused with the field and the reason."""
    family = FAMILY[kind]
    head = _head(company, family, body)
    extra = _credit(company, head, body) if family == "credit_memo" else _debit(head, body)
    return build(_MODEL[family], **head, **extra, source=source)


def _head(company: str, family: str, body: Body) -> dict[str, Any]:
    code = currency(body)
    document_on = required_day(body, "document_on")
    total = amount(body, "total", code)
    head = {
        "company": company,
        "document_id": identity(company, family, body),
        "source_system": required(body, "source_system"),
        "document_type": family,
        "source_document_id": required(body, "source_document_id"),
        "number": text(body, "number") or required(body, "source_document_id"),
        "account_id": account_key(body, "account_id"),
        "document_on": document_on,
        "service_from_on": day(body, "service_from_on"),
        "service_to_on": day(body, "service_to_on"),
        "terms": text(body, "terms"),
        "currency": code,
        "net_minor": amount(body, "net", code, 0),
        "tax_minor": amount(body, "tax", code, 0),
        "total_minor": total,
        "prepaid_minor": amount(body, "prepaid", code, 0),
        "references": {name: text(body, name) for name in _REFERENCES},
        "lines": lines(body, code),
    }
    _check_sums(head, body)
    return head


_REFERENCES = ("purchase_order", "contract", "project", "payment_reference", "buyer")


def _check_sums(head: dict[str, Any], body: Body) -> None:
    total, code = head["total_minor"], head["currency"]
    given = [name for name in ("net", "tax") if body.get(name) not in (None, "")]
    if len(given) == 2 and head["net_minor"] + head["tax_minor"] != total:
        parts = money_text(head["net_minor"] + head["tax_minor"], code)
        raise Refused("total_differs", "total", f"net and tax make {parts}, the total is {money_text(total, code)}")
    if head["prepaid_minor"] > total:
        raise Refused("prepaid_over_total", "prepaid", "more is prepaid than the total of the document")


def _debit(head: dict[str, Any], body: Body) -> dict[str, Any]:
    code, document_on = head["currency"], head["document_on"]
    open_minor = head["total_minor"] - head["prepaid_minor"]
    due_on = day(body, "due_on")
    instalments = [(_date(due, "instalments"), minor(part, code, "instalments")) for due, part in _instalments(body)]
    if not instalments:
        if due_on is None:
            raise Refused("missing", "due_on", "the document has neither a due date nor instalments")
        instalments = [(due_on, open_minor)]
    if sum(part for _, part in instalments) != open_minor:
        found = money_text(sum(part for _, part in instalments), code)
        wanted = money_text(open_minor, code)
        raise Refused("instalments_differ", "instalments", f"they add up to {found}, total less prepaid is {wanted}")
    due_on = due_on or max(due for due, _ in instalments)
    if min(due_on, *(due for due, _ in instalments)) < document_on:
        raise Refused("due_before_issue", "due_on", f"due before {document_on}, the day the document was issued")
    numbered = [
        {"line": f"{number:03d}", "due_on": due, "amount_minor": part}
        for number, (due, part) in enumerate(instalments, 1)
    ]
    return {"due_on": due_on, "instalments": numbered, "discounts": _discounts(body, code, document_on, open_minor)}


def _instalments(body: Body) -> list[tuple[str, Any]]:
    return pairs(body, "instalments", "due_on", "amount")


def _discounts(body: Body, code: str, document_on: date, open_minor: int) -> list[dict[str, Any]]:
    found = []
    for until, part in pairs(body, "discounts", "until_on", "amount"):
        until_on, amount_minor = _date(until, "discounts"), minor(part, code, "discounts")
        if until_on < document_on:
            raise Refused("discount_before_issue", "discounts", f"a discount ends on {until_on}, before the issue")
        if amount_minor > open_minor:
            raise Refused("discount_over_total", "discounts", "a discount is larger than what is to be paid")
        found.append({"until_on": until_on, "amount_minor": amount_minor})
    return found


def _credit(company: str, head: dict[str, Any], body: Body) -> dict[str, Any]:
    code = head["currency"]
    applies = []
    for document, part in pairs(body, "applies_to", "source_document_id", "amount"):
        target = document_id(company, head["source_system"], "invoice", document)
        applies.append({"document_id": target, "amount_minor": minor(part, code, "applies_to")})
    if sum(entry["amount_minor"] for entry in applies) > head["total_minor"]:
        raise Refused("applies_over_total", "applies_to", "more is applied than the total of the credit memo")
    due_on = day(body, "due_on") or head["document_on"]
    return {"due_on": due_on, "reason_code": text(body, "reason_code"), "applies_to": applies}


def _date(value: str, name: str) -> date:
    return required_day({name: value}, name)


def lines(body: Body, code: str) -> list[dict[str, Any]]:
    """Lines of a document: a list, or a JSON array in a cell."""
    value = body.get("lines")
    if value in (None, ""):
        return []
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise Refused("lines_not_valid", "lines", "the cell is not a JSON array; it may be cut off") from None
    if not isinstance(value, list) or not all(isinstance(line, dict) for line in value):
        raise Refused("lines_not_valid", "lines", "lines are a list of objects")
    return [_line(line, code) for line in value]


def _line(line: Body, code: str) -> dict[str, Any]:
    net = line.get("net", "0")
    return {
        "text": text(line, "text"),
        "quantity": text(line, "quantity", "1"),
        "net_minor": 0 if net in (None, "") else minor(net, code, "lines.net", signed=True),
        "tax_rate": text(line, "tax_rate"),
        "product": text(line, "product"),
    }


def material_hash(document: Document) -> str:
    """Hash of what may not change under one identity: parties, amounts, dates, discounts, references."""
    facts = document.model_dump(mode="json", exclude={"lines", "source", "document_ref", "copy_ref", "terms"})
    return hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def cancelled(company: str, document: UUID, account_id: str, body: Body, on: date) -> InvoiceCancelled:
    """Cancellation of a known document; `on` counts where the record has no date."""
    return build(
        InvoiceCancelled,
        company=company,
        document_id=document,
        account_id=account_id,
        cancelled_on=day(body, "document_on") or on,
        reason_code=text(body, "reason_code"),
        number=text(body, "number"),
    )


def rebilled(new: Document, body: Body) -> InvoiceRebilled:
    """The fact beside the new invoice that says which one it replaces."""
    return build(
        InvoiceRebilled,
        company=new.company,
        document_id=new.document_id,
        account_id=new.account_id,
        replaces_document_id=replaced_identity(new.company, body),
        keeps_due_date=yes_no(body, "keeps_due_date", True),
        rebilled_on=new.document_on,
    )
