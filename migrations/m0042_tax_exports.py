"""Tax exports of parking; when a refund's account was entered, and by when complaints pay back.

Locks until the migration's end: parking_operators and organisations against writing (SHARE ROW
EXCLUSIVE, for the foreign keys of the new tables), and last refunds and complaints against
everything, while each gets a column without a default, refunds an index, and complaints a check
that reads its rows. Survives the release still running: it knows no tax exports, and names the
columns that it writes.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0042"
down_revision = "m0041"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
INSTANT = sa.DateTime(timezone=True)
TABLES = ("tax_exports", "tax_export_parts", "tax_export_layouts")
MAY_UPDATE = {
    "tax_exports": "made_at, row_count, exported_vnd, takings_vnd, content_bytes, content_sha256",
    "tax_export_layouts": "columns, saved_by, saved_at",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "tax_exports",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("columns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("requested_at", INSTANT, nullable=False),
        sa.Column("made_at", INSTANT, nullable=True),
        sa.Column("row_count", sa.Integer(), nullable=True),
        sa.Column("exported_vnd", sa.BigInteger(), nullable=True),
        sa.Column("takings_vnd", sa.BigInteger(), nullable=True),
        sa.Column("content_bytes", sa.BigInteger(), nullable=True),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("format IN ('csv', 'xlsx')", name=op.f("ck_tax_exports_format_known")),
        sa.CheckConstraint("extract(day FROM month) = 1", name=op.f("ck_tax_exports_month_begins")),
        sa.CheckConstraint(
            "(made_at IS NULL) = (row_count IS NULL OR content_sha256 IS NULL"
            " OR content_bytes IS NULL OR exported_vnd IS NULL OR takings_vnd IS NULL)",
            name=op.f("ck_tax_exports_made_whole"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "operator_id"],
            ["parking_operators.org_id", "parking_operators.id"],
            name=op.f("fk_tax_exports_org_id_operator_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_tax_exports")),
    )
    op.create_index("ix_tax_exports_requested", "tax_exports", ["org_id", "requested_at"])
    op.create_table(
        "tax_export_parts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("part_no", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "export_id"],
            ["tax_exports.org_id", "tax_exports.id"],
            name=op.f("fk_tax_export_parts_org_id_export_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "export_id", "part_no", name=op.f("pk_tax_export_parts")),
    )
    op.create_index("ix_tax_export_parts_made", "tax_export_parts", ["made_at"])
    op.create_table(
        "tax_export_layouts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("columns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("saved_by", sa.Uuid(), nullable=False),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_tax_export_layouts_org_id")
        ),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_tax_export_layouts")),
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
    op.execute("GRANT DELETE ON tax_export_parts TO phopay_worker")  # after 30 days
    op.add_column("refunds", sa.Column("destination_at", INSTANT, nullable=True))
    op.create_index(
        "ix_refunds_entered",
        "refunds",
        ["org_id", "destination_at"],
        postgresql_where=sa.text("destination_at IS NOT NULL"),
    )
    op.execute("GRANT UPDATE (destination_at) ON refunds TO phopay_app")
    op.add_column("complaints", sa.Column("refund_due_on", sa.Date(), nullable=True))
    op.create_check_constraint(
        op.f("ck_complaints_refund_due"),
        "complaints",
        "refund_due_on IS NULL OR refund_vnd IS NOT NULL",
    )
    op.execute("GRANT UPDATE (refund_due_on) ON complaints TO phopay_app")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_column("complaints", "refund_due_on")  # with its check
    op.drop_index("ix_refunds_entered", table_name="refunds")
    op.drop_column("refunds", "destination_at")
    for table in ("tax_export_layouts", "tax_export_parts", "tax_exports"):
        op.drop_table(table)
