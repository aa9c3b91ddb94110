"""Process of collections: wiring only."""

from services.collections import api
from services.collections.handlers import CollectionsHandler
from services.collections.settings import Settings
from shared.events.catalogue import CONTROL, LEDGER
from shared.events.ledger import ItemState
from shared.runtime.lifecycle import Service, cli
from shared.runtime.rebuild import Projection
from shared.runtime.rebuild_command import add_rebuild

REBUILT = Projection(
    tables=("item",), topics=(CONTROL, LEDGER), facts=(ItemState,), own={"item": ("level", "level_on", "warned_on")}
)
"""The copy of the items. How far an item was dunned is our own knowledge and is taken over."""


def build(settings: Settings) -> Service:
    return Service(
        name="collections",
        handler=CollectionsHandler(),
        routers=[api.router],
        app_options={
            "description": "Dunning, promises to pay, disputes, access holds, worklist and activities of collectors."
        },
    )


if __name__ == "__main__":
    add_rebuild(cli(build, Settings), build, Settings, REBUILT)()
