"""The simulation's PostgreSQL: a server in memory that keeps nothing, reached over a Unix socket.

What is switched off here (durability, vacuuming, plans that are made anew) changes no answer of a statement.
"""

from contextlib import ExitStack
from pathlib import Path

from deploy.local.postgres import ADMIN, PostgresServer
from tests import servers

SHARED_MEMORY = Path("/dev/shm")
SETTINGS = """\
synchronous_commit = off
autovacuum = off
shared_buffers = '64MB'
max_wal_size = '512MB'
track_activities = on
track_counts = off
plan_cache_mode = force_generic_plan
"""


class SimServer(PostgresServer):
    """`prepare` adds to the settings; `socket_dir` is where clients find it."""

    @property
    def socket_dir(self) -> Path:
        assert self._home is not None, "prepare() comes first"
        return self._home.data

    def prepare(self) -> None:
        super().prepare()
        settings = self.socket_dir / "postgresql.auto.conf"
        more = f"{SETTINGS}unix_socket_directories = '{self.socket_dir}'\n"
        settings.write_text(settings.read_text(encoding="utf-8") + more, encoding="utf-8")

    @property
    def socket_dsn(self) -> str:
        """The superuser's address over the socket."""
        return f"postgresql://{ADMIN}:{self._password()}@/postgres?host={self.socket_dir}&port={self.port}"


def memory_folder() -> Path | None:
    """Where files are kept in memory; None on a machine that has no such place."""
    return SHARED_MEMORY if SHARED_MEMORY.is_dir() else None


def start(stack: ExitStack) -> str:
    """The superuser's address on a server that `stack` stops and removes."""
    folder = servers.run_folder(memory_folder())
    stack.callback(servers.remove_folder, folder)
    server = SimServer(folder / "postgres", fsync=False)
    stack.callback(server.stop)
    server.start()
    return server.socket_dsn
