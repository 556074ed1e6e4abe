"""Bills, payments, and the changes that owners are notified of.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0012"
down_revision = "m0011"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "bills": "paid_vnd, received_vnd, status, is_late, paid_at, cancelled_at, refunded_at,"
    " provider_order_id",
    "payments": "reversed_at, refundable_vnd",
    "bill_changes": "handled_at, attempts, next_attempt_at, error",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "bills",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("virtual_account", sa.String(length=19), nullable=True),
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("provider_order_id", sa.String(), nullable=True),
        sa.Column("reference", sa.String(length=13), nullable=False),
        sa.Column("public_token", sa.String(length=22), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=True),
        sa.Column("paid_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("received_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("is_late", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("monitor_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner_kind", sa.String(), nullable=True),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "status IN ('open', 'part_paid', 'paid', 'over_paid', 'expired', 'cancelled',"
            " 'part_refunded', 'refunded')",
            name=op.f("ck_bills_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('part_refunded', 'refunded') OR refunded_at IS NOT NULL",
            name=op.f("ck_bills_refunds_have_their_time"),
        ),
        sa.CheckConstraint(
            "amount_vnd BETWEEN 1 AND 499999999", name=op.f("ck_bills_amount_in_range")
        ),
        sa.CheckConstraint(
            "amount_vnd IS NULL OR paid_vnd <= amount_vnd", name=op.f("ck_bills_paid_within_amount")
        ),
        sa.CheckConstraint("paid_vnd >= 0", name=op.f("ck_bills_paid_not_negative")),
        sa.CheckConstraint("received_vnd >= paid_vnd", name=op.f("ck_bills_received_covers_paid")),
        sa.CheckConstraint(
            "(owner_kind IS NULL) = (owner_id IS NULL)", name=op.f("ck_bills_owner_whole")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "link_id", "payee_id", "receiving_account_id"],
            [
                "payee_accounts.org_id",
                "payee_accounts.id",
                "payee_accounts.payee_id",
                "payee_accounts.receiving_account_id",
            ],
            name="fk_bills_link",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_bills")),
        sa.UniqueConstraint("org_id", "public_token", name=op.f("uq_bills_org_id_public_token")),
        sa.UniqueConstraint("org_id", "reference", name=op.f("uq_bills_org_id_reference")),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_bills_amount", "bills", ["org_id", "payee_id", "amount_vnd", "created_at"], unique=False
    )
    op.create_index("ix_bills_payee", "bills", ["org_id", "payee_id", "id"], unique=False)
    op.create_index(
        "ix_bills_external",
        "bills",
        ["org_id", "external_id", "id"],
        unique=False,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index("ix_bills_expiry", "bills", ["org_id", "expires_at"], unique=False)
    op.create_index(
        "ix_bills_cancelled",
        "bills",
        ["org_id", "id"],
        unique=False,
        postgresql_where=sa.text("cancelled_at IS NOT NULL"),
    )
    op.create_index(
        "ix_bills_refunded",
        "bills",
        ["org_id", "id"],
        unique=False,
        postgresql_where=sa.text("refunded_at IS NOT NULL"),
    )
    op.create_index(
        "ix_bills_monitor",
        "bills",
        ["monitor_until"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": True},
    )
    op.create_index(
        "uq_bills_provider_order",
        "bills",
        ["org_id", "rail", "provider_order_id"],
        unique=True,
        postgresql_where=sa.text("provider_order_id IS NOT NULL"),
    )
    op.create_table(
        "payments",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("source_kind", sa.String(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refundable_vnd", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_vnd > 0", name=op.f("ck_payments_amount_positive")),
        sa.CheckConstraint(
            "refundable_vnd BETWEEN 0 AND amount_vnd", name=op.f("ck_payments_refundable_in_range")
        ),
        sa.CheckConstraint(
            "reversed_at IS NULL OR refundable_vnd = 0",
            name=op.f("ck_payments_reversed_is_not_refundable"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "bill_id"],
            ["bills.org_id", "bills.id"],
            name=op.f("fk_payments_org_id_bill_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_payments")),
    )
    op.create_index(
        "uq_payments_in_force",
        "payments",
        ["org_id", "source_kind", "source_id", "bill_id"],
        unique=True,
        postgresql_where=sa.text("reversed_at IS NULL"),
    )
    op.create_index("ix_payments_bill", "payments", ["org_id", "bill_id"], unique=False)
    op.create_table(
        "bill_changes",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("owner_kind", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("from_status", sa.String(), nullable=True),
        sa.Column("to_status", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.CheckConstraint(
            "subject_kind IN ('bill', 'credit')", name=op.f("ck_bill_changes_subject_known")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_bill_changes")),
        sa.UniqueConstraint("org_id", "subject_id", "seq", name="uq_bill_changes_order"),
    )
    op.create_index(
        "ix_bill_changes_waiting",
        "bill_changes",
        ["org_id", "owner_kind", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.execute("GRANT SELECT, INSERT ON bills, payments, bill_changes TO phopay_app")
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
    op.execute("GRANT SELECT ON bills, payments, bill_changes TO phopay_worker")
    for table in ("bills", "payments", "bill_changes"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("bill_changes")
    op.drop_table("payments")
    op.drop_table("bills")
