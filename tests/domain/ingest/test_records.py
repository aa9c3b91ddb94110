"""Records of the ERP: what becomes a fact, and each reason for which one is held back, with its field."""

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.known import Context, Known, StagedRecord, Written
from services.ingest.domain.taking import Taking
from shared.events.control import BankAccount, CompanyConfigured
from shared.events.invoices import InvoiceIssued

CONFIG = CompanyConfigured(
    company="acme",
    base_currency="EUR",
    time_zone="Europe/Berlin",
    calendar="XECB",
    bank_accounts=[
        BankAccount(id="GW-1", currency="EUR", booking_source="json"),
        BankAccount(id="EUR-1", currency="EUR"),
    ],
)
CONTEXT = Context(UUID(int=1), "acme", CONFIG, date(2026, 1, 5))
CUSTOMER = {"account_id": "C-1", "name": "Nordlicht", "country": "DE", "currency": "EUR"}
INVOICE = {
    "source_system": "erp",
    "source_document_id": "1",
    "account_id": "C-1",
    "document_on": "2026-01-02",
    "due_on": "2026-02-01",
    "currency": "EUR",
    "net": "1000.00",
    "tax": "190.00",
    "total": "1190.00",
}


def take(*records: tuple[str, dict], known: Known | None = None) -> Written:
    staged = [StagedRecord(n, kind, f"line {n + 1}", body) for n, (kind, body) in enumerate(records, 1)]
    return Taking(CONTEXT, known or Known()).take_all(staged)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"currency": "XXQ"}, "currency_unknown: currency 'XXQ' is not"),
        ({"document_on": ""}, "missing: document_on: the date is missing"),
        ({"total": "1191.00"}, "total_differs: net and tax make"),
    ],
)
def test_the_reason_of_a_refused_record_names_its_field_once(changes: dict, said: str) -> None:
    written = take(("customer", CUSTOMER), ("invoice", INVOICE | changes))
    (row,) = written.quarantined.values()
    outcome = written.outcomes[1]
    assert row.known.reason == outcome.reason and not row.known.reason.startswith(f"{row.field}: ")
    assert written.said[-1].fact.reason.startswith(said)


def test_a_record_that_is_refused_again_after_its_end_says_how_often() -> None:
    """Two wrong versions around a right one, in one file; then the first wrong one once more after a discard."""
    wrong, right = INVOICE | {"due_on": "2025-12-01"}, INVOICE | {"total": "1190.00"}
    known = Known()
    said = take(("customer", CUSTOMER), ("invoice", wrong), ("invoice", right), ("invoice", wrong), known=known).said
    told = [s for s in said if s.fact.TYPE.startswith("record.")]
    assert [(s.fact.TYPE, s.fact.times) for s in told] == [
        ("record.quarantined", 1), ("record.released", 1), ("record.quarantined", 2),
    ]  # fmt: skip
    assert len({s.event_id for s in told}) == 3
    (entry,) = known.quarantined.values()
    known.quarantined[entry.record_id] = replace(entry, state="discarded")
    (again,) = [s for s in take(("invoice", wrong), known=known).said if s.fact.TYPE == "record.quarantined"]
    assert again.fact.times == 3 and again.event_id not in {s.event_id for s in told}


