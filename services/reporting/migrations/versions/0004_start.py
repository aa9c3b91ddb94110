"""Expand: what a service finds out at its start: from which marker on it acts, and what of its output it has lost."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";").replace(":", "\\:"))
