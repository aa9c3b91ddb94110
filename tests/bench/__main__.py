"""`python -m tests.bench`: measures on this machine; a table on stderr, one JSON document on stdout.

Ratios and counts are gates and decide the exit code; absolute figures are reports, since they depend on the machine.
"""

import argparse
import asyncio
import json
import sys
from typing import Any

from tests.bench import cash, quarter, rebuild, simplest, statements
from tests.bench.usage import machine
from tests.bench.world import bench

SHARE_OF_COPY_MIN = 0.2
TARGETS = {"simplest": 10_000, "cash": 1_500, "seconds": 150, "memory_mb": 2_560, "idle": 0.1}


async def measure(wanted: set[str]) -> dict[str, Any]:
    """What needs only the two servers."""
    found: dict[str, Any] = {}
    if not wanted:
        return found
    async with bench() as servers:
        for name, part in (
            ("statements", statements),
            ("simplest_handler", simplest),
            ("cash_application", cash),
            ("rebuild", rebuild),
        ):
            if name in wanted:
                load = machine()["load_average"]
                found[name] = {**await part.run(servers), "load_average_before": load}
                print(f"measured {name}", file=sys.stderr)
    return found


def failures(found: dict[str, Any]) -> list[str]:
    """Gates that do not hold."""
    failed = []
    for name, each in found.get("statements", {}).items():
        if isinstance(each, dict) and not each["constant"]:
            failed.append(f"{name}: SQL statements grow with the batch: {each['per_batch']}")
    share = found.get("simplest_handler", {}).get("worker", {}).get("share_of_copy", 1.0)
    if share < SHARE_OF_COPY_MIN:
        failed.append(f"simplest handler: {share} of a plain COPY of the same rows, below {SHARE_OF_COPY_MIN}")
    return failed


def lines(found: dict[str, Any]) -> list[tuple[str, object, object]]:
    """What, measured, target."""
    table: list[tuple[str, object, object]] = []
    for name, each in found.get("statements", {}).items():
        if isinstance(each, dict):
            counts = [*each["per_batch"].values()]
            table.append((f"SQL statements per batch of 1/10/100/500, {name}", counts, "constant"))
    if "simplest_handler" in found:
        part = found["simplest_handler"]
        alone, relayed, latency = part["worker"], part["worker_and_relay"], part["latency"]
        table += [
            ("simplest handler, events/s", alone["per_s"], TARGETS["simplest"]),
            ("  processor time per event, worker / PostgreSQL, us", _cpu(alone), ""),
            ("  rows inserted/s", alone["rows_inserted_per_s"], ""),
            ("  share of a plain COPY of the same rows", alone["share_of_copy"], SHARE_OF_COPY_MIN),
            ("  the same with rows encoded by the driver", alone["share_of_copy_from_records"], ""),
            ("  with the relay in the same process, events/s", relayed["per_s"], ""),
            (f"  event to effect p50 / p99 at {latency['load_events_per_s']}/s, ms", _latency(latency), ""),
        ]
    if "cash_application" in found:
        part = found["cash_application"]
        table += [
            ("cash application, payments/s", part["per_s"], TARGETS["cash"]),
            ("  processor time per payment, worker / PostgreSQL, us", _cpu(part), ""),
            ("  with two workers, payments/s", part["two_workers"]["per_s"], TARGETS["cash"]),
            ("  rows inserted per payment", part["rows_inserted_per_payment"], ""),
            ("  share of a plain COPY of the same rows", part["share_of_copy"], ""),
        ]
    if "rebuild" in found:
        part = found["rebuild"]
        processor = f"{part['reader_cpu_us_per_record']:.0f} / {part['postgres_cpu_us_per_record']:.0f}"
        table += [
            ("rebuild of the aging, records/s", part["per_s"], rebuild.TARGET_PER_S),
            ("  processor time per record, reader / PostgreSQL, us", processor, ""),
            ("  seconds for which the service waited", part["held_s"], ""),
        ]
    if "quarter" in found:
        part = found["quarter"]
        table += [
            (f"{part['days']} days of the sample, s", part["seconds"], TARGETS["seconds"]),
            ("  of them waiting for markers, s", part["waiting_for_markers_s"], ""),
            ("  peak memory of the whole stack, MB", part["peak_memory_mb"], TARGETS["memory_mb"]),
            ("  idle, share of one core", part["idle_share_of_one_core"], TARGETS["idle"]),
        ]
    return table


def _cpu(part: dict[str, Any]) -> str:
    return f"{part['worker_cpu_us_per_event']:.0f} / {part['postgres_cpu_us_per_event']:.0f}"


def _latency(part: dict[str, Any]) -> str:
    return f"{part['p50_ms']} / {part['p99_ms']}"


def show(found: dict[str, Any]) -> None:
    about = found["machine"]
    print(f"{about['cores']} cores, {about['memory_mb']} MB, load average {about['load_average']}", file=sys.stderr)
    print(f"{'':58}{'measured':>24}{'target':>12}", file=sys.stderr)
    for what, measured, target in lines(found):
        print(f"{what:58}{measured!s:>24}{target!s:>12}", file=sys.stderr)


def main() -> int:
    parts = ("statements", "simplest_handler", "cash_application", "rebuild")
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--quarter-days", type=int, default=60, help="business days of the sample to feed; 0 = none")
    parser.add_argument("--only", choices=(*parts, "none"), action="append", help="measure only this (may be repeated)")
    chosen = parser.parse_args()
    found: dict[str, Any] = {"machine": machine()}
    found |= asyncio.run(measure(set(chosen.only or parts) - {"none"}))
    if chosen.quarter_days:
        show(found)
        found["quarter"] = quarter.run(chosen.quarter_days)
    found["failed"] = failures(found)
    show(found)
    print(json.dumps(found, indent=2))
    for failed in found["failed"]:
        print(f"FAILED {failed}", file=sys.stderr)
    return 1 if found["failed"] else 0


sys.exit(main())
