"""Resident memory of one worker with its relay over a million events of the simplest handler."""

import asyncio
import json
import os
import sys
import time
from typing import Any

from deploy.local.paths import REPOSITORY
from deploy.local.processes import spawn
from tests.bench.figures import Row, judged, plain
from tests.bench.world import Bench, pool_of

MARKS = (100_000, 500_000, 1_000_000)
GROWTH_MAX = 1.05
TIMEOUT_S = 400.0


async def run(bench: Bench) -> dict[str, Any]:
    dsn = await bench.toy_database()
    log = bench.folder / "endless.log"
    began = time.monotonic()
    marks = [str(mark) for mark in MARKS]
    command = [sys.executable, "-m", "tests.bench.endless", dsn, bench.bootstrap, marks[-1], *marks]
    worker = spawn("endless", command, log, environment=dict(os.environ), cwd=REPOSITORY)
    try:
        while worker.poll() is None:
            if time.monotonic() - began > TIMEOUT_S:
                raise RuntimeError(f"a million events took more than {TIMEOUT_S:.0f} s:\n{worker.log_tail(20)}")
            await asyncio.sleep(0.2)
    finally:
        await asyncio.to_thread(worker.stop)
    found = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    if worker.poll() != 0 or len(found) != len(MARKS):
        raise RuntimeError(f"the worker did not take all events:\n{worker.log_tail(20)}")
    resident = [each["resident_kb"] for each in found]
    pool = await pool_of(dsn)
    async with pool.acquire() as db:
        taken = await db.fetchval("select count(*) from toy_fact")
    await pool.close()
    return {
        "events": taken,
        "marks": list(MARKS),
        "resident_mb": [round(kb / 1024, 1) for kb in resident],
        "growth": round(resident[-1] / resident[0], 3),
        "seconds": round(time.monotonic() - began, 1),
    }


def rows(found: dict[str, Any]) -> list[Row]:
    marks = " / ".join(f"{mark:,}" for mark in found["marks"])
    return [
        judged("memory of a worker over a million events, last/first", found["growth"], "at most", GROWTH_MAX, "x"),
        plain(f"resident at {marks} events", found["resident_mb"], "MB"),
    ]
