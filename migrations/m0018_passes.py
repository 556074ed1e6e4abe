"""Passes with their plates and paid terms, and watched plates.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0018"
down_revision = "m0017"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("passes", "pass_terms", "pass_plates", "watched_plates")
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "passes": "holder_name, holder_contact, valid_until, in_force_at, warned_until, revoked_at",
    "pass_terms": "bill_id, in_force_at, cancelled_at, collection_id",
    "watched_plates": "plate, approved_by, approved_at, removed_at",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "passes",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=True),
        sa.Column("seller_lot_id", sa.Uuid(), nullable=True),
        sa.Column("vehicle_class", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("holder_name", sa.String(), nullable=False),
        sa.Column("holder_contact", sa.String(), nullable=True),
        sa.Column("plates_max", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("price_vnd", sa.BigInteger(), nullable=False),
        sa.Column("exempt_as", sa.String(length=20), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("in_force_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("warned_until", sa.Date(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('monthly', 'exempt')", name=op.f("ck_passes_kind_known")),
        sa.CheckConstraint(
            "(kind = 'exempt') = (exempt_as IS NOT NULL)",
            name=op.f("ck_passes_exempt_as_somebody"),
        ),
        sa.CheckConstraint("plates_max BETWEEN 1 AND 20", name=op.f("ck_passes_plates_bounded")),
        sa.CheckConstraint("valid_from <= valid_until", name=op.f("ck_passes_dates_in_order")),
        sa.ForeignKeyConstraint(
            ["org_id", "lot_id"], ["lots.org_id", "lots.id"], name=op.f("fk_passes_org_id_lot_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "seller_lot_id"],
            ["lots.org_id", "lots.id"],
            name=op.f("fk_passes_org_id_seller_lot_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_passes")),
    )
    op.create_index("ix_passes_lot", "passes", ["org_id", "lot_id", "valid_until"], unique=False)
    op.create_index("ix_passes_ending", "passes", ["org_id", "valid_until"], unique=False)
    op.create_table(
        "pass_terms",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pass_id", sa.Uuid(), nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("price_vnd", sa.BigInteger(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("collection_id", sa.Uuid(), nullable=True),
        sa.Column("in_force_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("first_on <= last_on", name=op.f("ck_pass_terms_dates_in_order")),
        sa.CheckConstraint(
            "collection_id IS NULL OR (bill_id IS NULL AND in_force_at IS NOT NULL)",
            name=op.f("ck_pass_terms_paid_in_cash"),
        ),
        sa.CheckConstraint(
            "in_force_at IS NULL OR cancelled_at IS NULL", name=op.f("ck_pass_terms_one_end")
        ),
        sa.CheckConstraint("months BETWEEN 1 AND 12", name=op.f("ck_pass_terms_months_bounded")),
        sa.CheckConstraint("price_vnd > 0", name=op.f("ck_pass_terms_price_positive")),
        sa.ForeignKeyConstraint(
            ["org_id", "pass_id"],
            ["passes.org_id", "passes.id"],
            name=op.f("fk_pass_terms_org_id_pass_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_pass_terms")),
    )
    op.create_index("ix_pass_terms_pass", "pass_terms", ["org_id", "pass_id", "id"], unique=False)
    op.create_index(
        "uq_pass_terms_waiting",
        "pass_terms",
        ["org_id", "pass_id"],
        unique=True,
        postgresql_where=sa.text("in_force_at IS NULL AND cancelled_at IS NULL"),
    )
    op.create_table(
        "pass_plates",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("pass_id", sa.Uuid(), nullable=False),
        sa.Column("vehicle_class", sa.String(length=20), nullable=False),
        sa.Column("plate", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "pass_id"],
            ["passes.org_id", "passes.id"],
            name=op.f("fk_pass_plates_org_id_pass_id"),
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "pass_id", "vehicle_class", "plate", name=op.f("pk_pass_plates")
        ),
    )
    op.create_index(
        "ix_pass_plates_plate", "pass_plates", ["org_id", "plate", "vehicle_class"], unique=False
    )
    op.create_table(
        "watched_plates",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vehicle_class", sa.String(length=20), nullable=False),
        sa.Column("plate", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(approved_by IS NULL) = (approved_at IS NULL)",
            name=op.f("ck_watched_plates_approval_whole"),
        ),
        sa.CheckConstraint(
            "approved_by IS NULL OR approved_by <> proposed_by",
            name=op.f("ck_watched_plates_two_people"),
        ),
        sa.CheckConstraint(
            "expires_on <= from_on + 90", name=op.f("ck_watched_plates_at_most_90_days")
        ),
        sa.CheckConstraint("from_on <= expires_on", name=op.f("ck_watched_plates_dates_in_order")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_watched_plates")),
    )
    op.create_index(
        "ix_watched_plates_plate",
        "watched_plates",
        ["org_id", "plate", "vehicle_class"],
        unique=False,
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
    op.execute("GRANT DELETE ON pass_plates TO phopay_app")
    # By statements that take org_id from a verified device (docs/adr/0013).
    op.execute("GRANT SELECT ON passes, pass_plates, watched_plates TO phopay_gate")
    op.execute("CREATE POLICY gate_rows ON passes TO phopay_gate USING (true) WITH CHECK (true)")
    op.execute(
        "CREATE POLICY gate_rows ON pass_plates TO phopay_gate USING (true) WITH CHECK (true)"
    )
    op.execute(
        "CREATE POLICY gate_rows ON watched_plates TO phopay_gate USING (true) WITH CHECK (true)"
    )


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
