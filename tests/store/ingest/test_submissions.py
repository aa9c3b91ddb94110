"""Files at the door: receipts, idempotency, held-back records, and that nothing is half taken."""

import pytest

from tests.fixtures.ingest.files import CUSTOMERS, Line, camt, documents, invoice, statement
from tests.store.ingest.conftest import BASE, Door


async def test_an_invoice_file_becomes_one_event_per_document(door: Door) -> None:
    await door.sent(CUSTOMERS)
    receipt = await door.sent(documents(invoice("1"), invoice("2", "50.00")))
    assert receipt["state"] == "done" and receipt["counts"] == {"written": 2}
    issued = await door.facts("invoice.issued")
    assert [(i.number, i.total_minor, i.instalments[0].amount_minor) for i in issued] == [
        ("R-1", 119_000, 119_000),
        ("R-2", 5_000, 5_000),
    ]


async def test_the_same_content_again_answers_with_the_first_receipt(door: Door) -> None:
    first = await door.sent(CUSTOMERS)
    again = await door.sent(CUSTOMERS)
    assert again["submission_id"] == first["submission_id"] and again["known"] and not first["known"]
    assert len(await door.events()) == 3


async def test_one_key_with_another_body_is_a_conflict(door: Door) -> None:
    first = await door.sent(CUSTOMERS, key="customers-1")
    assert (await door.sent(CUSTOMERS, key="customers-1"))["submission_id"] == first["submission_id"]
    answer = await door.send(documents(invoice("1")), key="customers-1")
    assert answer.status_code == 409 and answer.json()["code"] == "idempotency_conflict"


async def test_master_data_that_go_back_to_an_earlier_file_are_taken(door: Door) -> None:
    """The newest file of the ERP counts, also when it says what an older one said."""
    first = await door.sent(CUSTOMERS)
    await door.sent(CUSTOMERS.replace(b"Nordlicht", b"Suedlicht"))
    back = await door.sent(CUSTOMERS)
    assert not back["known"] and back["submission_id"] != first["submission_id"]
    assert back["counts"] == {"written": 1, "known": 1}
    assert await names(door) == ["Nordlicht Werft GmbH", "Suedlicht Werft GmbH", "Nordlicht Werft GmbH"]
    assert (await door.sent(CUSTOMERS))["submission_id"] == back["submission_id"]


async def names(door: Door) -> list[str]:
    """Every name that account C-1001 was said to have."""
    return [e.name for e in await door.facts("account.registered", "account.updated") if e.account_id == "C-1001"]


async def state_of(door: Door) -> list[tuple[str, str]]:
    rows = await door.fetch("select account_id as id, state::text from account union all "
                            "select document_id::text, material from document order by 1")  # fmt: skip
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("keys", [True, False], ids=["with keys", "by content alone"])
async def test_the_same_files_fed_twice_in_order_end_in_the_same_state(door: Door, keys: bool) -> None:
    renamed = CUSTOMERS.replace(b"Nordlicht", b"Suedlicht")
    files = [CUSTOMERS, documents(invoice("1")), renamed, documents(invoice("2")), CUSTOMERS]
    for number, content in enumerate(files):
        await door.sent(content, key=f"file number {number}" if keys else "")
    before, events = await state_of(door), len(await door.events())
    for number, content in enumerate(files):
        await door.sent(content, key=f"file number {number}" if keys else "")
    assert await state_of(door) == before
    assert (await names(door))[-1] == "Nordlicht Werft GmbH"
    assert len(await door.events()) == events + (0 if keys else 2), "content alone goes through the same states again"


async def test_an_invoice_without_its_customer_waits_and_goes_when_the_customer_comes(door: Door) -> None:
    receipt = await door.sent(documents(invoice("1"), invoice("2", account_id="C-1002", currency="GBP")))
    assert receipt["counts"] == {"quarantined": 2}
    assert receipt["problems"][0]["code"] == "account_unknown" and receipt["problems"][0]["field"] == "account_id"
    await door.sent(CUSTOMERS)
    kinds = [e.type for e in await door.events()][1:]
    assert kinds[:4] == ["record.quarantined"] * 2 + ["account.registered"] * 2
    assert sorted(kinds[4:]) == sorted(["invoice.issued", "record.released"] * 2)
    assert (await door.get("/quarantine")).json()["items"] == []


async def test_the_same_document_with_another_amount_is_held_back_and_the_same_again_is_nothing(door: Door) -> None:
    await door.sent(CUSTOMERS)
    await door.sent(documents(invoice("1")))
    receipt = await door.sent(documents(invoice("1", "1191.00"), invoice("1"), invoice("9", number="R-1")))
    assert receipt["counts"] == {"quarantined": 1, "known": 1, "written": 1}
    assert receipt["problems"][0]["code"] == "conflict"
    assert len(await door.events("invoice.issued")) == 2


async def test_a_corrected_record_ends_the_held_back_one(door: Door) -> None:
    await door.sent(CUSTOMERS)
    await door.sent(documents(invoice("1", due_on="2025-12-01")))
    assert len((await door.get("/quarantine")).json()["items"]) == 1
    await door.sent(documents(invoice("1")))
    assert (await door.get("/quarantine")).json()["items"] == []
    assert [e.type for e in await door.events()][-2:] == ["invoice.issued", "record.released"]


