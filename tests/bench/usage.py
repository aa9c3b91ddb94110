"""What processes use, as the kernel tells it: processor seconds, and memory in which shared pages count once."""

import os
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def machine() -> dict[str, object]:
    """Cores, memory in MB, load averages."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    return {"cores": os.cpu_count(), "memory_mb": memory_mb, "load_average": [round(x, 2) for x in os.getloadavg()]}


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def family(*roots: int) -> list[int]:
    """The processes `roots` and all that descend from them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(children.get(pid, ()))
    return found


def cpu_s(*roots: int) -> float:
    """Processor seconds of the family so far, of its ended children too."""
    ticks = 0
    for pid in family(*roots):
        if (fields := _stat(pid)) is not None:
            ticks += sum(int(n) for n in fields[11:15])
    return ticks / TICKS_PER_S


def memory_mb(*roots: int) -> float:
    """Proportional set size of the family in MB (2**20): a page that n processes share counts 1/n in each."""
    return sum(_pss_kb(pid) for pid in family(*roots)) / 1024


def _pss_kb(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
