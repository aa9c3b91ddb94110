"""Mail at most once: what leaves, what is tried again, what is never sent a second time."""

import asyncio
import email
from datetime import date, timedelta
from email import policy as email_policy

import pytest

from services.notifications.channels import mail
from shared.errors import Transient
from shared.events.ledger import ItemChanged, ItemSettled
from shared.runtime import failpoints
from tests.scenario.notifications.smtp_server import SmtpServer
from tests.scenario.notifications.world import (
    ADDRESS,
    CONTACT,
    MORNING,
    World,
    account,
    contact,
    item,
    noted,
    notice,
)


async def ready(world: World) -> None:
    """An overdue item, everything known, nothing against it."""
    await world.tell(account(), contact(), item(), notice())
    await world.tick()


async def statuses(world: World) -> list[str]:
    return [row["status"] for row in await world.notices()]


async def test_a_notice_that_passes_is_announced_before_it_is_sent(world: World, server: SmtpServer) -> None:
    await ready(world)
    await world.dispatch()
    sending, sent = world.expect("notice.sending", "notice.sent")
    assert len(server.taken) == 1
    assert sent.message_id == sending.message_id
    assert sent.items[0].remaining_minor == 100_000
    assert await statuses(world) == ["sent"]


async def test_a_full_disk_sends_nothing_and_the_notice_goes_back(
    world: World, server: SmtpServer, monkeypatch
) -> None:
    await ready(world)
    put = world.runtime.blobs.put

    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world.runtime.blobs, "put", full)
    with pytest.raises(Transient, match="blob store"):
        await world.dispatch()
    assert (server.taken, await statuses(world)) == ([], ["requested"])
    monkeypatch.setattr(world.runtime.blobs, "put", put)
    await world.dispatch()
    assert (len(server.taken), await statuses(world)) == (1, ["sent"])


async def test_a_letter_that_can_never_be_composed_ends_as_failed(
    world: World, server: SmtpServer, monkeypatch
) -> None:
    await ready(world)

    def broken(_: object) -> bytes:
        raise ValueError("a name of a person")

    monkeypatch.setattr(mail, "compose", broken)
    await world.dispatch()
    assert (server.taken, await statuses(world)) == ([], ["failed"])


async def test_what_is_kept_is_exactly_what_was_sent(world: World, server: SmtpServer) -> None:
    await ready(world)
    await world.dispatch()
    _, sent = world.expect("notice.sending", "notice.sent")
    kept = await world.runtime.blobs.get(sent.content.sha256)
    assert server.taken[0][2] == kept
    message = email.message_from_bytes(kept, policy=email_policy.default)
    assert message["Message-ID"] == sent.message_id
    assert message["To"] == ADDRESS
    assert "1,000.00" in message.get_body(("plain",)).get_content()
    assert server.taken[0][0] == f"bounce+{sent.notice_id.hex}@harbour-data-rooms.example"


async def test_one_request_is_one_mail_however_often_it_is_read_and_dispatched(
    world: World, server: SmtpServer
) -> None:
    await ready(world)
    await world.dispatch()
    await world.tell(notice())
    await world.tick(MORNING + timedelta(minutes=1))
    await world.dispatch()
    assert len(server.taken) == 1
    world.expect("notice.sending", "notice.sent")


async def test_nothing_is_sent_before_its_time_and_all_of_it_then(world: World, server: SmtpServer) -> None:
    await world.tell(account(), contact(), item(), notice(not_before_at=MORNING + timedelta(hours=2)))
    await world.tick()
    assert await world.dispatch() == 0
    await world.tick(MORNING + timedelta(hours=2))
    await world.dispatch()
    assert len(server.taken) == 1


async def test_an_item_settled_between_request_and_sending_withholds_the_notice(
    world: World, server: SmtpServer
) -> None:
    await ready(world)
    await world.tell(item(kind=ItemSettled, version=2, remaining_minor=0))
    await world.dispatch()
    (withheld,) = world.expect("notice.withheld")
    assert [r.code for r in withheld.reasons] == ["SETTLED"]
    assert server.connections == 0, "what is withheld needs no connection"


async def test_a_part_payment_makes_the_notice_smaller(world: World, server: SmtpServer) -> None:
    await ready(world)
    await world.tell(item(kind=ItemChanged, version=2, remaining_minor=40_000))
    await world.dispatch()
    _, sent = world.expect("notice.sending", "notice.sent")
    assert [(i.version, i.remaining_minor) for i in sent.items] == [(2, 40_000)]
    assert b"400.00" in server.taken[0][2]


