"""What counts as a citation of a document number, what does not, and what reads like one and leads nowhere."""

from dataclasses import replace

import pytest

from services.cash_application.domain.matching.keys import account_keys, lookup_keys, tokens
from services.cash_application.domain.matching.model import Candidates, Outcome, RemittanceLine
from services.cash_application.domain.matching.references import find
from tests.domain.cash_application.matching.builders import ACME, ACME_BANK, BETA, OWN, decide, item, pay

CITED = [
    ("1234", "1234", "full"),
    ("PAY-123", "PAY-123", "full"),
    ("123456", "payment for 123456 urgent!", "full"),
    ("TURLUTUTU21", "TURLUTUTU21", "full"),
    ("INV-2026-00017", "Inv 2026/00017 of march", "full"),
    ("INV-2026-00017", "INV202600017", "full"),
    ("INV-2026-00017", "RE 2026-\n00017 thanks", "core"),
    ("INV/1234", "paying invoices 1234", "core"),
    ("INV-2026-00017", "ref 00017", "suffix"),
    ("INV-00150", "Invoice #150", "labelled"),
    ("INV-00150", "Invoices 149, 150 and 151", "labelled"),
    ("INV-1234", "RechnungINV-1234", "full"),
    ("RG-1234/A", "rg 1234 a", "full"),
    ("INV-17", "pay INV-17 now", "full"),
    ("INV-00070", "Invoice #70", "labelled"),
    ("CM-2026-00017", "less credit memo 2026-00017", "core"),
    ("2026-00017", "credit memo 2026-00017", "full"),
    ("INV-00057", "INV-57", "labelled"),
    ("test ref", "Test Ref", "full"),
    ("FÄ-20117", "fä 20117", "full"),
]
NOT_CITED = [
    ("78910", "payment for 123456 urgent!"),
    ("selling 3 apples, 2 tomatoes and 12kg of potatoes", "12"),
    ("", "/?"),
    ("INV-1234", "INV-12345"),
    ("INV-1234", "912345"),
    ("INV-1234", "PO-1234"),
    ("INV-1234", "customer no. 1234"),
    ("1234", "EUR 1.234,00"),
    ("1234", "1234.00"),
    ("1234", "99-1234"),
    ("12032026", "12.03.2026"),
    ("INV-00150", "150"),
    ("INV-00232", "Wire Ref: 232UTVG9KU"),
    ("INV-00057", "CM-57"),
    ("INV-2026-00017", "CM-2026-00017"),
    ("INV-2026-00017", "credit note 2026-00017"),
    ("CM-2026-00017", "INV-2026-00017"),
    ("CM-2026-00017", "Rechnung 2026-00017"),
    ("17", "17 apples"),
    ("INV-2026-00017", "x00017y"),
    ("INV-2026-00017", "0017"),
    ("54300", "DE89 3704 0044 0532 0130 00"),
    ("test ref", "this is a test ref erendum"),
]


@pytest.mark.parametrize(("number", "text", "kind"), CITED)
def test_a_number_is_cited_when_it_stands_whole_or_by_a_distinctive_suffix(number, text, kind):
    found = find(pay("10.00", text), Candidates((item(number, "10.00"),)))
    assert [citation.kind for citation in found.documents] == [kind]


@pytest.mark.parametrize(("number", "text"), NOT_CITED)
def test_a_number_is_never_found_in_other_digits_dates_amounts_or_under_a_foreign_label(number, text):
    assert find(pay("10.00", text), Candidates((item(number, "10.00"),))).documents == ()


@pytest.mark.parametrize(("number", "text", "kind"), CITED)
def test_every_citation_is_loaded_by_a_key_that_payment_and_item_share(number, text, kind):
    assert set(tokens(pay("10.00", text))) & set(lookup_keys(item(number, "10.00")))


def test_the_span_of_a_citation_is_the_span_in_the_original_text():
    text = "Überweisung für Rechnung INV-2026-00017, danke"
    citation = find(pay("10.00", text), Candidates((item("INV-2026-00017", "10.00"),))).documents[0]
    assert text[citation.start : citation.end] == "INV-2026-00017"


def test_a_full_number_hides_shorter_numbers_inside_it():
    found = find(pay("10.00", "INV-2026-00017"), Candidates((item("INV-2026-00017", "10.00"), item("00017", "10.00"))))
    assert [citation.documents for citation in found.documents] == [("INV-2026-00017/C-10001",)]


def test_the_same_number_on_two_documents_is_one_citation_of_both():
    items = (item("INV-1234", "10.00"), item("INV-1234", "20.00", "C-10002"))
    found = find(pay("10.00", "INV-1234"), Candidates(items))
    assert [len(citation.documents) for citation in found.documents] == [2]


@pytest.mark.parametrize(
    ("text", "strong"),
    [
        ("Invoice 4711", True),
        ("INV-999", True),
        ("thanks 8812345", False),
        ("ref 998877", False),
        ("PO 45001234", False),
        ("RF18 5390 0754 7043", True),
    ],
)
def test_what_reads_like_a_number_and_leads_nowhere_is_unresolved(text, strong):
    found = find(pay("10.00", text), Candidates((item("INV-1234", "10.00", payment_reference=OWN),)))
    assert {place.strong for place in found.unresolved} >= {strong}


@pytest.mark.parametrize(
    "text", ["Invoice payment March 2026", "12.03.2026 EUR 1.234,56", "Tel 0301234567", "EFT-88827188", "thank you"]
)
def test_dates_amounts_periods_and_telephone_numbers_are_no_unresolved_citations(text):
    assert find(pay("10.00", text), Candidates((item("INV-1234", "10.00"),))).unresolved == ()


