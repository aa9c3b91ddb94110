"""Process of collections: wiring only."""

from services.collections import api
from services.collections.handlers import CollectionsHandler
from services.collections.settings import Settings
from shared.runtime.lifecycle import Service, main


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
    main(build, Settings)
