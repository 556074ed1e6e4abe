"""Recounts: what an inspector counted inside a lot, beside the hub's own figure.

Locks: none, the table is new. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0028"
down_revision = "m0027"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"


def upgrade() -> None:
    """Make the table, its border, and what each role may do."""
    op.create_table(
        "recounts",
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("is_random", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("counted_by", sa.Uuid(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "counted >= 0 AND expected >= 0", name=op.f("ck_recounts_counts_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lot_id"],
            ["lots.org_id", "lots.id"],
            name=op.f("fk_recounts_org_id_lot_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_recounts")),
    )
    op.create_index("ix_recounts_lot", "recounts", ["org_id", "lot_id", "id"], unique=False)
    op.execute("GRANT SELECT, INSERT ON recounts TO phopay_app")
    op.execute("GRANT SELECT ON recounts TO phopay_worker")
    op.execute("ALTER TABLE recounts ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_rows ON recounts TO phopay_app"
        f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON recounts TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    op.drop_table("recounts")
