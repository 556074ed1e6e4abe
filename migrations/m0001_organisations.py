"""Organisations and their codes, and the way into the schema for the hub's roles.

The roles themselves are made by `ops.roles` before the first migration, since roles belong to the
server and not to one database. Only the owner migrates.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0001"
down_revision = None

OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "organisations": "name, code",
    "organisation_codes": "next_serial, taken_on, taken_at",
}
# Everyone may read who a code belongs to; only the organisation itself may add or change its
# own rows.
READ_BY_ALL = {
    "organisations": OWN_ROWS.replace("org_id =", "id ="),
    "organisation_codes": OWN_ROWS,
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "organisations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(length=4), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
        sa.UniqueConstraint("code", name=op.f("uq_organisations_code")),
        sa.UniqueConstraint("id", "is_live", name=op.f("uq_organisations_id_is_live")),
    )
    op.create_table(
        "organisation_codes",
        sa.Column("code", sa.String(length=4), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("next_serial", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "taken_on",
            sa.String(),
            server_default=sa.text(
                "(pg_control_system()).system_identifier || '/'"
                " || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
            ),
            nullable=False,
        ),
        sa.Column(
            "taken_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "next_serial BETWEEN 0 AND 729000000",
            name=op.f("ck_organisation_codes_serial_in_range"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_organisation_codes_org_id")
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_organisation_codes")),
    )
    op.execute("GRANT USAGE ON SCHEMA public TO phopay_app, phopay_worker, phopay_gate")
    op.execute("GRANT SELECT ON alembic_version TO phopay_app, phopay_worker")
    op.execute("GRANT SELECT, INSERT ON organisations, organisation_codes TO phopay_app")
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
    op.execute("GRANT SELECT ON organisations, organisation_codes TO phopay_worker")
    # The worker notes by the hour that serials are known here, and moves none.
    op.execute("GRANT UPDATE (taken_at) ON organisation_codes TO phopay_worker")
    for table, own in READ_BY_ALL.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY read_by_all ON {table} FOR SELECT USING (true)")
        op.execute(f"CREATE POLICY add_own ON {table} FOR INSERT TO phopay_app WITH CHECK ({own})")
        op.execute(f"CREATE POLICY change_own ON {table} FOR UPDATE TO phopay_app USING ({own})")
    op.execute(
        "CREATE POLICY confirm_all ON organisation_codes FOR UPDATE TO phopay_worker USING (true)"
    )


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("organisation_codes")
    op.drop_table("organisations")
    op.execute("REVOKE SELECT ON alembic_version FROM phopay_app, phopay_worker")
    op.execute("REVOKE USAGE ON SCHEMA public FROM phopay_app, phopay_worker, phopay_gate")
