"""Disputes, activities and escalations by people, through the transaction."""

from datetime import date, timedelta

import pytest

from services.collections.domain.commands import (
    LogActivity,
    OpenDispute,
    RaiseEscalation,
    ResolveDispute,
    UpdateDispute,
)
from shared.errors import Rejected
from tests.scenario.collections.world import ACCOUNT, MONDAY, World

DUE = date(2025, 12, 30)


async def ready(world: World) -> None:
    await world.tell(world.account(), world.contact(), world.item(due_on=DUE))


def dispute(world: World, amount: int | None = None) -> OpenDispute:
    return OpenDispute(account_id=ACCOUNT, item_id=world.item_id(), disputed_minor=amount, reason_code="quality")


async def test_a_dispute_opens_with_a_ticket_for_its_owner(world: World) -> None:
    await ready(world)
    reply = await world.command(dispute(world, 80_000))
    opened, ticket = world.expect("dispute.opened", "activity.logged")
    assert (opened.disputed_minor, opened.owner, str(opened.due_on)) == (80_000, "billing", reply["due_on"])
    assert (ticket.kind, ticket.addressee, ticket.next_on) == ("ticket", "billing", opened.due_on)


async def test_no_more_than_the_item_can_be_disputed(world: World) -> None:
    await ready(world)
    await world.command(dispute(world, 150_000))
    with pytest.raises(Rejected) as refused:
        await world.command(dispute(world, 50_001))
    assert refused.value.code == "disputed_too_much"
    await world.command(dispute(world))
    world.expect("dispute.opened", "activity.logged", "dispute.opened", "activity.logged")
    assert await world.close() == [], "nothing undisputed is left to dun"


async def test_a_rejected_dispute_is_dunned_again(world: World) -> None:
    await ready(world)
    made = await world.command(dispute(world))
    await world.close()
    await world.command(ResolveDispute(account_id=ACCOUNT, dispute_id=made["dispute_id"], outcome="rejected"))
    await world.close()
    world.expect("dispute.opened", "activity.logged", "dispute.resolved", "notice.requested")


async def test_a_granted_credit_is_requested_and_waited_for_but_not_for_ever(world: World) -> None:
    await ready(world)
    made = await world.command(dispute(world))
    await world.command(ResolveDispute(account_id=ACCOUNT, dispute_id=made["dispute_id"], outcome="credited"))
    facts = world.expect("dispute.opened", "activity.logged", "dispute.resolved", "credit_memo.requested")
    assert (facts[2].credited_minor, facts[3].amount_minor) == (200_000, 200_000)
    await world.close_until(MONDAY + timedelta(days=21))
    world.expect()
    await world.close()
    world.expect("notice.requested")


async def test_a_booked_credit_ends_the_wait(world: World) -> None:
    await ready(world)
    made = await world.command(dispute(world, 50_000))
    resolution = ResolveDispute(account_id=ACCOUNT, dispute_id=made["dispute_id"], outcome="credited")
    await world.command(resolution)
    await world.tell(world.item(due_on=DUE, remaining=150_000, relief={"credit": 50_000}))
    (asked,) = await world.close()
    assert [(i.remaining_minor, i.disputed_minor) for i in asked.items] == [(150_000, 0)]


async def test_an_update_changes_what_was_given_and_nothing_else(world: World) -> None:
    await ready(world)
    made = await world.command(dispute(world, 50_000))
    await world.command(UpdateDispute(account_id=ACCOUNT, dispute_id=made["dispute_id"], owner="legal"))
    _, _, updated = world.expect("dispute.opened", "activity.logged", "dispute.updated")
    assert (updated.version, updated.owner, updated.disputed_minor) == (2, "legal", 50_000)


async def test_a_next_step_comes_back_on_its_date_until_it_is_followed(world: World) -> None:
    await world.tell(world.account(), world.contact())
    call = LogActivity(
        account_id=ACCOUNT, kind="call", outcome_code="will_check", next_step="Call again", next_on=date(2026, 1, 8)
    )
    logged = await world.command(call)
    await world.close()
    assert await world.rows("select * from worklist") == []
    await world.close_until(date(2026, 1, 8))
    (row,) = await world.rows("select cause, next_step, work_on from worklist where listed")
    assert row == {"cause": "step_due", "next_step": "Call again", "work_on": date(2026, 1, 8)}
    await world.command(LogActivity(account_id=ACCOUNT, kind="call", follows=logged["activity_id"]))
    await world.close()
    assert await world.rows("select * from worklist where listed") == []


async def test_a_correction_supersedes_and_nothing_is_edited(world: World) -> None:
    await world.tell(world.account())
    first = await world.command(LogActivity(account_id=ACCOUNT, kind="note", text="wrong"))
    await world.command(LogActivity(account_id=ACCOUNT, kind="note", text="right", supersedes=first["activity_id"]))
    rows = await world.rows("select text, superseded from activity order by text")
    assert rows == [{"text": "right", "superseded": False}, {"text": "wrong", "superseded": True}]
    with pytest.raises(Rejected) as refused:
        await world.command(LogActivity(account_id=ACCOUNT, kind="note", supersedes=first["activity_id"]))
    assert refused.value.code == "activity_unknown"


async def test_commands_on_an_unknown_account_are_refused_and_leave_nothing(world: World) -> None:
    with pytest.raises(Rejected) as refused:
        await world.command(LogActivity(account_id="typo", kind="note", text="?"))
    assert (refused.value.code, refused.value.status) == ("account_unknown", 404)
    assert await world.rows("select * from account") == []


async def test_a_person_escalates_what_is_overdue(world: World) -> None:
    await ready(world)
    await world.command(RaiseEscalation(account_id=ACCOUNT, to="legal", reason="They are winding up"))
    raised, task = world.expect("escalation.raised", "activity.logged")
    assert (raised.to, task.addressee, raised.overdue_minor) == ("legal", "legal", 200_000)
