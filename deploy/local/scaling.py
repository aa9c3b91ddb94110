"""How many processes of a service a running stack has: `make scale` writes the wish, the stack itself follows it.

Only the stack's own main thread may start processes, since they die with it; so the wish travels in a file of the
stack's folder. Process 0 always stays: it is the one whose address others were told.
"""

import json
import os
import time
from pathlib import Path

from deploy.local import state
from deploy.local.databases import SERVICES
from deploy.local.errors import StackError
from deploy.local.readiness import ready_answer
from deploy.local.state import StackInfo

INSTANCES_MAX = 12
SCALE_TIMEOUT_S = 120.0
PAUSE_S = 0.2


def checked(service: str, count: int) -> int:
    """The count, when a service of that name can have so many processes."""
    if service not in SERVICES:
        raise StackError(f"Name a service, as in SERVICE={SERVICES[1]}: one of {', '.join(SERVICES)}.")
    if not 1 <= count <= INSTANCES_MAX:
        raise StackError(
            f"{service} cannot have {count} processes: choose 1 to {INSTANCES_MAX}, at most one a partition."
        )
    return count


def wish(local: Path, service: str, count: int) -> None:
    """Notes that `service` should have `count` processes; a running stack follows within a second."""
    path = _path(local)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps({**wished(local), service: checked(service, count)}), encoding="utf-8")
    partial.replace(path)


def wished(local: Path) -> dict[str, int]:
    """What was wished for since the stack started: service -> count."""
    path = _path(local)
    if not path.exists():
        return {}
    return {name: checked(name, int(count)) for name, count in json.loads(path.read_text(encoding="utf-8")).items()}


def forget(local: Path) -> None:
    """A stack begins with the counts that it is started with."""
    _path(local).unlink(missing_ok=True)


def scale(local: Path, service: str, count: int) -> str:
    """Wishes, and waits until so many processes serve and the others are gone; says what runs now."""
    before = len(_addresses(state.load(local), service))
    began = time.monotonic()
    wish(local, service, count)
    while (missing := _missing(local, service, count)) is not None:
        if time.monotonic() - began > SCALE_TIMEOUT_S:
            raise StackError(
                f"{service} does not run as {count} processes after {SCALE_TIMEOUT_S:.0f} s ({missing}); look into "
                f"{local / 'logs'}."
            )
        time.sleep(PAUSE_S)
    where = ", ".join(_addresses(state.load(local), service))
    return f"{service} runs as {count} instead of {before}, after {time.monotonic() - began:.1f} s: {where}"


def _missing(local: Path, service: str, count: int) -> str | None:
    """What is not yet as wished, None when all is."""
    found = state.read(local)
    if found is None or found.info is None or not found.is_running():
        raise StackError(f"The stack in {local} ended meanwhile: start it with `make run`.")
    urls = _addresses(found.info, service)
    if len(urls) != count:
        return f"it has {len(urls)}"
    names = {f"{service}-{instance}" for instance in range(count)}
    mine = {p.name for p in found.processes if p.name.rpartition("-")[0] == service and p.is_alive()}
    if mine != names:
        return f"alive are {', '.join(sorted(mine))}"
    return next((f"{url}/readyz says {answer}" for url in urls if (answer := ready_answer(url)) is not None), None)


def _addresses(info: StackInfo, service: str) -> list[str]:
    checked(service, 1)
    return info.instances[service]


def _path(local: Path) -> Path:
    return local / "scale.json"
