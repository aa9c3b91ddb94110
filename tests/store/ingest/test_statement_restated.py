"""Lines that are written after a statement that states them again: booked once, whichever of the two comes first."""

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from services.ingest import intake
from services.ingest.domain.taking_bank import BankTaking
from services.ingest.store import submissions
from tests.fixtures.ingest.files import Line, camt, statement
from tests.store.ingest.conftest import COMPANY_BODY, Door, MakeDoor
from tests.store.ingest.test_statement_release import WEEK, release
from tests.store.ingest.test_statements import MONDAY, TUESDAY, WEDNESDAY, payments

OTHER_IBAN = "FR1420041010050500013M02606"
TWO_ACCOUNTS = [
    *COMPANY_BODY["bank_accounts"],
    {"id": "EUR-2", "iban": OTHER_IBAN, "currency": "EUR", "calendar": "XECB"},
]
WHOLE_WEEK = statement("0.00", WEEK, on=WEDNESDAY, from_on=MONDAY, identity="week")
A = Line("10.00", "A", MONDAY)


async def later(*_: Any) -> int:
    return 0


@pytest.fixture
async def slow(make_door: MakeDoor) -> Door:
    """A door that writes one record per chunk, so that a head is booked before its lines."""
    door = await make_door(chunk_records=1)
    await door.tick()
    await door.configure(bank_accounts=TWO_ACCOUNTS)
    return door


def broken(*_: Any) -> None:
    raise RuntimeError("a bug nobody foresaw")


