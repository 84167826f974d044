"""Views for whoever asks with SQL: Grafana, Datasette, psql. docs/how-to/many-crashes.md says what they have."""

from alembic import op

revision = "0002"
down_revision = "0001"

_VIEWS = {
    "crashes": """
        SELECT c.id, u.name AS customer, r.product, r.name AS release, c.crashed, c.received, c.seen, c.signal, c.cause,
            c.program, c.system, w.id AS family, coalesce(w.name, w.text) AS family_name, w.ticket,
            CASE WHEN c.reporter IS NOT NULL THEN 'reported' WHEN c.failure IS NOT NULL THEN 'failed' ELSE 'waiting' END
                AS state,
            c.code AS failure_code, c.failure, c.size, c.kept, c.held
        FROM crash c JOIN customer u ON u.id = c.customer JOIN release r ON r.id = c.release
            LEFT JOIN signature s ON s.id = c.signature LEFT JOIN family f ON f.id = s.family
            LEFT JOIN family w ON w.id = coalesce(f.merged, f.id)""",
    "crash_functions": """
        SELECT c.id AS crash, f.name AS function
        FROM crash c JOIN stack_function p ON p.stack = c.stack JOIN function f ON f.id = p.function""",
    "crash_modules": """
        SELECT c.id AS crash, m.name AS module, m.build_id, m.package
        FROM crash c JOIN module_set_module p ON p.module_set = c.module_set JOIN module m ON m.id = p.module""",
}


def upgrade() -> None:
    """Make them."""
    for name, query in _VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")
