"""Each metric of notifications moves: decisions of the gate by reason, mails, notices and deliveries that wait."""

from datetime import timedelta

import httpx
from prometheus_client import REGISTRY
from pydantic import SecretStr

from services.notifications.channels.webhook import ANY_COMPANY, Target, WebhookSender
from shared.events.ledger import ItemSettled
from shared.runtime.gauges import gauges_once
from tests.scenario.notifications.smtp_server import SmtpServer
from tests.scenario.notifications.world import MORNING, World, account, contact, hold, item, notice

GATE = "recoup_gate_decisions_total"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def decided(of: str, outcome: str, reason: str = "") -> float:
    return value(GATE, of=of, outcome=outcome, reason=reason)


async def ready(world: World) -> None:
    await world.tell(account(), contact(), item(), notice())
    await world.tick()


async def test_a_notice_that_passes_is_one_decision_and_one_mail(world: World) -> None:
    before = decided("notice", "pass"), value("recoup_mails_total", result="sent")
    await ready(world)
    await world.dispatch()
    assert (decided("notice", "pass"), value("recoup_mails_total", result="sent")) == (before[0] + 1, before[1] + 1)


async def test_a_notice_that_is_withheld_is_counted_by_its_reason(world: World) -> None:
    before = decided("notice", "withheld", "SETTLED")
    await ready(world)
    await world.tell(item(kind=ItemSettled, version=2, remaining_minor=0))
    await world.dispatch()
    assert decided("notice", "withheld", "SETTLED") == before + 1


async def test_a_notice_that_waits_is_counted_at_each_look_and_shown_as_waiting(world: World) -> None:
    before = decided("notice", "wait", "BANK_DATA_INCOMPLETE")
    await world.tell(account(), contact(), item(), notice())
    for minutes in (0, 1):
        await world.tick(MORNING + timedelta(minutes=minutes), through=None)
        await world.dispatch()
    await gauges_once(world.runtime, None)
    assert decided("notice", "wait", "BANK_DATA_INCOMPLETE") == before + 2
    assert value("recoup_notices_waiting") == 1
    await world.tick(MORNING + timedelta(minutes=2))
    await world.dispatch()
    await gauges_once(world.runtime, None)
    assert value("recoup_notices_waiting") == 0


async def test_a_decision_that_was_rolled_back_is_none(world: World, server: SmtpServer, monkeypatch) -> None:
    before = decided("notice", "pass")
    await ready(world)

    async def broken(*_: object) -> None:
        raise ConnectionError("gone before the commit")

    handler = world.runtime.handler
    save = handler.save
    monkeypatch.setattr(handler, "save", broken)
    try:
        await world.mailer.step()
    except ConnectionError:
        pass
    monkeypatch.setattr(handler, "save", save)
    assert decided("notice", "pass") == before


async def test_a_delivery_is_backlog_until_it_is_confirmed(world: World) -> None:
    answers = [httpx.Response(503), httpx.Response(200, json={"applied": True})]
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: answers.pop(0)))
    world.webhooks = WebhookSender(world.runtime, client)
    world.webhooks._targets = {ANY_COMPANY: Target("https://access.example/holds", SecretStr("whsec_" + "A" * 32))}
    before = decided("hold", "pass")
    await world.tick(MORNING - timedelta(hours=12))
    await world.tell(account(), contact(), item(), hold())
    await world.tick()
    await world.deliver()
    await world.pool.execute("update effect set first_try_at = now() - interval '90 seconds', next_try_at = null")
    await gauges_once(world.runtime, None)
    assert value("recoup_webhook_backlog") == 1
    assert 90 <= value("recoup_webhook_oldest_seconds") < 120
    await world.tick(MORNING + timedelta(minutes=1))
    await world.deliver()
    await gauges_once(world.runtime, None)
    assert (value("recoup_webhook_backlog"), value("recoup_webhook_oldest_seconds")) == (0, 0)
    assert decided("hold", "pass") == before + 2
