"""Releases of held statements: what is booked at the release counts, nothing is booked twice, and nothing is lost."""

from typing import Any

import pytest

from services.ingest import intake
from tests.fixtures.ingest.files import Line, camt, statement
from tests.store.ingest.conftest import COMPANY_BODY, Door, MakeDoor
from tests.store.ingest.test_statements import MONDAY, TUESDAY, WEDNESDAY, payments, reach

WEEK = [Line("10.00", "A", MONDAY), Line("20.00", "B", TUESDAY), Line("30.00", "C", WEDNESDAY)]


async def release(door: Door, outcome: str = "booked", **more: Any) -> Any:
    """Release the statement that was held last."""
    held = (await door.facts("statement.held"))[-1]
    body = {"outcome": outcome, "reason": "the bank confirmed it"} | more
    return await door.post(f"/statements/{held.statement_id}/release", body)


async def booked(door: Door, **more: Any) -> list[int]:
    answer = await release(door, **more)
    assert answer.status_code == 200, answer.text
    return await payments(door)


async def test_an_unbalanced_week_over_booked_days_brings_only_its_new_lines(door: Door) -> None:
    await door.sent(camt(statement("0.00", WEEK[:1], on=MONDAY)))
    await door.sent(camt(statement("10.00", WEEK[1:2], on=TUESDAY)))
    week = statement("0.00", WEEK, on=WEDNESDAY, from_on=MONDAY, identity="week", closing="61.00")
    assert (await door.sent(camt(week)))["counts"] == {"held": 4}
    assert await booked(door) == [1000, 2000, 3000]


async def test_an_unbalanced_reissue_brings_only_its_new_lines(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "A")], number="1")))
    again = [Line("10.00", "A"), Line("5.00", "B")]
    await door.sent(camt(statement("0.00", again, number="1", closing="16.00")))
    assert await booked(door) == [1000, 500]


async def test_the_corrected_statement_came_before_the_held_one_is_released(door: Door) -> None:
    lines = [Line("10.00", "A"), Line("5.00", "B")]
    await door.sent(camt(statement("0.00", lines, number="1", closing="16.00")))
    await door.sent(camt(statement("0.00", lines, number="1")))
    assert await booked(door) == [1000, 500]


async def test_other_statements_of_the_days_that_came_in_between_are_related_at_the_release(door: Door) -> None:
    week = statement("0.00", WEEK, on=WEDNESDAY, from_on=MONDAY, identity="week", closing="61.00")
    await door.sent(camt(week))
    await door.sent(camt(statement("0.00", WEEK[:1], on=MONDAY)))
    await door.sent(camt(statement("10.00", WEEK[1:2], on=TUESDAY)))
    assert await booked(door) == [1000, 2000, 3000]


async def test_a_corrected_statement_behind_a_released_one_brings_nothing_again(door: Door) -> None:
    lines = [Line("10.00", "A"), Line("5.00", "B")]
    await door.sent(camt(statement("0.00", lines, closing="16.00")))
    await booked(door)
    await door.sent(camt(statement("0.00", [*lines, Line("7.00", "C")])))
    assert await payments(door) == [1000, 500, 700]


@pytest.mark.parametrize(("overlap", "expected"), [("add", [1000, 1000]), ("maximum", [1000])])
async def test_balances_that_do_not_add_up_prove_no_continuation(door: Door, overlap: str, expected: list[int]) -> None:
    """Its opening balance is the closing balance of the booked one, but its own balances are wrong."""
    await door.sent(camt(statement("0.00", [Line("10.00", "A")])))
    await door.sent(camt(statement("10.00", [Line("10.00", "A")], closing="21.00")))
    open_choice = await release(door)
    assert (open_choice.status_code, open_choice.json()["code"]) == (422, "overlap_needed")
    assert await booked(door, overlap=overlap) == expected


async def test_a_statement_held_for_a_gap_is_related_at_the_release_and_its_gap_is_noticed(door: Door) -> None:
    await door.configure(bank_accounts=[COMPANY_BODY["bank_accounts"][0] | {"gaps": "hold"}])
    await door.sent(camt(statement("0.00", [Line("10.00", "A", MONDAY)], number="1", on=MONDAY)))
    await door.sent(camt(statement("15.00", [Line("1.00", "C", WEDNESDAY)], number="3", on=WEDNESDAY)))
    assert (await door.get("/statements", state="held")).json()["items"][0]["code"] == "gap"
    assert await booked(door) == [1000, 100]
    assert len(await door.facts("statement.gap_noticed")) == 1 and await reach(door) == MONDAY
    assert (await release(door)).status_code == 200
    assert await reach(door) == WEDNESDAY


