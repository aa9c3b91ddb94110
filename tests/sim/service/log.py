"""The bus of the simulated world: the memory log with partitions that can be late, senders whose answer is lost."""

import asyncio
from collections.abc import Sequence

from shared.bus.memory import MemoryLog, MemorySource
from shared.bus.port import Outgoing, Partition, Record
from shared.errors import Transient


class SimLog(MemoryLog):
    """Keeps the order in which everything was appended. `late`: (group, partition) that a fetch does not see yet."""

    def __init__(self, topics: Sequence[str], partitions: int) -> None:
        super().__init__(topics, partitions)
        self.order: list[Record] = []
        self.late: set[tuple[str, Partition]] = set()

    @property
    def appended(self) -> int:
        return len(self.order)

    def append(self, outgoing: Outgoing) -> Record:
        record = super().append(outgoing)
        self.order.append(record)
        return record

    def move(self, group: str) -> None:
        """The members of a group change places."""
        self.members[group].reverse()
        self.rebalance(group)


class SimSource(MemorySource):
    """A member that can stand still between a fetch and what follows."""

    log: SimLog

    def __init__(self, log: SimLog, group: str, topics: Sequence[str]) -> None:
        super().__init__(log, group, topics)
        self.frozen: asyncio.Event | None = None
        self.reached: asyncio.Event | None = None

    def _in_turn(self) -> list[Partition]:
        return [p for p in super()._in_turn() if (self.group, p) not in self.log.late]

    async def fetch(self, max_records: int, timeout_s: float) -> dict[Partition, list[Record]]:
        batch = await super().fetch(max_records, timeout_s)
        if batch and self.frozen is not None:
            frozen, self.frozen = self.frozen, None
            self.reached.set()
            await frozen.wait()
        return batch

    def behind(self) -> int:
        return sum(self.lag().values())


class SimSink:
    """`fault` of the next send: `lost` appends everything and fails, `torn` appends a part and fails."""

    def __init__(self, log: SimLog) -> None:
        self.log, self.fault = log, ""

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def send(self, records: Sequence[Outgoing]) -> None:
        fault, self.fault = self.fault, ""
        for record in records[: len(records) // 2] if fault == "torn" else records:
            self.log.append(record)
        if fault:
            raise Transient(f"the broker did not acknowledge ({fault})")
