"""Parking sessions, who is inside, sightings, movements and links; partitions by month.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0020"
down_revision = "m0019"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = (
    *("parking_sessions", "inside", "observations", "movements", "stay_links"),
    "lost_tickets",
)
READ_PLATES = 5  # as many plates are kept of what was read in a photo
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "parking_sessions": "vehicle_class, plate, ticket, ticket_kind, status, entry_photo,"
    " is_photo_missing, pass_id,"
    " checked_at, left_at,"
    " exit_access_id, exit_device_id, exit_shift_id, exit_by, exit_photo, exit_reason,"
    " tariff_version_id, price_vnd, paid_vnd, waived_vnd, paid_until, bill_id, bill_paid_vnd,"
    " arrears_vnd",
    # Sightings and reports are never overwritten; a person's request takes what names them out.
    "observations": "plate, read_text, photo, candidates",
    "movements": "body, request, plate, has_words, handled_at, attempts, try_at, verdict",
    "lost_tickets": "photo",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "parking_sessions",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("vehicle_class", sa.String(length=20), nullable=False),
        sa.Column("plate", sa.String(length=20), nullable=True),
        sa.Column("ticket", sa.String(length=40), nullable=True),
        sa.Column("ticket_kind", sa.String(length=10), nullable=True),
        sa.Column("ticket_key", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "entry_time_is", sa.String(length=10), server_default=sa.text("'hub'"), nullable=False
        ),
        sa.Column("entry_access_id", sa.Uuid(), nullable=True),
        sa.Column("entry_device_id", sa.Uuid(), nullable=True),
        sa.Column("entry_shift_id", sa.Uuid(), nullable=True),
        sa.Column("entry_by", sa.Uuid(), nullable=False),
        sa.Column("entry_photo", sa.LargeBinary(), nullable=True),
        sa.Column(
            "is_photo_missing", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("pass_id", sa.Uuid(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exit_access_id", sa.Uuid(), nullable=True),
        sa.Column("exit_device_id", sa.Uuid(), nullable=True),
        sa.Column("exit_shift_id", sa.Uuid(), nullable=True),
        sa.Column("exit_by", sa.Uuid(), nullable=True),
        sa.Column("exit_photo", sa.LargeBinary(), nullable=True),
        sa.Column("exit_reason", sa.String(length=20), nullable=True),
        sa.Column("tariff_version_id", sa.Uuid(), nullable=True),
        sa.Column("price_vnd", sa.BigInteger(), nullable=True),
        sa.Column("paid_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("waived_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("paid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("bill_paid_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("arrears_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "(left_at IS NULL) = (status IN ('inside', 'review'))",
            name=op.f("ck_parking_sessions_left_whole"),
        ),
        sa.CheckConstraint(
            "status IN ('inside', 'left', 'review', 'voided')",
            name=op.f("ck_parking_sessions_status_known"),
        ),
        sa.CheckConstraint(
            "paid_vnd >= 0 AND waived_vnd >= 0",
            name=op.f("ck_parking_sessions_paid_not_negative"),
        ),
        sa.CheckConstraint(
            "plate IS NOT NULL OR ticket IS NOT NULL",
            name=op.f("ck_parking_sessions_has_a_credential"),
        ),
        sa.CheckConstraint(
            "(ticket IS NULL) = (ticket_kind IS NULL)",
            name=op.f("ck_parking_sessions_ticket_whole"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_parking_sessions")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index(
        "ix_parking_sessions_arrears",
        "parking_sessions",
        ["org_id", "plate", "vehicle_class"],
        unique=False,
        postgresql_where=sa.text("arrears_vnd > 0"),
    )
    op.create_index(
        "ix_parking_sessions_by_hand",
        "parking_sessions",
        ["org_id", "exit_shift_id"],
        unique=False,
        postgresql_where=sa.text("exit_reason = 'manual'"),
    )
    op.create_index(
        "ix_parking_sessions_left",
        "parking_sessions",
        ["org_id", "lot_id", "left_at"],
        unique=False,
        postgresql_where=sa.text("left_at IS NOT NULL"),
    )
    op.create_index(
        "ix_parking_sessions_review",
        "parking_sessions",
        ["org_id", "lot_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'review'"),
    )
    op.create_index(
        "ix_parking_sessions_lot",
        "parking_sessions",
        ["org_id", "lot_id", "id"],
        unique=False,
        postgresql_where=sa.text("lot_id IS NOT NULL"),
    )
    op.create_index(
        "ix_parking_sessions_plate",
        "parking_sessions",
        ["org_id", "plate", "vehicle_class", "id"],
        unique=False,
        postgresql_where=sa.text("plate IS NOT NULL"),
    )
    op.create_index(
        "ix_parking_sessions_unconfirmed",
        "parking_sessions",
        ["org_id", "left_at"],
        unique=False,
        postgresql_where=sa.text(
            "exit_reason = 'unconfirmed' AND arrears_vnd = 0 AND price_vnd > paid_vnd + waived_vnd"
        ),
    )
    op.execute("CREATE TABLE parking_sessions_default PARTITION OF parking_sessions DEFAULT")
    op.create_table(
        "inside",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("credential", sa.String(length=60), nullable=False),
        sa.Column("tail", sa.String(length=3), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("vehicle_class", sa.String(length=20), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pass_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "lot_id", "kind", "credential", name=op.f("pk_inside")),
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.01"},
    )
    op.create_index(
        "ix_inside_pass",
        "inside",
        ["org_id", "pass_id"],
        unique=True,
        postgresql_where=sa.text("pass_id IS NOT NULL"),
    )
    op.create_index(
        "ix_inside_session",
        "inside",
        ["org_id", "session_id"],
        unique=False,
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_index(
        "ix_inside_tail",
        "inside",
        ["org_id", "lot_id", "tail"],
        unique=False,
        postgresql_where=sa.text("tail IS NOT NULL"),
    )
    op.create_table(
        "observations",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("access_id", sa.Uuid(), nullable=True),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("plate", sa.String(length=20), nullable=True),
        sa.Column("read_text", sa.String(length=40), nullable=True),
        sa.Column("read_score_bps", sa.SmallInteger(), nullable=True),
        sa.Column("candidates", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        *(
            sa.Column(
                f"read_{place}",
                sa.Text(),
                sa.Computed(f"candidates -> {place - 1} ->> 'plate'", persisted=True),
                nullable=True,
            )
            for place in range(1, READ_PLATES + 1)
        ),
        sa.Column("photo", sa.LargeBinary(), nullable=True),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("seen_by", sa.Uuid(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "direction IN ('in', 'out', 'inside')", name=op.f("ck_observations_direction_known")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_observations")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index(
        "ix_observations_session", "observations", ["org_id", "session_id"], unique=False
    )
    op.create_index(
        "ix_observations_photo",
        "observations",
        ["org_id", "photo"],
        unique=False,
        postgresql_where=sa.text("photo IS NOT NULL AND direction = 'in'"),
    )
    op.create_index(
        "ix_observations_reading",
        "observations",
        ["org_id", "lot_id", "seen_at"],
        unique=False,
        postgresql_where=sa.text("candidates IS NOT NULL"),
    )
    reads = (f"read_{place}" for place in range(1, READ_PLATES + 1))
    for column in ("plate", "read_text", *reads):
        op.create_index(
            f"ix_observations_{column}",
            "observations",
            ["org_id", column],
            unique=False,
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.execute("CREATE TABLE observations_default PARTITION OF observations DEFAULT")
    op.create_table(
        "movements",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("plate", sa.String(length=20), nullable=True),
        sa.Column("has_words", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("body", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("request", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("device_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offset_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_from", sa.Uuid(), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verdict", sa.String(length=20), nullable=True),
        sa.CheckConstraint(
            "kind IN ('entry', 'exit', 'collection', 'bill', 'manual_open')",
            name=op.f("ck_movements_kind_known"),
        ),
        sa.PrimaryKeyConstraint("org_id", "device_id", "id", name=op.f("pk_movements")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index(
        "ix_movements_lot",
        "movements",
        ["org_id", "lot_id", "id"],
        unique=False,
        postgresql_where=sa.text("lot_id IS NOT NULL"),
    )
    op.create_index(
        "ix_movements_by_hand",
        "movements",
        ["org_id", "lot_id", "id"],
        unique=False,
        postgresql_where=sa.text("kind = 'manual_open'"),
    )
    op.create_index(
        "ix_movements_plate",
        "movements",
        ["org_id", "plate"],
        unique=False,
        postgresql_where=sa.text("plate IS NOT NULL"),
    )
    op.create_index(
        "ix_movements_words",
        "movements",
        ["org_id", "id"],
        unique=False,
        postgresql_where=sa.text("has_words"),
    )
    op.create_index(
        "ix_movements_waiting",
        "movements",
        ["org_id", "device_id", "seq"],
        unique=False,
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.execute("CREATE TABLE movements_default PARTITION OF movements DEFAULT")
    op.create_table(
        "stay_links",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("kept_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("moved_vnd", sa.BigInteger(), nullable=False),
        sa.Column("waived_vnd", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("linked_by", sa.Uuid(), nullable=True),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('joined', 'parted', 'settled')", name=op.f("ck_stay_links_kind_known")
        ),
        sa.CheckConstraint("kept_id <> other_id", name=op.f("ck_stay_links_two_stays")),
        sa.CheckConstraint(
            "kind <> 'parted' OR (moved_vnd = 0 AND waived_vnd = 0)",
            name=op.f("ck_stay_links_money_stays_when_parted"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_stay_links")),
    )
    op.create_index("ix_stay_links_kept", "stay_links", ["org_id", "kept_id", "id"], unique=False)
    op.create_index(
        "uq_stay_links_other",
        "stay_links",
        ["org_id", "other_id"],
        unique=True,
        postgresql_where=sa.text("kind <> 'settled'"),
    )
    op.create_table(
        "lost_tickets",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("photo", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("reported_by", sa.Uuid(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(photo) = 32", name=op.f("ck_lost_tickets_photo_is_sha256")),
        sa.CheckConstraint(
            "photo IS NOT NULL OR reason IS NOT NULL",
            name=op.f("ck_lost_tickets_photo_or_reason"),
        ),
        sa.PrimaryKeyConstraint("org_id", "session_id", name=op.f("pk_lost_tickets")),
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
    op.execute("GRANT DELETE ON inside TO phopay_app")
    # By statements that take org_id from a verified device (docs/adr/0013).
    op.execute(
        "GRANT INSERT, SELECT (org_id, id, request_hash, ticket_key, entered_at)"
        " ON parking_sessions TO phopay_gate"
    )
    op.execute(
        "CREATE POLICY gate_rows ON parking_sessions TO phopay_gate USING (true) WITH CHECK (true)"
    )
    op.execute("GRANT SELECT, INSERT ON inside TO phopay_gate")
    op.execute("CREATE POLICY gate_rows ON inside TO phopay_gate USING (true) WITH CHECK (true)")
    op.execute("GRANT INSERT ON observations TO phopay_gate")
    op.execute(
        "CREATE POLICY gate_rows ON observations TO phopay_gate USING (true) WITH CHECK (true)"
    )
    op.execute(
        "GRANT INSERT, SELECT (org_id, device_id, id, seq, kind, body, handled_at, verdict)"
        " ON movements TO phopay_gate"
    )
    op.execute("CREATE POLICY gate_rows ON movements TO phopay_gate USING (true) WITH CHECK (true)")
    op.execute("GRANT INSERT ON events TO phopay_gate")
    op.execute("CREATE POLICY gate_rows ON events TO phopay_gate USING (true) WITH CHECK (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.execute("DROP POLICY gate_rows ON events")
    op.execute("REVOKE INSERT ON events FROM phopay_gate")
    for table in reversed(TABLES):
        op.drop_table(table)
