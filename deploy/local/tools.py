"""Commands against a running stack, or beside it: parked, redrive, skip, audit, migration.

Each is the real program with settings, or a person at the real API."""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import asyncpg

from deploy.local import service_settings, state
from deploy.local.client import open_client
from deploy.local.databases import SERVICES, ensure_service_database
from deploy.local.errors import StackError
from deploy.local.paths import REPOSITORY
from deploy.local.postgres import PostgresServer, outside_home

REBUILDABLE = ("reporting", "collections", "notifications")


async def parked(service: str) -> None:
    """Lists what is parked in a service, or in all, as their own commands do; starting five of them takes too long."""
    from shared.db.pool import COMMAND_TIMEOUT_S, CONNECT_TIMEOUT_S, prepare
    from shared.runtime.operating import show_parked

    if service:
        _check_service(service)
    info = state.load()
    for each in [service] if service else SERVICES:
        dsn = info.databases[each].dsn
        db = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S)
        try:
            await prepare(db)
            await show_parked(each, db)
        finally:
            await db.close()


def redrive(service: str, key: str) -> NoReturn:
    """Becomes the service's own redrive command, with the settings of the running stack. `key` "" means all."""
    _check_service(service)
    arguments = ["redrive", *([key] if key else [])]
    _become(f"services.{service}.main", arguments, service_settings.of_service(state.load(), service))


async def step_over(
    service: str, topic: str, partition: str, at: str, to: str, *, reason: str, sha256: str, by: str
) -> str:
    """Through the running service's API, as a sample person: with a reason ask that a stopped partition goes on at
    `to`, without one approve it. The sentence to show."""
    _check_service(service)
    if not topic or not (reason or sha256) or not all(number.isdigit() for number in (partition, at, to)):
        raise StackError(
            'Say all of it: make step-over SERVICE=… TOPIC=ar.accounts PARTITION=3 AT=17 TO=19 REASON="…" to ask for '
            "it, SHA256=… in place of the reason to approve it (BY=conrad); `/readyz` of the service names the "
            "partition and the offset at which it stands."
        )
    path, span = f"/v1/runtime/partitions/{quote(topic)}/{partition}", {"at": int(at), "to": int(to)}
    client = open_client(state.load())
    async with client.http:
        if not reason:
            body, key = span | {"sha256": sha256}, f"{path} approve {span} {sha256}"
            moved = await client.call(by, "POST", service, f"{path}/approve", key=key, json=body)
            return (
                f"{topic}/{partition} goes on at {moved['to']}, approved by {moved['approved_by']}; the running "
                "service takes it up by itself within seconds."
            )
        body, key = span | {"reason": reason}, f"{path} step-over {span} {reason}"
        asked = await client.call(by, "POST", service, f"{path}/step-over", key=key, json=body)
    return (
        f"{asked['requested_by']} asked that {topic}/{partition} goes on at {to} instead of {at}. Another person "
        f"approves it:\n  make step-over SERVICE={service} TOPIC={topic} PARTITION={partition} AT={at} TO={to} "
        f"SHA256={asked['sha256']} BY=conrad"
    )


def rebuild(service: str, accept_differences: bool) -> NoReturn:
    """Becomes the service's own command that builds its projections anew from the log, beside the running service."""
    if service not in REBUILDABLE:
        raise StackError(f"Name a service whose projections can be rebuilt: SERVICE= one of {', '.join(REBUILDABLE)}.")
    arguments = ["rebuild", *(["--accept-differences"] if accept_differences else [])]
    _become(f"services.{service}.main", arguments, service_settings.of_service(state.load(), service))


async def skip(service: str, key: str, reason: str, sha256: str, by: str) -> str:
    """Through the running service's API, as a sample person: with a reason ask that what stands first of a parked key
    is left out, without one approve it. The sentence to show."""
    _check_service(service)
    if not key:
        raise StackError("Name the parked key: make skip KEY=company/account …; `make parked` lists them.")
    client = open_client(state.load())
    async with client.http:
        path = f"/v1/runtime/parked/{quote(key, safe='/~')}"
        if not reason:
            if not sha256:
                raise StackError("Say why (REASON=…) to ask for it, or name the SHA256=… that you approve (BY=conrad).")
            body = {"sha256": sha256}
            idempotency_key = f"{path} approve {sha256}"
            left_out = await client.call(by, "POST", service, f"{path}/approve", key=idempotency_key, json=body)
            behind = f"; {left_out['left']} behind it: {left_out['result']}" if left_out["left"] else ""
            return f"Left out: {_what(left_out)} of {key}, approved by {left_out['approved_by']}{behind}."
        if not sha256:
            rows = await client.listed(by, service, "/v1/runtime/parked")
            sha256 = next((row["sha256"] or "" for row in rows if row["key"] == key), "")
        if not sha256:
            raise StackError(f"No event of {key} is parked in {service}: `make parked` lists what is.")
        body = {"reason": reason, "sha256": sha256}
        asked = await client.call(by, "POST", service, f"{path}/skip", key=f"{path} skip {sha256} {reason}", json=body)
    return (
        f"{asked['requested_by']} asked to leave out {_what(asked)} of {key}. "
        f"Another person approves it:\n  make skip SERVICE={service} KEY='{key}' SHA256={sha256} BY=conrad"
    )


def _what(record: dict[str, Any]) -> str:
    from shared.runtime.operating import named

    return named(record["event_type"], record["event_id"])


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
