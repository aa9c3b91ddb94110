"""What the ERP and the usage billing deliver: CSV files and JSON records in the fixed feed format.

Rows are dictionaries by column name; the same row makes a CSV line or, with
lists instead of joined cells, a JSON record. Amounts are decimal strings.
"""

import csv
import io
import json
from datetime import date
from typing import Any

from sample.camt import decimal_text
from sample.contacts import Contact, Link
from sample.customers import Customer
from sample.documents import Document

COMPANY = "vdr-eu"
COLUMNS = {
    "customers": (
        "company,account_id,party_id,name,debtor_kind,country,region,subdivision,industry,segment,language,currency,"
        "time_zone,tax_ids,terms,credit_limit,collector,sales_owner,customer_since_on,bank_accounts,access_targets,"
        "confidentiality,status"
    ).split(","),
    "contacts": (
        "company,account_id,contact_id,name,roles,email,phone,address,language,time_zone,channels,consents,valid"
    ).split(","),
    "links": "company,from_account_id,to_account_id,kind,from_on,to_on".split(","),
    "documents": (
        "company,source_system,document_type,source_document_id,number,account_id,document_on,service_from_on,"
        "service_to_on,terms,due_on,currency,net,tax,total,prepaid,instalments,discounts,purchase_order,contract,"
        "project,payment_reference,buyer,reason_code,applies_to,replaces_document_id,keeps_due_date,lines"
    ).split(","),
}
PAIRS = {
    "instalments": ("due_on", "amount"),
    "discounts": ("until_on", "amount"),
    "applies_to": ("source_document_id", "amount"),
}


def _day(on: date | None) -> str:
    return on.isoformat() if on else ""


def customer_row(customer: Customer, changes: dict[str, object]) -> dict[str, Any]:
    """The whole row of a customer; `changes` holds what the ERP has learned since."""
    known, limit = customer.known_accounts, customer.credit_limit_minor
    row: dict[str, Any] = {
        "company": COMPANY,
        "account_id": customer.account_id,
        "party_id": customer.party_id,
        "name": customer.name,
        "debtor_kind": customer.debtor_kind,
        "country": customer.country.code,
        "region": customer.country.region,
        "subdivision": customer.city[2],
        "industry": customer.industry,
        "segment": customer.segment,
        "language": customer.country.language,
        "currency": customer.currency,
        "time_zone": customer.country.time_zone,
        "tax_ids": [customer.tax_id] if customer.tax_id else [],
        "terms": str(customer.terms),
        "credit_limit": decimal_text(limit),
        "collector": "collector",
        "sales_owner": customer.sales_owner,
        "customer_since_on": _day(customer.customer_since_on),
        "bank_accounts": list(known),
        "access_targets": customer.access_targets,
        "confidentiality": customer.confidentiality,
        "status": customer.status,
    }
    for name, value in changes.items():
        if name == "credit_limit_minor":
            assert isinstance(value, int)
            row["credit_limit"] = decimal_text(value)
        else:
            row[name] = value
    return row


def contact_row(contact: Contact) -> dict[str, Any]:
    return {
        "company": COMPANY,
        "account_id": contact.account_id,
        "contact_id": contact.contact_id,
        "name": contact.name,
        "roles": list(contact.roles),
        "email": contact.email,
        "phone": contact.phone,
        "address": contact.address,
        "language": contact.language,
        "time_zone": contact.time_zone,
        "channels": ["email", "phone"] if contact.email else ["phone"],
        "consents": ["email"] if contact.email else [],
        "valid": contact.valid,
    }


def link_row(link: Link) -> dict[str, Any]:
    return {
        "company": COMPANY,
        "from_account_id": link.from_account_id,
        "to_account_id": link.to_account_id,
        "kind": link.kind,
        "from_on": _day(link.from_on),
        "to_on": _day(link.to_on),
    }


def document_row(document: Document) -> dict[str, Any]:
    """One row of a document; a cancellation carries the id of the document that it withdraws and a reason."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS["documents"], "")
    row |= {"instalments": [], "discounts": [], "applies_to": [], "lines": []}
    row |= {"company": COMPANY, "source_system": document.source_system, "document_type": document.kind}
    row |= {"account_id": document.customer.account_id, "document_on": _day(document.document_on)}
    row |= {"currency": document.customer.currency, "reason_code": document.reason_code}
    if document.cancels is not None:
        return row | {"source_document_id": document.cancels.source_document_id}
    row |= {
        "source_document_id": document.source_document_id,
        "number": document.number,
        "terms": document.terms,
        "due_on": _day(document.due_on),
        "net": decimal_text(document.net_minor),
        "tax": decimal_text(document.tax_minor),
        "total": decimal_text(document.total_minor),
        "prepaid": "0.00",
        "purchase_order": document.purchase_order,
        "project": document.project,
        "payment_reference": document.payment_reference,
        "buyer": document.customer.name if document.purchase_order else "",
        "discounts": [[_day(document.discount[0]), decimal_text(document.discount[1])]] if document.discount else [],
        "applies_to": [[target.source_document_id, decimal_text(amount)] for target, amount in document.applies_to],
        "lines": _lines(document),
    }
    if document.kind in ("invoice", "rebill"):
        month = document.document_on.replace(day=1)
        row |= {"service_from_on": _day(month), "service_to_on": _day(document.document_on)}
    if len(document.items) > 1:
        row["instalments"] = [[_day(item.due_on), decimal_text(item.amount_minor)] for item in document.items]
    if document.replaces is not None:
        row["replaces_document_id"] = document.replaces.source_document_id
        row["keeps_due_date"] = bool(document.keeps_due_date)
    return row


def _lines(document: Document) -> list[dict[str, str]]:
    """Lines of every third document; the feed may leave them out."""
    if not document.lines or int(document.source_document_id[-1]) % 3:
        return []
    rate = "19" if document.tax_minor else "0"
    return [
        {
            "text": line.text,
            "quantity": str(line.quantity),
            "net": decimal_text(line.net_minor),
            "tax_rate": rate,
            "product": line.product,
        }
        for line in document.lines
    ]


def _cell(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == "lines":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""
    if name in PAIRS:
        return ";".join("=".join(pair) for pair in value)
    return ";".join(value) if isinstance(value, list) else str(value)


def csv_file(kind: str, rows: list[dict[str, Any]]) -> bytes:
    """RFC 4180: comma, quotes where needed, CRLF, header row."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS[kind])
    writer.writerows([_cell(name, row[name]) for name in COLUMNS[kind]] for row in rows)
    return buffer.getvalue().encode()


def json_file(rows: list[dict[str, Any]]) -> bytes:
    """Documents as records of the JSON feed; columns without a value are left out."""
    records = []
    for row in rows:
        record: dict[str, Any] = {"record_type": row["document_type"]}
        for name, value in row.items():
            if name == "document_type" or value in ("", []):
                continue
            pairs = PAIRS.get(name)
            record[name] = [dict(zip(pairs, pair, strict=True)) for pair in value] if pairs else value
        records.append(record)
    return (json.dumps({"records": records}, ensure_ascii=False, indent=1) + "\n").encode()
