"""Alembic environment of every service: the connection comes from the caller, inside the caller's transaction."""

from alembic import context

from shared.db.migrate import metadata_of

config = context.config
context.configure(
    connection=config.attributes["connection"],
    target_metadata=metadata_of(config.attributes["service"]),
    compare_type=True,
    compare_server_default=True,
    transactional_ddl=True,
)
context.run_migrations()
