"""Series of numbered documents, and the documents.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0021"
down_revision = "m0020"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("document_series", "documents")
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "document_series": "last_number",
    "documents": "cancelled_at",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "document_series",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("last_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "last_number >= 0", name=op.f("ck_document_series_last_number_not_negative")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_document_series")),
        sa.UniqueConstraint(
            "org_id",
            "kind",
            "scope_id",
            "year",
            name=op.f("uq_document_series_org_id_kind_scope_id_year"),
        ),
        sa.UniqueConstraint("org_id", "prefix", name=op.f("uq_document_series_org_id_prefix")),
    )
    op.create_table(
        "documents",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("series_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("number >= 1", name=op.f("ck_documents_number_positive")),
        sa.ForeignKeyConstraint(
            ["org_id", "series_id"],
            ["document_series.org_id", "document_series.id"],
            name=op.f("fk_documents_org_id_series_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_documents")),
        sa.UniqueConstraint(
            "org_id", "series_id", "number", name=op.f("uq_documents_org_id_series_id_number")
        ),
    )
    op.create_index("ix_documents_subject", "documents", ["org_id", "subject_id"], unique=False)
    for table in TABLES:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO phopay_app")
        op.execute(f"GRANT SELECT ON {table} TO phopay_worker")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
