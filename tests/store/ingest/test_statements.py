"""Bank statements at the door: overlaps, re-issues, gaps, unbalanced ones, and how far bank data reach."""

from datetime import date

from tests.fixtures.ingest.files import Line, camt, statement
from tests.store.ingest.conftest import COMPANY_BODY, Door

MONDAY, TUESDAY, WEDNESDAY = "2026-01-05", "2026-01-06", "2026-01-07"


async def reach(door: Door) -> str | None:
    return (await door.get("")).json()["complete_through_on"]["EUR-1"]


async def payments(door: Door) -> list[int]:
    return [p.amount_minor for p in await door.facts("payment.received")]


async def test_lines_become_payments_returns_and_debits(door: Door) -> None:
    lines = [Line("10.00", "R-1"), Line("-4.00", "back", reversal=True), Line("-1.50", "fee")]
    receipt = await door.sent(camt(statement("0.00", lines, number="1")))
    assert receipt["counts"] == {"written": 4}
    kinds = [e.type for e in await door.events()][1:]
    assert kinds == ["statement.received", "payment.received", "payment.returned", "bank_debit.received"]
    head = (await door.facts("statement.received"))[0]
    assert head.balanced and head.closing_minor == 450 and head.complete_through_on == date(2026, 1, 5)


async def test_two_equal_lines_are_two_payments_and_a_resent_statement_brings_none(door: Door) -> None:
    lines = [Line("10.00", "R-1"), Line("10.00", "R-1")]
    await door.sent(camt(statement("0.00", lines, number="1")))
    again = await door.sent(camt(statement("0.00", lines, number="1"), version="08"))
    assert again["counts"] == {"known": 3}
    assert await payments(door) == [1000, 1000]
    assert len({p.payment_id for p in await door.facts("payment.received")}) == 2


async def test_a_reissue_with_one_more_line_brings_only_that_line(door: Door) -> None:
    first = [Line("10.00", "R-1"), Line("10.00", "R-1")]
    await door.sent(camt(statement("0.00", first, number="1")))
    await door.sent(camt(statement("0.00", [*first, Line("10.00", "R-1")], number="1")))
    assert await payments(door) == [1000, 1000, 1000]


async def test_disjoint_statements_of_one_day_add_their_equal_lines(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "R-1")], number="1")))
    await door.sent(camt(statement("10.00", [Line("10.00", "R-1")], number="2")))
    assert await payments(door) == [1000, 1000]


async def test_a_weekly_statement_over_daily_ones_brings_only_the_new_lines(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "A", MONDAY)], on=MONDAY)))
    await door.sent(camt(statement("10.00", [Line("20.00", "B", TUESDAY)], on=TUESDAY)))
    week = [Line("10.00", "A", MONDAY), Line("20.00", "B", TUESDAY), Line("30.00", "C", WEDNESDAY)]
    receipt = await door.sent(camt(statement("0.00", week, on=WEDNESDAY, from_on=MONDAY, identity="week")))
    assert receipt["counts"] == {"written": 2, "known": 2}
    assert await payments(door) == [1000, 2000, 3000]
    assert await reach(door) == WEDNESDAY


async def test_an_overlap_that_proves_nothing_is_held_until_a_person_says_how_it_counts(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "R-1")])))
    receipt = await door.sent(camt(statement("500.00", [Line("10.00", "R-1"), Line("7.00", "R-2")])))
    assert receipt["counts"] == {"held": 3}
    held = (await door.facts("statement.held"))[0]
    assert [credit.amount_minor for credit in held.credits] == [1000, 700] and "overlaps" in held.reason
    statement_id = (await door.get("/statements", state="held")).json()["items"][0]["statement_id"]
    release = f"/statements/{statement_id}/release"
    open_choice = await door.post(release, {"outcome": "booked", "reason": "asked the bank"})
    assert open_choice.status_code == 422 and open_choice.json()["code"] == "overlap_needed"
    answer = await door.post(release, {"outcome": "booked", "overlap": "maximum", "reason": "asked the bank"})
    assert answer.status_code == 200, answer.text
    assert await payments(door) == [1000, 700]
    assert (await door.facts("statement.released"))[0].outcome == "booked"
    assert await door.fetch("select from held_line") == []


async def test_a_statement_that_does_not_balance_is_held_and_its_cash_is_known(door: Door) -> None:
    receipt = await door.sent(camt(statement("0.00", [Line("10.00", "R-1")], closing="11.00")))
    assert receipt["counts"] == {"held": 2}
    held = (await door.facts("statement.held"))[0]
    assert "unbalanced" in held.reason and held.credits[0].payer_hint == "Nordlicht Werft GmbH"
    assert await payments(door) == [] and await reach(door) is None
    statement_id = held.statement_id
    answer = await door.post(f"/statements/{statement_id}/release", {"outcome": "refused", "reason": "a new one comes"})
    assert answer.json()["state"] == "refused"
    again = await door.post(f"/statements/{statement_id}/release", {"outcome": "refused", "reason": "once more"})
    assert again.status_code == 409


