"""Lots, who runs them, their areas and lanes, and how many vehicles are inside.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0015"
down_revision = "m0014"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("parking_operators", "lots", "occupancy", "parking_areas", "parking_accesses")
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "parking_operators": "name, address, tax_code",
    "lots": "operator_id, payee_id, name, address, kind, zone, latitude_e6, longitude_e6,"
    " licence_number, licence_issuer, licence_from, licence_until, payment_timing,"
    " is_crowd_mode, photo_required, offline_cash_max_vnd, unconfirmed_exits_max, stale_after_h,"
    " closed_at",
    "occupancy": "capacity, licensed_capacity, inside_count",
    "parking_areas": "name, closed_at",
    "parking_accesses": "name, direction, has_controller, closed_at",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "parking_operators",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("tax_code", sa.String(length=14), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_parking_operators_org_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_parking_operators")),
    )
    op.create_table(
        "lots",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=True),
        sa.Column("latitude_e6", sa.Integer(), nullable=True),
        sa.Column("longitude_e6", sa.Integer(), nullable=True),
        sa.Column("licence_number", sa.String(), nullable=True),
        sa.Column("licence_issuer", sa.String(), nullable=True),
        sa.Column("licence_from", sa.Date(), nullable=True),
        sa.Column("licence_until", sa.Date(), nullable=True),
        sa.Column("payment_timing", sa.String(), nullable=False),
        sa.Column("is_crowd_mode", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("photo_required", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "offline_cash_max_vnd",
            sa.BigInteger(),
            server_default=sa.text("2000000"),
            nullable=False,
        ),
        sa.Column(
            "unconfirmed_exits_max", sa.Integer(), server_default=sa.text("20"), nullable=False
        ),
        sa.Column("stale_after_h", sa.Integer(), server_default=sa.text("72"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("stale_after_h > 0", name=op.f("ck_lots_stale_after_positive")),
        sa.CheckConstraint(
            "kind IN ('off_street', 'on_street', 'sidewalk')", name=op.f("ck_lots_kind_known")
        ),
        sa.CheckConstraint(
            "payment_timing IN ('payOnEntry', 'payPriorToExit', 'payAndExit', 'prepay')",
            name=op.f("ck_lots_payment_timing_known"),
        ),
        sa.CheckConstraint(
            "(latitude_e6 IS NULL) = (longitude_e6 IS NULL)", name=op.f("ck_lots_position_whole")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "operator_id"],
            ["parking_operators.org_id", "parking_operators.id"],
            name=op.f("fk_lots_org_id_operator_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "payee_id"],
            ["payees.org_id", "payees.id"],
            name=op.f("fk_lots_org_id_payee_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_lots")),
    )
    op.create_index("ix_lots_payee", "lots", ["org_id", "payee_id"], unique=False)
    op.create_table(
        "occupancy",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("vehicle_class", sa.String(length=20), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("licensed_capacity", sa.Integer(), nullable=False),
        sa.Column("inside_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("capacity >= 0", name=op.f("ck_occupancy_capacity_not_negative")),
        sa.CheckConstraint("inside_count >= 0", name=op.f("ck_occupancy_inside_not_negative")),
        sa.CheckConstraint(
            "licensed_capacity >= 0", name=op.f("ck_occupancy_licensed_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lot_id"],
            ["lots.org_id", "lots.id"],
            name=op.f("fk_occupancy_org_id_lot_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "lot_id", "vehicle_class", name=op.f("pk_occupancy")),
        postgresql_with={"fillfactor": 20},
    )
    op.create_table(
        "parking_areas",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "lot_id"],
            ["lots.org_id", "lots.id"],
            name=op.f("fk_parking_areas_org_id_lot_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_parking_areas")),
    )
    op.create_table(
        "parking_accesses",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("has_controller", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "direction IN ('in', 'out', 'both')", name=op.f("ck_parking_accesses_direction_known")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lot_id"],
            ["lots.org_id", "lots.id"],
            name=op.f("fk_parking_accesses_org_id_lot_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_parking_accesses")),
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
    # By statements that take org_id from a verified device (docs/adr/0013).
    op.execute("GRANT SELECT, UPDATE (inside_count) ON occupancy TO phopay_gate")
    op.execute("GRANT SELECT (org_id, id, photo_required) ON lots TO phopay_gate")
    op.execute("CREATE POLICY gate_rows ON lots FOR SELECT TO phopay_gate USING (true)")
    op.execute("CREATE POLICY gate_rows ON occupancy TO phopay_gate USING (true) WITH CHECK (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
