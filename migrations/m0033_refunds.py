"""Refunds, each with who did which step, and who holds the account that a refund comes from.

Locks until the migration's end: bills, payments, bank_transactions and receiving_accounts against
writing (SHARE ROW EXCLUSIVE, for the foreign keys; the tables that have them are new, so no row is
looked at), and last receiving_accounts against everything, while its check reads its rows (an
organisation's accounts, no more than its stalls).
Survives the release still running: it reads no column by its place, and knows no refunds.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0033"
down_revision = "m0032"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = (
    "status, destination_kind, destination_bank, destination_account, destination_name,"
    " destination_by, decided_by, decided_at, decided_words, is_decided_alone, reviewed_by,"
    " reviewed_at, instructed_by, instructed_at, file_id, doubted_by, doubted_at, ended_by,"
    " ended_at, ended_words, bank_reference"
)


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "refund_files",
        sa.Column("layout", sa.String(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("refunds", sa.Integer(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name="fk_refund_files_account",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_refund_files")),
    )
    op.create_table(
        "refunds",
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("credit_id", sa.Uuid(), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("payee_id", sa.Uuid(), nullable=True),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("break_id", sa.Uuid(), nullable=True),
        sa.Column("held_by", sa.String(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("destination_kind", sa.String(), nullable=True),
        sa.Column("destination_bank", sa.String(), nullable=True),
        sa.Column("destination_account", sa.String(), nullable=True),
        sa.Column("destination_name", sa.String(), nullable=True),
        sa.Column("destination_by", sa.Uuid(), nullable=True),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_words", sa.String(), nullable=True),
        sa.Column(
            "is_decided_alone", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("reviewed_by", sa.Uuid(), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("instructed_by", sa.Uuid(), nullable=True),
        sa.Column("instructed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("doubted_by", sa.Uuid(), nullable=True),
        sa.Column("doubted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_words", sa.String(), nullable=True),
        sa.Column("bank_reference", sa.String(), nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("amount_vnd > 0", name=op.f("ck_refunds_amount_positive")),
        sa.CheckConstraint(
            "(payment_id IS NULL) <> (credit_id IS NULL)", name=op.f("ck_refunds_one_source")
        ),
        sa.CheckConstraint(
            "held_by IN ('organisation', 'payee')", name=op.f("ck_refunds_holder_known")
        ),
        sa.CheckConstraint("way IN ('transfer', 'cash')", name=op.f("ck_refunds_way_known")),
        sa.CheckConstraint(
            "status IN ('requested', 'approved', 'instructed', 'unknown', 'returned', 'not_done',"
            " 'rejected', 'cancelled')",
            name=op.f("ck_refunds_status_known"),
        ),
        sa.CheckConstraint(
            "destination_kind IN ('payer', 'entered')", name=op.f("ck_refunds_destination_known")
        ),
        sa.CheckConstraint(
            "destination_kind IS NULL OR (destination_bank IS NOT NULL"
            " AND destination_account IS NOT NULL AND destination_name IS NOT NULL)",
            name=op.f("ck_refunds_destination_whole"),
        ),
        sa.CheckConstraint(
            "decided_by <> requested_by OR is_decided_alone OR status IN ('cancelled', 'rejected')",
            name=op.f("ck_refunds_two_people"),
        ),
        sa.CheckConstraint(
            "held_by = 'payee' OR status IN ('requested', 'cancelled', 'rejected')"
            " OR decided_by IS NOT NULL",
            name=op.f("ck_refunds_decided"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('instructed', 'unknown') OR instructed_at IS NOT NULL",
            name=op.f("ck_refunds_instructed_at_a_time"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('returned', 'not_done') OR ended_at IS NOT NULL",
            name=op.f("ck_refunds_ended_at_a_time"),
        ),
        sa.CheckConstraint(
            "status <> 'returned' OR way = 'cash' OR bank_reference IS NOT NULL",
            name=op.f("ck_refunds_returned_by_a_reference"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "payment_id"], ["payments.org_id", "payments.id"], name="fk_refunds_payment"
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "credit_id"],
            ["bank_transactions.org_id", "bank_transactions.id"],
            name="fk_refunds_credit",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "bill_id"], ["bills.org_id", "bills.id"], name="fk_refunds_bill"
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name="fk_refunds_account",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "file_id"],
            ["refund_files.org_id", "refund_files.id"],
            name="fk_refunds_file",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_refunds")),
    )
    op.create_index("ix_refunds_bill", "refunds", ["org_id", "bill_id"], unique=False)
    op.create_index("ix_refunds_payment", "refunds", ["org_id", "payment_id"], unique=False)
    op.create_index("ix_refunds_credit", "refunds", ["org_id", "credit_id"], unique=False)
    op.create_index("ix_refunds_break", "refunds", ["org_id", "break_id"], unique=False)
    op.create_index("ix_refunds_status", "refunds", ["org_id", "status", "id"], unique=False)
    op.create_index(
        "ix_refunds_unanswered",
        "refunds",
        ["instructed_at"],
        unique=False,
        postgresql_where=sa.text("status = 'instructed'"),
    )
    for table in ("refund_files", "refunds"):
        op.execute(f"GRANT SELECT, INSERT ON {table} TO phopay_app")
        op.execute(f"GRANT SELECT ON {table} TO phopay_worker")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")
    op.execute(f"GRANT UPDATE ({APP_MAY_UPDATE}) ON refunds TO phopay_app")
    op.add_column(
        "receiving_accounts",
        sa.Column("held_by", sa.String(), server_default=sa.text("'payee'"), nullable=False),
    )
    op.add_column("receiving_accounts", sa.Column("holder_set_by", sa.Uuid(), nullable=True))
    op.create_check_constraint(
        op.f("ck_receiving_accounts_holder_known"),
        "receiving_accounts",
        "held_by IN ('organisation', 'payee')",
    )
    op.execute("GRANT UPDATE (held_by, holder_set_by) ON receiving_accounts TO phopay_app")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("refunds")
    op.drop_table("refund_files")
    op.drop_constraint(
        op.f("ck_receiving_accounts_holder_known"), "receiving_accounts", type_="check"
    )
    op.drop_column("receiving_accounts", "holder_set_by")
    op.drop_column("receiving_accounts", "held_by")
