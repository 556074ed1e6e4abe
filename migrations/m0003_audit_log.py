"""The audit log: who changed what, and why.

Locks: none, the table is new. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0003"
down_revision = "m0002"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"


def upgrade() -> None:
    """Make the table, its border, and what each role may do."""
    op.create_table(
        "audit_log",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_object", "audit_log", ["org_id", "object_id"])
    op.execute("GRANT SELECT, INSERT ON audit_log TO phopay_app")
    op.execute("GRANT SELECT ON audit_log TO phopay_worker")
    op.execute("ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_rows ON audit_log TO phopay_app"
        f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON audit_log TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    op.drop_table("audit_log")
