"""`python -m tests.bench`: measures on this machine; one table on stdout, one JSON document in the file of `--out`.

Counts and ratios hold on any machine and decide the exit code; rates and times depend on it and are reported.
`--strict` lets every target decide. What is under way is told on stderr.
"""

import argparse
import asyncio
import json
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests.bench.entries import ENTRIES, Entry
from tests.bench.figures import Row, table
from tests.bench.stacks import stack_of
from tests.bench.usage import machine
from tests.bench.world import bench


async def on_two_servers(entries: Sequence[Entry], found: dict[str, Any]) -> None:
    """What needs only Kafka and PostgreSQL."""
    if not entries:
        return
    async with bench() as servers:
        for entry in entries:
            with noted(entry, found):
                found[entry.name] = await entry.part.run(servers, **entry.options)


def on_stacks(entries: Sequence[Entry], found: dict[str, Any]) -> None:
    """What needs services as processes. Starts processes: on the main thread, outside of any event loop."""
    shared = [entry for entry in entries if entry.on == "shared stack"]
    with stack_of(services=False) if shared else nullcontext() as stack:
        for entry in shared:
            with noted(entry, found):
                found[entry.name] = entry.part.run(stack, **entry.options)
    for entry in entries:
        if entry.on == "own stack":
            with noted(entry, found):
                found[entry.name] = entry.part.run(**entry.options)


@contextmanager
def noted(entry: Entry, found: dict[str, Any]) -> Iterator[None]:
    """Says what is measured and what came of it. An entry that fails is shown as such; the others go on."""
    load, began = machine()["load_average"], time.monotonic()
    print(f"measuring {entry.name} ...", file=sys.stderr, flush=True)
    try:
        yield
    except Exception as problem:  # shown in the table, and the bench fails by it
        traceback.print_exc()
        found[entry.name] = {"error": f"{type(problem).__name__}: {problem}"}
    found[entry.name] |= {"load_average_before": load, "took_s": round(time.monotonic() - began, 1)}
    print(table(rows_of(entry, found)), file=sys.stderr, flush=True)


def rows_of(entry: Entry, found: dict[str, Any]) -> list[Row]:
    if "error" in found[entry.name]:
        return [Row(entry.name, "not measured", found[entry.name]["error"].splitlines()[0][:60], False)]
    return entry.part.rows(found[entry.name])


def decides(entry: Entry, found: dict[str, Any]) -> bool:
    return entry.decides or "error" in found[entry.name]


def main() -> int:
    names = [entry.name for entry in ENTRIES]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=names, action="append", help="measure only this (may be repeated)")
    parser.add_argument("--out", type=Path, help="file for the JSON document")
    parser.add_argument("--strict", action="store_true", help="every missed target fails, not only ratios and counts")
    chosen = parser.parse_args()
    wanted = [entry for entry in ENTRIES if entry.name in (chosen.only or names)]
    found: dict[str, Any] = {}
    about = machine()
    asyncio.run(on_two_servers([entry for entry in wanted if entry.on == "servers"], found))
    on_stacks([entry for entry in wanted if entry.on != "servers"], found)
    rows = [(entry, row) for entry in wanted for row in rows_of(entry, found)]
    print(f"\n{about['cores']} cores, {about['memory_mb']} MB, load average at the beginning {about['load_average']}")
    print(table([row for _, row in rows]))
    document = {"machine": about, "found": found, "rows": [row.as_json() for _, row in rows]}
    if chosen.out:
        chosen.out.write_text(json.dumps(document, indent=2), encoding="utf-8")
    missed = [row for entry, row in rows if row.reached is False and (chosen.strict or decides(entry, found))]
    for row in missed:
        print(f"FAILED {row.what}: {row.figure}, wanted {row.target}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