def refusal(kind: str, body: dict) -> tuple[str, str]:
    written = take(("customer", CUSTOMER), (kind, body))
    assert [o.outcome for o in written.outcomes] == ["written", "quarantined"]
    assert written.said[-1].fact.TYPE == "record.quarantined" and written.said[-1].fact.reason
    return written.outcomes[1].code, written.outcomes[1].field


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"currency": "XXQ"}, "currency_unknown", "currency"),
        ({"currency": "XAU"}, "currency_unknown", "currency"),
        ({"currency": ""}, "missing", "currency"),
        ({"total": "1190.005"}, "too_many_decimals", "total"),
        ({"currency": "JPY", "net": "", "tax": "", "total": "100.5"}, "too_many_decimals", "total"),
        ({"total": "-1190.00"}, "negative_amount", "total"),
        ({"total": 1190.00}, "amount_not_text", "total"),
        ({"total": "12e400"}, "amount_not_valid", "total"),
        ({"total": "1,190.00"}, "amount_not_valid", "total"),
        ({"total": ""}, "missing", "total"),
        ({"tax": "191.00"}, "total_differs", "total"),
        ({"due_on": "2026-01-01"}, "due_before_issue", "due_on"),
        ({"due_on": ""}, "missing", "due_on"),
        ({"due_on": "01.02.2026"}, "date_not_valid", "due_on"),
        ({"document_on": "2026-02-30"}, "date_not_valid", "document_on"),
        ({"prepaid": "2000.00"}, "prepaid_over_total", "prepaid"),
        ({"instalments": "2026-02-01=500.00;2026-03-01=600.00"}, "instalments_differ", "instalments"),
        ({"instalments": "2026-02-01:1190.00"}, "pair_not_valid", "instalments"),
        ({"instalments": "2025-02-01=1190.00"}, "due_before_issue", "due_on"),
        ({"discounts": "2025-12-31=10.00"}, "discount_before_issue", "discounts"),
        ({"discounts": "2026-01-09=2000.00"}, "discount_over_total", "discounts"),
        ({"account_id": "C-404"}, "account_unknown", "account_id"),
        ({"account_id": "C 1"}, "id_not_valid", "account_id"),
        ({"account_id": "~1"}, "id_not_valid", "account_id"),
        ({"source_document_id": ""}, "missing", "source_document_id"),
        ({"company": "other"}, "foreign_company", "company"),
        ({"lines": "[{"}, "lines_not_valid", "lines"),
        ({"lines": "{}"}, "lines_not_valid", "lines"),
        ({"number": "x" * 5000}, "too_long", "number"),
        ({"references": 5, "terms": ["a"]}, "not_text", "terms"),
    ],
)
def test_an_invoice_is_held_back_with_field_and_reason(changes: dict, code: str, field: str) -> None:
    assert refusal("invoice", INVOICE | changes) == (code, field)


@pytest.mark.parametrize(
    ("kind", "body", "code", "field"),
    [
        ("customer", CUSTOMER | {"account_id": "C-2", "debtor_kind": "robot"}, "not_valid", "debtor_kind"),
        ("customer", CUSTOMER | {"account_id": "C-2", "country": "Germany"}, "not_valid", "country"),
        ("customer", CUSTOMER | {"account_id": "C-2", "name": ""}, "missing", "name"),
        ("contact", {"account_id": "C-9", "contact_id": "K"}, "account_unknown", "account_id"),
        ("contact", {"account_id": "C-1", "contact_id": "K", "valid": "perhaps"}, "not_yes_or_no", "valid"),
        (
            "link",
            {"from_account_id": "C-1", "to_account_id": "C-1", "kind": "pays_for"},
            "link_to_itself",
            "to_account_id",
        ),
        ("credit_memo", INVOICE | {"applies_to": "7=2000.00"}, "applies_over_total", "applies_to"),
        ("cancellation", {"source_system": "erp", "source_document_id": "9"}, "document_unknown", "source_document_id"),
        ("rebill", INVOICE | {"replaces_document_id": "0"}, "document_unknown", "replaces_document_id"),
        ("payment", {"bank_account": "X"}, "bank_account_unknown", "bank_account"),
        (
            "bank_reach",
            {"bank_account": "EUR-1", "complete_through_on": "2026-01-04"},
            "not_booking_source",
            "bank_account",
        ),
        (
            "bank_reach",
            {"bank_account": "GW-1", "complete_through_on": "2026-01-06"},
            "in_the_future",
            "complete_through_on",
        ),
        ("unknown", {"document_type": "pro_forma"}, "record_type_unknown", "record_type"),
    ],
)
def test_other_records_are_held_back_with_field_and_reason(kind: str, body: dict, code: str, field: str) -> None:
    assert refusal(kind, body) == (code, field)


def test_a_record_of_a_wrong_shape_is_held_back_alone() -> None:
    payment = {
        "bank_account": "GW-1",
        "source_payment_id": "1",
        "document_on": "2026-01-05",
        "amount": "1.00",
        "currency": "EUR",
    }
    written = take(
        ("payment", payment | {"references": "text"}), ("payment", payment | {"remittance": 5}), ("payment", payment)
    )
    assert [o.outcome for o in written.outcomes] == ["quarantined", "quarantined", "written"]


