"""A submission keeps the trace context that its request brought, so that its events continue it."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";").replace(":", "\\:"))
