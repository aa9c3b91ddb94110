"""One database per service, each with its own roles, on one PostgreSQL server.

Three roles per service: the owner (migrations), the application (reads and writes rows, makes no tables) and the reader
(reads what it is granted). Invariant: no role of one service can connect to the database of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import asyncpg

SERVICES = ("ingest", "cash_application", "collections", "notifications", "reporting")
CONNECT_TIMEOUT_S = 20.0
STATEMENT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class DatabaseAddress:
    """How a service reaches its database: as the application, as the owner, and as a reader without writes."""

    dsn: str
    owner_dsn: str
    reader_dsn: str


@dataclass(frozen=True)
class Roles:
    """The role names of one service."""

    owner: str
    application: str
    reader: str


def roles_of(service: str) -> Roles:
    """`recoup_<service>_owner`, `recoup_<service>` and `recoup_<service>_reader`."""
    return Roles(f"recoup_{service}_owner", f"recoup_{service}", f"recoup_{service}_reader")


async def connect(dsn: str) -> asyncpg.Connection:
    """A connection with bounded waiting."""
    return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=STATEMENT_TIMEOUT_S)


async def ensure_service_database(admin_dsn: str, service: str, password: str) -> DatabaseAddress:
    """Makes the roles and the database of a service when they are missing; safe to repeat."""
    admin = await connect(admin_dsn)
    try:
        await ensure_roles(admin, service, password)
        await ensure_database(admin, f"recoup_{service}", service)
    finally:
        await admin.close()
    await grant_inside(on_database(admin_dsn, f"recoup_{service}"), service)
    return addresses(admin_dsn, f"recoup_{service}", service, password)


async def ensure_roles(admin: asyncpg.Connection, service: str, password: str) -> None:
    """The three roles of a service with this password; an existing role gets the password too."""
    names = roles_of(service)
    known = {row["rolname"] for row in await admin.fetch("select rolname from pg_roles where rolname like 'recoup_%'")}
    statements = [
        f"{'alter' if role in known else 'create'} role {role} login password '{_literal(password)}'"
        for role in (names.owner, names.application, names.reader)
    ]
    # Readers cannot write even where a grant was too generous.
    statements.append(f"alter role {names.reader} set default_transaction_read_only = on")
    await admin.execute(";".join(statements))


async def ensure_database(admin: asyncpg.Connection, database: str, service: str, template: str | None = None) -> None:
    """The database, owned by the service's owner and closed to every other role; from `template` when one is named."""
    names = roles_of(service)
    if await admin.fetchval("select 1 from pg_database where datname = $1", database) is None:
        source = f" template {template} strategy file_copy" if template else ""
        await admin.execute(f"create database {database} owner {names.owner}{source}")
    await admin.execute(
        f"revoke all on database {database} from public;"
        f"grant connect on database {database} to {names.application}, {names.reader}"
    )


async def grant_inside(database_dsn: str, service: str) -> None:
    """Lets the application read and write what the owner makes from now on; the reader sees what it is granted."""
    names = roles_of(service)
    connection = await connect(database_dsn)
    try:
        await connection.execute(
            f"""
            alter schema public owner to {names.owner};
            revoke create on schema public from public;
            grant usage on schema public to {names.application}, {names.reader};
            alter default privileges for role {names.owner}
                grant usage on schemas to {names.application}, {names.reader};
            alter default privileges for role {names.owner}
                grant select, insert, update, delete on tables to {names.application};
            alter default privileges for role {names.owner}
                grant usage, select, update on sequences to {names.application};
            """
        )
    finally:
        await connection.close()


def addresses(admin_dsn: str, database: str, service: str, password: str) -> DatabaseAddress:
    """The three addresses of a service's database on the server of `admin_dsn`."""
    names = roles_of(service)
    return DatabaseAddress(
        dsn=_as_role(admin_dsn, names.application, password, database),
        owner_dsn=_as_role(admin_dsn, names.owner, password, database),
        reader_dsn=_as_role(admin_dsn, names.reader, password, database),
    )


def on_database(dsn: str, database: str) -> str:
    """The same address, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def given_addresses(service: str, environment: Mapping[str, str]) -> DatabaseAddress | None:
    """A service's database named by `RECOUP_<SERVICE>_DSN` (and `…_OWNER_DSN`, `…_READER_DSN` when they differ)."""
    prefix = f"RECOUP_{service.upper()}"
    dsn = environment.get(f"{prefix}_DSN", "").strip()
    if not dsn:
        return None
    owner = environment.get(f"{prefix}_OWNER_DSN", "").strip() or dsn
    return DatabaseAddress(dsn, owner, environment.get(f"{prefix}_READER_DSN", "").strip() or dsn)


def _as_role(admin_dsn: str, role: str, password: str, database: str) -> str:
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{host}", path=f"/{database}"))


def _literal(text: str) -> str:
    return text.replace("'", "''")
