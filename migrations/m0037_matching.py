"""Proofs: what explains each statement line, and how far the matching of each account has come.

Locks: `proofs` and `account_matching` are new; their foreign keys take SHARE ROW EXCLUSIVE on
statement_lines, bank_transactions, refunds and receiving_accounts until the migration commits, and
who writes there waits. statement_lines is read once under ACCESS EXCLUSIVE for its new check, and
its indexes are made anew; refunds are read once for theirs. Survives the release still running: it
knows none of it, and leaves each line open.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0037"
down_revision = "m0036"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("proofs", "account_matching")
EXPLANATIONS = (
    "'credit', 'refund', 'refund_back', 'bank_charge', 'interest', 'own_transfer', 'not_the_hubs'"
)
INSTANT = sa.DateTime(timezone=True)
LINE_DAY = ["org_id", "receiving_account_id", "booked_on"]


def upgrade() -> None:
    """Make the tables, their border, and what each role may do; let a line say its explanation."""
    op.add_column("statement_lines", sa.Column("explanation", sa.String(), nullable=True))
    op.add_column("statement_lines", sa.Column("listed_at", INSTANT, nullable=True))
    op.add_column("statement_days", sa.Column("listed_at", INSTANT, nullable=True))
    op.create_check_constraint(
        op.f("ck_statement_lines_explanation_known"),
        "statement_lines",
        f"explanation IN ({EXPLANATIONS})",
    )
    op.create_check_constraint(
        op.f("ck_statement_lines_explained_whole"),
        "statement_lines",
        "(explanation IS NULL) = (open_vnd > 0)",
    )
    op.drop_index("ix_statement_lines_day", "statement_lines")
    op.drop_index("ix_statement_lines_open", "statement_lines")
    op.create_index("ix_statement_lines_day", "statement_lines", [*LINE_DAY, "id"])
    op.create_index(
        "ix_statement_lines_open",
        "statement_lines",
        [*LINE_DAY, "id"],
        postgresql_where=sa.text("open_vnd > 0"),
    )
    op.create_index(
        "ix_refunds_returned",
        "refunds",
        ["org_id", "receiving_account_id", "ended_at"],
        postgresql_where=sa.text("status = 'returned'"),
    )
    op.create_table(
        "proofs",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("explanation", sa.String(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=True),
        sa.Column("refund_id", sa.Uuid(), nullable=True),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("score_bps", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("reason_facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("next_best", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("proved_by", sa.Uuid(), nullable=True),
        sa.Column("proved_at", INSTANT, nullable=False),
        sa.Column("reversed_by", sa.Uuid(), nullable=True),
        sa.Column("reversed_at", INSTANT, nullable=True),
        sa.CheckConstraint("amount_vnd > 0", name=op.f("ck_proofs_amount_positive")),
        sa.CheckConstraint(
            f"explanation IN ({EXPLANATIONS})", name=op.f("ck_proofs_explanation_known")
        ),
        sa.CheckConstraint(
            "(explanation = 'credit') = (credit_id IS NOT NULL)",
            name=op.f("ck_proofs_credit_named"),
        ),
        sa.CheckConstraint(
            "(explanation = 'refund') = (refund_id IS NOT NULL)",
            name=op.f("ck_proofs_refund_named"),
        ),
        sa.CheckConstraint("score_bps BETWEEN 1 AND 10000", name=op.f("ck_proofs_score_in_range")),
        sa.ForeignKeyConstraint(
            ["org_id", "line_id"],
            ["statement_lines.org_id", "statement_lines.id"],
            name=op.f("fk_proofs_org_id_line_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "credit_id"],
            ["bank_transactions.org_id", "bank_transactions.id"],
            name=op.f("fk_proofs_org_id_credit_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "refund_id"],
            ["refunds.org_id", "refunds.id"],
            name=op.f("fk_proofs_org_id_refund_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_proofs")),
    )
    op.create_index(
        "uq_proofs_credit",
        "proofs",
        ["org_id", "credit_id"],
        unique=True,
        postgresql_where=sa.text("reversed_at IS NULL AND credit_id IS NOT NULL"),
    )
    op.create_index(
        "uq_proofs_refund",
        "proofs",
        ["org_id", "refund_id"],
        unique=True,
        postgresql_where=sa.text("reversed_at IS NULL AND refund_id IS NOT NULL"),
    )
    op.create_index("ix_proofs_line", "proofs", ["org_id", "line_id"])
    op.create_table(
        "account_matching",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("matched_at", INSTANT, nullable=True),
        sa.Column("swept_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_account_matching_org_id_receiving_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "receiving_account_id", name=op.f("pk_account_matching")),
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
    op.execute("GRANT UPDATE (reversed_by, reversed_at) ON proofs TO phopay_app")
    op.execute("GRANT UPDATE (matched_at, swept_at) ON account_matching TO phopay_app")
    op.execute("GRANT UPDATE (explanation, listed_at) ON statement_lines TO phopay_app")
    op.execute("GRANT UPDATE (listed_at) ON statement_days TO phopay_app")


def downgrade() -> None:
    """Drop them, with their policies and grants; lines are open again, whatever was posted."""
    for table in TABLES:
        op.drop_table(table)
    op.drop_index("ix_refunds_returned", "refunds")
    op.drop_index("ix_statement_lines_day", "statement_lines")
    op.drop_index("ix_statement_lines_open", "statement_lines")
    op.create_index(
        "ix_statement_lines_day", "statement_lines", [*LINE_DAY, "direction", "amount_vnd"]
    )
    op.create_index(
        "ix_statement_lines_open",
        "statement_lines",
        LINE_DAY,
        postgresql_where=sa.text("open_vnd > 0"),
    )
    op.drop_constraint(op.f("ck_statement_lines_explained_whole"), "statement_lines")
    op.drop_constraint(op.f("ck_statement_lines_explanation_known"), "statement_lines")
    op.drop_column("statement_days", "listed_at")
    op.drop_column("statement_lines", "listed_at")
    op.drop_column("statement_lines", "explanation")
    op.execute("UPDATE statement_lines SET open_vnd = amount_vnd WHERE open_vnd = 0")
