"""The process of reporting: handler, API and pages. Wiring only."""

from services.reporting import api
from services.reporting.handlers import ReportingHandler
from services.reporting.pages import login, routes
from services.reporting.settings import Settings
from services.reporting.store.rebuilt import COMPARED
from shared.runtime.lifecycle import Service, cli
from shared.runtime.rebuild import Projection
from shared.runtime.rebuild_command import add_rebuild

REBUILT = Projection(compared=COMPARED)
"""The whole store: everything in it comes from the log."""


def build(settings: Settings) -> Service:
    return Service(
        name="reporting",
        handler=ReportingHandler(),
        routers=[api.router, login.router, routes.router],
        app_options={
            "description": "Where the money is: aging, statements, cash, promises, notices, reconciliation.",
            "login_path": "/login",
            "public_paths": login.PUBLIC_PATHS,
        },
    )


if __name__ == "__main__":
    add_rebuild(cli(build, Settings), build, Settings, REBUILT)()