async def test_a_held_back_record_is_released_or_discarded_by_a_person(door: Door) -> None:
    await door.sent(CUSTOMERS)
    await door.sent(documents(invoice("1", due_on="2025-12-01"), invoice("2", total="-5.00")))
    first, second = [r["record_id"] for r in (await door.get("/quarantine")).json()["items"]]
    still = await door.post(f"/quarantine/{first}/release")
    assert still.status_code == 200 and still.json()["state"] == "open" and still.json()["code"] == "due_before_issue"
    gone = await door.post(f"/quarantine/{second}/discard", {"reason": "a test of the ERP"})
    assert gone.json()["state"] == "discarded"
    assert (await door.facts("record.released"))[0].reason.startswith("discarded by user:sam")
    assert (await door.post(f"/quarantine/{second}/discard", {"reason": "again"})).status_code == 409


async def test_a_discarded_record_that_comes_again_is_held_back_again_and_says_how_often(door: Door) -> None:
    await door.sent(CUSTOMERS)
    wrong = invoice("1", due_on="2025-12-01")
    await door.sent(documents(wrong))
    record_id = (await door.get("/quarantine")).json()["items"][0]["record_id"]
    await door.post(f"/quarantine/{record_id}/discard", {"reason": "a test of the ERP"})
    await door.sent(documents(wrong, invoice("2")))
    assert [r["record_id"] for r in (await door.get("/quarantine")).json()["items"]] == [record_id]
    told = await door.events("record.quarantined", "record.released")
    assert [(e.type, e.data.times) for e in told] == [
        ("record.quarantined", 1), ("record.released", 1), ("record.quarantined", 2),
    ]  # fmt: skip


async def test_facts_of_a_company_that_is_not_configured_are_refused(make_door) -> None:
    door = await make_door()
    await door.tick()
    answer = await door.send(CUSTOMERS)
    assert answer.status_code == 404 and answer.json()["code"] == "company_unknown"
    assert await door.fetch("select from submission") == []


async def test_before_the_first_tick_the_stream_clock_refuses_facts(make_door) -> None:
    door = await make_door()
    await door.configure()
    answer = await door.send(CUSTOMERS)
    assert answer.status_code == 409 and answer.json()["code"] == "clock_not_started"


async def test_a_foreign_company_is_refused(door: Door) -> None:
    assert (await door.send(CUSTOMERS, company="acme")).status_code == 403


async def test_a_file_goes_in_chunks_of_constant_statements(make_door) -> None:
    door = await make_door(chunk_records=7)
    await door.tick()
    await door.configure()
    await door.sent(CUSTOMERS)
    receipt = await door.sent(documents(*(invoice(str(n)) for n in range(50))))
    assert receipt["counts"] == {"written": 50}
    assert len({e.data.document_id for e in await door.events("invoice.issued")}) == 50


async def test_a_file_as_a_form_part_is_the_same_file(door: Door) -> None:
    first = await door.sent(CUSTOMERS)
    answer = await door.client.post(
        f"{BASE}/submissions",
        files={"file": ("customers.csv", CUSTOMERS, "text/csv")},
        headers=door.headers("feed"),
    )
    assert answer.json()["submission_id"] == first["submission_id"]


async def test_records_and_payments_come_as_json(door: Door) -> None:
    customer = {"record_type": "customer", "account_id": "C-1", "name": "A", "country": "DE", "currency": "EUR"}
    contact = {
        "record_type": "contact",
        "account_id": "C-1",
        "contact_id": "K1",
        "email": "a@example.org",
        "roles": ["payer"],
    }
    answer = await door.post("/records", {"records": [customer, contact]}, who="feed", wait="true")
    assert answer.json()["counts"] == {"written": 2}
    payment = {"source_payment_id": "p1", "document_on": "2026-01-05", "amount": "10.00", "currency": "EUR"}
    payments = [payment | {"bank_account": "GW-1"}, payment | {"bank_account": "EUR-1"}]
    answer = await door.post("/payments", {"payments": payments}, who="feed", wait="true")
    assert answer.json()["counts"] == {"written": 2}
    assert [e.type for e in await door.events()] == [
        "company.configured", "account.registered", "contact.updated", "payment.received", "payment.announced",
    ]  # fmt: skip


async def test_a_dry_run_says_what_a_file_would_bring_and_takes_nothing(door: Door) -> None:
    content = documents(invoice("1"), invoice("2", currency="XXQ"))
    answer = await door.client.post(f"{BASE}/inspect", content=content, headers=door.headers("feed"))
    assert answer.json()["kinds"] == {"invoice": 2} and answer.json()["problems"][0]["code"] == "currency_unknown"
    answer = await door.client.post(
        f"{BASE}/inspect",
        content=camt(statement("0.00", [Line("5.00")])),
        headers=door.headers("feed"),
    )
    assert answer.json()["statements"][0]["balanced"] is True
    assert await door.fetch("select from submission") == []