async def stuck(door: Door, *statements: str) -> UUID:
    """A submission whose heads are booked and whose lines meet a bug; it is passed over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BankTaking, "line", broken)
        receipt = (await door.send(camt(*statements))).json()
    assert (receipt["state"], receipt["code"], receipt["counts"]) == ("accepted", "stuck", {"written": len(statements)})
    return await last_submission(door)


async def last_submission(door: Door) -> UUID:
    (row,) = await door.fetch("select submission_id from submission order by number desc limit 1")
    return row["submission_id"]


async def redrive(door: Door, *submission_ids: UUID) -> None:
    """Each as if it alone had been sent again."""
    for submission_id in submission_ids:
        async with door.runtime.pool.acquire() as db:
            assert await submissions.try_again(db, submission_id) == 1
        assert await intake.write_all(door.runtime) > 0


async def test_lines_of_a_released_statement_are_written_before_an_older_file_that_waits(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.sent(camt(statement("0.00", WEEK[:1], on=MONDAY, closing="11.00")))
    await door.send(camt(WHOLE_WEEK), wait=False)
    with monkeypatch.context() as patch:
        patch.setattr(intake, "write_company", later)
        assert (await release(door)).status_code == 200
    assert await intake.write_chunk(door.runtime, "vdr-eu")
    assert await payments(door) == [1000]
    assert await intake.write_company(door.runtime, "vdr-eu") == 1
    assert await payments(door) == [1000, 2000, 3000]


async def test_a_redriven_statement_brings_nothing_that_a_longer_one_has_booked(slow: Door) -> None:
    monday = await stuck(slow, statement("0.00", WEEK[:1], on=MONDAY))
    assert (await slow.sent(camt(WHOLE_WEEK)))["counts"] == {"written": 4}
    await redrive(slow, monday)
    assert await payments(slow) == [1000, 2000, 3000]


async def test_a_released_statement_that_got_stuck_brings_nothing_that_a_longer_one_has_booked(
    slow: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await slow.sent(camt(statement("0.00", WEEK[:1], on=MONDAY, closing="11.00")))
    with monkeypatch.context() as patch:
        patch.setattr(BankTaking, "line", broken)
        assert (await release(slow)).status_code == 200
    released = await last_submission(slow)
    await slow.sent(camt(WHOLE_WEEK))
    await redrive(slow, released)
    assert await payments(slow) == [1000, 2000, 3000]


@pytest.mark.parametrize(("stated", "expected"), [(1, 2), (2, 2), (3, 3)])
@pytest.mark.parametrize("swapped", [False, True])
async def test_two_statements_of_a_day_share_the_equal_lines_of_a_longer_one(
    slow: Door, stated: int, expected: int, swapped: bool
) -> None:
    """Each of them states the line once, the longer one `stated` times: the greater of both sums counts."""
    morning = await stuck(slow, statement("0.00", [A], number="1", on=MONDAY))
    evening = await stuck(slow, statement("10.00", [A], number="2", on=MONDAY))
    more = [A] * stated + WEEK[1:]
    await slow.sent(camt(statement("0.00", more, on=WEDNESDAY, from_on=MONDAY, identity="week")))
    await redrive(slow, *((evening, morning) if swapped else (morning, evening)))
    assert sorted(await payments(slow)) == [1000] * expected + [2000, 3000]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_three_statements_one_around_the_other_book_a_line_once_in_every_order(
    slow: Door, order: tuple[int, ...]
) -> None:
    waiting = [
        await stuck(slow, statement("0.00", WEEK[:1], on=MONDAY)),
        await stuck(slow, statement("0.00", WEEK[:2], on=TUESDAY, from_on=MONDAY, identity="two")),
        await stuck(slow, WHOLE_WEEK),
    ]
    await redrive(slow, *(waiting[place] for place in order))
    assert sorted(await payments(slow)) == [1000, 2000, 3000]
    again = [statement("0.00", WEEK[:1], number="7", on=MONDAY), statement("10.00", WEEK[1:2], number="8", on=TUESDAY)]
    await slow.sent(camt(*again))
    assert sorted(await payments(slow)) == [1000, 2000, 3000]


async def test_a_statement_in_part_written_goes_on_behind_the_longer_one(slow: Door) -> None:
    await slow.send(camt(statement("0.00", [A, A], on=MONDAY)), wait=False)
    assert await intake.write_chunk(slow.runtime, "vdr-eu") and await intake.write_chunk(slow.runtime, "vdr-eu")
    (row,) = await slow.fetch("select submission_id from submission where state = 'accepted'")
    async with slow.runtime.pool.acquire() as db:
        await submissions.mark_stuck(db, row["submission_id"], "a bug")
    await slow.sent(camt(statement("0.00", [A, A, *WEEK[1:]], on=WEDNESDAY, from_on=MONDAY, identity="week")))
    await redrive(slow, row["submission_id"])
    assert sorted(await payments(slow)) == [1000, 1000, 2000, 3000]


async def test_lines_that_wait_count_where_an_overlap_proves_nothing(slow: Door) -> None:
    monday = await stuck(slow, statement("0.00", [A], on=MONDAY))
    await slow.sent(camt(statement("500.00", [A, Line("7.00", "B", MONDAY)], on=MONDAY)))
    assert (await slow.get("/statements", state="held")).json()["items"][0]["code"] == "overlap"
    await redrive(slow, monday)
    assert await payments(slow) == [1000]


async def test_a_release_knows_the_lines_of_a_statement_that_is_being_written(
    slow: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await slow.sent(camt(statement("0.00", [A], on=MONDAY, closing="11.00")))
    await slow.send(camt(statement("500.00", [Line("7.00", "B", MONDAY), A], on=MONDAY)), wait=False)
    assert await intake.write_chunk(slow.runtime, "vdr-eu")
    monkeypatch.setattr(intake, "write_company", later)
    answer = await release(slow)
    assert (answer.status_code, answer.json()["code"]) == (422, "overlap_needed")


async def test_lines_of_another_bank_account_count_for_nothing(slow: Door) -> None:
    first = await stuck(slow, statement("0.00", [A], on=MONDAY))
    await slow.sent(camt(statement("0.00", [Line("7.00", "B", MONDAY)], on=MONDAY, iban=OTHER_IBAN)))
    receipt = await slow.sent(camt(statement("500.00", [A], on=MONDAY, iban=OTHER_IBAN)))
    assert receipt["counts"] == {"written": 2}
    await slow.sent(camt(statement("500.00", [A, *WEEK[1:]], on=WEDNESDAY, from_on=MONDAY, iban=OTHER_IBAN)))
    await redrive(slow, first)
    booked = sorted((p.bank_account, p.amount_minor) for p in await slow.facts("payment.received"))
    assert booked == [("EUR-1", 1000), ("EUR-2", 700), ("EUR-2", 1000), ("EUR-2", 2000), ("EUR-2", 3000)]
