"""The ledger: its accounts and postings.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0007"
down_revision = "m0006"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "ledger_accounts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_ledger_accounts_org_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "code", "subject_id", name=op.f("pk_ledger_accounts")),
    )
    op.create_table(
        "postings",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("debit_code", sa.String(), nullable=False),
        sa.Column("debit_subject_id", sa.Uuid(), nullable=False),
        sa.Column("credit_code", sa.String(), nullable=False),
        sa.Column("credit_subject_id", sa.Uuid(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("cause_kind", sa.String(), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(debit_code, debit_subject_id) <> (credit_code, credit_subject_id)",
            name=op.f("ck_postings_two_accounts"),
        ),
        sa.CheckConstraint("amount_vnd > 0", name=op.f("ck_postings_amount_positive")),
        sa.ForeignKeyConstraint(
            ["org_id", "credit_code", "credit_subject_id"],
            ["ledger_accounts.org_id", "ledger_accounts.code", "ledger_accounts.subject_id"],
            name="fk_postings_credit",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "debit_code", "debit_subject_id"],
            ["ledger_accounts.org_id", "ledger_accounts.code", "ledger_accounts.subject_id"],
            name="fk_postings_debit",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_postings")),
        sa.UniqueConstraint("org_id", "cause_kind", "cause_id", "step", name="uq_postings_cause"),
    )
    op.create_index(
        "ix_postings_credit",
        "postings",
        ["org_id", "credit_subject_id", "credit_code", "posted_at"],
        unique=False,
    )
    op.create_index(
        "ix_postings_debit",
        "postings",
        ["org_id", "debit_subject_id", "debit_code", "posted_at"],
        unique=False,
    )
    op.execute("GRANT SELECT, INSERT ON ledger_accounts, postings TO phopay_app")
    op.execute("GRANT SELECT ON ledger_accounts, postings TO phopay_worker")
    for table in ("ledger_accounts", "postings"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("postings")
    op.drop_table("ledger_accounts")
