"""The bus of the simulated world: the memory log with partitions that can be late, senders whose answer is lost."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from shared.bus.memory import MemoryLog, MemorySource
from shared.bus.port import Outgoing, Partition, Record
from shared.errors import Transient

POISONED = "sim/C-POISON"
"""The key of planted poison, and of nothing else; cash application and reporting read its topic."""
POISONED_SERVICES = ("cash_application", "reporting")


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

    async def _take_assignment(self) -> None:
        """A position that could not be read is asked for again: the consumer's own loop is patient there."""
        wanted = self.pending_assignment
        try:
            await super()._take_assignment()
        except BaseException:
            self.pending_assignment = self.pending_assignment or wanted
            raise

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


def poison(at: datetime) -> Outgoing:
    """An invoice that no model fits, under a key of its own."""
    texts = {
        "ce_id": "00000000-0000-4000-8000-000000000bad", "ce_source": "poison", "ce_type": "invoice.issued",
        "ce_subject": "poison", "ce_time": at.isoformat(), "ce_company": "sim", "ce_actor": "feed:poison",
        "ce_businessdate": at.date().isoformat(), "ce_knownat": at.isoformat(), "ce_sequence": "1",
        "ce_correlationid": "00000000-0000-4000-8000-000000000bad",
        "ce_causationid": "00000000-0000-4000-8000-000000000bad",
    }  # fmt: skip
    headers = [(name, value.encode()) for name, value in texts.items()]
    return Outgoing("ar.invoices", POISONED.encode(), headers, b'{"company": "sim", "total_minor": "no number"}')
