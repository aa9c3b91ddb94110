"""Batches of a consumer: fetched, decoded, in the order in which they are decided.

While a full batch is taken, the next one is made ready: its decoding fills the time in which the transaction waits for
the database. A seek drops what was made ready, so that a batch always begins where the last one ended or was sought.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.bus.port import Partition, Positions, Record, Source
from shared.errors import Transient
from shared.runtime.transaction import Taken, decoded, in_order

# As many as take about a millisecond: the transaction in hand goes on between two slices.
SLICE_RECORDS = 32


@dataclass(frozen=True, slots=True)
class Batch:
    """Records per partition as they were fetched, and all of them decoded."""

    lanes: Mapping[Partition, Sequence[Record]] = field(default_factory=dict)
    taken: Sequence[Taken] = ()

    def begins(self) -> dict[Partition, int]:
        return {lane: records[0].offset for lane, records in self.lanes.items()}

    def ends(self) -> dict[Partition, int]:
        return {lane: records[-1].offset + 1 for lane, records in self.lanes.items()}


class Batches:
    """`ahead`: make the next batch ready while a full one is taken. One user at a time.

    `gaps` (first offset that is missing, first behind it) is what `shared.runtime.halts` remembers of them.
    """

    def __init__(self, source: Source, service: str, records_max: int, *, ahead: bool) -> None:
        self._source, self._service, self._records_max, self._ahead = source, service, records_max, ahead
        self._ready: asyncio.Task[Batch] | None = None
        self._sought = False
        self.gaps: dict[Partition, tuple[int, int]] = {}

    async def next(self, timeout_s: float) -> Batch:
        """The next batch, empty when none came in time."""
        ready, self._ready = self._ready, None
        found = await (ready or self._make(timeout_s))
        # Not right behind a seek: facts that wait for a company would come first again and again, and the batch with
        # its configuration would be the one that is dropped.
        if self._ahead and not self._sought and len(found.taken) >= self._records_max:
            self._ready = asyncio.create_task(self._make(timeout_s))
        self._sought = False
        return found

    async def seek(self, positions: Positions) -> None:
        """Begin there. Partitions that are not named begin again where the batch that was made ready had begun."""
        self._sought = True
        dropped = await self.drop()
        await self._source.seek({**dropped.begins(), **positions})

    async def place(self, positions: Positions) -> None:
        """`seek` that looks whether the log reaches there."""
        await self.seek({})
        await self._source.place(positions)

    @property
    def source(self) -> Source:
        return self._source

    async def drop(self) -> Batch:
        """Take back what was made ready. A fetch is never cancelled, it is waited for: at most its timeout."""
        ready, self._ready = self._ready, None
        if ready is None:
            return Batch()
        await asyncio.wait([ready])
        problem = ready.exception()
        if problem is None:
            return ready.result()
        if not isinstance(problem, Transient):
            raise problem
        return Batch()

    def assigned(self) -> frozenset[Partition]:
        return self._source.assigned()

    async def commit(self, positions: Positions) -> None:
        await self._source.commit(positions)

    async def _make(self, timeout_s: float) -> Batch:
        lanes = await self._source.fetch(self._records_max, timeout_s)
        records, taken = in_order(lanes, self._service), []
        for start in range(0, len(records), SLICE_RECORDS):
            taken += [decoded(record) for record in records[start : start + SLICE_RECORDS]]
            await asyncio.sleep(0)
        return Batch(lanes, taken)
