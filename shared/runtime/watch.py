"""How far a process is behind its partitions in time, and whether it still moves: the watchdog's memory.

Invariant: what counts is the cursor in the store and the end as the broker tells it, never what the consumer says of
itself, so a fetcher that hangs and a batch that fails again and again both show.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.bus.port import Partition

SAMPLES_MAX = 720


@dataclass(slots=True)
class Lane:
    """`ends`: (instant, end of the log) where the end grew, of records that are not taken yet; instants are monotonic
    seconds. `moved_at_s`: when the cursor last moved, or when nothing waited for it."""

    cursor: int
    moved_at_s: float
    end: int = 0
    ends: deque[tuple[float, int]] = field(default_factory=deque)

    def behind(self) -> int:
        return max(0, self.end - self.cursor)

    def look(self, at_s: float, end: int, cursor: int) -> None:
        if end > max(self.end, cursor):
            self.ends.append((at_s, end))
        while self.ends and self.ends[0][1] <= cursor:
            self.ends.popleft()
        if len(self.ends) > SAMPLES_MAX:
            self.ends = deque(list(self.ends)[::2])
        if cursor != self.cursor or end <= cursor:
            self.moved_at_s = at_s
        self.end, self.cursor = end, cursor


@dataclass(slots=True)
class Watch:
    """The partitions of this process. A lag that was there before the first look counts from that look.

    `ends` and `cursors` are what broker and store last said; one that does not answer leaves them as they were.
    """

    ends: Mapping[Partition, int] = field(default_factory=dict)
    cursors: Mapping[Partition, int] = field(default_factory=dict)
    lanes: dict[Partition, Lane] = field(default_factory=dict)

    def look(self, at_s: float) -> None:
        """Bring together what is known at an instant; partitions that went to other members are forgotten."""
        known = {p: (end, self.cursors[p]) for p, end in self.ends.items() if p in self.cursors}
        self.lanes = {p: self.lanes.get(p) or Lane(cursor, at_s) for p, (_, cursor) in known.items()}
        for partition, (end, cursor) in known.items():
            self.lanes[partition].look(at_s, end, cursor)

    def age_s(self, partition: Partition, at_s: float) -> float:
        """Seconds for which the oldest record that is not taken has been there, to the interval of looks; else 0."""
        lane = self.lanes[partition]
        return at_s - lane.ends[0][0] if lane.ends else 0.0

    def stalled_s(self, at_s: float) -> float:
        """Of the partitions in which records wait, the longest time for which a cursor did not move."""
        return max((at_s - lane.moved_at_s for lane in self.lanes.values() if lane.behind()), default=0.0)
