"""Starts one program of the local stack as a process on a free port, and stops it by its pid."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.ports import free_ports, wait_open
from deploy.local.processes import Child, spawn

START_TIMEOUT_S = 20.0
REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def running(module: str, folder: Path, *arguments: str, ports: int = 1) -> Iterator[tuple[Child, list[int]]]:
    """The process and its ports; `{port}`, `{port2}` in the arguments stand for them."""
    chosen = free_ports(ports)
    names = {"port": str(chosen[0]), "port2": str(chosen[-1])}
    argv = [sys.executable, "-m", module, *(argument.format(**names) for argument in arguments)]
    child = spawn(module, argv, folder / "program.log", cwd=REPOSITORY)
    try:
        for port in chosen:
            assert wait_open(port, [child], START_TIMEOUT_S), child.log_tail()
        yield child, chosen
    finally:
        child.stop(timeout_s=5)
    assert child.poll() in (0, -15), f"{module} did not end when asked: {child.poll()}\n{child.log_tail()}"