async def test_missing_bank_data_wait_for_the_next_tick_until_the_notice_expires(
    world: World, server: SmtpServer
) -> None:
    await ready(world)
    await world.tick(through=date(2026, 1, 15))
    await world.dispatch()
    assert await statuses(world) == ["requested"]
    assert await world.dispatch() == 0, "the same tick is judged once"
    await world.tick(MORNING + timedelta(hours=1))
    await world.dispatch()
    assert len(server.taken) == 1

    await world.tell(notice("n-2"))
    await world.tick(MORNING + timedelta(days=3), through=date(2026, 1, 15))
    await world.dispatch()
    *_, withheld = world.expect("notice.sending", "notice.sent", "notice.withheld")
    assert [r.code for r in withheld.reasons] == ["BANK_DATA_INCOMPLETE", "EXPIRED"]


async def test_a_recipient_refused_for_now_is_tried_again_later(world: World, server: SmtpServer) -> None:
    server.rcpt_answers[ADDRESS] = ["450 4.2.1 busy"]
    await ready(world)
    await world.dispatch()
    (row,) = await world.notices()
    assert (row["status"], row["attempts"], row["code"]) == ("requested", 1, "450 4.2.1")
    assert row["next_try_at"] > world.runtime.clock.now() + timedelta(seconds=50)
    await world.pool.execute("update notice set next_try_at = next_try_at - interval '2 minutes'")
    await world.tick(MORNING + timedelta(minutes=1))
    await world.dispatch()
    assert len(server.taken) == 1
    world.expect("notice.sending", "notice.sent")


async def test_an_address_that_does_not_exist_fails_and_the_contact_is_not_used_again(
    world: World, server: SmtpServer
) -> None:
    server.rcpt_answers[ADDRESS] = ["550 5.1.1 no such user"]
    await ready(world)
    await world.dispatch()
    failed, invalidated = world.expect("notice.failed", "contact.invalidated")
    assert (failed.permanent, failed.code, invalidated.contact_id) == (True, "550 5.1.1", CONTACT)
    await world.tell(notice("n-2"))
    await world.tick(MORNING + timedelta(minutes=1))
    await world.dispatch()
    (withheld,) = world.expect("notice.withheld")
    assert [r.code for r in withheld.reasons] == ["CONTACT_INVALID"]
    await world.tell(contact(email="new@debtor.example"), notice("n-3"))
    await world.tick(MORNING + timedelta(minutes=2))
    await world.dispatch()
    world.expect("notice.sending", "notice.sent")
    assert server.taken[0][1] == "new@debtor.example"


@pytest.mark.parametrize(
    ("mode", "permanent", "code"),
    [("refuse", True, "554 5.7.1"), ("later", False, "451 4.3.0"), ("refuse_start", False, "451 4.3.0")],
)
async def test_content_refused_after_data_fails_without_a_second_try(
    world: World, server: SmtpServer, mode: str, permanent: bool, code: str
) -> None:
    server.data_mode = mode
    await ready(world)
    await world.dispatch()
    _, failed = world.expect("notice.sending", "notice.failed")
    assert (failed.permanent, failed.code) == (permanent, code)
    await world.tick(MORNING + timedelta(minutes=1))
    await world.dispatch()
    assert server.begun == 1


@pytest.mark.parametrize("mode", ["drop", "drop_taken"])
async def test_a_connection_lost_after_the_content_is_unknown_and_never_sent_again(
    world: World, server: SmtpServer, mode: str
) -> None:
    server.data_mode = mode
    await ready(world)
    await world.dispatch()
    sending, unknown = world.expect("notice.sending", "notice.unknown")
    assert unknown.message_id == sending.message_id
    server.data_mode = "take"
    await world.tick(MORNING + timedelta(hours=1))
    await world.dispatch()
    assert server.begun == 1
    assert await statuses(world) == ["unknown"]


async def test_a_server_that_never_answers_is_unknown_after_the_timeout(
    make_database, tmp_path, server: SmtpServer
) -> None:
    server.data_mode = "hang"
    world = await World.open(
        await make_database("notifications"), tmp_path, smtp_port=server.port, smtp_data_timeout_s=0.3
    )
    await ready(world)
    await world.dispatch()
    world.expect("notice.sending", "notice.unknown")
    await world.close()


async def test_a_sender_that_dies_after_the_judgement_leaves_an_unknown_notice(
    world: World, server: SmtpServer, monkeypatch
) -> None:
    await ready(world)

    class Killed(BaseException):
        pass

    async def kill(name: str) -> None:
        if name == "mail.before_data":
            raise Killed

    monkeypatch.setattr(failpoints, "hit", kill)
    with pytest.raises(Killed):
        await world.dispatch()
    monkeypatch.undo()
    assert await statuses(world) == ["sending"]
    world.mailer = mail.MailDispatcher(world.runtime)
    await world.dispatch()
    world.expect("notice.sending", "notice.unknown")
    await world.tick(MORNING + timedelta(hours=1))
    await world.dispatch()
    assert server.begun == 0


