"""The one table of what the stack tells its processes by environment; every name a service reads stands here."""

import os
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from deploy.local import secrets
from deploy.local.ports import HOST
from deploy.local.state import StackInfo

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "RECOUP_LOG_LEVEL")

_OWN: dict[str, Callable[[StackInfo], dict[str, str]]] = {
    "ingest": lambda info: {
        "RECOUP_DROP_DIR": str(info.drop_dir),
        "RECOUP_FEED_SECRETS_FILE": str(secrets.feeds_file(info.secrets_dir)),
    },
    "cash_application": lambda info: {},
    "collections": lambda info: {},
    "notifications": lambda info: {
        "RECOUP_SMTP_HOST": info.smtp_host,
        "RECOUP_SMTP_PORT": str(info.smtp_port),
        "RECOUP_ACCESS_SYSTEM_URL": f"{info.access_system_url}/holds",
        "RECOUP_WEBHOOK_SECRETS_FILE": str(secrets.webhooks_file(info.secrets_dir)),
    },
    "reporting": lambda info: {"RECOUP_READER_DSN": info.databases["reporting"].reader_dsn},
}


def of_service(
    info: StackInfo,
    service: str,
    instance: int = 0,
    role: str = "all",
    environment: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """The whole environment of one process of a service."""
    address = info.databases[service]
    return of_process(environment) | {
        "RECOUP_DATABASE_DSN": address.dsn,
        "RECOUP_MIGRATION_DSN": address.owner_dsn,
        "RECOUP_KAFKA_BOOTSTRAP": info.kafka_bootstrap,
        "RECOUP_HTTP_HOST": HOST,
        "RECOUP_HTTP_PORT": str(urlsplit(info.instances[service][instance]).port),
        "RECOUP_ROLE": role,
        "RECOUP_INSTANCE": str(instance),
        "RECOUP_CLOCK": info.clock,
        "RECOUP_ISSUER_URL": info.issuer_url,
        "RECOUP_TOKEN_ISSUER": info.issuer_url,
        "RECOUP_JWKS_URL": info.jwks_url,
        "RECOUP_API_KEYS_FILE": str(secrets.api_keys_file(info.secrets_dir)),
        "RECOUP_BLOB_DIR": str(info.blob_dir),
        **_OWN[service](info),
    }


def outside_programs(info: StackInfo) -> dict[str, tuple[str, list[str]]]:
    """The sample outside world: name -> module and its arguments beside the port."""
    for folder in (info.mail_dir, info.blob_dir, info.drop_dir, info.issuer_dir):
        folder.mkdir(parents=True, exist_ok=True)
    hooks = ["--secrets", str(secrets.webhooks_file(info.secrets_dir))]
    return {
        "smtp": ("deploy.local.smtp_sink", ["--dir", str(info.mail_dir)]),
        "issuer": ("deploy.local.issuer", ["--state", str(info.issuer_dir)]),
        "access_system": ("deploy.local.access_system", [*hooks, "--state", str(info.local_dir / "access_system")]),
    }


def of_audit(info: StackInfo, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Every store, the log and the original files, for the auditor."""
    stores = {f"RECOUP_{service.upper()}_DSN": address.dsn for service, address in info.databases.items()}
    return (
        of_process(environment)
        | stores
        | {
            "KAFKA_BOOTSTRAP_SERVERS": info.kafka_bootstrap,
            "RECOUP_BLOB_DIR": str(info.blob_dir),
            "RECOUP_LOCAL_DIR": str(info.local_dir),
        }
    )


def of_process(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What every Python process of the stack gets: a clean environment, unbuffered output, few memory arenas."""
    passed = {name: environment[name] for name in _PASSED_ON if name in environment}
    return passed | {"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}
