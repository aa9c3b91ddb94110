"""Process of cash application: wiring only."""

from services.cash_application import api
from services.cash_application.handlers import CashApplicationHandler
from services.cash_application.rate_watch import redrive_when_rates_come
from services.cash_application.settings import Settings
from shared.runtime.lifecycle import Loop, Service, main


def build(settings: Settings) -> Service:
    return Service(
        name="cash_application",
        handler=CashApplicationHandler(),
        routers=[api.router],
        loops=[Loop(redrive_when_rates_come)],
        app_options={"description": "The open-item subledger: items, journal, matching, cash that waits, and why."},
    )


if __name__ == "__main__":
    main(build, Settings)
