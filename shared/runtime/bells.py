"""An event for several who wait: each has one of its own, so that nobody clears what another has not heard."""

import asyncio


class Bell(asyncio.Event):
    """`set` also sets every event that `followed` gave out."""

    def __init__(self) -> None:
        super().__init__()
        self._followers: list[asyncio.Event] = []

    def followed(self) -> asyncio.Event:
        follower = asyncio.Event()
        self._followers.append(follower)
        return follower

    def set(self) -> None:
        super().set()
        for follower in self._followers:
            follower.set()


async def heard(event: asyncio.Event, timeout_s: float) -> None:
    """Wait until the event is set, at most `timeout_s`, and clear it."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
    finally:
        event.clear()