async def test_a_statement_refused_by_mistake_is_decided_anew_when_the_bank_sends_it_again(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "A", MONDAY)], number="1", on=MONDAY)))
    wrong = camt(statement("10.00", [Line("5.00", "B", TUESDAY)], number="2", on=TUESDAY, closing="16.00"))
    await door.sent(wrong)
    await release(door, "refused")
    again = await door.sent(wrong.replace(b"M1", b"M2"))
    assert again["counts"] == {"held": 2} and again["problems"][0]["code"] == "unbalanced"
    assert [fact.times for fact in await door.facts("statement.held")] == [1, 2]
    assert await booked(door) == [1000, 500]
    assert await door.fetch("select from held_line") == []


async def test_the_very_same_file_of_a_refused_statement_is_taken_anew(door: Door) -> None:
    wrong = camt(statement("0.00", [Line("5.00", "B")], closing="6.00"))
    first = await door.sent(wrong)
    await release(door, "refused")
    again = await door.sent(wrong)
    assert not again["known"] and again["submission_id"] != first["submission_id"]
    assert again["counts"] == {"held": 2}
    assert (await door.sent(wrong))["known"]
    assert await booked(door) == [500]


async def test_a_refused_statement_may_still_be_booked_by_a_person(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("5.00", "B")], closing="6.00")))
    await release(door, "refused")
    assert await payments(door) == []
    assert (await release(door, "refused")).status_code == 409
    assert await booked(door) == [500]
    released = await door.events("statement.released")
    assert [(e.data.outcome, e.data.times) for e in released] == [("refused", 1), ("booked", 2)]
    assert len({e.envelope.id for e in released}) == 2
    assert (await release(door)).status_code == 409


async def test_the_receipt_of_a_held_statement_says_why_and_names_it(door: Door) -> None:
    lines = [Line("1.00", f"line {n}") for n in range(30)]
    receipt = await door.sent(camt(statement("0.00", lines, closing="31.00")))
    head, line = receipt["problems"][:2]
    statement_id = (await door.get("/statements", state="held")).json()["items"][0]["statement_id"]
    assert (head["kind"], head["code"], head["statement_id"]) == ("statement", "unbalanced", statement_id)
    assert "differ from the closing balance by -100 minor units" in head["reason"]
    assert (line["code"], line["reason"], line["statement_id"]) == (
        "statement_held", "held with its statement", statement_id,
    )  # fmt: skip
    again = await door.sent(camt(statement("0.00", lines, closing="31.00"), version="08"))
    assert again["counts"] == {"held": 31} and again["problems"][0]["code"] == "unbalanced"
    assert again["problems"][0]["reason"].startswith("it came before and is held: ")
    assert len(await door.facts("statement.held")) == 1


async def test_lines_that_come_behind_a_refusal_are_kept_and_the_receipt_says_that_they_are_left_out(
    make_door: MakeDoor,
) -> None:
    door = await make_door(chunk_records=2)
    await door.tick()
    await door.configure()
    lines = [Line("1.00", f"line {n}") for n in range(3)]
    sent = await door.sent(camt(statement("0.00", lines, closing="7.00")), wait=False)
    assert await intake.write_chunk(door.runtime, "vdr-eu")
    await refuse_unwritten(door)
    receipt = (await door.get(f"/submissions/{sent['submission_id']}")).json()
    assert receipt["counts"] == {"held": 2, "ignored": 2}
    assert receipt["problems"][-1]["code"] == "statement_refused"
    assert await booked(door) == [100, 100, 100]


async def refuse_unwritten(door: Door) -> None:
    """Refuse the held statement while lines of it still wait; the command then writes what waits."""
    assert (await release(door, "refused")).status_code == 200
    assert await intake.write_company(door.runtime, "vdr-eu") == 0


async def test_a_person_cannot_add_lines_that_are_proven_to_be_stated_again(door: Door) -> None:
    lines = [Line("10.00", "A"), Line("5.00", "B")]
    await door.sent(camt(statement("0.00", lines, number="1", closing="16.00")))
    await door.sent(camt(statement("0.00", lines, number="1")))
    answer = await release(door, overlap="add")
    assert (answer.status_code, answer.json()["code"]) == (422, "overlap_contradicted")
    assert await booked(door, overlap="maximum") == [1000, 500]


async def test_lines_of_a_released_statement_count_for_what_is_written_before_them(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement was accepted before the release and is written behind it, but before the released lines."""
    await door.sent(camt(statement("0.00", [Line("10.00", "A")], closing="11.00")))
    await door.send(camt(statement("500.00", [Line("10.00", "A"), Line("7.00", "B")])), wait=False)

    async def later(*_: Any) -> int:
        return 0

    with monkeypatch.context() as patch:
        patch.setattr(intake, "write_company", later)
        assert (await release(door)).status_code == 200
    assert await intake.write_company(door.runtime, "vdr-eu") == 2
    assert await payments(door) == [1000]
    assert (await door.get("/statements", state="held")).json()["items"][0]["code"] == "overlap"
