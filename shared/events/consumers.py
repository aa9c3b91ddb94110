"""Who uses an event type: services that read its topic and whose code names its model, or the runtime for them.

Read from the source text, since nothing here may import a service. A service that reads a topic still gets every type
on it; one that it does not name passes by.
"""

import ast
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from shared.events.catalogue import EVENTS, MARKERS, READS
from shared.events.facts import Fact, Part

SERVICES = Path(__file__).resolve().parents[2] / "services"
OF_THE_RUNTIME = frozenset({"company.configured", "policy.activated", "rate.published"})
"""Types that the runtime keeps for every service that reads their topic."""


def consumers(event_type: str) -> list[str]:
    """Services that do something with events of the type."""
    if event_type in MARKERS:
        return [service for service, topics in READS.items() if topics]
    entry = EVENTS[event_type]
    readers = [service for service, topics in READS.items() if entry.topic in topics]
    if event_type in OF_THE_RUNTIME:
        return readers
    wanted = names_of(entry.model)
    return [service for service in readers if wanted & _names_in(service)]


def names_of(model: type[BaseModel]) -> set[str]:
    """The names under which code may mean events of a model: its own, and those of the models it is one of."""
    return {one.__name__ for one in model.__mro__ if issubclass(one, Fact) and one not in (Fact, Part)}


@cache
def _names_in(service: str) -> frozenset[str]:
    """Every name that the code of a service takes from a module of events."""
    found: set[str] = set()
    for path in sorted((SERVICES / service).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shared.events"):
                found |= {alias.name for alias in node.names}
    return frozenset(found)
