"""Commands to lanes, and the lot that an API key is held to.

Locks: api_keys for an instant, to add an empty column. Survives the release still running: it
writes no such keys, and knows no commands.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0026"
down_revision = "m0025"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
APP_MAY_UPDATE = "reason, photo, fetched_by, fetched_at, result, answered_at"


def upgrade() -> None:
    """Make the table and the column, their border, and what each role may do."""
    op.add_column("api_keys", sa.Column("lot_id", sa.Uuid(), nullable=True))
    op.create_table(
        "lane_commands",
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("access_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("photo", sa.LargeBinary(), nullable=True),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fetched_by", sa.Uuid(), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.String(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "result IN ('opened', 'stuck')", name=op.f("ck_lane_commands_result_known")
        ),
        sa.CheckConstraint(
            "result IS NULL OR fetched_at IS NOT NULL",
            name=op.f("ck_lane_commands_answered_after_fetched"),
        ),
        sa.CheckConstraint(
            "photo IS NULL OR reason IS NOT NULL", name=op.f("ck_lane_commands_photo_with_words")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "access_id"],
            ["parking_accesses.org_id", "parking_accesses.id"],
            name="fk_lane_commands_access",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_lane_commands")),
    )
    op.create_index(
        "ix_lane_commands_access", "lane_commands", ["org_id", "access_id", "expires_at"]
    )
    op.create_index(
        "ix_lane_commands_by_hand",
        "lane_commands",
        ["org_id", "lot_id", "requested_at"],
        postgresql_where=sa.text("reason IS NOT NULL"),
    )
    op.create_index(
        "ix_lane_commands_session",
        "lane_commands",
        ["org_id", "session_id"],
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_index(
        "ix_lane_commands_waiting",
        "lane_commands",
        ["expires_at"],
        postgresql_where=sa.text("fetched_at IS NULL"),
    )
    op.execute("GRANT SELECT, INSERT ON lane_commands TO phopay_app")
    op.execute(f"GRANT UPDATE ({APP_MAY_UPDATE}) ON lane_commands TO phopay_app")
    op.execute("GRANT SELECT ON lane_commands TO phopay_worker")
    op.execute("ALTER TABLE lane_commands ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_rows ON lane_commands TO phopay_app"
        f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON lane_commands TO phopay_worker USING (true)")
    # Which lanes have a command, to wake their controllers: nothing of what it says.
    op.execute(
        "GRANT SELECT (org_id, access_id, fetched_at, expires_at) ON lane_commands TO phopay_gate"
    )
    op.execute("CREATE POLICY gate_rows ON lane_commands TO phopay_gate USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("lane_commands")
    op.drop_column("api_keys", "lot_id")
