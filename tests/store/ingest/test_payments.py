"""Payments as JSON and bank lines of several accounts: what is the same, what is another, what counts again."""

from typing import Any

from tests.fixtures.ingest.files import Line, camt, statement
from tests.store.ingest.conftest import COMPANY_BODY, Door

OTHER_IBAN = "DE02120300000000202051"
PAYMENT = {"source_payment_id": "p1", "document_on": "2026-01-05", "amount": "10.00", "currency": "EUR"}


async def pay(door: Door, bank_account: str, **changes: Any) -> dict[str, Any]:
    body = {"payments": [PAYMENT | {"bank_account": bank_account} | changes]}
    answer = await door.post("/payments", body, who="feed", wait="true")
    assert answer.status_code == 200, answer.text
    return answer.json()


def accounts(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    first, second = COMPANY_BODY["bank_accounts"]
    return [first | changes[0], *changes[1:], second]


async def test_a_payment_announced_twice_is_known_and_with_another_amount_a_conflict(door: Door) -> None:
    assert (await pay(door, "EUR-1"))["counts"] == {"written": 1}
    assert (await pay(door, "EUR-1", remittance_text=["in another body"]))["counts"] == {"known": 1}
    receipt = await pay(door, "EUR-1", amount="11.00")
    assert receipt["counts"] == {"quarantined": 1} and receipt["problems"][0]["code"] == "conflict"
    assert [e.type for e in await door.events("payment.announced", "payment.received")] == ["payment.announced"]


async def test_an_announced_payment_is_booked_once_when_its_feed_becomes_the_booking_source(door: Door) -> None:
    await pay(door, "EUR-1")
    await door.configure(bank_accounts=accounts({"booking_source": "json"}))
    assert (await pay(door, "EUR-1", method="card"))["counts"] == {"written": 1}
    assert (await pay(door, "EUR-1", method="cash"))["counts"] == {"known": 1}
    kinds = [e.type for e in await door.events("payment.announced", "payment.received")]
    assert kinds == ["payment.announced", "payment.received"]


async def test_the_same_entry_reference_on_two_bank_accounts_is_two_payments(door: Door) -> None:
    trusted = {"identity_rule": "entry_reference"}
    second = COMPANY_BODY["bank_accounts"][0] | trusted | {"id": "EUR-2", "iban": OTHER_IBAN}
    await door.configure(bank_accounts=accounts(trusted, second))
    one, two = Line("100.00", "A", reference="REF-1"), Line("100.00", "B", name="Alder", reference="REF-1")
    await door.sent(camt(statement("0.00", [one], number="1")))
    receipt = await door.sent(camt(statement("0.00", [two], number="1", iban=OTHER_IBAN, identity="other")))
    assert receipt["counts"] == {"written": 2}
    facts = await door.facts("payment.received")
    assert [(f.bank_account, f.amount_minor) for f in facts] == [("EUR-1", 10_000), ("EUR-2", 10_000)]
    again = await door.sent(camt(statement("0.00", [two], number="1", iban=OTHER_IBAN, identity="other"), version="08"))
    assert again["counts"] == {"known": 2}


async def test_accounts_in_one_file_keep_their_equal_references_apart(door: Door) -> None:
    trusted = {"identity_rule": "entry_reference"}
    second = COMPANY_BODY["bank_accounts"][0] | trusted | {"id": "EUR-2", "iban": OTHER_IBAN}
    await door.configure(bank_accounts=accounts(trusted, second))
    one, two = Line("100.00", "A", reference="REF-1"), Line("70.00", "B", name="Alder", reference="REF-1")
    both = [statement("0.00", [one], number="1"), statement("0.00", [two], number="1", iban=OTHER_IBAN, identity="x")]
    assert (await door.sent(camt(*both)))["counts"] == {"written": 4}
    assert sorted(f.amount_minor for f in await door.facts("payment.received")) == [7_000, 10_000]
