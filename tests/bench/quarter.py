"""The sample quarter on the whole local stack: seconds, waiting for markers apart, peak memory, idle processor time."""

import asyncio
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sample
from deploy.local import feed
from deploy.local.client import open_client
from deploy.local.state import StackInfo
from tests.bench.figures import Row, judged, plain
from tests.bench.stacks import stack_of
from tests.bench.usage import cpu_s, machine, memory_mb

SEED = 1
SECONDS_MAX, MEMORY_MAX_MB, IDLE_MAX = 150, 2_560, 0.1
SAMPLE_EVERY_S, SETTLE_S, IDLE_S = 1.0, 10.0, 20.0


def run(days: int) -> dict[str, Any]:
    """Feed `days` business days. Starts processes: call it on the main thread, outside of any event loop."""
    with tempfile.TemporaryDirectory(prefix="recoup-bench-quarter-") as folder:
        out = Path(folder) / "sample"
        sample.generate(SEED, days, out)
        with stack_of(services=True) as stack, contextlib.redirect_stdout(sys.stderr):
            assert stack.info is not None
            pids = [child.pid for child in stack.children]
            used, began = cpu_s(*pids), machine()
            with _peak(pids) as peak:
                timing = asyncio.run(_feed(stack.info, out))
            fed_cpu_s = cpu_s(*pids) - used
            by_name = {child.name: round(memory_mb(child.pid)) for child in stack.children}
            return {
                "days": days,
                "seconds": round(timing.total_s, 1),
                "waiting_for_markers_s": round(timing.waited_s, 1),
                "cpu_s": round(fed_cpu_s, 1),
                "load_average_before": began["load_average"],
                "peak_memory_mb": round(max(peak)),
                "memory_at_end_mb": by_name,
                "idle_share_of_one_core": round(_idle(pids), 3),
            }


def rows(found: dict[str, Any]) -> list[Row]:
    return [
        judged(f"{found['days']} days of the sample, whole stack", found["seconds"], "at most", SECONDS_MAX, "s"),
        plain("of them waiting for markers", found["waiting_for_markers_s"], "s"),
        judged("peak memory of the whole stack", found["peak_memory_mb"], "at most", MEMORY_MAX_MB, "MB"),
        judged("idle, share of one core", found["idle_share_of_one_core"], "at most", IDLE_MAX),
    ]


async def _feed(info: StackInfo, out: Path) -> feed.Timing:
    client = open_client(info)
    try:
        _, timing = await feed.feed_all(client, out)
        return timing
    finally:
        await client.http.aclose()


@contextlib.contextmanager
def _peak(pids: list[int]) -> Iterator[list[float]]:
    """Memory of the family in MB, once a second, while the block runs."""
    stop = threading.Event()
    found = [memory_mb(*pids)]

    def watch() -> None:
        while not stop.wait(SAMPLE_EVERY_S):
            found.append(memory_mb(*pids))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield found
    finally:
        stop.set()
        watching.join()


def _idle(pids: list[int]) -> float:
    time.sleep(SETTLE_S)
    before, began = cpu_s(*pids), time.monotonic()
    time.sleep(IDLE_S)
    return (cpu_s(*pids) - before) / (time.monotonic() - began)
