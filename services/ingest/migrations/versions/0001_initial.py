"""The first schema of ingest: submissions, records, lines, statements, policies. Its statements stand beside it."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";").replace(":", "\\:"))