async def test_another_replica_takes_a_lost_notice_only_after_its_lease(
    world: World, server: SmtpServer, monkeypatch
) -> None:
    await ready(world)

    class Killed(BaseException):
        pass

    async def kill(name: str) -> None:
        if name == "mail.before_data":
            raise Killed

    monkeypatch.setattr(failpoints, "hit", kill)
    with pytest.raises(Killed):
        await world.dispatch()
    monkeypatch.undo()
    other = mail.MailDispatcher(world.runtime)
    other._owner, other._lost_at = "notifications-7", None
    await other.step()
    assert await statuses(world) == ["sending"]
    await world.pool.execute("update notice set lease_until_at = now() - interval '1 second'")
    other._lost_at = None
    await other.step()
    assert await statuses(world) == ["unknown"]


async def test_while_the_broker_does_not_acknowledge_no_data_begins(
    world: World, server: SmtpServer, monkeypatch
) -> None:
    monkeypatch.setattr(mail, "ACK_WAIT_MAX_S", 0.2)
    await ready(world)
    world.sink.away = True
    async with world.relaying():
        await world.mailer.step()
        assert await world.mailer.step() == 0, "it is not announced again at once"
    assert server.begun == 0
    assert await statuses(world) == ["requested"]
    world.sink.away = False
    await world.pool.execute("update notice set next_try_at = null")
    await world.dispatch()
    assert server.begun == 1
    world.expect("notice.sending", "notice.sending", "notice.sent")


async def test_a_judgement_that_is_too_old_before_data_is_made_again(
    world: World, server: SmtpServer, monkeypatch
) -> None:
    await ready(world)
    monkeypatch.setattr(mail, "JUDGED_TO_DATA_MAX_S", 0.0)
    async with world.relaying():
        await world.mailer.step()
    assert (server.begun, await statuses(world)) == (0, ["requested"])
    await world.tell(item(kind=ItemSettled, version=2, remaining_minor=0))
    monkeypatch.undo()
    await world.dispatch()
    world.expect("notice.sending", "notice.withheld")
    assert server.begun == 0


async def test_a_fact_that_comes_between_rcpt_and_data_stops_the_notice(
    world: World, server: SmtpServer, monkeypatch
) -> None:
    await ready(world)
    prepare = mail.Lane.prepare

    async def and_then_it_is_paid(lane, sender, recipient):
        answer = await prepare(lane, sender, recipient)
        await world.tell(item(kind=ItemSettled, version=2, remaining_minor=0))
        return answer

    monkeypatch.setattr(mail.Lane, "prepare", and_then_it_is_paid)
    await world.dispatch()
    world.expect("notice.withheld")
    assert server.begun == 0


async def test_a_mail_server_that_is_down_costs_no_notice(world: World, server: SmtpServer) -> None:
    await ready(world)
    await server.stop()
    with pytest.raises(Transient):
        await world.dispatch()
    assert await statuses(world) == ["requested"]
    with pytest.raises(Transient):
        await world.dispatch()
    await server.start()
    await world.dispatch()
    assert len(server.taken) == 1
    world.expect("notice.sending", "notice.sent")


async def test_several_dispatchers_send_each_notice_once(world: World, server: SmtpServer) -> None:
    facts = []
    for number in range(40):
        name = f"B-{number}"
        facts += [account(name), contact(name, email=f"p{number}@debtor.example"), item(account_id=name)]
        facts += [notice(account_id=name, items=[noted(account_id=name)])]
    await world.tell(*facts)
    await world.tick()
    other = mail.MailDispatcher(world.runtime)
    other._owner = "notifications-1"
    async with world.relaying():
        await asyncio.gather(world.mailer.step(), other.step())
    await world.dispatch()
    assert sorted(t[1] for t in server.taken) == sorted(f"p{n}@debtor.example" for n in range(40))
    assert set(await statuses(world)) == {"sent"}


async def test_the_gate_record_keeps_what_the_auditor_asks_for(world: World, server: SmtpServer) -> None:
    await ready(world)
    await world.dispatch()
    (record,) = await world.records()
    assert (record["outcome"], record["tick_at"], record["of"]) == ("pass", MORNING, "notice")
    assert record["banks"] == [{"bank_account": "acme/EUR-1", "calendar": "XECB", "complete_through_on": "2026-01-16"}]
    assert record["items"][0]["version"] == 1
    assert record["policy"].startswith("contact@")


async def test_readiness_names_a_mail_server_that_is_down_until_it_is_back(world: World, server: SmtpServer) -> None:
    await ready(world)
    await server.stop()
    async with world.relaying():
        running = asyncio.create_task(world.mailer.run(world.runtime.no_new_work))
        for _ in range(100):
            await asyncio.sleep(0.05)
            if down := world.runtime.failing.get("mail"):
                break
        assert "mail server" in down
        await asyncio.sleep(0.5)
        assert "mail" in world.runtime.failing
        await server.start()
        await asyncio.wait_for(server.data_begun.wait(), 20)
        await asyncio.sleep(0.5)
        assert world.runtime.failing == {}
        world.runtime.no_new_work.set()
        await asyncio.wait_for(running, 10)
    world.expect("notice.sending", "notice.sent")
