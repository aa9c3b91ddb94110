"""Named places where a test can make the process fail. In production `hit` does nothing."""

from collections.abc import Awaitable, Callable

armed: dict[str, Callable[[], Awaitable[None]]] = {}


async def hit(name: str) -> None:
    action = armed.get(name)
    if action is not None:
        await action()
