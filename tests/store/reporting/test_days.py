"""The close of a day: snapshot, and reconciliation with what the subledger vouched for."""

from datetime import date, timedelta
from typing import Any

from shared.events.payments import BankDebitReceived
from shared.ids import derive
from tests.store.reporting.world import World

DUE = date(2026, 2, 20)


def vouched(debit: int, **bank: int) -> dict[str, Any]:
    return {
        "items": {"EUR": {"debit_minor": debit, "credit_minor": 0}},
        "bank_accounts": {
            "EUR-1": {"currency": "EUR", "opening_minor": 0} | {f"{k}_minor": v for k, v in bank.items()}
        },
    }


async def story(world: World) -> dict[str, Any]:
    """Two invoices, one payment of 600 that leaves 100 unapplied; gives what the subledger would vouch for."""
    await world.tell(world.account())
    for number, amount in (("A", 1000), ("B", 500)):
        await world.tell(world.invoice(number, amount, document_on=date(2026, 1, 21), due_on=DUE))
        await world.tell(world.item(number, amount, due_on=DUE))
    await world.tell(
        world.received("P", 600),
        world.item("B", 500, due_on=DUE, remaining=0),
        world.cash(100),
        world.state("P", 600, applied={"B": 500}, unapplied=100),
    )
    return vouched(1000, credits=600, applied=500, unapplied=100)


async def test_a_day_that_agrees_has_no_differences(world: World) -> None:
    await world.close(await story(world))
    rows = await world.rows("select scope, figure, difference_minor from reconciliation")
    assert len(rows) >= 8
    assert {row["difference_minor"] for row in rows} == {0}
    (day,) = await world.rows("select figures from day_snapshot")
    figures = day["figures"]
    assert figures["differences"] == 0
    assert figures["aging"][0]["buckets"]["1-30"] == 1000
    assert figures["aging"][0]["credits_minor"] == -100
    assert figures["cash_in"] == [{"currency": "EUR", "bank_account": "EUR-1", "payments": 1, "minor": 600}]
    assert figures["dso"]["simple"] == "54.0"  # (1000 - 100) / 1500 x 90


async def test_a_difference_is_a_row_and_stays(world: World) -> None:
    totals = await story(world)
    totals["items"]["EUR"]["debit_minor"] += 1
    await world.close(totals)
    rows = await world.rows("select * from reconciliation where difference_minor <> 0")
    assert [(r["scope"], r["figure"], r["expected_minor"], r["found_minor"]) for r in rows] == [
        ("items", "debit_minor", 1001, 1000)
    ]
    (day,) = await world.rows("select figures from day_snapshot")
    assert day["figures"]["differences"] == 1


async def test_what_is_accounted_later_is_not_in_the_day(world: World) -> None:
    totals = await story(world)
    later = world.on + timedelta(days=1)
    await world.tell(
        world.received("Q", 1000, on=later),
        world.item("A", 1000, due_on=DUE, remaining=0, accounted_on=later),
        world.state("Q", 1000, applied={"A": 1000}, accounted_on=later),
        world.received("U", 70, on=later),
        world.state("U", 70, unidentified=70, accounted_on=later),
    )
    await world.close(totals)
    assert await world.rows("select 1 from reconciliation where difference_minor <> 0") == []


async def test_a_day_closed_again_replaces_its_rows(world: World) -> None:
    totals = await story(world)
    day = world.on
    await world.close(totals)
    before = await world.rows("select * from reconciliation order by 1, 2, 3, 4, 5")
    await world.close(totals, day=day)
    assert await world.rows("select * from reconciliation order by 1, 2, 3, 4, 5") == before
    assert len(await world.rows("select 1 from day_snapshot")) == 1


async def test_without_totals_of_the_subledger_nothing_agrees(world: World) -> None:
    await story(world)
    await world.close(None)
    rows = await world.rows("select difference_minor from reconciliation where scope = 'items'")
    assert {row["difference_minor"] for row in rows} == {None}


SUMS = """
select bank_account, figure, sum(minor)::bigint as minor from bank_day
group by 1, 2 having sum(minor) <> 0 order by 1, 2
"""


async def test_sums_of_a_bank_account_run_along_and_count_nothing_twice(world: World) -> None:
    await story(world)
    told = [world.received("P", 600), world.state("P", 600, version=1, applied={"B": 500}, unapplied=100)]
    await world.tell(*told)
    fee = BankDebitReceived(
        company=world.company,
        debit_id=derive("debit", "fee"),
        bank_account="EUR-1",
        document_on=world.on,
        valued_on=world.on,
        accounted_on=world.on,
        amount_minor=7,
        currency="EUR",
    )
    await world.tell(world.state("P", 600, applied={"A": 100, "B": 500}), fee, fee)
    await world.tell(fee)
    rows = [(row["bank_account"], row["figure"], row["minor"]) for row in await world.rows(SUMS)]
    assert rows == [
        ("EUR-1", "applied_minor", 600),
        ("EUR-1", "credits_minor", 600),
        ("EUR-1", "debits_minor", 7),
    ]


async def test_a_close_reads_sums_by_day_and_never_all_lines_again(world: World) -> None:
    """Rows that were summed when they came are not looked at: history without rows still reconciles."""
    totals = await story(world)
    async with world.pool.acquire() as db:
        await db.execute("delete from receipt")
        await db.execute("delete from payment_posting where place = 'applied'")
    await world.close(totals)
    assert await world.rows("select 1 from reconciliation where difference_minor <> 0") == []
