"""A PostgreSQL server that can be lost and had again: a base backup, and every commit in an archive beside it.

`pg_receivewal` is a synchronous standby: a commit is acknowledged only when its WAL lies in the archive, so nothing
that anybody was told is lost with the server's disk.
"""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local.databases import connect
from deploy.local.errors import StackError
from deploy.local.ports import HOST
from deploy.local.postgres import ADMIN, PostgresServer
from deploy.local.processes import Child, run_as, spawn, wait_for

BACKUP_TIMEOUT_S = 120.0
RECOVERY_TIMEOUT_S = 120.0
RECEIVER = "recoup_archive"
_ARCHIVED = """
wal_level = replica
max_wal_senders = 4
max_replication_slots = 4
wal_keep_size = '512MB'
"""
STREAMS = "select count(*) from pg_stat_replication where application_name = $1 and sync_state = 'sync'"


@dataclass(frozen=True)
class Backup:
    """A base backup: where it lies and how long it took."""

    folder: Path
    took_s: float

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


class ArchivedPostgres(PostgresServer):
    """Its data are in `state_dir`, its backups and its WAL beside them."""

    def __init__(self, state_dir: Path, port: int | None = None) -> None:
        super().__init__(state_dir, port, fsync=False)
        self._receiver: Child | None = None

    @property
    def kept(self) -> Path:
        """The folder of backups and WAL: what is left when the server's own disk is lost."""
        assert self._home is not None, "prepare() comes first"
        return self._home.data.parent / "kept"

    def prepare(self) -> None:
        super().prepare()
        self._write_settings(_ARCHIVED)
        (self.kept / "wal").mkdir(parents=True, exist_ok=True)
        self._own(self.kept)

    def start_archive(self) -> None:
        """From now on a commit is acknowledged when it is in the archive. To be called on the main thread."""
        assert self._home is not None and self.child is not None
        program = self._home.binaries / "pg_receivewal"
        address = f"host={HOST} port={self.port} user={ADMIN} application_name={RECEIVER}"
        command = [program, "--synchronous", "--no-loop", "-D", self.kept / "wal", "-d", address]
        self._receiver = spawn(
            "pg_receivewal",
            command,
            self.log_path.with_name("pg_receivewal.log"),
            environment=self._client_environment(),
            cwd=self.kept,
            owner=self._home.owner,
        )

    async def commit_only_what_is_archived(self) -> None:
        """Returns when the archive is the server's synchronous standby."""
        admin = await connect(self.admin_dsn)
        try:
            await admin.execute(f"alter system set synchronous_standby_names = '{RECEIVER}'")
            await admin.execute("select pg_reload_conf()")
            await self._until_streaming(admin)
        finally:
            await admin.close()

    async def _until_streaming(self, admin: asyncpg.Connection) -> None:
        deadline = time.monotonic() + BACKUP_TIMEOUT_S
        while not await admin.fetchval(STREAMS, RECEIVER):
            if self._receiver is None or self._receiver.poll() is not None or time.monotonic() > deadline:
                tail = self._receiver.log_tail() if self._receiver else ""
                raise StackError(f"pg_receivewal does not take the server's WAL: {tail}")

    def back_up(self, name: str) -> Backup:
        """A base backup of the running server; the WAL that it needs is in the archive."""
        assert self._home is not None
        began, folder = time.monotonic(), self.kept / name
        address = f"host={HOST} port={self.port} user={ADMIN}"
        command = [
            self._home.binaries / "pg_basebackup",
            "-D",
            folder,
            "-X",
            "none",
            "--checkpoint=fast",
            "-d",
            address,
        ]
        run_as(command, self._home.owner, self._client_environment(), BACKUP_TIMEOUT_S)
        return Backup(folder, time.monotonic() - began)

    def lose(self) -> None:
        """The server is killed, and its disk is gone with it."""
        assert self._home is not None
        self.kill()
        if self._receiver is not None:
            wait_for(lambda: self._receiver is None or self._receiver.poll() is not None, 5.0)
            self._receiver.kill()
        shutil.rmtree(self._home.data)

    def restore(self, backup: Backup, *, older: bool = False) -> None:
        """Puts the backup in the place of the lost data; at its next start the server replays the archive's WAL.

        `older`: no more of it than the backup needs to be whole, as if the rest were gone.
        """
        assert self._home is not None
        shutil.copytree(backup.folder, self._home.data)
        self._home.data.chmod(0o700)
        wal = self.kept / "wal"
        fetch = f"cp {wal}/%f %p || cp {wal}/%f.partial %p"
        until = "recovery_target = 'immediate'\nrecovery_target_action = 'promote'\n" if older else ""
        self._write_settings(f"{_ARCHIVED}restore_command = '{fetch}'\nsynchronous_standby_names = ''\n{until}")
        (self._home.data / "recovery.signal").touch()
        self._own(self._home.data)

    async def until_recovered(self) -> None:
        """Returns when all WAL was replayed and the server takes writes again."""
        deadline = time.monotonic() + RECOVERY_TIMEOUT_S
        admin = await connect(self.admin_dsn)
        try:
            while await admin.fetchval("select pg_is_in_recovery()"):
                if time.monotonic() > deadline:
                    raise StackError(
                        f"The WAL was not replayed within {RECOVERY_TIMEOUT_S:.0f} s; see {self.log_path}."
                    )
        finally:
            await admin.close()

    def stop(self) -> None:
        """The server first, so that the archive gets its last words."""
        super().stop()
        if self._receiver is not None:
            self._receiver.stop()

    def _write_settings(self, more: str) -> None:
        """Settings of the command that wins over the file that `alter system` writes."""
        assert self._home is not None
        path = self._home.data / "postgresql.auto.conf"
        kept = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(_REPLACED)]
        path.write_text("\n".join(kept) + "\n" + more, encoding="utf-8")

    def _client_environment(self) -> dict[str, str]:
        return self._environment() | {"PGPASSWORD": self._password()}

    def _own(self, folder: Path) -> None:
        assert self._home is not None
        if (owner := self._home.owner) is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner.uid, owner.gid)


_REPLACED = ("wal_level", "max_wal_senders", "max_replication_slots", "wal_keep_size", "restore_command",
             "synchronous_standby_names", "recovery_target")  # fmt: skip
