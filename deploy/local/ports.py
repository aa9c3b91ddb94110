"""Free loopback ports: a configured one, a preferred one when it is free, else any free one.

`RECOUP_PORT_<NAME>` fixes a port; if something else listens there, that is an error and never a silent other port.
"""

import os
import socket
import time
from collections.abc import Iterable, Mapping

from deploy.local.errors import StackError

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """True when nothing is bound to the port on the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def is_open(port: int, host: str = HOST, timeout_s: float = 0.5) -> bool:
    """True when something accepts connections on the port."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """`count` different ports that are free now, chosen by the operating system."""
    probes = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def choose(preferred: Mapping[str, int], environment: Mapping[str, str] = os.environ) -> dict[str, int]:
    """A port for each name: configured (must be free), else preferred when free, else any free one."""
    chosen = {name: _configured(name, environment) for name in preferred}
    taken = {port for port in chosen.values() if port}
    for name, port in preferred.items():
        if chosen[name] is None and port not in taken and is_free(port):
            chosen[name] = port
            taken.add(port)
    return {name: port or _any_free_except(taken) for name, port in chosen.items()}


def wait_open(port: int, still_alive: Iterable[object], timeout_s: float) -> bool:
    """Waits until the port accepts connections; False when time is up or a watched process (`poll()`) has ended."""
    deadline = time.monotonic() + timeout_s
    watched = list(still_alive)
    while time.monotonic() < deadline:
        if is_open(port):
            return True
        if any(process.poll() is not None for process in watched):  # type: ignore[attr-defined]
            return False
        time.sleep(0.03)
    return False


def _configured(name: str, environment: Mapping[str, str]) -> int | None:
    variable = f"RECOUP_PORT_{name.upper()}"
    text = environment.get(variable, "").strip()
    if not text:
        return None
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise StackError(f"{variable}={text!r} is not a port number; set it to a number from 1 to 65535, or unset it.")
    if not is_free(int(text)):
        raise StackError(
            f"Port {text} for {name} ({variable}) is taken by another program; stop that program, or set {variable} "
            "to a free port, or unset it to have one chosen."
        )
    return int(text)


def _any_free_except(taken: set[int]) -> int:
    port = next(port for port in free_ports(len(taken) + 1) if port not in taken)
    taken.add(port)
    return port