async def test_the_policy_of_the_account_may_book_an_unbalanced_statement(door: Door) -> None:
    account = COMPANY_BODY["bank_accounts"][0] | {"unbalanced": "book"}
    await door.configure(bank_accounts=[account])
    await door.sent(camt(statement("0.00", [Line("10.00", "R-1")], closing="11.00")))
    assert await payments(door) == [1000] and await reach(door) is None


async def test_a_gap_is_booked_and_noticed_and_stops_the_reach_until_it_is_filled(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "A", MONDAY)], number="1", on=MONDAY)))
    await door.sent(camt(statement("15.00", [Line("1.00", "C", WEDNESDAY)], number="3", on=WEDNESDAY)))
    noticed = (await door.facts("statement.gap_noticed"))[0]
    assert "number 2" in noticed.expected and await reach(door) == MONDAY
    await door.sent(camt(statement("10.00", [Line("5.00", "B", TUESDAY)], number="2", on=TUESDAY)))
    assert await reach(door) == WEDNESDAY


async def test_a_gap_may_be_accepted_by_a_person(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "A", MONDAY)], number="1", on=MONDAY)))
    await door.sent(camt(statement("15.00", [Line("1.00", "C", WEDNESDAY)], number="3", on=WEDNESDAY)))
    found = (await door.get("/statements")).json()["items"]
    statement_id = next(s["statement_id"] for s in found if s["gap"])
    answer = await door.post(f"/statements/{statement_id}/release", {"outcome": "booked", "reason": "bank confirmed"})
    assert answer.status_code == 200 and await reach(door) == WEDNESDAY


async def test_a_missing_number_is_a_gap_even_if_balances_agree(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "A", MONDAY)], number="1", on=MONDAY)))
    await door.sent(camt(statement("10.00", [Line("1.00", "C", WEDNESDAY)], number="3", on=WEDNESDAY)))
    assert len(await door.facts("statement.gap_noticed")) == 1 and await reach(door) == MONDAY


async def test_data_through_a_friday_reach_through_the_weekend(door: Door) -> None:
    await door.sent(camt(statement("0.00", [Line("10.00", "A", "2026-01-09")], on="2026-01-09")))
    assert await reach(door) == "2026-01-11"


async def test_a_statement_of_an_unknown_account_waits_until_the_account_is_configured(door: Door) -> None:
    other = "FR1420041010050500013M02606"
    receipt = await door.sent(camt(statement("0.00", [Line("10.00", "A")], iban=other)))
    assert receipt["counts"] == {"held": 2}
    assert (await door.facts("record.quarantined"))[0].kind == "statement"
    await door.configure(
        bank_accounts=[
            *COMPANY_BODY["bank_accounts"],
            {"id": "EUR-2", "iban": other, "currency": "EUR", "calendar": "XECB"},
        ]
    )
    statement_id = (await door.get("/statements", state="unattributed")).json()["items"][0]["statement_id"]
    answer = await door.post(f"/statements/{statement_id}/release", {"outcome": "booked", "reason": "configured now"})
    assert answer.status_code == 200, answer.text
    assert (await door.facts("payment.received"))[0].bank_account == "EUR-2"
    assert len(await door.facts("record.released")) == 1


async def test_the_banks_reference_decides_where_the_profile_trusts_it(door: Door) -> None:
    account = COMPANY_BODY["bank_accounts"][0] | {"identity_rule": "entry_reference"}
    await door.configure(bank_accounts=[account])
    await door.sent(camt(statement("0.00", [Line("10.00", "A", reference="r1"), Line("10.00", "A", reference="r2")])))
    receipt = await door.sent(
        camt(statement("700.00", [Line("10.00", "A other text", reference="r1"), Line("9.00", "B", reference="r2")]))
    )
    assert receipt["counts"] == {"written": 1, "known": 1, "quarantined": 1}
    assert receipt["problems"][0]["code"] == "conflict" and await payments(door) == [1000, 1000]


async def test_a_pending_credit_is_announced_once_and_posts_when_it_is_booked(door: Door) -> None:
    pending = Line("10.00", "A", status="PDNG")
    await door.sent(camt(statement("0.00", [pending], number="1")))
    await door.sent(camt(statement("0.00", [pending], number="1", closing="0.0")))
    assert len(await door.facts("payment.announced")) == 1 and await payments(door) == []
    await door.sent(camt(statement("0.00", [Line("10.00", "A", on=TUESDAY)], number="2", on=TUESDAY)))
    assert await payments(door) == [1000]


async def test_statements_in_chunks_give_the_same_lines(make_door) -> None:
    door = await make_door(chunk_records=3)
    await door.tick()
    await door.configure()
    lines = [Line("10.00", "same") for _ in range(8)]
    receipt = await door.sent(camt(statement("0.00", lines, number="1"), statement("80.00", lines, number="2")))
    assert receipt["counts"] == {"written": 18} and len(await payments(door)) == 16
    again = await door.sent(
        camt(statement("0.00", lines, number="1"), statement("80.00", lines, number="2"), version="04")
    )
    assert again["counts"] == {"known": 18}
