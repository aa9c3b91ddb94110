"""By what the data of a run were written: server versions, event schemas, migrations.

Event types are drafts until `events-1.0` and may change; then an older log is refused in one sentence instead of being
misread. New types and new migrations are fine.
"""

import hashlib
import json
from collections.abc import Mapping

from deploy.local.errors import StackError
from deploy.local.kafka_jars import KAFKA_VERSION
from deploy.local.paths import REPOSITORY
from deploy.local.postgres import MAJOR


def current() -> dict[str, str]:
    """What this checkout writes: `kafka`, `postgres`, `event:<type>` and `migration:<file>` -> version or hash."""
    return {"kafka": KAFKA_VERSION, "postgres": MAJOR, **_events(), **_migrations()}


def check(found: Mapping[str, str], now: Mapping[str, str]) -> None:
    """StackError when data written by `found` cannot be read by `now`."""
    changed = sorted(name for name, value in found.items() if now.get(name) != value)
    if changed:
        named = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        raise StackError(
            f"The data of the last run were written by another form of {named}, which this version would misread: run "
            "`make clean` to start anew, or go back to the version that wrote them."
        )


def _events() -> dict[str, str]:
    from shared.events.catalogue import EVENTS

    return {
        f"event:{name}": _hash(json.dumps(entry.model.model_json_schema(), sort_keys=True).encode())
        for name, entry in EVENTS.items()
    }


def _migrations() -> dict[str, str]:
    files = (REPOSITORY / "services").glob("*/migrations/versions/*.py")
    return {
        f"migration:{file.parents[2].name}/{file.name}": _hash(file.read_bytes())
        for file in sorted(files)
        if file.name[0] != "_"
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
