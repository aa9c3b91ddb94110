"""Settings that every service has, read from the environment (prefix RECOUP_). A service adds its own."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Role = Literal["api", "worker", "relay", "timers", "all"]


class ServiceSettings(BaseSettings):
    """`database_dsn` is the service's own role, `migration_dsn` the owner of its schema."""

    model_config = SettingsConfigDict(env_prefix="RECOUP_", extra="ignore", frozen=True)

    database_dsn: SecretStr
    migration_dsn: SecretStr | None = None
    kafka_bootstrap: str
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=1, le=65535)
    role: Role = "all"
    instance: int = Field(default=0, ge=0, le=999)
    clock: Literal["live", "stream"] = "live"
    blob_dir: Path = Path(".local/blobs")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    batch_records: int = Field(default=500, ge=1, le=5_000)
    consumer_shares: int = Field(default=1, ge=1, le=12)
    drain_timeout_s: float = Field(default=10.0, gt=0, le=60)

    def dsn(self) -> str:
        return self.database_dsn.get_secret_value()

    def owner_dsn(self) -> str:
        return (self.migration_dsn or self.database_dsn).get_secret_value()

    def has(self, role: Role) -> bool:
        """Whether this process plays `role`."""
        return self.role in (role, "all")
