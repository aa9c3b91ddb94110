"""Topics and schemas of a stack: brought in line before any service starts, and safe to repeat."""

from collections.abc import Mapping

from deploy.local.databases import SERVICES, DatabaseAddress
from deploy.local.errors import StackError
from deploy.local.paths import REPOSITORY
from shared.bus import admin
from shared.db.migrate import upgrade
from shared.errors import RecoupError

TOPICS = REPOSITORY / "deploy" / "topics.yaml"


async def make_topics(bootstrap: str) -> str:
    """Applies deploy/topics.yaml; what was done, in a few words."""
    try:
        outcome = await admin.apply(bootstrap, admin.load(TOPICS))
    except RecoupError as problem:
        raise StackError(str(problem)) from problem
    made = sum(done == "made" for done in outcome.values())
    return f"{len(outcome)} topics ({made} made)"


async def migrate(addresses: Mapping[str, DatabaseAddress]) -> str:
    """Brings the schema of every service to its newest form, as the owner; what was done, in a few words."""
    for service in SERVICES:
        await upgrade(addresses[service].owner_dsn, service)
    return f"schemas at their newest: {', '.join(SERVICES)}"
