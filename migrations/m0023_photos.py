"""Photos that are kept, by their hash, and what each is the evidence of.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0023"
down_revision = "m0022"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("photos", "photo_uses")
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "photos": "kept_until, is_unread",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "photos",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("taken_by", sa.Uuid(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_unread", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_photos_hash_is_sha256")),
        sa.PrimaryKeyConstraint("org_id", "hash", name=op.f("pk_photos")),
    )
    op.create_index("ix_photos_kept_until", "photos", ["kept_until"], unique=False)
    op.create_index(
        "ix_photos_unread",
        "photos",
        ["stored_at"],
        unique=False,
        postgresql_where=sa.text("is_unread"),
    )
    op.create_table(
        "photo_uses",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_photo_uses_hash_is_sha256")),
        sa.PrimaryKeyConstraint("org_id", "hash", name=op.f("pk_photo_uses")),
    )
    op.create_index("ix_photo_uses_used_at", "photo_uses", ["used_at"])
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
    op.execute("GRANT DELETE ON photos TO phopay_app")
    op.execute("GRANT DELETE ON photo_uses TO phopay_worker")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
