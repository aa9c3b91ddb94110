"""The first schema: copies, notices, gate records, effects and the runtime's tables."""

from alembic import op

from services.notifications.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
