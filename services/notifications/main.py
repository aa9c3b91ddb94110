"""The process of notifications: handler, API, and the two loops that carry effects out. Wiring only."""

import asyncio

from services.notifications import api
from services.notifications.channels.mail import MailDispatcher
from services.notifications.channels.webhook import WebhookSender
from services.notifications.handlers import NotificationsHandler
from services.notifications.settings import Settings
from shared.events.catalogue import CONTROL, LEDGER
from shared.events.ledger import ItemState
from shared.runtime.lifecycle import Loop, Runtime, Service, cli
from shared.runtime.rebuild import Projection
from shared.runtime.rebuild_command import add_rebuild

REBUILT = Projection(tables=("item",), topics=(CONTROL, LEDGER), facts=(ItemState,))
"""The copy of the items."""


async def send_mail(runtime: Runtime, stop: asyncio.Event) -> None:
    await MailDispatcher(runtime).run(stop)


async def send_webhooks(runtime: Runtime, stop: asyncio.Event) -> None:
    await WebhookSender(runtime).run(stop)


def build(settings: Settings) -> Service:
    return Service(
        name="notifications",
        handler=NotificationsHandler(stream=settings.clock == "stream"),
        routers=[api.router],
        loops=[Loop(send_mail), Loop(send_webhooks)],
        app_options={"description": "The door out: what left, what was withheld and why."},
    )


if __name__ == "__main__":
    add_rebuild(cli(build, Settings), build, Settings, REBUILT)()
