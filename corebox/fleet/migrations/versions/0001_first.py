"""The tables of the first release.

They are those of ``corebox.fleet.tables`` for as long as no later revision changes a table: who adds one that does
writes down here what they were.
"""

from alembic import op

from corebox.fleet.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    metadata.create_all(op.get_bind())
