"""The outbox of events.

Locks: none, the table is new. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0008"
down_revision = "m0007"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"


def upgrade() -> None:
    """Make the table, its border, and what each role may do."""
    op.create_table(
        "events",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=True),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_events")),
    )
    op.create_index(
        "ix_events_recorded",
        "events",
        ["recorded_at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": True},
    )
    op.execute("GRANT SELECT, INSERT ON events TO phopay_app")
    op.execute("GRANT SELECT ON events TO phopay_worker")
    op.execute("GRANT DELETE ON events TO phopay_worker")
    op.execute("ALTER TABLE events ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY own_rows ON events TO phopay_app USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON events TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    op.drop_table("events")
