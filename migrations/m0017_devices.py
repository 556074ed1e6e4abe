"""Enrolled devices, enrolment codes, and PINs.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0017"
down_revision = "m0016"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("device_enrolments", "devices", "staff_pins")
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "device_enrolments": "used_at, device_id",
    "devices": "name, last_seen_at, offset_ms, challenged_at, person_id, named_at, revoked_at,"
    " revoked_by",
    "staff_pins": "pin_hash, failed_attempts, locked_until, set_by, set_at, ended_at",
}
# Every process knows what was revoked lately, in all organisations: ids and times, nothing else.
GATE_MAY_SEE = {"devices": "org_id, id, revoked_at", "staff_pins": "org_id, staff_id, ended_at"}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "device_enrolments",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scope_kind", sa.String(), nullable=False),
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(used_at IS NULL) = (device_id IS NULL)", name=op.f("ck_device_enrolments_use_whole")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_device_enrolments")),
    )
    op.create_index(
        "uq_device_enrolments_code", "device_enrolments", ["org_id", "code_hash"], unique=True
    )
    op.create_table(
        "devices",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scope_kind", sa.String(), nullable=False),
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_by", sa.Uuid(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("offset_ms", sa.BigInteger(), nullable=True),
        sa.Column("challenged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("named_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(person_id IS NULL) = (named_at IS NULL)", name=op.f("ck_devices_person_whole")
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organisations.id"], name=op.f("fk_devices_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_devices")),
    )
    op.create_index(
        "ix_devices_scope", "devices", ["org_id", "scope_kind", "scope_id"], unique=False
    )
    op.create_index(
        "ix_devices_revoked",
        "devices",
        ["revoked_at"],
        unique=False,
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
    )
    op.create_table(
        "staff_pins",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("pin_hash", sa.String(), nullable=False),
        sa.Column("failed_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "failed_attempts >= 0", name=op.f("ck_staff_pins_failures_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "staff_id"],
            ["staff.org_id", "staff.id"],
            name=op.f("fk_staff_pins_org_id_staff_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "staff_id", name=op.f("pk_staff_pins")),
    )
    op.create_index(
        "ix_staff_pins_ended",
        "staff_pins",
        ["ended_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
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
    for table, columns in GATE_MAY_SEE.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO phopay_gate")
        op.execute(f"CREATE POLICY gate_rows ON {table} FOR SELECT TO phopay_gate USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
