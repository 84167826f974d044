"""How Alembic reaches the database: by the connection that ``corebox.fleet.database`` has opened."""

from alembic import context

from corebox.fleet.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
