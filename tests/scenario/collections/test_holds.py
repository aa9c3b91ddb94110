"""Holds through the transaction: warned, cured, proposed, approved, renewed, lifted at once."""

from datetime import date, timedelta

import pytest

from services.collections.domain.commands import DecideHold, MakePromise, OpenDispute
from shared.errors import Rejected
from shared.events.notifications import EffectConfirmed, EffectFailed
from tests.scenario.collections.world import ACCOUNT, COMPANY, World, at

WARNED = date(2026, 1, 6)


async def warned(world: World, amount: int = 200_000) -> None:
    """An account whose hold warning left on Tuesday 6 January: items are at level 3."""
    world.policies[0].content.update(spacing_days=0)
    facts = [world.account(), world.contact(), world.item(due_on=date(2025, 12, 1), amount=amount)]
    await world.tell(*facts)
    world.on = date(2026, 1, 2)
    for _ in range(3):
        asked = []
        while not asked:
            asked = await world.close()
        if asked[0].level == 3:
            world.on = WARNED
        await world.tell(world.sent(asked[0]))
    assert asked[0].kind == "hold_warning"
    world.published.clear()


async def proposed(world: World) -> dict:
    await warned(world)
    while not world.published:
        await world.close()
    world.expect("hold.proposed")
    (row,) = await world.rows("select * from hold")
    return row


def decision(row: dict, *, approve: bool = True, **changes) -> DecideHold:
    values = {"account_id": ACCOUNT, "hold_id": row["hold_id"], "body_sha256": row["body_sha256"]}
    return DecideHold(**values | {"approve": approve} | changes)


async def ordered(world: World) -> dict:
    row = await proposed(world)
    await world.command(decision(row), actor="user:cara")
    world.expect("hold.ordered")
    (row,) = await world.rows("select * from hold")
    return row


async def test_a_hold_is_proposed_when_the_cure_days_are_fully_over(world: World) -> None:
    await warned(world)
    await world.close_until(date(2026, 1, 14))
    world.expect()
    await world.close()
    (hold,) = world.expect("hold.proposed")
    assert (hold.grade, hold.targets, hold.overdue_minor, hold.approved_by) == ("restrict", ["room-C-1"], 200_000, "")
    await world.close_until(date(2026, 1, 19))
    world.expect()


async def test_a_hold_below_the_threshold_is_not_proposed(world: World) -> None:
    await warned(world, amount=99_999)
    await world.close_until(date(2026, 1, 20))
    world.expect()


async def test_a_named_person_approves_what_was_shown(world: World) -> None:
    row = await proposed(world)
    with pytest.raises(Rejected) as refused:
        await world.command(decision(row, body_sha256="0" * 64))
    assert refused.value.code == "changed_since_shown"
    for actor, claims, code in (
        ("feed:erp", {"kind": "feed"}, "not_a_person"),
        ("user:cara", {"companies": frozenset({"other"})}, "foreign_company"),
        ("user:cara", {"on_behalf_of": "service:collections"}, "maker_is_checker"),
    ):
        with pytest.raises(Rejected) as refused:
            await world.command(decision(row), actor, **claims)
        assert refused.value.code == code
    await world.command(decision(row), actor="user:cara")
    (hold,) = world.expect("hold.ordered")
    assert (hold.version, hold.approved_by) == (2, "user:cara")
    (approval,) = await world.rows("select outcome, decided_by, requested_by from approval")
    assert approval == {"outcome": "approved", "decided_by": "user:cara", "requested_by": "service:collections"}
    with pytest.raises(Rejected) as refused:
        await world.command(decision(row))
    assert refused.value.code == "already_decided"


async def test_a_refused_hold_is_not_proposed_again_for_a_while(world: World) -> None:
    row = await proposed(world)
    await world.command(decision(row, approve=False, reason="Bid in progress"), actor="user:cara")
    (refused,) = world.expect("hold.refused")
    assert refused.cause == "Bid in progress"
    until = world.on + timedelta(days=14)
    await world.close_until(until)
    assert "hold.proposed" not in [fact.TYPE for fact in world.published]
    await world.close()
    assert "hold.proposed" in [fact.TYPE for fact in world.published]


async def test_a_hold_is_in_force_and_sales_is_told_when_every_target_confirmed_its_version(world: World) -> None:
    row = await ordered(world)
    confirmed = EffectConfirmed(
        company=COMPANY,
        effect_id=row["hold_id"],
        of="hold",
        subject_id=row["hold_id"],
        account_id=ACCOUNT,
        version=2,
        target="room-C-1",
        attempts=1,
        answered_at=at(world.on, 10),
    )
    await world.tell(confirmed)
    (row,) = await world.rows("select in_force_at, confirmed from hold")
    assert row == {"in_force_at": at(world.on, 10), "confirmed": {"room-C-1": 2}}
    (note,) = world.expect("activity.logged")
    assert note.addressee == "sam"
    assert note.text == "Access is restricted for 2000.00 EUR overdue; approved by user:cara."
    await world.tell(confirmed)
    world.expect()


async def test_an_order_that_the_gate_withheld_goes_out_again_at_the_next_close(world: World) -> None:
    row = await ordered(world)
    withheld = EffectFailed(
        company=COMPANY,
        effect_id=row["hold_id"],
        of="hold",
        subject_id=row["hold_id"],
        account_id=ACCOUNT,
        version=2,
        target="access_system",
        attempts=0,
        code="WITHHELD",
    )
    await world.tell(withheld, world.item(due_on=date(2025, 12, 1), remaining=150_000))
    await world.close()
    (again,) = world.expect("hold.ordered")
    assert (again.version, again.overdue_minor, again.approved_by) == (3, 150_000, "user:cara")
    await world.close()
    world.expect()


async def test_a_hold_is_renewed_before_its_lease_ends(world: World) -> None:
    row = await ordered(world)
    while not world.published:
        await world.close()
    renewed = world.published[0]
    assert (renewed.TYPE, renewed.version) == ("hold.renewed", 3)
    assert renewed.from_at < row["lease_until_at"]


async def test_money_that_arrives_lifts_the_hold_at_once(world: World) -> None:
    await ordered(world)
    await world.tell(world.item(due_on=date(2025, 12, 1), remaining=100_000))
    world.expect()
    await world.tell(world.item(due_on=date(2025, 12, 1), remaining=99_999))
    (lifted,) = world.expect("hold.lifted")
    assert (lifted.version, lifted.cause) == (3, "below_threshold")


async def test_money_not_yet_applied_lifts_the_hold_too(world: World) -> None:
    await ordered(world)
    await world.tell(world.cash(150_000))
    world.expect("hold.lifted")


async def test_a_promise_lifts_the_hold_at_once(world: World) -> None:
    await ordered(world)
    due_on = world.on + timedelta(days=7)
    await world.command(MakePromise(account_id=ACCOUNT, currency="EUR", due_on=due_on))
    made, lifted = world.expect("promise.made", "hold.lifted")
    assert (made.amount_minor, lifted.cause) == (200_000, "promise")


async def test_a_dispute_over_everything_lifts_the_hold_at_once(world: World) -> None:
    await ordered(world)
    await world.command(OpenDispute(account_id=ACCOUNT, item_id=world.item_id(), reason_code="price"))
    world.expect("dispute.opened", "activity.logged", "hold.lifted")


async def test_a_proposal_that_lost_its_reason_is_withdrawn_and_cannot_be_approved(world: World) -> None:
    row = await proposed(world)
    await world.tell(world.item(due_on=date(2025, 12, 1), remaining=0))
    world.expect("hold.withdrawn")
    with pytest.raises(Rejected):
        await world.command(decision(row))
