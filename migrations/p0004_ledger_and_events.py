"""Ledger accounts, postings, and events.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "p0004"
down_revision = "p0003"


def upgrade() -> None:
    """Make the tables."""
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
    op.create_table(
        "events",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=True),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_events")),
    )
    op.create_index(
        "ix_events_recorded",
        "events",
        ["recorded_at"],
        unique=False,
        postgresql_using="brin",
        postgresql_with={"autosummarize": True},
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("events")
    op.drop_table("postings")
    op.drop_table("ledger_accounts")
