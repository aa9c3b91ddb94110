"""Statements of which something cannot be read: attributed as far as the rest says, and they say what is wrong."""

from datetime import date

from tests.fixtures.ingest.files import IBAN, Line, camt, statement
from tests.store.ingest.conftest import Door
from tests.store.ingest.test_statement_release import booked
from tests.store.ingest.test_statements import MONDAY, TUESDAY, payments


async def test_a_balance_that_cannot_be_read_holds_the_statement_at_its_account_and_days(door: Door) -> None:
    lines = [Line("10.00", "A", MONDAY), Line("5.00", "B", TUESDAY)]
    whole = statement("0.00", lines, on=TUESDAY, from_on=MONDAY, number="1")
    receipt = await door.sent(camt(whole).replace(b">15.00<", b">&gt;15.00<"))
    head = receipt["problems"][0]
    assert receipt["counts"] == {"held": 3} and head["code"] == "amount_not_valid"
    assert head["reason"].startswith("closing: ") and ">15.00" in head["reason"]
    held = (await door.get("/statements", state="held")).json()["items"][0]
    assert (held["bank_account"], held["from_on"], held["to_on"]) == ("EUR-1", MONDAY, TUESDAY)
    assert (held["code"], held["closing_minor"], held["statement_id"]) == (
        "amount_not_valid", None, head["statement_id"],
    )  # fmt: skip
    fact = (await door.facts("statement.held"))[0]
    assert (fact.bank_account, fact.from_on, fact.to_on) == ("EUR-1", date(2026, 1, 5), date(2026, 1, 6))
    assert "closing" in fact.reason and [credit.amount_minor for credit in fact.credits] == [1000, 500]
    assert await booked(door) == [1000, 500]


async def test_the_corrected_statement_beside_an_unreadable_one_is_booked_and_nothing_is_booked_twice(
    door: Door,
) -> None:
    whole = camt(statement("0.00", [Line("10.00", "A")], number="1"))
    await door.sent(whole.replace(b"'EUR'>10.00<", b"'EUR'>1O.00<", 1))
    assert (await door.sent(whole))["counts"] == {"written": 2}
    assert await booked(door) == [1000]


async def test_two_unreadable_statements_are_two(door: Door) -> None:
    whole = camt(statement("0.00", [Line("10.00", "A")], number="1"))
    for closing in (b">1O.00<", b">l0.00<"):
        assert (await door.sent(whole.replace(b">10.00<", closing, 1)))["counts"] == {"held": 2}
    assert len(await door.facts("statement.held")) == 2


async def test_a_statement_whose_sums_cannot_be_read_waits_at_its_account_and_days_and_says_so(door: Door) -> None:
    lines = [Line("10.005", "A", MONDAY)]
    receipt = await door.sent(camt(statement("0.00", lines, on=TUESDAY, from_on=MONDAY, closing="10.00")))
    assert receipt["problems"][0]["code"] == "too_many_decimals"
    found = (await door.get("/statements", state="unattributed")).json()["items"][0]
    assert (found["bank_account"], found["from_on"], found["to_on"]) == ("EUR-1", MONDAY, TUESDAY)
    fact = (await door.facts("record.quarantined"))[0]
    assert fact.currency == "EUR" and {"EUR-1", f"{MONDAY} to {TUESDAY}"} <= set(fact.hints)
    assert fact.reason.startswith("too_many_decimals: credits: ")
    assert await payments(door) == []


async def test_a_statement_of_an_unknown_account_says_which_account_and_days(door: Door) -> None:
    other = "FR1420041010050500013M02606"
    await door.sent(camt(statement("0.00", [Line("10.00", "A")], iban=other, on=MONDAY)))
    fact = (await door.facts("record.quarantined"))[0]
    assert IBAN not in fact.hints and f"{MONDAY} to {MONDAY}" in fact.hints and "FR14…2606" in fact.reason
    found = (await door.get("/statements", state="unattributed")).json()["items"][0]
    assert (found["bank_account"], found["from_on"], found["code"]) == ("", MONDAY, "bank_account_unknown")
