"""Idempotency keys: what each repeatable request was answered.

Locks: none, the table is new. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0004"
down_revision = "m0003"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"


def upgrade() -> None:
    """Make the table, its border, and what each role may do."""
    op.create_table(
        "idempotency_keys",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("route", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "route", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        "ix_idempotency_keys_created",
        "idempotency_keys",
        ["created_at"],
        unique=False,
        postgresql_using="brin",
    )
    op.execute("GRANT SELECT, INSERT ON idempotency_keys TO phopay_app")
    op.execute("GRANT SELECT ON idempotency_keys TO phopay_worker")
    op.execute("GRANT DELETE ON idempotency_keys TO phopay_worker")
    op.execute("ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_rows ON idempotency_keys TO phopay_app"
        f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON idempotency_keys TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    op.drop_table("idempotency_keys")