def test_digits_as_long_as_our_numbers_read_like_one():
    found = find(pay("10.00", "thanks 99999"), Candidates((item("INV-2026-00017", "10.00"),)))
    assert [place.strong for place in found.unresolved] == [True]


def test_the_customer_number_is_recognised_and_is_no_unresolved_citation():
    found = find(pay("10.00", "C-10001 membership"), Candidates((item("INV-1234", "10.00"),), (ACME,)))
    assert (found.accounts, found.unresolved) == ({"C-10001"}, ())


@pytest.mark.parametrize("text", ["RF18539007547034", "rf18 5390 0754 7034 INV-1", "(RF18 5390\n0754 7034)"])
def test_an_own_reference_is_found_in_any_spelling_when_its_check_digits_are_right(text):
    found = find(pay("99.00", text), Candidates((item("INV-1234", "10.00", payment_reference=OWN),)))
    assert [citation.documents for citation in found.references] == [("INV-1234/C-10001",)]
    assert f"r:{OWN}" in tokens(pay("99.00", text))


def test_digits_inside_a_valid_reference_are_not_looked_up_as_the_end_of_a_number():
    assert [key for key in tokens(pay("9.00", "RF18539007547034")) if key[0] in "td"] == []
    assert "t:00017" in tokens(pay("9.00", "RF18 5390 0754 7034 for INV-2026-00017"))
    assert "t:47034" in tokens(pay("9.00", "RF18539007547034 and 539007547034"))
    assert "t:47034" in tokens(pay("9.00", "RF17539007547034"))


def test_a_reference_with_wrong_check_digits_is_none():
    found = find(pay("10.00", "RF17539007547034"), Candidates((item("X1", "10.00", payment_reference=OWN),)))
    assert found.references == ()
    assert found.unresolved


def test_an_account_is_loaded_by_bank_account_in_any_spelling_and_by_name():
    keys = set(account_keys(ACME))
    assert "a:DE89370400440532013000" in tokens(pay("1.00", payer_account="DE89 3704 0044 0532 0130 00"))
    assert set(tokens(pay("1.00", payer_account="de89 3704 0044 0532 0130 00"))) & keys
    assert set(tokens(pay("1.00", payer_name="MASCHINENBAU ACME"))) & keys


def test_structured_lines_are_looked_up_too():
    payment = pay("10.00", remittance=(RemittanceLine("INV-2026-00017"),))
    assert set(tokens(payment)) & set(lookup_keys(item("INV-2026-00017", "10.00")))


def test_the_keys_of_a_payment_are_bounded_whatever_it_says():
    text = " ".join(str(number) for number in range(10_000, 14_000))
    assert len(tokens(pay("1.00", text))) == 200


def test_digits_of_a_mistyped_reference_are_no_document_number() -> None:
    invoice = item("HDR-2026-000304", "600.00", payment_reference="RF26HDR26000304")
    decision = decide(pay("600.00", "RF62HDR26000304", payer_account=ACME_BANK), invoice)
    assert decision.outcome is not Outcome.POSTED


BROKEN = [
    ("RF62 HDR26000304",),
    ("RF 62 HDR2 6000 304",),
    ("RF62-HDR2-6000-304",),
    ("RF62 HDR26-000304",),
    ("RF62HDR2", "6000304"),
    ("RF62HDR26", "000304"),
    ("RF62 HDR2600030",),
]


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize("amount", ["600.00", "500.00"])
def test_a_mistyped_reference_is_one_however_it_is_grouped_or_broken(text: tuple[str, ...], amount: str) -> None:
    invoices = [
        item("HDR-2026-000304", "600.00", payment_reference="RF26HDR26000304"),
        item("HDR-2026-000030", "600.00", payment_reference="RF09HDR26000030"),
    ]
    decision = decide(pay(amount, *text, payer_account=ACME_BANK), *invoices)
    assert decision.outcome is not Outcome.POSTED


def test_a_document_number_behind_a_mistyped_reference_is_still_read() -> None:
    invoice = item("HDR-2026-000304", "600.00", payment_reference="RF26HDR26000304")
    other = item("HDR-2026-000777", "250.00", payment_reference="RF87HDR26000777")
    decision = decide(pay("250.00", "RF62HDR26000304 HDR-2026-000777", payer_account=ACME_BANK), invoice, other)
    assert [a.document_id for a in decision.applications] == [other.document_id]


@pytest.mark.parametrize("text", ["C-10002", "Kundennr 10002", "Customer No. C-10002", "Kundennummer 77031"])
def test_an_amount_does_not_post_when_the_payer_names_the_number_of_another_customer(text: str) -> None:
    decision = decide(pay("2424.43", text, payer_account=ACME_BANK), item("INV-1001", "2424.43"))
    assert decision.outcome is not Outcome.POSTED


@pytest.mark.parametrize("text", ["C-10001", "Kundennr 10001", "Customer No. C-10001"])
def test_an_amount_posts_beside_the_customers_own_number(text: str) -> None:
    decision = decide(pay("2424.43", text, payer_account=ACME_BANK), item("INV-1001", "2424.43"))
    assert decision.rule == "exact_amount"


def test_of_two_accounts_that_share_a_bank_account_the_amount_posts_on_the_one_that_is_named_only() -> None:
    sister = replace(BETA, bank_accounts=(ACME_BANK,))
    payment = pay("2424.43", "C-10002", payer_account=ACME_BANK)
    decision = decide(payment, item("INV-1001", "2424.43"), accounts=(ACME, sister))
    assert decision.outcome is not Outcome.POSTED
    own = item("INV-1001", "2424.43", "C-10002")
    assert decide(payment, own, accounts=(ACME, sister)).rule == "exact_amount"
