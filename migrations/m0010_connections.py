"""Connections: callback endpoints and the accounts that each speaks for.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0010"
down_revision = "m0009"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "callback_endpoints": (
        "name, sealed_secrets, previous_key_until, pull_url, sealed_pull_token, "
        "key_vouched_by, key_vouched_from, pull_vouched_by, pull_vouched_from, "
        "revoked_at"
    ),
    "callback_endpoint_accounts": "vouched_by",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "callback_endpoints",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_is_live", sa.Boolean(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_sandbox", sa.Boolean(), nullable=False),
        sa.Column("sealed_secrets", sa.LargeBinary(), nullable=False),
        sa.Column("previous_key_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pull_url", sa.String(), nullable=True),
        sa.Column("sealed_pull_token", sa.LargeBinary(), nullable=True),
        sa.Column("key_vouched_by", sa.Uuid(), nullable=True),
        sa.Column("key_vouched_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pull_vouched_by", sa.Uuid(), nullable=True),
        sa.Column("pull_vouched_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "NOT (org_is_live AND is_sandbox)",
            name=op.f("ck_callback_endpoints_no_sandbox_in_live"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "org_is_live"],
            ["organisations.id", "organisations.is_live"],
            name=op.f("fk_callback_endpoints_org_id_org_is_live"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_callback_endpoints")),
        sa.UniqueConstraint("org_id", "address", name=op.f("uq_callback_endpoints_org_id_address")),
    )
    op.create_table(
        "callback_endpoint_accounts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("account_number", sa.String(length=19), nullable=False),
        sa.Column("vouched_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "endpoint_id"],
            ["callback_endpoints.org_id", "callback_endpoints.id"],
            name=op.f("fk_callback_endpoint_accounts_org_id_endpoint_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_callback_endpoint_accounts_org_id_receiving_account_id"),
        ),
        sa.PrimaryKeyConstraint(
            "org_id",
            "endpoint_id",
            "receiving_account_id",
            name=op.f("pk_callback_endpoint_accounts"),
        ),
    )
    op.create_index(
        "uq_callback_endpoint_accounts_number",
        "callback_endpoint_accounts",
        ["org_id", "endpoint_id", sa.literal_column("upper(account_number)")],
        unique=True,
    )
    op.execute(
        "GRANT SELECT, INSERT ON callback_endpoints, callback_endpoint_accounts TO phopay_app"
    )
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
    op.execute("GRANT DELETE ON callback_endpoint_accounts TO phopay_app")
    op.execute("GRANT SELECT ON callback_endpoint_accounts TO phopay_worker")
    for table in ("callback_endpoints", "callback_endpoint_accounts"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("callback_endpoint_accounts")
    op.drop_table("callback_endpoints")
