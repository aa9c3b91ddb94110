"""Child processes of the stack: started so that they die with their parent, stopped by pid, in a bounded time.

Invariant: a process is only ever signalled when its pid *and* its start time are the ones that were noted, so that a
reused pid is never hit.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError

STOP_TIMEOUT_S = 15.0
KILL_TIMEOUT_S = 5.0

# Runs in the child before the program: loads what it needs while it still may (the interpreter can be in root's closed
# home), gives up root if asked, asks the kernel for a signal when the parent dies (after the change of user, which
# would clear it), and leaves if the parent died in between. Without prctl (not Linux) only the parent stops children.
_TRAMPOLINE = """
import ctypes, os, sys
library = ctypes.CDLL(None)
parent, death_signal, uid, gid = map(int, sys.argv[1:5])
if uid >= 0:
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
if hasattr(library, "prctl") and library.prctl(1, death_signal, 0, 0, 0) != 0:
    sys.exit("prctl refused the death signal")
if os.getppid() != parent:
    sys.exit(0)
os.execvpe(sys.argv[5], sys.argv[5:], os.environ)
"""


@dataclass(frozen=True)
class Owner:
    """The user a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class ProcessId:
    """A process beyond doubt: its pid and its start time as the kernel tells it."""

    name: str
    pid: int
    started: str

    @classmethod
    def of_this_process(cls) -> "ProcessId":
        return cls("stack", os.getpid(), start_time(os.getpid()) or "")

    def is_alive(self) -> bool:
        """True while this very process runs (a zombie counts as ended)."""
        return start_time(self.pid) == self.started


class Child:
    """A started process with its log file."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log_path: Path, stop_signal: signal.Signals) -> None:
        self.name = name
        self.popen = popen
        self.log_path = log_path
        self.stop_signal = stop_signal
        self.id = ProcessId(name, popen.pid, start_time(popen.pid) or "")

    @property
    def pid(self) -> int:
        return self.popen.pid

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.popen.poll()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Asks the process to end, and kills it when it has not within `timeout_s`."""
        self.ask_to_stop()
        self.wait_stopped(timeout_s)

    def ask_to_stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(self.stop_signal)

    def wait_stopped(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        try:
            self.popen.wait(max(timeout_s, 0.0))
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends the process without asking (SIGKILL) and waits until it is gone."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(KILL_TIMEOUT_S)

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of its log, for an error message."""
        return tail(self.log_path, lines)


def spawn(
    name: str,
    argv: Sequence[str | Path],
    log_path: Path,
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    owner: Owner | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Child:
    """Starts a program in its own session, output appended to `log_path`; it gets `stop_signal` if we die.

    Must be called on the main thread: the kernel sends the death signal when the *thread* that started the child ends.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(f"{name} must be started on the main thread, else it dies with the thread that started it")
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        popen = subprocess.Popen(
            _wrapped(argv, stop_signal, owner),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            cwd=cwd,
            start_new_session=True,
        )
    return Child(name, popen, log_path, stop_signal)


def run_as(argv: Sequence[str | Path], owner: Owner | None, environment: Mapping[str, str], timeout_s: float) -> str:
    """Runs a program to its end as `owner`, and returns its output; raises StackError with it when it fails."""
    done = subprocess.run(
        _wrapped(argv, signal.SIGTERM, owner),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd="/",
        timeout=timeout_s,
        check=False,
    )
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise StackError(f"{Path(argv[0]).name} ended with code {done.returncode}: {output.strip()[-600:]}")
    return output


def start_time(pid: int) -> str | None:
    """The start time of a live process as an opaque text, None when there is no such process or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None if Path("/proc/self").exists() else _start_time_by_ps(pid)
    except ProcessLookupError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def stop_all(processes: Sequence[ProcessId], timeout_s: float = STOP_TIMEOUT_S) -> list[str]:
    """Stops processes that need not be children, last started first; the names of those that were alive."""
    alive = [process for process in reversed(processes) if process.is_alive()]
    for process in alive:
        _signal(process, signal.SIGTERM)
        if not wait_for(lambda: not process.is_alive(), timeout_s):  # noqa: B023 - called within the same turn
            _signal(process, signal.SIGKILL)
            wait_for(lambda: not process.is_alive(), KILL_TIMEOUT_S)  # noqa: B023
    return [process.name for process in alive]


def wait_for(condition: Callable[[], bool], timeout_s: float, pause_s: float = 0.05) -> bool:
    """Waits until the condition holds; False when `timeout_s` passed first."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause_s)
    return True


def tail(path: Path, lines: int) -> str:
    """The last lines of a text file (at most 64 KiB are read), empty when there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 65536))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


def _wrapped(argv: Sequence[str | Path], death_signal: signal.Signals, owner: Owner | None) -> list[str]:
    uid, gid = (owner.uid, owner.gid) if owner else (-1, -1)
    trampoline = [sys.executable, "-I", "-S", "-c", _TRAMPOLINE]
    return [*trampoline, *map(str, (os.getpid(), int(death_signal), uid, gid)), *map(str, argv)]


def _signal(process: ProcessId, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return


def _start_time_by_ps(pid: int) -> str | None:
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None
