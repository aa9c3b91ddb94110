"""The process of notifications: handler, API, and the two loops that carry effects out. Wiring only."""

import asyncio

from services.notifications import api
from services.notifications.channels.mail import MailDispatcher
from services.notifications.channels.webhook import WebhookSender
from services.notifications.handlers import NotificationsHandler
from services.notifications.settings import Settings
from shared.runtime.lifecycle import Loop, Runtime, Service, main


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
    main(build, Settings)
