"""Small reads from an XML element by local name, whatever its namespace or version."""

from functools import lru_cache
from typing import Any

Element = Any


@lru_cache(maxsize=4_096)
def _local_of(tag: str) -> str:
    return tag.rpartition("}")[2]


def local(element: Element) -> str:
    """Local name; empty for comments, processing instructions and entities."""
    tag = element.tag
    return _local_of(tag) if tag.__class__ is str else ""


def child(element: Element | None, *names: str) -> Element | None:
    """The first element down a path of local names."""
    for name in names:
        if element is None:
            return None
        element = _first(element, name)
    return element


def _first(element: Element, name: str) -> Element | None:
    for part in element:
        tag = part.tag
        if tag.__class__ is str and _local_of(tag) == name:
            return part
    return None


def children(element: Element | None, name: str) -> list[Element]:
    return [part for part in element if local(part) == name] if element is not None else []


def text(element: Element | None, *names: str) -> str:
    """Text of the element down a path, its blanks collapsed; empty when it is not there."""
    found = child(element, *names)
    return " ".join(found.text.split()) if found is not None and found.text else ""


def either(element: Element | None, *paths: tuple[str, ...]) -> str:
    """The first text that is not empty among several paths."""
    if element is None:
        return ""
    for path in paths:
        if found := text(element, *path):
            return found
    return ""
