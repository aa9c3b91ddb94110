"""Settings of notifications: the mail server, the receivers of webhooks, and the bounds of both channels."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`webhook_targets`: JSON file {company or "*": {"url": ..., "secret_file": ...}}, the receiver of holds.

    A stack with one receiver for all companies sets `access_system_url` and `webhook_secrets_file` instead, a JSON file
    {"access_system": "whsec_..."}.
    """

    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=1025, ge=1, le=65535)
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_user: str = ""
    smtp_password: SecretStr | None = None
    smtp_local_name: str = Field(default="recoup.localdomain", pattern=r"^[A-Za-z0-9.-]+$")
    smtp_connections: int = Field(default=25, ge=1, le=100)
    smtp_connect_timeout_s: float = Field(default=10.0, gt=0, le=60)
    smtp_command_timeout_s: float = Field(default=15.0, gt=0, le=60)
    smtp_data_timeout_s: float = Field(default=40.0, gt=0, le=300)
    webhook_targets: Path | None = None
    access_system_url: str = ""
    webhook_secrets_file: Path | None = None
    webhook_timeout_s: float = Field(default=10.0, gt=0, le=60)
    webhook_concurrency: int = Field(default=10, ge=1, le=100)
