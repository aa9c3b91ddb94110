"""`python -m tests.bench.endless DSN BOOTSTRAP EVENTS MARK…`: a worker with its relay over a log that never ends.

The records are made when they are fetched, so that nothing grows but what the worker itself keeps. At each mark (so
many events taken) it prints one line of JSON: the events and the resident memory in KB.
"""

import asyncio
import gc
import json
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from shared.bus.kafka import KafkaSink
from shared.bus.port import LoadPositions, Partition, Positions, Record
from shared.events.catalogue import ACCOUNTS, PARTITIONS
from shared.runtime import loops
from shared.runtime import statements as sql
from tests.bench.load import COMPANY, accounts_in, contacts
from tests.bench.world import pool_of
from tests.store.runtime.conftest import World
from tests.store.runtime.toy import ToyHandler

RUNTIME_BATCH = 500


class Endless:
    """A `Source` of one topic whose partitions are given out in turn."""

    def __init__(self, events: int) -> None:
        self.retried_at_s = 0.0
        self.given = self._turn = 0
        self._events = events
        self._at = {Partition(ACCOUNTS, number): 0 for number in range(PARTITIONS)}
        self._records = {
            lane: contacts(events, first=lane.number * events, accounts=accounts_in(lane.number)) for lane in self._at
        }

    async def start(self, load: LoadPositions) -> None:
        self._at = {**self._at, **await load(list(self._at))}

    async def fetch(
        self, max_records: int, timeout_s: float, only: frozenset[Partition] | None = None
    ) -> dict[Partition, list[Record]]:
        """Each fetch fills one partition, as one that lags behind does."""
        lanes = sorted(self._at if only is None else only)
        count = min(max_records, self._events - self.given) if lanes else 0
        await asyncio.sleep(0 if count else timeout_s)
        if not count:
            return {}
        self._turn += 1
        lane = lanes[self._turn % len(lanes)]
        self.given, at = self.given + count, self._at[lane]
        self._at[lane] = at + count
        made = islice(self._records[lane], count)
        return {lane: [Record(lane, at + n, out.key, out.headers, out.value) for n, out in enumerate(made)]}

    async def seek(self, positions: Positions) -> None:
        if any(self._at[lane] != at for lane, at in positions.items()):
            raise RuntimeError(f"this log cannot go back, and nothing in it makes a worker do so: {positions}")

    async def place(self, positions: Positions) -> None:
        await self.seek(positions)

    async def halt(self, partition: Partition, reason: str) -> None:
        raise RuntimeError(f"{partition} was halted: {reason}")

    def halted(self) -> dict[Partition, str]:
        return {}

    async def commit(self, positions: Positions) -> None:
        return None

    def assigned(self) -> frozenset[Partition]:
        return frozenset(self._at)

    def lag(self) -> dict[Partition, int]:
        return {}

    async def ends(self) -> dict[Partition, int]:
        return {}

    async def stop(self) -> None:
        return None


def resident_kb() -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:"))


async def main(dsn: str, bootstrap: str, events: int, marks: Sequence[int]) -> None:
    pool = await pool_of(dsn)
    async with pool.acquire() as db, db.transaction():
        await db.execute(sql.SAVE_COMPANIES, [COMPANY.company], [COMPANY.model_dump(mode="json")])
        await db.execute(sql.BUMP_CONTROL)
    runtime = World(pool, None, ToyHandler(), None).runtime(batch_records=RUNTIME_BATCH)  # type: ignore[arg-type]
    source, left = Endless(events), list(marks)
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    relaying = asyncio.ensure_future(loops.run_relay(runtime, KafkaSink(bootstrap, "bench-endless")))
    consuming = asyncio.ensure_future(loops.run_consumer(runtime, source))
    while left:
        await asyncio.sleep(0.02)
        if consuming.done():
            await consuming
        if source.given >= left[0]:
            print(json.dumps({"events": source.given, "resident_kb": resident_kb()}), flush=True)
            left.pop(0)
    runtime.no_new_work.set()
    await consuming
    runtime.relay_stop.set()
    await relaying
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), [int(mark) for mark in sys.argv[4:]]))
