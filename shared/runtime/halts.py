"""Partitions that are stopped: a hole, a cursor out of range, an event that may not be decided here.

Invariant: a stopped partition is never silent and never stepped over: it is an alarm, readiness says why, the other
partitions go on, and it is tried again every few seconds from the cursor in the store.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from shared import metrics
from shared.bus.port import LoadPositions, Partition, Positions, Source
from shared.runtime.batches import Batch, Batches
from shared.runtime.shares import Share
from shared.runtime.transaction import Halt, Hole, Outcome, take_with_care

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

RETRY_EVERY_S = 10.0
Place = Callable[[Positions], Awaitable[None]]
CHECK = "partition "
"""With it begin the names of these checks of readiness."""


async def take_before_halts(runtime: "Runtime", batch: Batch) -> tuple[Outcome, dict[Partition, Halt]]:
    """Take the batch without what stands at and behind a halt; raises what `take_with_care` raises, but for that."""
    left, halts = list(batch.taken), {}
    while left:
        try:
            return await take_with_care(runtime.pool, runtime.unit, left), halts
        except Halt as halt:
            halts[halt.partition] = halt
            left = [t for t in left if t.record.partition != halt.partition or t.record.offset < halt.offset]
    return Outcome(), halts


async def stop_at(runtime: "Runtime", batches: Batches, halts: dict[Partition, Halt]) -> None:
    """Nothing more of these partitions is fetched until they are tried again; a hole is first asked for once more."""
    once_more = {p: h.missing for p, h in halts.items() if isinstance(h, Hole) and not _known(batches, h)}
    await batches.seek(once_more)
    for partition in halts.keys() - once_more.keys():
        await _halt(batches.source, partition, halts[partition])
    show(runtime, batches.source)


async def _halt(source: Source, partition: Partition, halt: Halt) -> None:
    await source.halt(partition, halt.message)
    source.retried_at_s = time.monotonic()


async def look_again(runtime: "Runtime", batches: Batches, stale: Batch, positions: dict[Partition, int]) -> None:
    """After a batch that did not fit the cursors: go on at the cursors. Where the log gives no record of the cursor's
    offset, twice and the second time right after a seek to it, it has a hole."""
    source = batches.source
    kept = {p: at for p, at in positions.items() if p not in source.halted()}
    await batches.place(kept)
    gaps = [Hole(p, kept[p], begin) for p, begin in stale.begins().items() if p in kept and kept[p] < begin]
    for hole in gaps:
        if _known(batches, hole):
            await _halt(source, hole.partition, hole)
    show(runtime, source)


def _known(batches: Batches, hole: Hole) -> bool:
    """Whether the same hole was seen before; it is from now on."""
    seen, batches.gaps[hole.partition] = batches.gaps.get(hole.partition), (hole.missing, hole.offset)
    return seen == (hole.missing, hole.offset)


async def retry(runtime: "Runtime", source: Source, load: LoadPositions, place: Place) -> None:
    """Every few seconds: stopped partitions go on at their cursors, and stop again if the cause is still there."""
    halted = source.halted()
    now_s = time.monotonic()
    if halted and now_s - source.retried_at_s >= RETRY_EVERY_S:
        source.retried_at_s = now_s
        await place(await load(sorted(halted)))


def check_name(failing: str) -> str:
    """Name of the check of readiness for what fails: a partition, or a loop."""
    return failing if failing.startswith(CHECK) else f"loop {failing}"


def show(runtime: "Runtime", source: Source) -> None:
    """Alarm, log and readiness of what is stopped; of partitions that went to other members those speak."""
    halted = source.halted()
    for partition, reason in halted.items():
        name = f"{CHECK}{partition.topic}/{partition.number}"
        if runtime.failing.get(name) != reason:
            runtime.log.error("partition_stopped", topic=partition.topic, partition=partition.number, error=reason)
        runtime.failing[name] = reason
        metrics.STOPPED.labels(*partition).set(1)
    assigned = (source.whole if isinstance(source, Share) else source).assigned()
    _clear(runtime, [p for p in _shown(runtime) if p not in assigned])


def moved(runtime: "Runtime", partitions: frozenset[Partition]) -> None:
    """Records of these partitions were taken: what stopped them is over."""
    if runtime.failing:
        _clear(runtime, [p for p in _shown(runtime) if p in partitions])


def _shown(runtime: "Runtime") -> list[Partition]:
    found = []
    for name in runtime.failing:
        if name.startswith(CHECK):
            topic, _, number = name.removeprefix(CHECK).rpartition("/")
            found.append(Partition(topic, int(number)))
    return found


def _clear(runtime: "Runtime", partitions: list[Partition]) -> None:
    for partition in partitions:
        runtime.log.info("partition_goes_on", topic=partition.topic, partition=partition.number)
        runtime.failing.pop(f"{CHECK}{partition.topic}/{partition.number}")
        metrics.STOPPED.labels(*partition).set(0)
