"""Facts of `ar.invoices`: numbers, dates, texts and lines of documents. What is open of them comes from the ledger."""

from services.reporting.projections.rows import Rows
from shared.events.codec import Event
from shared.events.invoices import Document, InvoiceCancelled

LINES_MAX = 500
COLUMNS = (
    "company", "document_id", "account_id", "document_type", "number", "currency", "terms", "document_on", "due_on",
    "service_from_on", "service_to_on", "net_minor", "tax_minor", "total_minor", "prepaid_minor",
)  # fmt: skip
REFERENCES = ("purchase_order", "contract", "project", "payment_reference")


def document(rows: Rows, event: Event) -> None:
    data: Document = event.data
    row = {name: getattr(data, name) for name in COLUMNS}
    row |= {name: getattr(data.references, name) for name in REFERENCES}
    row["reason_code"] = getattr(data, "reason_code", "")
    row["lines"] = [line.model_dump() for line in data.lines[:LINES_MAX]]
    row["known_at"] = event.envelope.known_at
    rows.put("document", (data.company, data.document_id), row)


def cancelled(rows: Rows, event: Event) -> None:
    data: InvoiceCancelled = event.data
    row = {name: getattr(data, name) for name in ("company", "document_id", "reason_code", "cancelled_on")}
    rows.put("cancellation", (data.company, data.document_id), row)
