"""Credits: bank transactions, matches with their legs, and sightings.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0014"
down_revision = "m0013"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "bank_transactions": "open_vnd",
    "matches": "reversed_at, reversed_by, attempts, next_attempt_at",
    "match_legs": "reversed_at",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "bank_transactions",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("bank_reference", sa.String(), nullable=False),
        sa.Column(
            "is_first_of_reference", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("admitted_from", sa.Uuid(), nullable=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_transaction_id", sa.String(), nullable=False),
        sa.Column("provider_order_id", sa.String(), nullable=True),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("virtual_account", sa.String(), nullable=True),
        sa.Column("memo", sa.String(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("open_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("payer_name", sa.String(), nullable=True),
        sa.Column("payer_account", sa.String(), nullable=True),
        sa.Column("payer_bank", sa.String(), nullable=True),
        sa.Column("is_date_only", sa.Boolean(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "provider_transaction_id <> ''",
            name=op.f("ck_bank_transactions_id_not_empty"),
        ),
        sa.CheckConstraint(
            "direction IN ('in', 'out')", name=op.f("ck_bank_transactions_direction_known")
        ),
        sa.CheckConstraint("amount_vnd > 0", name=op.f("ck_bank_transactions_amount_positive")),
        sa.CheckConstraint(
            "open_vnd BETWEEN 0 AND amount_vnd", name=op.f("ck_bank_transactions_open_in_range")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_bank_transactions_org_id_receiving_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_bank_transactions")),
    )
    op.create_index(
        "uq_bank_transactions_admitted",
        "bank_transactions",
        ["org_id", "admitted_from"],
        unique=True,
        postgresql_where=sa.text("admitted_from IS NOT NULL"),
    )
    op.create_index(
        "uq_bank_transactions_first_of_reference",
        "bank_transactions",
        ["org_id", "receiving_account_id", "direction", "bank_reference", "amount_vnd"],
        unique=True,
        postgresql_where=sa.text("is_first_of_reference"),
    )
    op.create_index(
        "uq_bank_transactions_provider_transaction",
        "bank_transactions",
        ["org_id", "receiving_account_id", "provider", "provider_transaction_id"],
        unique=True,
        postgresql_where=sa.text("admitted_from IS NULL"),
    )
    op.create_index(
        "ix_bank_transactions_account_time",
        "bank_transactions",
        ["org_id", "receiving_account_id", "occurred_at"],
        unique=False,
    )
    op.create_index(
        "ix_bank_transactions_reference",
        "bank_transactions",
        ["org_id", "receiving_account_id", "bank_reference"],
        unique=False,
        postgresql_where=sa.text("bank_reference <> ''"),
    )
    op.create_index(
        "ix_bank_transactions_received",
        "bank_transactions",
        ["org_id", "received_at"],
        unique=False,
    )
    op.create_table(
        "matches",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("payee_id", sa.Uuid(), nullable=True),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("named", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("reason_facts", postgresql.JSONB(), nullable=False),
        sa.Column("applied_vnd", sa.BigInteger(), nullable=False),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("suggested_bill_id", sa.Uuid(), nullable=True),
        sa.Column("matched_by", sa.Uuid(), nullable=True),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reversed_by", sa.Uuid(), nullable=True),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("applied_vnd >= 0", name=op.f("ck_matches_applied_not_negative")),
        sa.ForeignKeyConstraint(
            ["org_id", "bill_id"],
            ["bills.org_id", "bills.id"],
            name=op.f("fk_matches_org_id_bill_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "credit_id"],
            ["bank_transactions.org_id", "bank_transactions.id"],
            name=op.f("fk_matches_org_id_credit_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_matches")),
    )
    op.create_index("ix_matches_bill", "matches", ["org_id", "bill_id"], unique=False)
    op.create_index(
        "ix_matches_payee", "matches", ["org_id", "payee_id", "matched_at"], unique=False
    )
    op.create_index(
        "ix_matches_rare",
        "matches",
        ["org_id", "verdict", "credit_id"],
        unique=False,
        postgresql_where=sa.text(
            "reversed_at IS NULL AND verdict NOT IN ('settle', 'counter_sale')"
        ),
    )
    op.create_index(
        "ix_matches_waiting",
        "matches",
        ["matched_at"],
        unique=False,
        postgresql_where=sa.text("reversed_at IS NULL AND verdict = 'no_bill'"),
    )
    op.create_index(
        "uq_matches_in_force",
        "matches",
        ["org_id", "credit_id"],
        unique=True,
        postgresql_where=sa.text("reversed_at IS NULL"),
    )
    op.create_table(
        "match_legs",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("match_id", sa.Uuid(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("applied_vnd", sa.BigInteger(), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("applied_vnd > 0", name=op.f("ck_match_legs_applied_positive")),
        sa.ForeignKeyConstraint(
            ["org_id", "match_id"],
            ["matches.org_id", "matches.id"],
            name=op.f("fk_match_legs_org_id_match_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "id"],
            ["payments.org_id", "payments.id"],
            name=op.f("fk_match_legs_org_id_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_match_legs")),
    )
    op.create_index("ix_match_legs_match", "match_legs", ["org_id", "match_id"], unique=False)
    op.create_index("ix_match_legs_bill", "match_legs", ["org_id", "bill_id"], unique=False)
    op.create_index(
        "uq_match_legs_in_force",
        "match_legs",
        ["org_id", "credit_id", "bill_id"],
        unique=True,
        postgresql_where=sa.text("reversed_at IS NULL"),
    )
    op.create_table(
        "sightings",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_transaction_id", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("is_contradiction", sa.Boolean(), nullable=False),
        sa.Column("differences", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "credit_id"],
            ["bank_transactions.org_id", "bank_transactions.id"],
            name=op.f("fk_sightings_org_id_credit_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_sightings")),
        sa.UniqueConstraint(
            "org_id",
            "provider",
            "provider_transaction_id",
            "credit_id",
            "fingerprint",
            name="uq_sightings_report",
        ),
    )
    op.create_index("ix_sightings_credit", "sightings", ["org_id", "credit_id"], unique=False)
    op.execute(
        "GRANT SELECT, INSERT ON bank_transactions, matches, match_legs, sightings TO phopay_app"
    )
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
    op.execute("GRANT SELECT ON bank_transactions, matches, match_legs, sightings TO phopay_worker")
    for table in ("bank_transactions", "matches", "match_legs", "sightings"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("sightings")
    op.drop_table("match_legs")
    op.drop_table("matches")
    op.drop_table("bank_transactions")
