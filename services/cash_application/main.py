"""Process of cash application: wiring only."""

from services.cash_application import api
from services.cash_application.handlers import CashApplicationHandler
from services.cash_application.settings import Settings
from shared.runtime.lifecycle import Service, main


def build(settings: Settings) -> Service:
    return Service(
        name="cash_application",
        handler=CashApplicationHandler(),
        routers=[api.router],
        app_options={"description": "The open-item subledger: items, journal, matching, cash that waits, and why."},
    )


if __name__ == "__main__":
    main(build, Settings)
