"""What cannot be written stops itself alone: a fact over the bound is held back, a failing chunk is passed over."""

from datetime import timedelta
from typing import Any

import pytest

from services.ingest import intake
from services.ingest.domain.taking import Taking
from tests.fixtures.ingest.files import CUSTOMERS, Line, camt, documents, invoice, statement
from tests.store.ingest.conftest import START, Door

BIG_TEXT = "貨" * 1_000


def wide_invoice(source_id: str, lines: int) -> dict[str, Any]:
    """An invoice whose lines are short in characters and three times as long in bytes."""
    return {
        "record_type": "invoice",
        "source_system": "erp",
        "source_document_id": source_id,
        "account_id": "C-1001",
        "document_on": "2026-01-02",
        "due_on": "2026-02-01",
        "currency": "EUR",
        "total": "10.00",
        "lines": [{"text": BIG_TEXT} for _ in range(lines)],
    }


async def test_a_record_is_measured_in_bytes_and_a_too_long_one_is_held_back_alone(door: Door) -> None:
    await door.sent(CUSTOMERS)
    records = {"records": [wide_invoice("big", 320), wide_invoice("small", 1)]}
    receipt = (await door.post("/records", records, who="feed", wait="true")).json()
    assert receipt["counts"] == {"quarantined": 1, "written": 1}
    assert receipt["problems"][0]["code"] == "too_large"


async def test_a_held_statement_with_long_credits_still_tells_of_every_one(door: Door) -> None:
    lines = [Line("1.00", "貨" * 2_000, name=f"{n}{'貨' * 200}") for n in range(1_000)]
    receipt = await door.sent(camt(statement("0.00", lines, closing="7.00")))
    assert receipt["counts"] == {"held": 1_001}
    (held,) = await door.facts("statement.held")
    assert len(held.credits) == 1_000 and sum(credit.amount_minor for credit in held.credits) == 100_000


@pytest.fixture
def broken_document(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A bug that meets every invoice R-13."""
    taken = Taking._document

    def document(self: Taking, record: Any) -> Any:
        if record.body["number"] == "R-13":
            raise RuntimeError(f"a bug nobody foresaw, with {record.body}")
        return taken(self, record)

    monkeypatch.setattr(Taking, "_document", document)
    return monkeypatch


async def parked(door: Door, hours: int) -> list[tuple[str, str]]:
    await door.tick(START + timedelta(hours=hours))
    return [(p.kind, p.id) for p in (await door.facts("clock.ticked"))[-1].companies["vdr-eu"].parked]


async def test_a_chunk_that_fails_is_named_and_the_next_submission_goes_on(
    door: Door, broken_document: pytest.MonkeyPatch
) -> None:
    await door.sent(CUSTOMERS)
    stuck = await door.send(documents(invoice("13")))
    assert stuck.status_code == 202, stuck.text
    receipt = stuck.json()
    assert (receipt["state"], receipt["code"]) == ("accepted", "stuck")
    assert receipt["reason"].startswith("RuntimeError") and "C-1001" not in receipt["reason"]
    assert (await door.sent(documents(invoice("14"))))["counts"] == {"written": 1}
    assert [kind for kind, _ in await parked(door, 1)] == ["submission"]
    assert await intake.write_all(door.runtime) == 0


async def test_a_stuck_submission_goes_on_when_it_is_tried_again(
    door: Door, broken_document: pytest.MonkeyPatch
) -> None:
    await door.sent(CUSTOMERS)
    await door.send(documents(invoice("13")))
    await door.send(documents(invoice("13", source_system="crm")))
    broken_document.undo()
    again = (await door.send(documents(invoice("13")))).json()
    assert (again["state"], again["code"], again["counts"]) == ("done", "", {"written": 1})
    assert len(await parked(door, 1)) == 1
    assert await intake.try_stuck_again(door.runtime) == 1
    assert await intake.write_all(door.runtime) == 1
    assert await parked(door, 2) == []
    assert len(await door.facts("invoice.issued")) == 2


async def test_a_database_that_is_away_makes_nothing_stuck(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await door.sent(CUSTOMERS)
    await door.send(documents(invoice("1")), wait=False)

    def away(*_: Any) -> None:
        raise ConnectionResetError("the database went away")

    with monkeypatch.context() as patch, pytest.raises(ConnectionResetError):
        patch.setattr(Taking, "take_all", away)
        await intake.write_chunk(door.runtime, "vdr-eu")
    assert await intake.write_all(door.runtime) == 1
