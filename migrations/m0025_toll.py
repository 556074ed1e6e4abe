"""Contracts with a toll operator, and charges to drivers' toll accounts.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0025"
down_revision = "m0024"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("toll_contracts", "toll_requests")
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "toll_contracts": "sealed_secret, revoked_at",
    "toll_requests": (
        "kept_vnd, refunded_vnd, status, problem, charge_id, refund_status, attempts,"
        " next_attempt_at, charged_at, resolved_at"
    ),
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "toll_contracts",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(length=80), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_toll_contracts_org_id_organisations")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_toll_contracts")),
    )
    op.create_index(
        "uq_toll_contracts_in_force",
        "toll_contracts",
        ["org_id"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "toll_requests",
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("account_kind", sa.String(length=10), nullable=False),
        sa.Column("account_label", sa.String(length=40), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("kept_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refunded_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("charge_id", sa.String(length=80), nullable=True),
        sa.Column("refund_status", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("charged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'unknown', 'charged', 'declined')",
            name=op.f("ck_toll_requests_status_known"),
        ),
        sa.CheckConstraint(
            "refund_status IN ('pending', 'refunded', 'refused')",
            name=op.f("ck_toll_requests_refund_status_known"),
        ),
        sa.CheckConstraint("amount_vnd > 0", name=op.f("ck_toll_requests_amount_positive")),
        sa.CheckConstraint(
            "kept_vnd >= 0 AND refunded_vnd >= 0 AND kept_vnd + refunded_vnd <= amount_vnd",
            name=op.f("ck_toll_requests_no_more_than_charged"),
        ),
        sa.CheckConstraint(
            "(status = 'charged') = (charged_at IS NOT NULL)",
            name=op.f("ck_toll_requests_charged_at_a_time"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "bill_id"], ["bills.org_id", "bills.id"], name="fk_toll_requests_bill"
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "contract_id"],
            ["toll_contracts.org_id", "toll_contracts.id"],
            name="fk_toll_requests_contract",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_toll_requests")),
    )
    op.create_index(
        "uq_toll_requests_unresolved",
        "toll_requests",
        ["org_id", "owner_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'unknown')"),
    )
    op.create_index(
        "ix_toll_requests_due",
        "toll_requests",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'unknown') OR refund_status = 'pending'"),
    )
    for table in TABLES:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO phopay_app")
        op.execute(f"GRANT SELECT ON {table} TO phopay_worker")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
