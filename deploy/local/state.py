"""What the one-machine stack remembers in `.local/state.json`: its addresses, its processes, and what its data were
made by.

`load()` is how other programs (the feed, tests, the redrive and audit commands) find the running stack. The file is
replaced whole, so a reader never sees half of it, and it is readable by its owner only, since it holds passwords.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from deploy.local.databases import DatabaseAddress
from deploy.local.errors import StackError
from deploy.local.paths import local_dir
from deploy.local.processes import ProcessId

FORMAT = 1


@dataclass(frozen=True)
class StackInfo:
    """Where everything of the stack is. `instances` has the address of every process of a service, the first being
    0.
    """

    local_dir: Path
    kafka_bootstrap: str
    databases: dict[str, DatabaseAddress]
    instances: dict[str, list[str]]
    issuer_url: str
    access_system_url: str
    smtp_host: str
    smtp_port: int
    clock: str
    resumed: bool
    """True when the data of an earlier run were found and go on."""

    @property
    def services(self) -> dict[str, str]:
        """The address of the first process of each service."""
        return {service: urls[0] for service, urls in self.instances.items()}

    @property
    def jwks_url(self) -> str:
        return f"{self.issuer_url}/jwks.json"

    @property
    def mail_dir(self) -> Path:
        return self.local_dir / "mail"

    @property
    def blob_dir(self) -> Path:
        return self.local_dir / "blobs"

    @property
    def drop_dir(self) -> Path:
        return self.local_dir / "drop"

    @property
    def logs_dir(self) -> Path:
        return self.local_dir / "logs"

    @property
    def issuer_dir(self) -> Path:
        return self.local_dir / "issuer"

    @property
    def secrets_dir(self) -> Path:
        return self.local_dir / "secrets"


@dataclass(frozen=True)
class State:
    """The whole file. `contract` says by which schemas and server versions the data were written."""

    owner: ProcessId
    started_at: str
    contract: dict[str, str]
    ports: dict[str, int]
    processes: list[ProcessId] = field(default_factory=list)
    info: StackInfo | None = None
    format: int = FORMAT

    def is_running(self) -> bool:
        """True while the process that started the stack lives."""
        return self.owner.is_alive()

    def left_over(self) -> list[ProcessId]:
        """Processes that live although the one that started them does not."""
        return [] if self.is_running() else [process for process in self.processes if process.is_alive()]


def load(local: Path | None = None) -> StackInfo:
    """The addresses of the running stack; StackError when none runs here."""
    state = read(local or local_dir())
    if state is None or state.info is None or not state.is_running():
        raise StackError(f"No stack runs in {local or local_dir()}: start one with `make run` in another terminal.")
    return state.info


def read(local: Path) -> State | None:
    """The remembered state, None when there is none; StackError when another version of the stack wrote it."""
    path = _path(local)
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise StackError(f"{path} is of another version of the stack: run `make clean` to start anew.")
        return _state(content)
    except (ValueError, KeyError, TypeError) as problem:
        raise StackError(f"{path} cannot be read ({problem!r}): run `make clean` to start anew.") from problem


def write(local: Path, state: State) -> None:
    """Replaces the remembered state."""
    path = _path(local)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(asdict(state), default=str, indent=1), encoding="utf-8")
    partial.replace(path)


def forget_processes(local: Path) -> None:
    """Notes that no process is left."""
    state = read(local)
    if state is not None:
        write(local, replace(state, processes=[]))


def now_text() -> str:
    """The wall clock for people, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Lock:
    """The right to run a stack in a folder. The kernel holds it for this process and drops it with it, so it cannot
    outlive a killed run."""

    def __init__(self, local: Path) -> None:
        self._local = local
        self._file: TextIO | None = None

    def take(self) -> None:
        """Takes the lock, or says who has it."""
        self._local.mkdir(parents=True, exist_ok=True)
        file = (self._local / "lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            file.close()
            raise StackError(_who_runs(self._local)) from problem
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _who_runs(local: Path) -> str:
    state = read(local)
    if state is None or state.info is None:
        return f"Another start of the stack in {local} is under way: wait for it, or end it with `make stop`."
    pages = state.info.services.get("reporting", "")
    where = f" at {pages}" if pages else ""
    return (
        f"A stack already runs{where} (process {state.owner.pid}, since {state.started_at}): use it, see `make "
        "status`, "
        "or end it with `make stop`."
    )


def _state(content: dict[str, Any]) -> State:
    content["owner"] = ProcessId(**content["owner"])
    content["processes"] = [ProcessId(**process) for process in content["processes"]]
    info = content["info"]
    if info is not None:
        info["local_dir"] = Path(info["local_dir"])
        info["databases"] = {name: DatabaseAddress(**address) for name, address in info["databases"].items()}
        content["info"] = StackInfo(**info)
    return State(**content)


def _path(local: Path) -> Path:
    return local / "state.json"
