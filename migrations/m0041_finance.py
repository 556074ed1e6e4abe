"""Finance's console: sums of a statement's days, saved mappings of columns, the top of a file.

Locks: `statements` ACCESS EXCLUSIVE for two columns without a default, which rewrites nothing, and
for its index; `statement_lines` SHARE while its index is made; the new tables' foreign keys take
SHARE ROW EXCLUSIVE on receiving_accounts and organisations. All until the migration commits. No
release before has rows of statements. Survives the release still running: it does not know them.
Statements that are staged already get their sums here.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0041"
down_revision = "m0040"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
INSTANT = sa.DateTime(timezone=True)
JSONB = postgresql.JSONB(astext_type=sa.Text())
TABLES = ("statement_day_sums", "statement_mappings")
FILL_SUMS = """
    INSERT INTO statement_day_sums (org_id, statement_id, day, line_count, in_vnd, out_vnd)
    SELECT l.org_id, l.statement_id, l.booked_on, count(*),
           coalesce(sum(l.amount_vnd) FILTER (WHERE l.direction = 'in'), 0),
           coalesce(sum(l.amount_vnd) FILTER (WHERE l.direction = 'out'), 0)
    FROM staged_lines l JOIN statements s ON s.org_id = l.org_id AND s.id = l.statement_id
    WHERE s.status = 'staged'
    GROUP BY 1, 2, 3
"""


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "statement_day_sums",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("in_vnd", sa.BigInteger(), nullable=False),
        sa.Column("out_vnd", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "statement_id"],
            ["statements.org_id", "statements.id"],
            name=op.f("fk_statement_day_sums_org_id_statement_id"),
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "statement_id", "day", name=op.f("pk_statement_day_sums")
        ),
    )
    op.execute(FILL_SUMS)
    op.create_table(
        "statement_mappings",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("headings_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("headings", JSONB, nullable=False),
        sa.Column("columns", JSONB, nullable=False),
        sa.Column("thousands_separator", sa.String(length=1), nullable=True),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "thousands_separator IN (',', '.')",
            name=op.f("ck_statement_mappings_separator_known"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_statement_mappings_org_id_receiving_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_statement_mappings")),
        sa.UniqueConstraint(
            "org_id",
            "receiving_account_id",
            "headings_sha256",
            name="uq_statement_mappings_headings",
        ),
    )
    op.add_column("statements", sa.Column("applied_mapping", JSONB, nullable=True))
    op.add_column("statements", sa.Column("sample", JSONB, nullable=True))
    op.create_index(
        "ix_statements_created",
        "statements",
        ["org_id", "created_at", "id"],
        postgresql_include=["file_sha256", "file_bytes"],
    )
    op.create_index(
        "ix_statement_lines_reference",
        "statement_lines",
        ["org_id", "bank_reference"],
        postgresql_where=sa.text("bank_reference <> ''"),
    )
    op.execute("GRANT UPDATE (applied_mapping, sample) ON statements TO phopay_app")
    for table in TABLES:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO phopay_app")
        op.execute(f"GRANT SELECT ON {table} TO phopay_worker")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")
    op.execute(
        "GRANT UPDATE (columns, thousands_separator, changed_by, changed_at), DELETE"
        " ON statement_mappings TO phopay_app"
    )


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_index("ix_statement_lines_reference", table_name="statement_lines")
    op.drop_index("ix_statements_created", table_name="statements")
    op.drop_column("statements", "sample")
    op.drop_column("statements", "applied_mapping")
    for table in reversed(TABLES):
        op.drop_table(table)
