"""The memory bus with faults: cut sends, late lanes, members that do not know yet what they lost, holes in a fetch."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random

from shared.bus.memory import MemoryLog, MemorySource
from shared.bus.partitioner import partition_of
from shared.bus.port import Outgoing, Partition, Record
from shared.errors import Transient
from tests.sim.points import at


class SimLog(MemoryLog):
    """Keeps the order of all appends, and what was produced into a lane that is late."""

    def __init__(self, topics: Sequence[str], partitions: int) -> None:
        super().__init__(topics, partitions)
        self.order: list[Record] = []
        self.late: dict[Partition, list[Outgoing]] = {}

    def append(self, outgoing: Outgoing) -> Record:
        record = super().append(outgoing)
        self.order.append(record)
        return record

    def produce(self, outgoing: Outgoing) -> None:
        """What comes from outside waits while its lane is late, in order."""
        lane = self.lane_of(outgoing)
        if lane in self.late:
            self.late[lane].append(outgoing)
        else:
            self.append(outgoing)

    def lane_of(self, outgoing: Outgoing) -> Partition:
        number = outgoing.number
        if number is None:
            number = partition_of(outgoing.key or b"", self.partitions)
        return Partition(outgoing.topic, number)

    def release(self, lane: Partition) -> None:
        for outgoing in self.late.pop(lane):
            self.append(outgoing)

    def rebalance(self, group: str) -> None:
        """The driver says who owns what."""


class SimSource(MemorySource):
    """`deaf`: has not heard of its new assignment. `cut`, `hole`: what happens to the next fetch."""

    log: SimLog
    deaf = False
    cut: int | None = None
    hole = False

    async def fetch(self, max_records: int, timeout_s: float) -> dict[Partition, list[Record]]:
        cut, self.cut = self.cut, None
        batch = await super().fetch(min(max_records, cut or max_records), 0)
        if self.hole:
            self.hole = False
            return {lane: records[:1] + records[2:] if len(records) > 2 else records for lane, records in batch.items()}
        return batch

    async def _take_assignment(self) -> None:
        """An assignment counts once its positions are loaded; in a process that is tried again in place, unless a newer
        one has come meanwhile."""
        if self.deaf:
            return
        pending = self.pending_assignment
        try:
            await super()._take_assignment()
        except BaseException:
            if self.pending_assignment is None:
                self.pending_assignment = pending
            raise

    def misplace(self, lane: Partition, position: int) -> None:
        self._positions[lane] = position

    def positions(self) -> dict[Partition, int]:
        return dict(self._positions)


class SimSink:
    """Sends lane by lane in any order, as a producer does. `cut`: so many records get through, then nobody answers."""

    def __init__(self, log: SimLog, rng: Random) -> None:
        self.log, self._rng = log, rng
        self.cut: int | None = None

    async def start(self) -> None:
        return None

    async def send(self, records: Sequence[Outgoing]) -> None:
        lanes: dict[Partition, list[Outgoing]] = defaultdict(list)
        for record in records:
            lanes[self.log.lane_of(record)].append(record)
        order = sorted(lanes)
        self._rng.shuffle(order)
        cut, self.cut = self.cut, None
        await at("sink.send")
        sent = [record for lane in order for record in lanes[lane]]
        for record in sent[:cut]:
            self.log.append(record)
        if cut is not None and cut < len(sent):
            raise Transient("the broker did not acknowledge")

    async def stop(self) -> None:
        return None
