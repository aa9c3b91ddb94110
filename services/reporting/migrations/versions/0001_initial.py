"""The first schema: projections, day snapshots, the BI views and the runtime's tables."""

from alembic import op

from services.reporting.bi_views import DROP_VIEWS, VIEWS, grants
from services.reporting.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
    for statement in (*VIEWS, *grants()):
        op.execute(statement)


def downgrade() -> None:
    for statement in DROP_VIEWS:
        op.execute(statement)
    metadata.drop_all(op.get_bind())
