"""Payees, receiving accounts, and which payee is paid on which account.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0006"
down_revision = "m0005"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "payees": "name, place, closed_at",
    "receiving_accounts": (
        "holder_name, status, proposed_by, proposed_at, approved_by, approved_at, "
        "test_credit_id, test_vouched_by, activated_at, retired_at"
    ),
    "payee_accounts": (
        "status, approved_by, approved_at, test_credit_id, test_refused_at, "
        "test_refused_bank, activated_at, ended_at, holder_confirmed_at, holder_confirmed_by, "
        "owner_kind, owner_id, is_direct_only"
    ),
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "payees",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organisations.id"], name=op.f("fk_payees_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_payees")),
    )
    op.create_table(
        "receiving_accounts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bin", sa.String(length=6), nullable=False),
        sa.Column("account_number", sa.String(length=19), nullable=False),
        sa.Column("holder_name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_credit_id", sa.Uuid(), nullable=True),
        sa.Column(
            "test_vouched_by",
            postgresql.ARRAY(sa.Uuid()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status <> 'active' OR (test_credit_id IS NOT NULL AND activated_at IS NOT NULL)",
            name=op.f("ck_receiving_accounts_tested"),
        ),
        sa.CheckConstraint(
            "status <> 'active' OR NOT (proposed_by = ANY (test_vouched_by))",
            name=op.f("ck_receiving_accounts_tested_by_others"),
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'approved', 'active', 'retired')",
            name=op.f("ck_receiving_accounts_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('approved', 'active') OR approved_by IS NOT NULL",
            name=op.f("ck_receiving_accounts_approved"),
        ),
        sa.CheckConstraint(
            "approved_by IS NULL OR approved_by <> proposed_by",
            name=op.f("ck_receiving_accounts_two_people"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_receiving_accounts_org_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_receiving_accounts")),
    )
    op.create_index(
        "uq_receiving_accounts_active",
        "receiving_accounts",
        ["bin", sa.literal_column("upper(account_number)")],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "uq_receiving_accounts_own",
        "receiving_accounts",
        ["org_id", "bin", sa.literal_column("upper(account_number)")],
        unique=True,
    )
    op.create_table(
        "payee_accounts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("virtual_account", sa.String(length=19), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("test_reference", sa.String(length=13), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_credit_id", sa.Uuid(), nullable=True),
        sa.Column("test_refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_refused_bank", sa.String(), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holder_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holder_confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("owner_kind", sa.String(), nullable=True),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("is_direct_only", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "(owner_kind IS NULL) = (owner_id IS NULL)", name=op.f("ck_payee_accounts_owner_whole")
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'approved', 'active', 'former', 'ended')",
            name=op.f("ck_payee_accounts_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('approved', 'active', 'former') OR approved_by IS NOT NULL",
            name=op.f("ck_payee_accounts_approved"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('active', 'former') OR virtual_account IS NULL"
            " OR test_credit_id IS NOT NULL",
            name=op.f("ck_payee_accounts_tested"),
        ),
        sa.CheckConstraint(
            "approved_by IS NULL OR approved_by <> proposed_by",
            name=op.f("ck_payee_accounts_two_people"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "payee_id"],
            ["payees.org_id", "payees.id"],
            name=op.f("fk_payee_accounts_org_id_payee_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_payee_accounts_org_id_receiving_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_payee_accounts")),
        sa.UniqueConstraint(
            "org_id", "id", "payee_id", "receiving_account_id", name="uq_payee_accounts_link"
        ),
    )
    op.create_index(
        "ix_payee_accounts_account",
        "payee_accounts",
        ["org_id", "receiving_account_id"],
        unique=False,
    )
    op.create_index(
        "uq_payee_accounts_in_force",
        "payee_accounts",
        ["org_id", "payee_id"],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "uq_payee_accounts_virtual_account",
        "payee_accounts",
        ["org_id", "receiving_account_id", sa.literal_column("upper(virtual_account)")],
        unique=True,
        postgresql_where=sa.text("status IN ('active', 'former') AND virtual_account IS NOT NULL"),
    )
    op.execute("GRANT SELECT, INSERT ON payees, receiving_accounts, payee_accounts TO phopay_app")
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
    op.execute("GRANT SELECT ON payees, receiving_accounts, payee_accounts TO phopay_worker")
    for table in ("payees", "receiving_accounts", "payee_accounts"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("payee_accounts")
    op.drop_table("receiving_accounts")
    op.drop_table("payees")
