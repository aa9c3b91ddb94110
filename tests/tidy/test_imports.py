"""Who may import whom: services share events only, domain code is pure, one file speaks to Kafka."""

import ast

import pytest

from tests.tidy.source import Source, imports, sources

SERVICES = ("ingest", "cash_application", "collections", "notifications", "reporting")
IMPURE = (
    "asyncio", "asyncpg", "aiokafka", "fastapi", "httpx", "sqlalchemy", "uvicorn", "structlog", "logging", "socket",
    "time", "os", "subprocess", "threading", "aiosmtplib", "alembic", "shared.db", "shared.bus", "shared.logs",
    "shared.clock", "shared.http", "shared.auth", "shared.settings", "shared.metrics", "shared.blob",
)  # fmt: skip
PURE_SHARED = {
    "shared.money": "amounts and currencies",
    "shared.ids": "derived identities",
    "shared.events": "the contract",
    "shared.errors": "Rejected: a rule says no",
    "shared.approval": "the pure rule of two persons",
    "shared.calendars": "business days are tables and arithmetic, no clock; the door, the dunning and the gate must "
    "agree on them, else one waits for bank data of a day on which the other says the bank was closed",
}
"""What domain code may import of `shared`, and why it is pure."""
FORBIDDEN_BY_FILE = {
    "handlers.py": ("asyncpg", "aiokafka", "fastapi", "httpx", "sqlalchemy"),
    "store.py": ("aiokafka", "fastapi", "httpx", "shared.bus", "sqlalchemy"),
    "queries.py": ("aiokafka", "fastapi", "httpx", "shared.bus"),
    "api.py": ("aiokafka",),
}


def starts(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def offences(source: Source, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{source.name}:{line} imports {module}"
        for module, line in imports(source.tree)
        if any(starts(module, prefix) for prefix in forbidden) and not source.allowed(line)
    ]


def test_no_service_imports_another() -> None:
    found = []
    for source in sources("services"):
        own = source.path.parts[1]
        others = tuple(f"services.{name}" for name in SERVICES if name != own)
        found += offences(source, others)
    assert found == []


def test_shared_imports_no_service() -> None:
    assert [
        o for source in sources("shared") for o in offences(source, ("services", "deploy", "audit", "sample"))
    ] == []


def test_audit_imports_neither_services_nor_shared() -> None:
    assert [o for source in sources("audit") for o in offences(source, ("services", "shared"))] == []


def test_the_sample_generator_knows_nothing_of_the_services() -> None:
    assert [o for source in sources("sample") for o in offences(source, ("services", "shared", "deploy"))] == []


def test_domain_code_is_pure() -> None:
    found = []
    for source in sources("services"):
        if "domain" in source.path.parts:
            found += offences(source, IMPURE)
            found += [
                f"{source.name}: async code" for line in source.lines if line.lstrip().startswith(("async ", "await "))
            ]
    assert found == []


def test_domain_code_takes_only_what_is_pure_from_shared() -> None:
    found = [
        f"{source.name}:{line} imports {module}"
        for source in sources("services")
        if "domain" in source.path.parts
        for module, line in imports(source.tree)
        if starts(module, "shared") and not any(starts(module, pure) for pure in PURE_SHARED)
    ]
    assert found == []


def test_what_domain_code_takes_from_shared_is_pure_itself() -> None:
    modules = {name.replace(".", "/") for name in PURE_SHARED}
    pure = [s for s in sources("shared") if any(s.name.startswith((f"{m}.py", f"{m}/")) for m in modules)]
    assert len(pure) >= len(PURE_SHARED)
    found = [o for source in pure for o in offences(source, IMPURE)]
    # The driver's UUID is a value like any other; the history of the schemas is a command that nobody imports.
    assert [o for o in found if "asyncpg.pgproto" not in o and "events/history.py" not in o] == []


def test_imports_for_type_checkers_do_not_couple_but_what_else_would_be_imported_does() -> None:
    text = "if TYPE_CHECKING:\n    from services.ingest import a\nif not TYPE_CHECKING:\n    import services.ingest.b\n"
    assert [module for module, _ in imports(ast.parse(text))] == ["services.ingest.b"]


@pytest.mark.parametrize("file", sorted(FORBIDDEN_BY_FILE))
def test_each_room_of_a_service_keeps_to_its_imports(file: str) -> None:
    rooms = (file, file.removesuffix(".py"))
    found = []
    for source in sources("services"):
        if len(source.path.parts) > 2 and source.path.parts[2] in rooms:
            found += offences(source, FORBIDDEN_BY_FILE[file])
    assert found == []


def test_only_the_kafka_adapter_and_the_topic_admin_import_aiokafka() -> None:
    allowed = {"shared/bus/kafka.py", "shared/bus/kafka_log.py", "shared/bus/admin.py"}
    users = {s.name for s in sources("services", "shared") for m, _ in imports(s.tree) if starts(m, "aiokafka")}
    assert users <= allowed


def test_every_service_has_the_same_rooms() -> None:
    rooms = {
        "README.md", "main.py", "settings.py", "api.py", "schemas.py", "handlers.py", "store.py", "queries.py",
        "tables.py", "migrations", "domain",
    }  # fmt: skip
    from tests.tidy.source import ROOT

    missing = {}
    for name in SERVICES:
        present = {path.name for path in (ROOT / "services" / name).iterdir()}
        present |= {f"{p}.py" for p in present}
        if gone := rooms - present:
            missing[name] = sorted(gone)
    assert missing == {}
