"""Who may look at the page."""

from alembic import op

from corebox.fleet.tables import reader

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table, which a new fleet has from the first revision."""
    reader.create(op.get_bind(), checkfirst=True)
