"""When the loop of a channel looks for work: at once when a tick came, now and then otherwise, rarely when all rests.

Invariant: work that no tick announces (a lift, a retry) is looked for at least every second.
"""

import asyncio

from shared.clock import WallClock

LOOK_EVERY_S = 1.0
MOVING_S, POLL_MOVING_S, POLL_RESTING_S = 30.0, 0.1, 1.0


class Pace:
    """`stream`: ticks may follow each other within a second, so the clock is looked at more often while it moves."""

    def __init__(self, clock: WallClock, *, stream: bool) -> None:
        self._clock, self._stream = clock, stream
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
        try:
            async with asyncio.timeout(POLL_MOVING_S if moving else POLL_RESTING_S):
                await stop.wait()
        except TimeoutError:
            return
