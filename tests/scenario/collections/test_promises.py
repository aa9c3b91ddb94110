"""Promises through the transaction: judged at the first day close whose bank data are complete, corrected later."""

from datetime import date

import pytest

from services.collections.domain.commands import AllowPromise, CancelPromise, MakePromise
from shared.errors import Rejected
from tests.scenario.collections.world import ACCOUNT, World

TAKEN, DUE, JUDGED = date(2026, 3, 2), date(2026, 3, 10), date(2026, 3, 13)


async def ready(world: World, on: date = TAKEN) -> None:
    world.policies[0].content["debtor_kinds"] = []
    world.on = on
    await world.tell(world.account(), world.contact(), world.item(due_on=date(2026, 2, 1), amount=1_000_000))


def promise(amount: int = 500_000, due_on: date = DUE, **changes) -> MakePromise:
    return MakePromise(account_id=ACCOUNT, amount_minor=amount, currency="EUR", due_on=due_on, **changes)


async def test_two_promises_are_kept_first_in_first_out_EX_H2(world: World) -> None:
    await ready(world)
    await world.command(promise())
    second = await world.command(promise(due_on=date(2026, 3, 20)))
    assert second["superseded"] == []
    world.expect("promise.made", "promise.made")
    world.on = date(2026, 3, 9)
    await world.tell(world.payment("P", 700_000, valued_on=date(2026, 3, 9), applied={"A": 700_000}))
    await world.close()
    (kept,) = world.expect("promise.kept")
    assert (kept.due_on, [r.amount_minor for r in kept.received]) == (DUE, [500_000])
    await world.close_until(date(2026, 3, 25))
    world.expect()
    await world.close()
    (partly,) = world.expect("promise.partly_kept")
    assert [r.amount_minor for r in partly.received] == [200_000]


async def test_money_valued_before_the_promise_does_not_count_EX_H3(world: World) -> None:
    await ready(world)
    await world.command(promise())
    world.on = date(2026, 3, 3)
    await world.tell(world.payment("P", 500_000, valued_on=date(2026, 3, 1)))
    await world.close_until(date(2026, 3, 16))
    world.expect("promise.made", "promise.broken")


async def test_money_of_the_same_day_posted_later_counts_EX_H3(world: World) -> None:
    await ready(world)
    await world.command(promise())
    world.hour = 15
    await world.tell(world.payment("P", 500_000, valued_on=TAKEN))
    await world.close()
    world.expect("promise.made", "promise.kept")


async def test_money_on_the_account_before_the_promise_does_not_count(world: World) -> None:
    await ready(world)
    await world.tell(world.payment("P", 500_000, valued_on=TAKEN))
    world.hour = 15
    await world.command(promise())
    await world.close_until(date(2026, 3, 16))
    world.expect("promise.made", "promise.broken")


async def test_nothing_is_judged_before_bank_data_are_complete(world: World) -> None:
    await ready(world)
    await world.command(promise())
    world.expect("promise.made")
    world.on = JUDGED
    await world.close(complete=date(2026, 3, 12))
    await world.close(complete=None)
    world.expect()
    await world.close(complete=JUDGED)
    world.expect("promise.broken")


async def test_a_promise_within_tolerance_is_kept(world: World) -> None:
    await ready(world)
    await world.command(promise())
    world.on = date(2026, 3, 4)
    await world.tell(world.payment("P", 497_500, valued_on=date(2026, 3, 4)))
    await world.close()
    world.expect("promise.made", "promise.kept")


async def test_a_receipt_known_later_corrects_a_broken_promise(world: World) -> None:
    await ready(world)
    await world.command(promise())
    await world.close_until(date(2026, 3, 16))
    world.expect("promise.made", "promise.broken")
    await world.tell(world.payment("P", 500_000, valued_on=date(2026, 3, 13)))
    await world.close()
    (kept,) = world.expect("promise.kept")
    assert (kept.corrected, kept.version) == (True, 3)


async def test_the_return_of_a_counted_receipt_breaks_a_kept_promise(world: World) -> None:
    await ready(world)
    await world.command(promise())
    world.on = date(2026, 3, 4)
    await world.tell(world.payment("P", 500_000, valued_on=date(2026, 3, 4), applied={"A": 500_000}))
    await world.close()
    world.expect("promise.made", "promise.kept")
    await world.tell(world.payment("P", 500_000, valued_on=date(2026, 3, 4), returned=500_000))
    await world.close()
    world.expect("promise.broken")


