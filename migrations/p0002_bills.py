"""Bills.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "p0002"
down_revision = "p0001"


def upgrade() -> None:
    """Make the tables."""
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
        sa.CheckConstraint(
            "status IN ('open', 'part_paid', 'paid', 'over_paid', 'expired', 'cancelled',"
            " 'part_refunded', 'refunded')",
            name=op.f("ck_bills_status_known"),
        ),
        sa.CheckConstraint(
            "amount_vnd BETWEEN 1 AND 499999999", name=op.f("ck_bills_amount_in_range")
        ),
        sa.CheckConstraint(
            "amount_vnd IS NULL OR paid_vnd <= amount_vnd", name=op.f("ck_bills_paid_within_amount")
        ),
        sa.CheckConstraint("paid_vnd >= 0", name=op.f("ck_bills_paid_not_negative")),
        sa.CheckConstraint("received_vnd >= paid_vnd", name=op.f("ck_bills_received_covers_paid")),
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
    op.create_index("ix_bills_amount", "bills", ["org_id", "payee_id", "amount_vnd"], unique=False)
    op.create_index("ix_bills_payee", "bills", ["org_id", "payee_id", "id"], unique=False)
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


def downgrade() -> None:
    """Drop them."""
    op.drop_table("bills")
