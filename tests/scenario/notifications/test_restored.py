"""A store that is older than what it has published, and a new one: no mail and no order of a hold leaves by itself."""

from datetime import timedelta

from services.notifications.store import count_pending
from shared.events.collections import HoldLifted
from shared.ids import derive
from shared.runtime import dead_letters
from shared.runtime.start import Start
from shared.runtime.start_statements import BEYOND_BACKUP
from tests.scenario.notifications.smtp_server import SmtpServer
from tests.scenario.notifications.test_webhooks import Receiver, receiver
from tests.scenario.notifications.world import ACCOUNT, COMPANY, MORNING, World, account, contact, hold, item, notice

KEY = f"{COMPANY}/{ACCOUNT}"
FREEZE = "insert into parked_key (key, company, account_id, code, error) values ($1, $2, $3, $4, 'lost outputs')"
LOSE = """
insert into lost_output (event_id, topic, partition, key, stream, sequence, event_type, subject, frozen)
values ($1, 'ar.notifications', 0, $2, $2, 1, 'notice.sending', $3, true)
"""
__all__ = ["receiver"]


async def frozen(world: World, *, told_of: str = "") -> None:
    """The account is frozen; the log tells of the sending of the notice `told_of`."""
    await world.pool.execute(FREEZE, KEY, COMPANY, ACCOUNT, BEYOND_BACKUP)
    if told_of:
        await world.pool.execute(LOSE, derive("lost", told_of), KEY, str(derive("notice", told_of, ACCOUNT)))


async def release(world: World) -> None:
    assert await dead_letters.redrive(world.pool, world.runtime.unit, [KEY]) == {KEY: "done"}


async def statuses(world: World) -> dict[str, str]:
    return {row["account_id"]: row["status"] for row in await world.notices()}


async def test_no_mail_leaves_for_a_frozen_account_and_others_get_theirs(world: World, server: SmtpServer) -> None:
    for each in (ACCOUNT, "A-2"):
        await world.tell(account(each), contact(each), item(account_id=each), notice(account_id=each))
    await frozen(world)
    await world.tick()
    await world.dispatch()
    assert len(server.taken) == 1
    assert await statuses(world) == {ACCOUNT: "requested", "A-2": "sent"}
    world.expect("notice.sending", "notice.sent")


async def test_a_frozen_notice_holds_up_no_day(world: World) -> None:
    await world.tell(account(), contact(), item(), notice(), hold(2, HoldLifted))
    await frozen(world)
    await world.tick()
    async with world.pool.acquire() as db:
        assert await count_pending(db, COMPANY, MORNING + timedelta(hours=1), 99) == 0


async def test_a_released_notice_of_which_the_log_tells_is_never_sent_and_waits_for_a_person(
    world: World, server: SmtpServer
) -> None:
    await world.tell(account(), contact(), item(), notice())
    await frozen(world, told_of="n-1")
    await world.tick()
    await world.dispatch()
    world.expect()
    await release(world)
    world.mailer._lost_at = None  # noqa: SLF001  it looks every few seconds
    await world.tick(MORNING + timedelta(minutes=1))
    await world.dispatch()
    assert (server.taken, await statuses(world)) == ([], {ACCOUNT: "unknown"})
    world.expect("notice.unknown")


async def test_a_released_notice_of_which_the_log_tells_nothing_is_judged_and_sent(
    world: World, server: SmtpServer
) -> None:
    await world.tell(account(), contact(), item(), notice())
    await frozen(world)
    await world.tick()
    await world.dispatch()
    await release(world)
    await world.tick(MORNING + timedelta(minutes=1))
    await world.dispatch()
    assert (len(server.taken), await statuses(world)) == (1, {ACCOUNT: "sent"})


async def test_no_order_and_no_lift_of_a_hold_leaves_for_a_frozen_account(world: World, receiver: Receiver) -> None:
    await world.tell(account(), contact(), item(), hold())
    await world.tell(hold(2, HoldLifted))
    await frozen(world)
    await world.tick()
    await world.deliver()
    assert receiver.taken == []
    await release(world)
    await world.deliver()
    assert [body["version"] for body in receiver.taken] == [2]


async def test_a_new_service_lets_nothing_go_at_a_tick_of_before_its_start(
    world: World, server: SmtpServer, receiver: Receiver
) -> None:
    """Else it would send the mails of a year on its way through the history."""
    await world.tell(account(), contact(), item(), notice(), hold())
    await world.tick()
    async with world.pool.acquire() as db:
        number = (await world.runtime.unit.control.moment(db)).number
    world.runtime.unit.start = Start(acts_after=number)
    await world.tell(hold(2, HoldLifted))
    assert await world.dispatch() + await world.deliver() == 0
    await world.tick(MORNING + timedelta(minutes=1))
    await world.dispatch()
    await world.deliver()
    assert len(server.taken) == 1
    assert [body["version"] for body in receiver.taken] == [2], "the order of before was lifted before the start"
