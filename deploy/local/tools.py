"""Commands against a running stack, or beside it: redrive, audit, migration; each is the real program with settings."""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from deploy.local import service_settings, state
from deploy.local.databases import SERVICES, ensure_service_database
from deploy.local.errors import StackError
from deploy.local.paths import REPOSITORY
from deploy.local.postgres import PostgresServer, outside_home


def redrive(service: str) -> NoReturn:
    """Becomes the service's own redrive command, with the settings of the running stack."""
    _check_service(service)
    _become(f"services.{service}.main", ["redrive"], service_settings.of_service(state.load(), service))


def audit(arguments: list[str]) -> NoReturn:
    """Becomes the auditor, which is told the address of every store, of the log and of the bank files."""
    _become("audit", arguments, service_settings.of_audit(state.load()))


def migration(service: str, message: str) -> str:
    """Compares the service's tables with its migrations on a scratch server and writes the difference as a new one."""
    _check_service(service)
    if not message.strip():
        raise StackError('Say what the migration does: make migration SERVICE=ingest MESSAGE="add a column".')
    folder = Path(tempfile.mkdtemp(prefix="recoup-migration-"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "postgres", fsync=False)
    try:
        server.start()
        asyncio.run(_revise(server.admin_dsn, service, message))
    finally:
        server.stop()
        shutil.rmtree(outside_home(folder / "postgres"), ignore_errors=True)
        shutil.rmtree(folder)
    return f"Written to services/{service}/migrations/versions; read it before you commit it."


async def _revise(admin_dsn: str, service: str, message: str) -> None:
    from shared.db.migrate import revision, upgrade

    address = await ensure_service_database(admin_dsn, service, "scratch")
    await upgrade(address.owner_dsn, service)
    await revision(address.owner_dsn, service, message)


def _become(module: str, arguments: list[str], environment: dict[str, str]) -> NoReturn:
    os.chdir(REPOSITORY)
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)


def _check_service(service: str) -> None:
    if service not in SERVICES:
        raise StackError(f"Name a service, as in SERVICE={SERVICES[0]}: one of {', '.join(SERVICES)}.")
