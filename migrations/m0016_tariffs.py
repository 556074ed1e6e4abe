"""Tariffs, their dated versions, and which lots take them.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0016"
down_revision = "m0015"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("tariffs", "tariff_versions", "lot_tariffs")
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "tariffs": "name, retired_at",
    "tariff_versions": "withdrawn_at",
    "lot_tariffs": "withdrawn_at",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "tariffs",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organisations.id"], name=op.f("fk_tariffs_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_tariffs")),
    )
    op.create_table(
        "tariff_versions",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tariff_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("legal_basis", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("version >= 1", name=op.f("ck_tariff_versions_version_positive")),
        sa.ForeignKeyConstraint(
            ["org_id", "tariff_id"],
            ["tariffs.org_id", "tariffs.id"],
            name=op.f("fk_tariff_versions_org_id_tariff_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_tariff_versions")),
        sa.UniqueConstraint(
            "org_id",
            "tariff_id",
            "version",
            name=op.f("uq_tariff_versions_org_id_tariff_id_version"),
        ),
    )
    op.create_table(
        "lot_tariffs",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("tariff_id", sa.Uuid(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "lot_id"],
            ["lots.org_id", "lots.id"],
            name=op.f("fk_lot_tariffs_org_id_lot_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "tariff_id"],
            ["tariffs.org_id", "tariffs.id"],
            name=op.f("fk_lot_tariffs_org_id_tariff_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_lot_tariffs")),
    )
    op.create_index(
        "ix_lot_tariffs_lot", "lot_tariffs", ["org_id", "lot_id", "from_at"], unique=False
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
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
