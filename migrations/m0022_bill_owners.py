"""An index by which the bills of one subject are found: what was paid for a parking session.

Locks: bills against writing while it is read once; no bill of the releases so far has an owner, so
the index begins empty. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0022"
down_revision = "m0021"


def upgrade() -> None:
    """Make the index."""
    op.create_index(
        "ix_bills_owner",
        "bills",
        ["org_id", "owner_id"],
        unique=False,
        postgresql_where=sa.text("owner_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_bills_owner", table_name="bills")
