"""Settings of ingest (environment, prefix RECOUP_)."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`drop_dir` without a value: no drop folder. `feed_secrets_file`: JSON of the feeds that may write to Kafka."""

    file_bytes_max: int = Field(default=100_000_000, ge=1_000, le=2_000_000_000)
    chunk_records: int = Field(default=2_000, ge=1, le=5_000)
    drop_dir: Path | None = None
    drop_every_s: float = Field(default=2.0, ge=0.1, le=60)
    feed_secrets_file: Path | None = None
    tick_busy_s: float = Field(default=30.0, ge=1, le=30)
    tick_idle_s: float = Field(default=600.0, ge=1, le=600)
