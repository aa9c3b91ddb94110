"""Five databases of one process on the simulation's PostgreSQL, made from migrated templates and emptied per run.

Sessions wait 50 ms for a lock, so that a step that meets another's open transaction is put back and not awaited.
"""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from deploy.local import databases
from shared.db.migrate import upgrade
from shared.db.pool import CONNECT_TIMEOUT_S, SERVER_SETTINGS, keep, prepare

SERVICES = ("ingest", "cash_application", "collections", "notifications", "reporting")
PASSWORD = "test"
MEMBERS = 2
# Zombies hold transactions open for as long as the driver likes; the driver alone decides when they go on.
SESSION = SERVER_SETTINGS | {
    "lock_timeout": "50",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "statement_timeout": "0",
}
Pools = dict[tuple[str, int], asyncpg.Pool]
TRUNCATE_EVERY = 40
# Behind this many ms PostgreSQL looks for a deadlock; sooner than a session gives up waiting.
DEADLOCK_MS = 10


class SimConnection(asyncpg.Connection):
    """Tells a race when it has locked account rows. `after_lock` is called by application name."""

    after_lock: dict[str, Callable[[], Awaitable[None]]] = {}

    async def fetch(self, query: str, *values: Any, **options: Any) -> list[asyncpg.Record]:
        rows = await super().fetch(query, *values, **options)
        if LOCKS_ACCOUNTS in query and self.after_lock:
            hook = self.after_lock.pop(self.get_settings().application_name, None)
            if hook is not None:
                await hook()
        return rows


WAITING = """
select pid from pg_stat_activity where application_name = $1 and datname = $2 and wait_event_type = 'Lock'
"""
LOCKS_ACCOUNTS = "for update of a"


class Databases:
    """Pools per service and member, and the statements that empty a service's store."""

    def __init__(self, pools: Pools, owners: dict[str, asyncpg.Connection], admin: asyncpg.Connection) -> None:
        self.pools, self._owners, self._admin = pools, owners, admin
        self._emptied = 0
        self._delete = {service: delete_statement(service) for service in SERVICES}

    async def empty(self) -> None:
        """Every table of every service, with the numbers of its identities.

        Rows are deleted, which costs little and keeps the sessions' plans; now and then the dead ones are cleared away.
        """
        statements = self._delete
        if self._emptied % TRUNCATE_EVERY == 0:
            statements = {service: truncate_statement(service) for service in SERVICES}
        self._emptied += 1
        await asyncio.gather(*(self._owners[service].execute(statements[service]) for service in SERVICES))

    async def waits(self, service: str, member: int) -> bool:
        """Whether a session of the member waits for a lock."""
        return bool(await self._admin.fetch(WAITING, f"{service}-{member}", own_name(service)))

    async def rows(self, service: str, statement: str, *values: object) -> list[asyncpg.Record]:
        return await self._owners[service].fetch(statement, *values)


def _tables(service: str) -> list[Any]:
    return importlib.import_module(f"services.{service}.tables").metadata.sorted_tables


def truncate_statement(service: str) -> str:
    names = ", ".join(f'"{table.name}"' for table in _tables(service))
    return f"truncate {names} restart identity"


def delete_statement(service: str) -> str:
    """Deletes from the tables, past triggers that forbid it, and lets every identity begin at 1. Needs a superuser."""
    tables = _tables(service)
    numbered = [(t.name, c.name) for t in tables for c in t.columns if c.identity is not None]
    restart = "select setval(pg_get_serial_sequence('{}', '{}'), 1, false)"
    deletes = [f'delete from "{table.name}"' for table in tables]
    restarts = [restart.format(table, column) for table, column in numbered]
    return ";".join(["set local session_replication_role = replica", *deletes, *restarts])


async def make_templates(admin_dsn: str) -> None:
    """The roles and a migrated database per service, of which every worker makes its own."""
    admin = await databases.connect(admin_dsn)
    try:
        for service in SERVICES:
            await databases.ensure_roles(admin, service, PASSWORD)
            role = databases.roles_of(service).application
            await admin.execute(f"alter role {role} set deadlock_timeout = '{DEADLOCK_MS}ms'")
            await databases.ensure_database(admin, template_of(service), service)
    finally:
        await admin.close()
    for service in SERVICES:
        await _migrate(admin_dsn, service)


async def _migrate(admin_dsn: str, service: str) -> None:
    await databases.grant_inside(databases.on_database(admin_dsn, template_of(service)), service)
    await upgrade(databases.addresses(admin_dsn, template_of(service), service, PASSWORD).owner_dsn, service)


def own_name(service: str) -> str:
    """The name of this process's database of a service."""
    return f"sim_{os.getpid()}_{service}"


def template_of(service: str) -> str:
    return f"sim_template_{service}"


@asynccontextmanager
async def opened(admin_dsn: str) -> AsyncIterator[Databases]:
    """Databases of this process, made of the templates; they go with the server."""
    pools: Pools = {}
    owners: dict[str, asyncpg.Connection] = {}
    admin = await asyncpg.connect(admin_dsn)
    try:
        for service in SERVICES:
            name = own_name(service)
            await databases.ensure_database(admin, name, service, template_of(service))
            owners[service] = await asyncpg.connect(databases.on_database(admin_dsn, name))
            await prepare(owners[service])
            dsn = databases.addresses(admin_dsn, name, service, PASSWORD).dsn
            for member in range(MEMBERS):
                pools[service, member] = await _pool(dsn, f"{service}-{member}")
        yield Databases(pools, owners, admin)
    finally:
        for pool in pools.values():
            pool.terminate()
        for owner in owners.values():
            await owner.close()
        await admin.close()


async def _pool(dsn: str, application: str) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=4,
        timeout=CONNECT_TIMEOUT_S,
        connection_class=SimConnection,
        init=prepare,
        reset=keep,
        server_settings={**SESSION, "application_name": application},
    )
