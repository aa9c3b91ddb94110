"""Holds on their way to the access system: versions in order, signed, at least once until confirmed."""

import asyncio
import json
from datetime import date, datetime, timedelta

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from services.notifications.channels.webhook import ANY_COMPANY, Target, WebhookSender, read_targets
from services.notifications.settings import Settings
from shared.clock import WallClock
from shared.errors import Stop
from shared.events.collections import DisputeOpened, HoldLifted, HoldRenewed
from shared.events.ledger import CashCandidate, ItemSettled
from shared.ids import derive
from shared.runtime import failpoints
from tests.scenario.notifications.world import (
    ACCOUNT,
    COMPANY,
    MORNING,
    World,
    account,
    contact,
    hold,
    item,
    item_id,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """Answers webhooks as told; keeps what it verified."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self.taken: list[dict] = []
        self.requests: list[httpx.Request] = []
        self.delay_s = 0.0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.delay_s)
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, json={"applied": True})
        if isinstance(answer, Exception):
            raise answer
        Webhook(SECRET).verify(request.content, dict(request.headers))
        if answer.is_success:
            self.taken.append(json.loads(request.content))
        return answer


@pytest.fixture
def receiver(world: World) -> Receiver:
    made = Receiver()
    client = httpx.AsyncClient(transport=httpx.MockTransport(made), follow_redirects=False)
    world.webhooks = WebhookSender(world.runtime, client)
    from pydantic import SecretStr

    world.webhooks._targets = {ANY_COMPANY: Target("https://access.example/holds", SecretStr(SECRET))}
    return made


async def ready(world: World) -> None:
    await world.tick(MORNING - timedelta(hours=12))
    await world.tell(account(), contact(), item(), hold())
    await world.tick()


async def statuses(world: World) -> list[str]:
    return [row["status"] for row in await world.effects()]


async def later(world: World) -> None:
    """The waiting time after an attempt is over."""
    await world.pool.execute("update effect set next_try_at = null")


async def test_an_order_that_passes_is_delivered_signed_and_confirmed_for_each_target(
    world: World, receiver: Receiver
) -> None:
    await ready(world)
    await world.deliver()
    first, second = world.expect("effect.confirmed", "effect.confirmed")
    assert {first.target, second.target} == {"room-1", "room-2"}
    (body,) = receiver.taken
    assert (body["version"], body["state"], body["grade"], body["lease_s"]) == (1, "ordered", "restrict", 864_000)
    assert receiver.requests[0].headers["idempotency-key"] == receiver.requests[0].headers["webhook-id"]
    assert await statuses(world) == ["confirmed"]


async def test_an_order_waits_for_a_tick_that_is_younger_than_itself(world: World, receiver: Receiver) -> None:
    await world.tick()
    await world.tell(account(), contact(), item(), hold())
    await world.deliver()
    assert receiver.requests == []
    await world.tick(MORNING + timedelta(minutes=1))
    await world.deliver()
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("against", ["paid", "candidate", "disputed"])
async def test_an_order_that_facts_stand_against_is_withheld(world: World, receiver: Receiver, against: str) -> None:
    await ready(world)
    facts = {
        "paid": item(kind=ItemSettled, version=2, remaining_minor=0),
        "candidate": CashCandidate(
            company=COMPANY, candidate_id=derive("c", 1), account_id=ACCOUNT, amount_minor=5, currency="EUR",
            source="unidentified", since_on=date(2026, 1, 16),
        ),
        "disputed": DisputeOpened(
            company=COMPANY, dispute_id=derive("d", 1), version=1, account_id=ACCOUNT, item_id=item_id(),
            disputed_minor=1, currency="EUR", reason_code="quality", opened_on=date(2026, 1, 16),
        ),
    }  # fmt: skip
    await world.tell(facts[against])
    await world.deliver()
    (failed,) = world.expect("effect.failed")
    assert failed.code == "WITHHELD"
    assert [r.code for r in failed.reasons] == [
        {"paid": "ITEM_CHANGED", "candidate": "CASH_CANDIDATE", "disputed": "ITEM_CHANGED"}[against]
    ]
    assert receiver.requests == []


async def test_a_lift_never_waits_for_the_gate(world: World, receiver: Receiver) -> None:
    await world.tick(through=None)
    await world.tell(account(), item(), hold())
    await world.tell(hold(2, HoldLifted, lease_s=0))
    await world.deliver()
    assert [b["state"] for b in receiver.taken] == ["lifted"]
    assert await statuses(world) == ["superseded", "confirmed"]
    world.expect("effect.confirmed", "effect.confirmed")


async def test_an_older_version_is_never_sent_after_a_newer_one(world: World, receiver: Receiver) -> None:
    await ready(world)
    await world.tell(hold(3, HoldLifted, lease_s=0))
    await world.tell(hold(2, HoldRenewed))
    await world.deliver()
    assert [b["version"] for b in receiver.taken] == [3]


async def test_a_newer_version_waits_while_an_older_one_is_in_flight(world: World, receiver: Receiver) -> None:
    await ready(world)
    receiver.delay_s = 0.3
    first = asyncio.create_task(world.webhooks.step())
    await asyncio.sleep(0.15)
    await world.tell(hold(2, HoldLifted, lease_s=0))
    assert await world.webhooks.step() == 0
    await first
    receiver.delay_s = 0.0
    await world.deliver()
    assert [b["version"] for b in receiver.taken] == [1, 2]
    assert await statuses(world) == ["superseded", "confirmed"]


class Jumped(WallClock):
    """A clock by which time can pass at once."""

    ahead_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def test_a_sender_that_slept_past_its_lease_does_not_send_behind_a_newer_version(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was stopped between the judgement and the call; meanwhile another one delivered the lift."""
    world.runtime.clock = clock = Jumped()
    await ready(world)
    asleep, woken = asyncio.Event(), asyncio.Event()

    async def sleep() -> None:
        monkeypatch.delitem(failpoints.armed, "webhook.before_post")
        asleep.set()
        await woken.wait()

    monkeypatch.setitem(failpoints.armed, "webhook.before_post", sleep)
    sleeper = asyncio.create_task(world.webhooks.step())
    await asleep.wait()
    clock.ahead_s = 120.0
    await world.tell(hold(2, HoldLifted, lease_s=0))
    await world.deliver()
    woken.set()
    await sleeper
    assert [(b["version"], b["state"]) for b in receiver.taken] == [(2, "lifted")]
    assert await statuses(world) == ["superseded", "confirmed"]


async def test_a_sender_that_slept_alone_tries_again(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.runtime.clock = clock = Jumped()
    await ready(world)

    async def sleep() -> None:
        monkeypatch.delitem(failpoints.armed, "webhook.before_post")
        clock.ahead_s = 120.0

    monkeypatch.setitem(failpoints.armed, "webhook.before_post", sleep)
    await world.webhooks.step()
    assert receiver.taken == []
    await later(world)
    await world.deliver()
    assert [b["version"] for b in receiver.taken] == [1]


async def test_it_is_tried_again_until_it_is_confirmed_with_the_same_key_and_body(
    world: World, receiver: Receiver
) -> None:
    receiver.answers = [httpx.Response(503), httpx.ConnectError("down"), httpx.Response(302), httpx.Response(200)]
    await ready(world)
    for attempt in range(4):
        await world.deliver()
        await later(world)
        assert ("loop access_system" in await world.runtime.ready()) is (attempt < 3)
    assert len({r.headers["webhook-id"] for r in receiver.requests}) == 1
    assert len({r.content for r in receiver.requests}) == 1
    assert len(receiver.requests) == 4
    world.expect("effect.confirmed", "effect.confirmed")
    (row,) = await world.effects()
    assert row["attempts"] == 4


async def test_an_unanswered_order_is_reported_once_and_still_tried(world: World, receiver: Receiver) -> None:
    receiver.answers = [httpx.Response(500)] * 12
    await ready(world)
    for _ in range(12):
        await world.deliver()
        await later(world)
    (failed,) = world.expect("effect.failed")
    assert (failed.code, failed.attempts) == ("HTTP_500", 10)
    await world.deliver()
    world.expect("effect.confirmed", "effect.confirmed")


async def test_an_order_that_the_receiver_will_never_take_has_failed(world: World, receiver: Receiver) -> None:
    receiver.answers = [httpx.Response(422)]
    await ready(world)
    await world.deliver()
    (failed,) = world.expect("effect.failed")
    assert failed.code == "HTTP_422"
    assert await statuses(world) == ["failed"]


async def test_a_receiver_that_knows_a_newer_version_does_not_confirm_this_one(
    world: World, receiver: Receiver
) -> None:
    receiver.answers = [httpx.Response(200, json={"applied": False, "version": 9})]
    await ready(world)
    await world.deliver()
    (failed,) = world.expect("effect.failed")
    assert failed.code == "NOT_APPLIED"


async def test_a_renewal_of_the_same_grade_needs_no_gate_and_a_higher_grade_does(
    world: World, receiver: Receiver
) -> None:
    await ready(world)
    await world.deliver()
    await world.tell(item(kind=ItemSettled, version=2, remaining_minor=0))
    await world.tell(hold(2, HoldRenewed))
    await world.deliver()
    assert [b["version"] for b in receiver.taken] == [1, 2]
    await world.tell(hold(3, HoldRenewed, grade="deny"))
    await world.tick(MORNING + timedelta(minutes=1))
    await world.deliver()
    assert [b["version"] for b in receiver.taken] == [1, 2]
    assert await statuses(world) == ["confirmed", "confirmed", "withheld"]


async def test_holds_leave_only_over_https_or_to_this_machine(world: World, tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    targets = tmp_path / "targets.json"
    settings: Settings = world.runtime.settings.model_copy(update={"webhook_targets": targets})
    targets.write_text(json.dumps({"acme": {"url": "http://access.example/h", "secret_file": str(secret)}}))
    with pytest.raises(Stop, match="neither https nor on this machine"):
        read_targets(settings)
    targets.write_text(json.dumps({"acme": {"url": "https://access.example/h", "secret_file": str(secret)}}))
    assert read_targets(settings)["acme"].url == "https://access.example/h"
    secret.write_text("nonsense!")
    with pytest.raises(Stop, match="whsec_"):
        read_targets(settings)
