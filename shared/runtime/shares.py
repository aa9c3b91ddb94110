"""A worker takes its partitions in shares, one batch of each beside the other: while one waits for the database,
another decodes and decides.

Shares have no partition in common and all topics are split alike, so to every key, cursor and row a share is what one
more member of the group is.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from shared.bus.port import LoadPositions, Partition, Positions, Record, Source

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

WAIT_FOR_PARTITIONS_S = 0.05


class Share:
    """Of a started source the partitions whose number leaves `number` when divided by `of`."""

    def __init__(self, whole: Source, number: int, of: int) -> None:
        self.whole, self._number, self._of = whole, number, of
        self.retried_at_s = float("-inf")

    async def start(self, load: LoadPositions) -> None:
        raise NotImplementedError("the whole source is started, once")

    def _mine(self, partition: Partition) -> bool:
        return partition.number % self._of == self._number

    async def fetch(
        self, max_records: int, timeout_s: float, only: frozenset[Partition] | None = None
    ) -> dict[Partition, list[Record]]:
        mine = self.assigned() if only is None else self.assigned() & only
        return await self.whole.fetch(max_records, timeout_s if mine else WAIT_FOR_PARTITIONS_S, mine)

    async def seek(self, positions: Positions) -> None:
        await self.whole.seek(positions)

    async def place(self, positions: Positions) -> None:
        await self.whole.place(positions)

    async def halt(self, partition: Partition, reason: str) -> None:
        await self.whole.halt(partition, reason)

    def halted(self) -> dict[Partition, str]:
        return {partition: why for partition, why in self.whole.halted().items() if self._mine(partition)}

    async def commit(self, positions: Positions) -> None:
        await self.whole.commit(positions)

    def assigned(self) -> frozenset[Partition]:
        return frozenset(filter(self._mine, self.whole.assigned()))

    def lag(self) -> dict[Partition, int]:
        return {partition: lag for partition, lag in self.whole.lag().items() if self._mine(partition)}

    async def ends(self) -> dict[Partition, int]:
        return {partition: end for partition, end in (await self.whole.ends()).items() if self._mine(partition)}

    async def stop(self) -> None:
        raise NotImplementedError("the whole source is stopped, once")


async def in_shares(
    runtime: "Runtime", source: Source, count: int, run: Callable[[Source, str], Coroutine[Any, Any, None]]
) -> None:
    """`run` each share under its name. When one fails the others end their batch, and then its failure is raised; so it
    is when they do not end in time and this is cancelled."""
    if count == 1:
        await run(source, "consumer")
        return
    names = ["consumer", *(f"consumer {number}" for number in range(2, count + 1))]
    tasks = [asyncio.create_task(run(Share(source, n, count), name)) for n, name in enumerate(names)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        runtime.no_new_work.set()
        await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
