"""Whether the time of a notice had come: markers of its day, ticks younger than 45 s, within the span it was asked for.

Every service upstream must have said so; what a marker proves is that everything before it is in the log.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from audit.knowledge import Knowledge
from audit.log_reader import Event

UPSTREAM = ("ingest", "cash_application", "collections")
TICK_AGE_MAX = timedelta(seconds=45)


class Ticks:
    """Ticks of each service, by number."""

    def __init__(self, known: Knowledge) -> None:
        found: dict[str, dict[int, Event]] = defaultdict(dict)
        for event in known.log.of("clock.ticked"):
            found[event.source].setdefault(event.data["number"], event)
        self._of = {source: [ticks[n] for n in sorted(ticks)] for source, ticks in found.items()}
        self._at = {source: [tick.instant("at") for tick in ticks] for source, ticks in self._of.items()}

    def window(self, source: str, start: datetime, end: datetime) -> list[Event]:
        """The newest tick not after `start` and those until `end`; empty if there was none by `start`."""
        instants = self._at.get(source, [])
        first = sum(at <= start for at in instants) - 1
        last = sum(at <= end for at in instants)
        return self._of[source][first:last] if first >= 0 else []

    def newest_at(self, source: str, at: datetime) -> datetime | None:
        """Instant of the newest tick not after `at`."""
        return max((instant for instant in self._at.get(source, ()) if instant <= at), default=None)


class TimeObstacles:
    """Asked notice by notice."""

    def __init__(self, known: Knowledge, ticks: Ticks) -> None:
        self._ticks, self._known = ticks, known
        self._closed: dict[tuple[str, str], list[tuple[datetime, date]]] = defaultdict(list)
        for event in known.log.of("day.closed"):
            self._closed[event.source, event.data["company"]].append((event.known_at, event.day("date")))

    def against(self, notice: Event) -> Iterator[str]:
        decided_at = notice.instant("decided_at")
        for source in UPSTREAM:
            newest = self._ticks.newest_at(source, decided_at)
            if newest is None or decided_at - newest >= TICK_AGE_MAX:
                told = newest.isoformat() if newest else "never"
                yield f"the last tick of {source} was {told}, {TICK_AGE_MAX.seconds} s is the most"
        request = self._known.request(notice)
        if request is None:
            return
        yield from self._day(request, decided_at)
        if request.data["notice_id"] != notice.data["notice_id"]:
            return
        not_before_at, expires_at = request.instant("not_before_at"), request.instant("expires_at")
        if not_before_at and decided_at < not_before_at:
            yield f"it was asked for not before {not_before_at.isoformat()}"
        if expires_at and decided_at >= expires_at:
            yield f"it had expired at {expires_at.isoformat()}"

    def _day(self, request: Event, decided_at: datetime) -> Iterator[str]:
        """The markers of the day on which it was decided to write."""
        on = request.day("decided_on")
        for source in UPSTREAM if on else ():
            closed = self._closed[source, request.company]
            if not any(known_at <= decided_at and day >= on for known_at, day in closed):
                yield f"{source} had not closed {on}"
