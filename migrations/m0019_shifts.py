"""Shifts, and what was collected in them.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0019"
down_revision = "m0018"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("shifts", "collections")
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "shifts": "closed_at, counted_vnd, expected_vnd, note",
    "collections": "bill_id, reversed_at, reversed_by",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "shifts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change_vnd", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counted_vnd", sa.BigInteger(), nullable=True),
        sa.Column("expected_vnd", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (counted_vnd IS NULL AND expected_vnd IS NULL)",
            name=op.f("ck_shifts_close_whole"),
        ),
        sa.CheckConstraint("change_vnd >= 0", name=op.f("ck_shifts_change_not_negative")),
        sa.ForeignKeyConstraint(
            ["org_id", "lot_id"], ["lots.org_id", "lots.id"], name=op.f("fk_shifts_org_id_lot_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "staff_id"],
            ["staff.org_id", "staff.id"],
            name=op.f("fk_shifts_org_id_staff_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "payee_id"],
            ["payees.org_id", "payees.id"],
            name=op.f("fk_shifts_org_id_payee_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_shifts")),
    )
    op.create_index("ix_shifts_lot", "shifts", ["org_id", "lot_id", "id"], unique=False)
    op.create_index(
        "uq_shifts_open",
        "shifts",
        ["org_id", "staff_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "collections",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("shift_id", sa.Uuid(), nullable=True),
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("receipt_number", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("credit_id", sa.Uuid(), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("pass_id", sa.Uuid(), nullable=True),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("collected_by", sa.Uuid(), nullable=True),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reversed_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(receipt_number IS NULL) = (rail <> 'cash')",
            name=op.f("ck_collections_cash_has_a_receipt"),
        ),
        sa.CheckConstraint(
            "(session_id IS NULL) = (rail = 'poster' OR (rail = 'cash' AND pass_id IS NOT NULL))",
            name=op.f("ck_collections_session_named"),
        ),
        sa.CheckConstraint(
            "rail <> 'exempt' OR reason IS NOT NULL",
            name=op.f("ck_collections_exemption_has_a_reason"),
        ),
        sa.CheckConstraint(
            "rail IN ('cash', 'pass', 'exempt', 'float', 'poster')",
            name=op.f("ck_collections_rail_known"),
        ),
        sa.CheckConstraint(
            "bill_id IS NULL OR rail = 'float'", name=op.f("ck_collections_deposit_of_the_float")
        ),
        sa.CheckConstraint("amount_vnd >= 0", name=op.f("ck_collections_amount_not_negative")),
        sa.ForeignKeyConstraint(
            ["org_id", "lot_id"],
            ["lots.org_id", "lots.id"],
            name=op.f("fk_collections_org_id_lot_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "shift_id"],
            ["shifts.org_id", "shifts.id"],
            name=op.f("fk_collections_org_id_shift_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_collections")),
    )
    op.create_index(
        "ix_collections_lot", "collections", ["org_id", "lot_id", "collected_at"], unique=False
    )
    op.create_index("ix_collections_session", "collections", ["org_id", "session_id"], unique=False)
    op.create_index(
        "ix_collections_shift", "collections", ["org_id", "shift_id", "id"], unique=False
    )
    op.create_index(
        "uq_collections_credit",
        "collections",
        ["org_id", "credit_id"],
        unique=True,
        postgresql_where=sa.text("credit_id IS NOT NULL AND reversed_at IS NULL"),
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
