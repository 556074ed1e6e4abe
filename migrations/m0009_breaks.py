"""Breaks: what is not explained.

Locks: none, the table is new. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0009"
down_revision = "m0008"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = "owner_id, closed_at, closed_by, resolution, decision"


def upgrade() -> None:
    """Make the table, its border, and what each role may do."""
    op.create_table(
        "breaks",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("reason_facts", postgresql.JSONB(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("resolution", sa.String(), nullable=True),
        sa.Column("decision", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_breaks")),
    )
    op.create_index(
        "ix_breaks_open",
        "breaks",
        ["org_id", "opened_at"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "uq_breaks_open",
        "breaks",
        ["org_id", "kind", "subject_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.execute("GRANT SELECT, INSERT ON breaks TO phopay_app")
    op.execute(f"GRANT UPDATE ({APP_MAY_UPDATE}) ON breaks TO phopay_app")
    op.execute("GRANT SELECT ON breaks TO phopay_worker")
    op.execute("ALTER TABLE breaks ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY own_rows ON breaks TO phopay_app USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON breaks TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    op.drop_table("breaks")
