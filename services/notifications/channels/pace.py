"""When the loop of a channel looks for work: at once when a tick came or facts were taken in this process, now and then
otherwise, rarely when all rests.

Invariant: work that nothing announces (a retry, a lift that another process took) is looked for at least every second.
"""

import asyncio

from shared.clock import WallClock

LOOK_EVERY_S, LOOK_AGAIN_S = 1.0, 0.02
MOVING_S, POLL_MOVING_S, POLL_RESTING_S = 30.0, 0.1, 1.0


class Pace:
    """`stream`: ticks may follow each other within a second, so the clock is looked at more often while it moves.

    `wanted` is set when facts were taken; what they order is looked for at once, but not at every batch.
    """

    def __init__(self, clock: WallClock, *, stream: bool, wanted: asyncio.Event | None = None) -> None:
        self._clock, self._stream, self._wanted = clock, stream, wanted or asyncio.Event()
        self._number = -1
        self._moved_at = self._looked_at = clock.monotonic() - MOVING_S

    def due(self, number: int) -> bool:
        """Whether to look for work now, `number` being the last complete tick."""
        now = self._clock.monotonic()
        moved = number != self._number
        if moved:
            self._number, self._moved_at = number, now
        if not moved and now - self._looked_at < LOOK_EVERY_S:
            return False
        self._looked_at = now
        return True

    def at_once(self) -> None:
        """There may be more work of the kind that was just done."""
        self._looked_at = self._clock.monotonic() - LOOK_EVERY_S

    async def rest(self, stop: asyncio.Event) -> None:
        """Wait for the next look, or for `stop`."""
        moving = self._stream and self._clock.monotonic() - self._moved_at < MOVING_S
        await _any_of(POLL_MOVING_S if moving else POLL_RESTING_S, stop, self._wanted)
        if self._wanted.is_set() and not stop.is_set():
            await _any_of(max(0.0, self._looked_at + LOOK_AGAIN_S - self._clock.monotonic()), stop)
            self._wanted.clear()
            self.at_once()


async def _any_of(timeout_s: float, *events: asyncio.Event) -> None:
    """Until one of the events is set, at most `timeout_s`."""
    if timeout_s <= 0 or any(event.is_set() for event in events):
        return
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
