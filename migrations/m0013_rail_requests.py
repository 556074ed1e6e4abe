"""Requests for bills at their rails' providers (payOS), and what came of them.

Locks: none, the table is new. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0013"
down_revision = "m0012"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = (
    "endpoint_id, order_id, orders, status, problem, falls_back, request_id, "
    "checkout_url, payload, bin, account_number, attempts, next_attempt_at, "
    "resolved_at"
)


def upgrade() -> None:
    """Make the table, its border, and what each role may do."""
    op.create_table(
        "rail_requests",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("orders", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("falls_back", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("checkout_url", sa.String(), nullable=True),
        sa.Column("payload", sa.String(), nullable=True),
        sa.Column("bin", sa.String(), nullable=True),
        sa.Column("account_number", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'open', 'unknown', 'failed', 'cancelled', 'closed', 'reopened')",
            name=op.f("ck_rail_requests_status_known"),
        ),
        sa.CheckConstraint(
            "status <> 'open' OR payload IS NOT NULL", name=op.f("ck_rail_requests_open_has_code")
        ),
        sa.CheckConstraint("orders BETWEEN 1 AND 8", name=op.f("ck_rail_requests_orders_bounded")),
        sa.ForeignKeyConstraint(
            ["org_id", "bill_id"], ["bills.org_id", "bills.id"], name="fk_rail_requests_bill"
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "endpoint_id"],
            ["callback_endpoints.org_id", "callback_endpoints.id"],
            name="fk_rail_requests_endpoint",
        ),
        sa.PrimaryKeyConstraint("org_id", "bill_id", name=op.f("pk_rail_requests")),
    )
    op.create_index(
        "ix_rail_requests_due",
        "rail_requests",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'unknown', 'open', 'reopened')"),
    )
    op.execute("GRANT SELECT, INSERT ON rail_requests TO phopay_app")
    op.execute(f"GRANT UPDATE ({APP_MAY_UPDATE}) ON rail_requests TO phopay_app")
    op.execute("GRANT SELECT ON rail_requests TO phopay_worker")
    op.execute("ALTER TABLE rail_requests ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_rows ON rail_requests TO phopay_app"
        f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON rail_requests TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    op.drop_table("rail_requests")
