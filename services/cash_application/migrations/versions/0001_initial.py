"""The first schema of cash_application."""

from alembic import op

from services.cash_application.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
