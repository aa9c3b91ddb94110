"""Between rows and the values of the domain. Column order stands in one place per table."""

from datetime import date
from typing import Any
from uuid import UUID

import asyncpg

from services.cash_application.domain.cash import Part, Receipt
from services.cash_application.domain.exchange import Rate
from services.cash_application.domain.items import Item
from services.cash_application.domain.journal import FUNDINGS
from services.cash_application.domain.matching.model import (
    Discount,
    PaymentView,
    ReceiptView,
    RemittanceLine,
)
from services.cash_application.domain.rows import (
    Account,
    Applied,
    Candidate,
    Document,
    OpenDebit,
    Refund,
    Suggested,
    UnbookedCash,
)
from services.cash_application.domain.suggestions import in_order

_RELIEF = tuple(f"relief_{name}" for name in FUNDINGS)


def rate_of(row: asyncpg.Record) -> Rate:
    return Rate(row["currency"], row["base_currency"], row["rate"], row["rate_id"])


def item_of(row: asyncpg.Record) -> Item:
    return Item(
        row["company"],
        row["item_id"],
        row["document_id"],
        row["line"],
        row["number"],
        row["kind"],
        row["side"],
        row["account_id"],
        row["currency"],
        row["original_minor"],
        row["remaining_minor"],
        row["document_on"],
        row["due_on"],
        row["business_date"],
        row["accounted_on"],
        rate_of(row),
        row["payment_reference"],
        tuple(Discount(date.fromisoformat(until), minor) for until, minor in row["discounts"].items()),
        row["disputed_minor"],
        [row[name] for name in _RELIEF],
        row["version"],
        row["posting_id"],
    )


def receipt_of(row: asyncpg.Record) -> Receipt:
    return Receipt(
        row["company"],
        row["payment_id"],
        row["bank_account"],
        row["currency"],
        row["amount_minor"],
        row["document_on"],
        row["valued_on"],
        row["accounted_on"],
        row["business_date"],
        rate_of(row),
        view_of(row),
        row["posting_id"],
        {},
        row["unidentified_minor"],
        row["refunded_minor"],
        row["non_ar_minor"],
        row["returned_minor"],
        row["gain_minor"],
        row["account_id"],
        row["outcome"],
        row["reason_code"],
        row["rule"],
        tuple(row["flags"]),
        row["certificate_id"],
        row["by_person"],
        row["tried_on"],
        row["version"],
    )


def view_of(row: asyncpg.Record) -> PaymentView:
    """The payment as the matcher sees it, from what `view_body` kept."""
    return _view(row, str(row["payment_id"]), row["bank_account"])


def _view(row: asyncpg.Record, name: str, bank_account: str) -> PaymentView:
    body = row["view"]
    return PaymentView(
        name,
        row["company"],
        bank_account,
        row["currency"],
        row["amount_minor"],
        row["valued_on"],
        body.get("name"),
        body.get("account"),
        tuple(body.get("text", ())),
        tuple(RemittanceLine(*line) for line in body.get("lines", ())),
        body.get("end_to_end"),
        body.get("creditor_reference"),
        body.get("charges", 0),
    )


def alike_of(row: asyncpg.Record, documents: tuple[str, ...] = ()) -> ReceiptView:
    """A receipt as another payment of its amount sees it."""
    body = row["view"]
    return ReceiptView(
        str(row["payment_id"]),
        row["currency"],
        row["amount_minor"],
        row["valued_on"],
        body.get("account"),
        body.get("name"),
        documents,
        row["open_minor"],
        row["account_id"],
    )


def view_body(view: PaymentView) -> dict[str, Any]:
    """What of a payment no column holds; empty values are left out."""
    lines = [
        [x.document, x.gross_minor, x.discount_minor, x.deduction_minor, x.reason, x.paid_minor]
        for x in view.remittance
    ]
    body = {
        "name": view.payer_name,
        "account": view.payer_account,
        "text": list(view.remittance_text),
        "lines": lines,
        "end_to_end": view.end_to_end,
        "creditor_reference": view.creditor_reference,
        "charges": view.charges_minor,
    }
    return {name: value for name, value in body.items() if value}


def part_of(row: asyncpg.Record) -> Part:
    return Part(row["applied_minor"], row["unapplied_minor"], row["on_account_minor"])


def account_of(row: asyncpg.Record) -> Account:
    return Account(
        row["company"],
        row["account_id"],
        row["name"],
        row["currency"],
        tuple(row["bank_accounts"]),
        (),
        row["registered"],
        party_id=row["party_id"],
    )


def applied_of(row: asyncpg.Record) -> Applied:
    return Applied(
        row["company"],
        row["posting_id"],
        row["item_id"],
        row["payment_id"],
        row["account_id"],
        row["side"],
        row["cash_minor"],
        row["discount_minor"],
        row["small_difference_minor"],
        row["bank_charge_minor"],
        row["deduction_minor"],
        row["deduction_item_id"],
        row["gain_minor"],
        row["rule"],
        row["reversed_by"],
    )


def document_of(row: asyncpg.Record) -> Document:
    return Document(
        row["company"],
        row["document_id"],
        row["account_id"],
        row["document_type"],
        row["number"],
        row["currency"],
        row["total_minor"],
        row["document_on"],
        row["business_date"],
        row["cancelled_on"],
        row["replaced_by"],
    )


def candidate_of(row: asyncpg.Record) -> Candidate:
    return Candidate(
        row["candidate_id"],
        row["company"],
        row["origin_id"],
        row["group_id"],
        row["account_id"],
        row["payment_id"],
        row["amount_minor"],
        row["currency"],
        tuple(row["evidence"]),
        row["source"],
        row["since_on"],
        row["open"],
    )


def unbooked_of(row: asyncpg.Record) -> UnbookedCash:
    view = _view(row, str(row["origin_id"]), "")
    return UnbookedCash(row["group_id"], row["payment_id"], row["source"], row["since_on"], view, tuple(row["keys"]))


def suggested_of(row: asyncpg.Record) -> Suggested:
    items = in_order((UUID(item_id), minor) for item_id, minor in row["items"].items())
    return Suggested(
        row["rank"], row["account_id"], items, row["rule"], row["why"], row["chance"], row["certificate_id"]
    )


def debit_of(row: asyncpg.Record) -> OpenDebit:
    return OpenDebit(
        row["company"],
        row["debit_id"],
        row["bank_account"],
        row["currency"],
        row["amount_minor"],
        row["left_minor"],
        row["valued_on"],
        row["accounted_on"],
        row["reason_code"],
        tuple(row["keys"]),
        row["payment_id"],
    )


def refund_of(row: asyncpg.Record) -> Refund:
    return Refund(
        row["company"],
        row["refund_id"],
        row["account_id"],
        row["payment_id"],
        row["amount_minor"],
        row["currency"],
        row["bank_account"],
        row["status"],
        row["requested_by"],
        row["requested_on"],
        row["from_place"],
        row["approved_by"],
        row["approved_on"],
        row["approval_id"],
        row["version"],
    )
