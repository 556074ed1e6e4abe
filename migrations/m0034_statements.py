"""Statements: their files, the days of accounts that they own, and their lines.

Locks: the tables are new; their foreign keys take SHARE ROW EXCLUSIVE on receiving_accounts and
organisations until the migration commits, and who writes there waits. Survives the release still
running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0034"
down_revision = "m0033"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("statement_file_parts", "statements", "statement_days", "staged_lines", "statement_lines")
MAY_UPDATE = {
    "statements": (
        "receiving_account_id, status, job_id, format, period_from, period_to, opening_vnd,"
        " closing_vnd, in_vnd, out_vnd, line_count, repeat_count, error_count, summary, problems,"
        " row_errors, read_at, decided_by, decided_at"
    ),
    "statement_days": "line_count, in_vnd, out_vnd, closing_vnd",
    "statement_lines": "open_vnd",
}


def line_columns() -> list[sa.Column[object]]:
    """Return the columns of a line, staged or written."""
    return [
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("transacted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_date_only", sa.Boolean(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("balance_after_vnd", sa.BigInteger(), nullable=True),
        sa.Column("bank_reference", sa.String(), nullable=False),
        sa.Column("provider_line_id", sa.String(), nullable=True),
        sa.Column("memo", sa.String(), nullable=False),
        sa.Column("counterparty_account", sa.String(), nullable=True),
        sa.Column("counterparty_name", sa.String(), nullable=True),
        sa.Column("counterparty_bank", sa.String(), nullable=True),
        sa.Column("is_reversal", sa.Boolean(), nullable=False),
    ]


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "statement_file_parts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("file_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("part_no", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_statement_file_parts_org_id")
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "file_sha256", "part_no", name=op.f("pk_statement_file_parts")
        ),
    )
    op.create_table(
        "statements",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=True),
        sa.Column("file_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("file_bytes", sa.Integer(), nullable=False),
        sa.Column("is_pasted", sa.Boolean(), nullable=False),
        sa.Column("mapping", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("format", sa.String(), nullable=True),
        sa.Column("period_from", sa.Date(), nullable=True),
        sa.Column("period_to", sa.Date(), nullable=True),
        sa.Column("opening_vnd", sa.BigInteger(), nullable=True),
        sa.Column("closing_vnd", sa.BigInteger(), nullable=True),
        sa.Column("in_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("out_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("line_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("repeat_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "problems",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column(
            "row_errors",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('uploaded', 'staged', 'refused', 'accepted', 'visible', 'discarded')",
            name=op.f("ck_statements_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('staged', 'accepted', 'visible') OR (receiving_account_id IS NOT NULL"
            " AND period_from IS NOT NULL AND period_to IS NOT NULL AND error_count = 0)",
            name=op.f("ck_statements_read_without_fault"),
        ),
        sa.CheckConstraint(
            "opening_vnd IS NULL OR closing_vnd IS NULL OR status NOT IN"
            " ('staged', 'accepted', 'visible') OR opening_vnd + in_vnd - out_vnd = closing_vnd",
            name=op.f("ck_statements_chained"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_statements_org_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_statements_org_id_receiving_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_statements")),
    )
    op.create_index(
        "uq_statements_file",
        "statements",
        ["org_id", "file_sha256"],
        unique=True,
        postgresql_where=sa.text("status <> 'discarded'"),
    )
    op.create_index(
        "ix_statements_account", "statements", ["org_id", "receiving_account_id", "period_to"]
    )
    op.create_table(
        "statement_days",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("in_vnd", sa.BigInteger(), nullable=False),
        sa.Column("out_vnd", sa.BigInteger(), nullable=False),
        sa.Column("closing_vnd", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_statement_days_org_id_receiving_account_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "statement_id"],
            ["statements.org_id", "statements.id"],
            name=op.f("fk_statement_days_org_id_statement_id"),
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "receiving_account_id", "day", name=op.f("pk_statement_days")
        ),
    )
    op.create_table(
        "staged_lines",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        *line_columns(),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "statement_id"],
            ["statements.org_id", "statements.id"],
            name=op.f("fk_staged_lines_org_id_statement_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_staged_lines")),
        sa.UniqueConstraint(
            "org_id",
            "statement_id",
            "line_no",
            name=op.f("uq_staged_lines_org_id_statement_id_line_no"),
        ),
    )
    op.create_table(
        "statement_lines",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        *line_columns(),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("open_vnd", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_vnd > 0", name=op.f("ck_statement_lines_amount_positive")),
        sa.CheckConstraint(
            "direction IN ('in', 'out')", name=op.f("ck_statement_lines_direction_known")
        ),
        sa.CheckConstraint(
            "open_vnd BETWEEN 0 AND amount_vnd", name=op.f("ck_statement_lines_open_in_range")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "statement_id"],
            ["statements.org_id", "statements.id"],
            name=op.f("fk_statement_lines_org_id_statement_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_statement_lines_org_id_receiving_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_statement_lines")),
        sa.UniqueConstraint(
            "org_id",
            "statement_id",
            "line_no",
            name=op.f("uq_statement_lines_org_id_statement_id_line_no"),
        ),
    )
    op.create_index(
        "ix_statement_lines_day",
        "statement_lines",
        ["org_id", "receiving_account_id", "booked_on", "direction", "amount_vnd"],
    )
    op.create_index(
        "ix_statement_lines_open",
        "statement_lines",
        ["org_id", "receiving_account_id", "booked_on"],
        postgresql_where=sa.text("open_vnd > 0"),
    )
    for table in TABLES:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO phopay_app")
        op.execute(f"GRANT SELECT ON {table} TO phopay_worker")
        if columns := MAY_UPDATE.get(table):
            op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")
    op.execute("GRANT DELETE ON staged_lines TO phopay_app")  # written, or let go


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
