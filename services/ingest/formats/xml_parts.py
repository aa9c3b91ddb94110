"""Small reads from an XML element by local name, whatever its namespace or version."""

from typing import Any

Element = Any


def local(element: Element) -> str:
    """Local name; empty for comments, processing instructions and entities."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child(element: Element | None, *names: str) -> Element | None:
    """The first element down a path of local names."""
    for name in names:
        if element is None:
            return None
        element = next((part for part in element if local(part) == name), None)
    return element


def children(element: Element | None, name: str) -> list[Element]:
    return [part for part in element if local(part) == name] if element is not None else []


def text(element: Element | None, *names: str) -> str:
    """Text of the element down a path, its blanks collapsed; empty when it is not there."""
    found = child(element, *names)
    return " ".join((found.text or "").split()) if found is not None else ""


def either(element: Element | None, *paths: tuple[str, ...]) -> str:
    """The first text that is not empty among several paths."""
    return next((found for path in paths if (found := text(element, *path))), "")
