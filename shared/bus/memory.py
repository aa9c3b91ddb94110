"""An in-memory partitioned log with groups, for scenarios and simulation. Same contract as the Kafka adapter."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from shared import metrics
from shared.bus.partitioner import partition_of
from shared.bus.port import LoadPositions, Outgoing, Partition, Positions, Record, out_of_range


class MemoryLog:
    """The broker: topics with a fixed number of partitions, and who of each group owns which."""

    def __init__(self, topics: Sequence[str], partitions: int = 12) -> None:
        self.partitions = partitions
        self.records: dict[Partition, list[Record]] = {
            Partition(topic, number): [] for topic in topics for number in range(partitions)
        }
        self.members: dict[str, list[MemorySource]] = defaultdict(list)
        self.arrived = asyncio.Event()

    def append(self, outgoing: Outgoing) -> Record:
        number = outgoing.number
        if number is None:
            number = partition_of(outgoing.key or b"", self.partitions)
        partition = Partition(outgoing.topic, number)
        lane = self.records[partition]
        record = Record(partition, len(lane), outgoing.key, list(outgoing.headers), outgoing.value)
        lane.append(record)
        self.arrived.set()
        return record

    def rebalance(self, group: str) -> None:
        """Range assignment: partition n of every topic goes to the same member."""
        members = self.members[group]
        for index, member in enumerate(members):
            owned = [p for p in self.records if p.topic in member.topics and p.number % len(members) == index]
            member.pending_assignment = frozenset(owned)


class MemorySource:
    def __init__(self, log: MemoryLog, group: str, topics: Sequence[str]) -> None:
        self.log, self.group, self.topics = log, group, tuple(topics)
        self.pending_assignment: frozenset[Partition] | None = None
        self._positions: dict[Partition, int] = {}
        self._load: LoadPositions | None = None
        self.committed: dict[Partition, int] = {}
        self._turns: dict[Partition, int] = {}
        self._halted: dict[Partition, str] = {}
        self.retried_at_s = float("-inf")

    async def start(self, load: LoadPositions) -> None:
        self._load = load
        self.log.members[self.group].append(self)
        self.log.rebalance(self.group)

    async def fetch(
        self, max_records: int, timeout_s: float, only: frozenset[Partition] | None = None
    ) -> dict[Partition, list[Record]]:
        await self._take_assignment()
        batch = self._buffered(max_records, only)
        if not batch and timeout_s > 0:
            self.log.arrived.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self.log.arrived.wait()
            except TimeoutError:
                return {}
            await self._take_assignment()
            batch = self._buffered(max_records, only)
        return batch

    def _buffered(self, max_records: int, only: frozenset[Partition] | None) -> dict[Partition, list[Record]]:
        """In turn, first those that were given the longest ago: one that is sought back again and again fills no batch
        of the others."""
        batch: dict[Partition, list[Record]] = {}
        left = max_records
        for partition in sorted(self._positions, key=lambda p: (self._turns.get(p, 0), p)):
            if partition in self._halted or (only is not None and partition not in only):
                continue
            position = self._positions[partition]
            lane = self.log.records[partition][position : position + left]
            if lane:
                batch[partition] = lane
                self._positions[partition] = position + len(lane)
                self._turns[partition] = max(self._turns.values(), default=0) + 1
                left -= len(lane)
            if left <= 0:
                break
        return batch

    async def _take_assignment(self) -> None:
        if self.pending_assignment is None or self._load is None:
            return
        assignment, self.pending_assignment = self.pending_assignment, None
        known = await self._load(sorted(assignment))
        self._positions, self._halted = dict.fromkeys(assignment, 0), {}
        await self.place({partition: known.get(partition, 0) for partition in assignment})
        metrics.REBALANCES.inc()

    async def seek(self, positions: Positions) -> None:
        self._positions.update({p: at for p, at in positions.items() if p in self._positions})

    async def place(self, positions: Positions) -> None:
        await self.seek(positions)
        for partition, at in positions.items():
            self._halted.pop(partition, None)
            if problem := out_of_range(partition, at, 0, len(self.log.records[partition])):
                self._halted[partition] = problem

    async def halt(self, partition: Partition, reason: str) -> None:
        if partition in self._positions:
            self._halted[partition] = reason

    def halted(self) -> dict[Partition, str]:
        return dict(self._halted)

    async def commit(self, positions: Positions) -> None:
        self.committed.update(positions)

    def assigned(self) -> frozenset[Partition]:
        return frozenset(self._positions)

    def lag(self) -> dict[Partition, int]:
        return {p: len(self.log.records[p]) - at for p, at in self._positions.items()}

    async def ends(self) -> dict[Partition, int]:
        return {p: len(self.log.records[p]) for p in self._positions}

    async def stop(self) -> None:
        if self in self.log.members[self.group]:
            self.log.members[self.group].remove(self)
            self.log.rebalance(self.group)
        self._positions, self._halted = {}, {}


class MemorySink:
    def __init__(self, log: MemoryLog) -> None:
        self.log = log

    async def start(self) -> None:
        return None

    async def send(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            self.log.append(record)

    async def stop(self) -> None:
        return None
