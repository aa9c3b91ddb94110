"""Dunning through the transaction on PostgreSQL: expect these events, close the day, nothing else happened."""

from datetime import date, timedelta

from services.collections.domain.commands import OpenDispute
from shared.events.notifications import ContactInvalidated, NoticeUnknown
from tests.scenario.collections.world import ACCOUNT, COMPANY, MONDAY, World


def due(days_before: int) -> date:
    return MONDAY - timedelta(days=days_before)


async def ready(world: World, days_past_due: int = 5) -> None:
    await world.tell(world.account(), world.contact(), world.item(due_on=due(days_past_due)))


async def test_an_overdue_item_is_reminded_of_on_the_next_business_day(world: World) -> None:
    await ready(world)
    await world.close()
    (asked,) = world.expect("notice.requested")
    assert (asked.level, asked.kind, asked.contact_id, asked.policy) == (1, "reminder", "k1", "dunning@1")
    assert [(i.number, i.remaining_minor, i.days_past_due, i.version) for i in asked.items] == [
        ("INV-A", 200_000, 5, 1)
    ]
    assert asked.not_before_at.isoformat() == "2026-01-06T08:00:00+00:00"
    assert asked.expires_at.isoformat() == "2026-01-09T16:00:00+00:00"


async def test_nothing_is_asked_for_again_while_an_answer_is_missing(world: World) -> None:
    await ready(world)
    await world.close_until(MONDAY + timedelta(days=21))
    world.expect("notice.requested")


async def test_a_level_counts_when_its_notice_has_left_and_the_next_comes_by_days_and_spacing(world: World) -> None:
    await ready(world, days_past_due=12)
    (first,) = await world.close()
    assert first.level == 1, "one step at a time, whatever the days"
    await world.tell(world.sent(first))
    await world.close_until(date(2026, 1, 13))
    world.expect("notice.requested")
    (second,) = await world.close()
    assert second.level == 2
    assert world.on == date(2026, 1, 14)


async def test_an_answer_counts_one_business_day_late(world: World) -> None:
    world.policies = (world.policies[0], world.policies[1])
    world.policies[0].content.update(spacing_days=0)
    await ready(world, days_past_due=20)
    (first,) = await world.close()
    await world.tell(world.sent(first))
    assert await world.close() == [], "the answer came on the day itself"
    (second,) = await world.close()
    assert second.level == 2


async def test_a_withheld_notice_is_asked_for_again_at_the_same_level(world: World) -> None:
    await ready(world)
    (first,) = await world.close()
    await world.tell(world.withheld(first))
    assert await world.close() == []
    assert await world.close() == []
    (again,) = await world.close()
    assert again.level == 1
    assert again.notice_id != first.notice_id


async def test_a_notice_of_unknown_fate_waits_for_a_person(world: World) -> None:
    await ready(world)
    (first,) = await world.close()
    await world.tell(
        NoticeUnknown(company=COMPANY, notice_id=first.notice_id, account_id=ACCOUNT, message_id="<m>", code="crash")
    )
    await world.close_until(MONDAY + timedelta(days=14))
    world.expect("notice.requested")
    (row,) = await world.rows("select cause, next_step from worklist")
    assert row == {"cause": "notice_unknown", "next_step": "Ask the customer, then release the notice"}


async def test_money_of_the_account_is_to_be_applied_first_EX_D16(world: World) -> None:
    await world.tell(world.account(), world.contact(), world.item(due_on=due(5), amount=100_000), world.cash(100_000))
    assert await world.close() == []
    (row,) = await world.rows("select cause, next_step, overdue_minor from worklist")
    assert row == {"cause": "apply_cash_first", "next_step": "Apply cash first", "overdue_minor": 0}


async def test_the_disputed_part_is_not_asked_for(world: World) -> None:
    await ready(world)
    await world.command(
        OpenDispute(account_id=ACCOUNT, item_id=world.item_id(), disputed_minor=50_000, reason_code="price")
    )
    world.expect("dispute.opened", "activity.logged")
    (asked,) = await world.close()
    assert [(i.remaining_minor, i.disputed_minor) for i in asked.items] == [(200_000, 50_000)]
    assert [total.amount_minor for total in asked.totals] == [150_000]


async def test_an_account_without_a_usable_contact_gets_an_activity_for_its_collector(world: World) -> None:
    await ready(world)
    await world.tell(ContactInvalidated(company=COMPANY, account_id=ACCOUNT, contact_id="k1", channel="email"))
    await world.close()
    (activity,) = world.expect("activity.logged")
    assert (activity.addressee, activity.next_step) == ("ana", "Find a contact")
    await world.close()
    world.expect()
    await world.tell(world.contact(email="new@debtor.example"))
    await world.close()
    world.expect("notice.requested")
    (step,) = await world.rows("select followed from activity")
    assert step["followed"], "the step is done by itself"


async def test_a_paid_item_is_never_asked_for(world: World) -> None:
    await ready(world)
    await world.tell(world.item(due_on=due(5), remaining=0))
    await world.close_until(MONDAY + timedelta(days=60))
    world.expect()


async def test_the_last_level_is_followed_by_an_escalation_once(world: World) -> None:
    world.policies[0].content.update(spacing_days=0)
    world.policies = world.policies[:1]
    await ready(world, days_past_due=60)
    for level in (1, 2, 3):
        facts = []
        while not facts:
            facts = await world.close()
        assert facts[0].level == level
        await world.tell(world.sent(facts[0]))
    world.published.clear()
    await world.close_until(world.on + timedelta(days=60))
    raised, task = world.expect("escalation.raised", "activity.logged")
    assert (raised.to, raised.level, raised.overdue_minor, task.addressee) == ("manager", 3, 200_000, "manager")
