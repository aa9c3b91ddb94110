"""The two clocks. `WallClock` counts timeouts, retries and tokens. `BusinessClock` is the last complete tick that
came through the data; deadlines of the domain are compared with it and with nothing else.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo


class WallClock:
    """Real time. The only place of the services where the system clock is read."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class BusinessClock:
    """What a service knows of time: the last tick complete over all its upstream partitions, and closed days."""

    now: datetime | None = None
    number: int = 0
    closed_on: dict[str, date] = field(default_factory=dict)

    def date_in(self, zone: str) -> date | None:
        """Local calendar date of the last complete tick, None before the first."""
        return self.now.astimezone(ZoneInfo(zone)).date() if self.now else None
