"""People of organisations: logins, staff and their scopes, sign-ins, API keys, the first start.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0002"
down_revision = "m0001"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "staff": (
        "display_name, password_hash, roles, failed_attempts, locked_until, "
        "disabled_at, lost_elsewhere_at"
    ),
    "sign_ins": "last_seen_at, expires_at, revoked_at",
    "api_keys": "last_used_at, expires_at, revoked_at",
    "setup_tokens": "used_at",
}
TENANT_TABLES = ["staff", "staff_scopes", "sign_ins", "api_keys"]


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "logins",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisations.id"], name=op.f("fk_logins_org_id")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_logins")),
    )
    op.create_table(
        "staff",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("failed_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lost_elsewhere_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organisations.id"], name=op.f("fk_staff_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_staff")),
    )
    op.create_index(
        "ix_staff_lost_elsewhere",
        "staff",
        ["lost_elsewhere_at"],
        postgresql_where=sa.text("lost_elsewhere_at IS NOT NULL"),
    )
    op.create_table(
        "staff_scopes",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "staff_id"],
            ["staff.org_id", "staff.id"],
            name=op.f("fk_staff_scopes_org_id_staff_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "staff_id", "kind", "id", name=op.f("pk_staff_scopes")),
    )
    op.create_table(
        "sign_ins",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "staff_id"],
            ["staff.org_id", "staff.id"],
            name=op.f("fk_sign_ins_org_id_staff_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("org_id", "token_hash", name=op.f("uq_sign_ins_org_id_token_hash")),
    )
    op.create_index("ix_sign_ins_expires", "sign_ins", ["expires_at"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organisations.id"], name=op.f("fk_api_keys_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("org_id", "prefix", name=op.f("uq_api_keys_org_id_prefix")),
    )
    op.create_table(
        "setup_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_setup_tokens")),
    )
    op.execute(
        "GRANT SELECT, INSERT ON logins, staff, staff_scopes, sign_ins, api_keys, setup_tokens"
        " TO phopay_app"
    )
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
    op.execute("GRANT DELETE ON staff_scopes TO phopay_app")
    op.execute("GRANT SELECT ON sign_ins TO phopay_worker")
    op.execute("GRANT DELETE ON sign_ins TO phopay_worker")
    # Whose loss of rights some organisation has not handled yet; the worker needs no password.
    op.execute("GRANT SELECT (org_id, id, lost_elsewhere_at) ON staff TO phopay_worker")
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")
    # Everyone may read who a login belongs to; only the organisation itself may add or change its.
    op.execute("ALTER TABLE logins ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY read_by_all ON logins FOR SELECT USING (true)")
    op.execute(f"CREATE POLICY add_own ON logins FOR INSERT TO phopay_app WITH CHECK ({OWN_ROWS})")
    op.execute(f"CREATE POLICY change_own ON logins FOR UPDATE TO phopay_app USING ({OWN_ROWS})")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.drop_table("setup_tokens")
    op.drop_table("api_keys")
    op.drop_table("sign_ins")
    op.drop_table("staff_scopes")
    op.drop_table("staff")
    op.drop_table("logins")
