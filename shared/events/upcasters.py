"""Older versions of event payloads become the newest, one function per step, so that handlers only see the newest.

`STEPS[type, n]` makes version n + 1 of version n; the newest version of a type is what its last step makes, 1 without
steps. A step is pure and total: it gets the JSON object as it was written and returns one that the next version reads.
"""

from collections.abc import Callable, Mapping
from typing import Any

from shared.errors import Poison

FIRST_VERSION = 1
Body = dict[str, Any]
Upcaster = Callable[[Body], Body]
Steps = Mapping[tuple[str, int], Upcaster]

STEPS: dict[tuple[str, int], Upcaster] = {}


def newest_version(event_type: str, steps: Steps = STEPS) -> int:
    """The version in which events of the type are written."""
    if not steps:
        return FIRST_VERSION
    return max((version + 1 for name, version in steps if name == event_type), default=FIRST_VERSION)


def upcast(event_type: str, version: int, body: Body, steps: Steps = STEPS) -> Body:
    """The body in the newest version. Raises Poison naming the step that is missing."""
    for step in range(version, newest_version(event_type, steps)):
        upcaster = steps.get((event_type, step))
        if upcaster is None:
            raise Poison(f"{event_type} of version {version} cannot be read: no upcaster makes {step + 1} of {step}")
        body = upcaster(body)
    return body


def holes(steps: Steps = STEPS) -> list[tuple[str, int]]:
    """Steps that are missing between the oldest and the newest version of a type."""
    found = []
    for name in sorted({name for name, _ in steps}):
        known = [version for other, version in steps if other == name]
        found += [(name, version) for version in range(min(known), max(known)) if version not in known]
    return found
