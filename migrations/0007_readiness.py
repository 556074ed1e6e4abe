"""Let the hub and the worker read which migration the database is at, for /health/ready.

Locks: none that waits. Survives the release still running: it does not look.
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Grant reading."""
    op.execute("GRANT SELECT ON alembic_version TO phopay_app, phopay_worker")


def downgrade() -> None:
    """Take it back."""
    op.execute("REVOKE SELECT ON alembic_version FROM phopay_app, phopay_worker")
