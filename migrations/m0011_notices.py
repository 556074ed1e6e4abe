"""The inbox: notices as they came, and what was rejected.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0011"
down_revision = "m0010"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "notices": "handled_at, outcome, attempts, next_attempt_at",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "notices",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("skew_s", sa.Integer(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "endpoint_id"],
            ["callback_endpoints.org_id", "callback_endpoints.id"],
            name=op.f("fk_notices_org_id_endpoint_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_notices")),
    )
    op.create_index(
        "ix_notices_pulled",
        "notices",
        ["org_id", "endpoint_id", "id"],
        unique=False,
        postgresql_where=sa.text("source = 'pulled'"),
    )
    op.create_index("ix_notices_endpoint", "notices", ["org_id", "endpoint_id", "id"], unique=False)
    op.create_index(
        "ix_notices_fresh",
        "notices",
        ["org_id", "id"],
        unique=False,
        postgresql_where=sa.text("handled_at IS NULL AND attempts = 0"),
    )
    op.create_index(
        "ix_notices_tried",
        "notices",
        ["org_id", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("handled_at IS NULL AND attempts > 0"),
    )
    op.create_table(
        "rejections",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("refusal", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("skew_s", sa.Integer(), nullable=True),
        sa.Column("body_start", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "endpoint_id"],
            ["callback_endpoints.org_id", "callback_endpoints.id"],
            name=op.f("fk_rejections_org_id_endpoint_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_rejections")),
    )
    op.create_index(
        "ix_rejections_endpoint", "rejections", ["org_id", "endpoint_id", "id"], unique=False
    )
    op.create_index("ix_rejections_received", "rejections", ["received_at"], unique=False)
    op.execute("GRANT SELECT, INSERT ON notices, rejections TO phopay_app")
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
    op.execute("GRANT SELECT ON notices, rejections TO phopay_worker")
    op.execute("GRANT DELETE ON rejections TO phopay_worker")
    for table in ("notices", "rejections"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("rejections")
    op.drop_table("notices")
