"""The trace of what caused a notice or a hold stands in the mail and in the webhook, and in what is said of them."""

import email
from datetime import timedelta

import httpx
from pydantic import BaseModel, SecretStr

from services.notifications.channels.webhook import ANY_COMPANY, Target, WebhookSender
from shared.events.collections import HoldLifted
from shared.runtime.transaction import apply_alone
from shared.tracing import trace_id
from tests.builders import event
from tests.scenario.notifications.smtp_server import SmtpServer
from tests.scenario.notifications.world import ADDRESS, FRIDAY, MORNING, World, account, contact, hold, item, notice

DAY, BANK = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"


async def tell(world: World, fact: BaseModel, trace: str) -> None:
    made = event(fact, on=FRIDAY)
    made = made._replace(envelope=made.envelope._replace(traceparent=f"00-{trace}-00f067aa0ba902b7-01"))
    await apply_alone(world.pool, world.runtime.unit, [made])


async def test_a_mail_carries_the_trace_of_its_request_and_no_person(world: World, server: SmtpServer) -> None:
    await world.tell(account(), contact(), item())
    await tell(world, notice(), DAY)
    await world.tick()
    await world.dispatch()
    said = world.sink.events
    world.expect("notice.sending", "notice.sent")
    ((_, _, content),) = server.taken
    header = email.message_from_bytes(content)["X-Recoup-Trace"]
    assert trace_id(header) == DAY and ADDRESS not in header
    assert [trace_id(e.envelope.traceparent) for e in said] == [DAY, DAY]
    assert len({e.envelope.traceparent for e in said}) == 2, "each event is a span of its own"


async def test_a_webhook_carries_the_trace_of_the_version_that_it_delivers(world: World) -> None:
    headers: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers)
        return httpx.Response(200, json={"applied": True})

    world.webhooks = WebhookSender(world.runtime, httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    world.webhooks._targets = {ANY_COMPANY: Target("https://access.example/holds", SecretStr("whsec_" + "A" * 32))}
    await world.tick(MORNING - timedelta(hours=12))
    await world.tell(account(), contact(), item())
    await tell(world, hold(), DAY)
    await world.tick()
    await world.deliver()
    await tell(world, hold(version=2, kind=HoldLifted), BANK)
    await world.deliver()
    assert [trace_id(h["traceparent"]) for h in headers] == [DAY, BANK]
    assert [trace_id(e.envelope.traceparent) for e in world.sink.events][-1] == BANK