async def test_a_partial_return_takes_only_its_part_from_a_promise(world: World) -> None:
    await ready(world)
    await world.command(promise())
    world.on = date(2026, 3, 4)
    valued_on = date(2026, 3, 4)
    await world.tell(world.payment("P", 600_000, valued_on=valued_on, applied={"A": 500_000}))
    await world.close()
    world.expect("promise.made", "promise.kept")
    await world.tell(world.payment("P", 600_000, valued_on=valued_on, applied={"A": 500_000}, returned=100_000))
    await world.close()
    world.expect()
    await world.tell(world.payment("P", 600_000, valued_on=valued_on, applied={"A": 300_000}, returned=300_000))
    await world.close()
    (broken,) = world.expect("promise.broken")
    assert [receipt.amount_minor for receipt in broken.received] == [300_000]


async def test_only_cash_on_its_items_counts_for_a_promise_of_items(world: World) -> None:
    await ready(world)
    await world.tell(world.item("B", due_on=date(2026, 2, 1), amount=100_000))
    await world.command(promise(amount=100_000, items=[world.item_id("B")]))
    world.on = date(2026, 3, 4)
    await world.tell(world.payment("P", 100_000, valued_on=date(2026, 3, 4), applied={"A": 100_000}))
    await world.close()
    world.expect("promise.made")
    world.on = date(2026, 3, 5)
    await world.tell(world.payment("Q", 100_000, valued_on=date(2026, 3, 5), applied={"B": 100_000}))
    await world.close()
    world.expect("promise.kept")


async def test_what_is_promised_again_supersedes_and_the_third_needs_a_supervisor(world: World) -> None:
    await ready(world)
    whole = promise(amount=1_000_000)
    await world.command(whole)
    again = await world.command(promise(amount=1_000_000, due_on=date(2026, 3, 12)))
    assert len(again["superseded"]) == 1
    world.expect("promise.made", "promise.superseded", "promise.made")
    with pytest.raises(Rejected) as refused:
        await world.command(promise(amount=1_000_000, due_on=date(2026, 3, 20)))
    assert refused.value.code == "promise_limit"
    await world.command(AllowPromise(account_id=ACCOUNT, reason="Their CFO called."), actor="user:sue")
    await world.command(promise(amount=1_000_000, due_on=date(2026, 3, 20)))
    world.expect("activity.logged", "promise.superseded", "promise.made")


async def test_a_promised_item_is_not_dunned_until_the_promise_is_broken(world: World) -> None:
    world.on = TAKEN
    await world.tell(world.account(), world.contact(), world.item(due_on=date(2026, 2, 20)))
    await world.command(promise(amount=200_000))
    await world.close_until(JUDGED)
    world.expect("promise.made")
    broken, asked = await world.close()
    assert (broken.TYPE, asked.TYPE) == ("promise.broken", "notice.requested")
    (row,) = await world.rows("select priority, cause, why from worklist")
    assert (row["priority"], row["cause"]) == (1, "promise_broken")
    assert row["why"] == ("Promised 2000.00 EUR by 2026-03-10, nothing came; 2000.00 EUR overdue for up to 21 days.")


async def test_a_cancelled_promise_protects_no_longer(world: World) -> None:
    world.on = TAKEN
    await world.tell(world.account(), world.contact(), world.item(due_on=date(2026, 2, 20)))
    made = await world.command(promise(amount=200_000))
    await world.command(CancelPromise(account_id=ACCOUNT, promise_id=made["promise_id"]))
    await world.close()
    world.expect("promise.made", "promise.cancelled", "notice.requested")


async def test_a_promise_in_the_past_or_on_a_closed_item_is_refused(world: World) -> None:
    await ready(world)
    for wrong, code in (
        (promise(due_on=date(2026, 3, 1)), "due_before_taken"),
        (promise(items=[world.item_id("nowhere")]), "item_not_open"),
        (promise(due_on=date(2026, 12, 1)), "due_too_late"),
    ):
        with pytest.raises(Rejected) as refused:
            await world.command(wrong)
        assert refused.value.code == code
    world.expect()
