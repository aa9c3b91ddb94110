"""The wall clock: it counts timeouts, retries and tokens.

What the business calls now is the last complete tick, which comes through the data (`shared.runtime.effects.Moment`);
deadlines of the domain are compared with that and nothing else.
"""

import time
from datetime import UTC, datetime


class WallClock:
    """Real time. The only place of the services where the system clock is read."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