def test_an_invoice_without_instalments_is_one_instalment_of_what_is_not_prepaid() -> None:
    written = take(("customer", CUSTOMER), ("invoice", INVOICE | {"prepaid": "190.00"}))
    fact = written.said[-1].fact
    assert isinstance(fact, InvoiceIssued)
    assert [(i.line, i.due_on, i.amount_minor) for i in fact.instalments] == [("001", date(2026, 2, 1), 100_000)]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=12), st.integers(0, 10**6))
def test_instalments_that_sum_to_the_total_less_what_is_prepaid_are_kept(parts: list[int], prepaid: int) -> None:
    total = sum(parts) + prepaid
    cells = ";".join(f"2026-02-{n:02d}={part}" for n, part in enumerate(parts, 1))
    body = {name: value for name, value in INVOICE.items() if name not in ("net", "tax", "due_on")}
    body |= {"currency": "JPY", "total": str(total), "prepaid": str(prepaid), "instalments": cells}
    written = take(("customer", CUSTOMER), ("invoice", body))
    fact = written.said[-1].fact
    assert [i.amount_minor for i in fact.instalments] == parts
    assert fact.due_on == fact.instalments[-1].due_on


def test_a_customers_event_says_what_changed_and_an_equal_state_is_none() -> None:
    written = take(
        ("customer", CUSTOMER),
        ("customer", CUSTOMER),
        ("customer", CUSTOMER | {"terms": "30 days", "collector": "kim"}),
    )
    assert [o.outcome for o in written.outcomes] == ["written", "known", "written"]
    assert written.said[-1].fact.changed == ["collector", "terms"]
    assert len({said.event_id for said in written.said}) == 2


def test_a_link_that_ends_is_unlinked() -> None:
    link = {"from_account_id": "C-1", "to_account_id": "C-2", "kind": "pays_for", "from_on": "2026-01-01"}
    written = take(
        ("customer", CUSTOMER),
        ("customer", CUSTOMER | {"account_id": "C-2"}),
        ("link", link),
        ("link", link | {"to_on": "2026-01-31"}),
    )
    assert [said.fact.TYPE for said in written.said[2:]] == ["account.linked", "account.unlinked"]


def test_cancellations_and_rebills_name_the_documents_they_are_about() -> None:
    written = take(
        ("customer", CUSTOMER),
        ("invoice", INVOICE),
        ("cancellation", {"source_system": "erp", "source_document_id": "1", "reason_code": "PRICE"}),
        ("cancellation", {"source_system": "erp", "source_document_id": "1", "reason_code": "PRICE"}),
        ("rebill", INVOICE | {"source_document_id": "2", "replaces_document_id": "1", "keeps_due_date": "false"}),
    )
    invoice, cancelled, again, rebilled = [said.fact for said in written.said[1:]]
    assert [o.outcome for o in written.outcomes][3] == "known"
    assert (cancelled.document_id, cancelled.account_id) == (invoice.document_id, "C-1")
    assert rebilled.replaces_document_id == invoice.document_id and rebilled.document_id == again.document_id
    assert not rebilled.keeps_due_date


def test_equal_printed_numbers_of_different_documents_are_fine() -> None:
    written = take(
        ("customer", CUSTOMER),
        ("invoice", INVOICE | {"number": "R-1"}),
        ("invoice", INVOICE | {"number": "R-1", "source_document_id": "2"}),
        ("invoice", INVOICE | {"number": "R-1", "source_system": "rooms"}),
        ("debit_memo", INVOICE | {"number": "R-1"}),
    )
    assert [o.outcome for o in written.outcomes] == ["written"] * 5
    assert len({said.fact.document_id for said in written.said[1:]}) == 4


def test_what_the_gate_needs_of_a_held_back_record_is_in_its_event() -> None:
    written = take(("invoice", INVOICE | {"number": "R-9"}))
    fact = written.said[-1].fact
    assert (fact.account_id, fact.amount_minor, fact.currency) == ("C-1", 119_000, "EUR") and "R-9" in fact.hints
    assert written.said[-1].topic == "ar.invoices"


def test_a_fact_that_grows_over_the_bound_of_an_event_is_refused_and_leaves_no_trace() -> None:
    lines = [{"text": "貨" * 1_000}] * 320
    written = take(("customer", CUSTOMER), ("invoice", INVOICE | {"lines": lines}))
    assert [(o.outcome, o.code) for o in written.outcomes] == [("written", ""), ("quarantined", "too_large")]
    assert written.documents == {}
