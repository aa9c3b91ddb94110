"""Reading a log without being a member of a group: the port of replays and of a look back, and its memory adapter.

Nobody's position is moved and nobody is rebalanced. A reader begins every partition at offset 0 unless it is sought
elsewhere. A log that no longer begins there is refused unless it need not be `whole`: what is built from it would lack
its beginning.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Protocol

from shared.bus.memory import MemoryLog
from shared.bus.port import Partition, Positions, Record


class LogReader(Protocol):
    """`hold` names the partitions of which nothing is wanted for now; all others are read."""

    async def start(self, partitions: Sequence[Partition], *, whole: bool = True) -> None: ...

    async def fetch(self, max_records: int, timeout_s: float) -> dict[Partition, list[Record]]: ...

    def hold(self, partitions: Collection[Partition]) -> None: ...

    async def seek(self, positions: Positions) -> None: ...

    def begins(self) -> dict[Partition, int]:
        """Where the log of each partition began when the reader was started."""
        ...

    async def ends(self) -> dict[Partition, int]:
        """End of the log of each partition, now. Raises Transient."""
        ...

    async def stop(self) -> None: ...


class MemoryReader:
    """A reader of the in-memory log."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._positions: dict[Partition, int] = {}
        self._held: frozenset[Partition] = frozenset()

    async def start(self, partitions: Sequence[Partition], *, whole: bool = True) -> None:
        self._positions = dict.fromkeys(partitions, 0)

    async def fetch(self, max_records: int, timeout_s: float) -> dict[Partition, list[Record]]:
        await asyncio.sleep(0)
        batch: dict[Partition, list[Record]] = {}
        left = max_records
        for partition in sorted(set(self._positions) - self._held):
            at = self._positions[partition]
            lane = self._log.records[partition][at : at + left]
            if lane:
                batch[partition] = lane
                self._positions[partition] = at + len(lane)
                left -= len(lane)
        return batch

    def hold(self, partitions: Collection[Partition]) -> None:
        self._held = frozenset(partitions)

    async def seek(self, positions: Positions) -> None:
        self._positions |= positions

    def begins(self) -> dict[Partition, int]:
        return dict.fromkeys(self._positions, 0)

    async def ends(self) -> dict[Partition, int]:
        return {partition: len(self._log.records[partition]) for partition in self._positions}

    async def stop(self) -> None:
        self._positions = {}
