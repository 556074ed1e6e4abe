"""Organisations, payees and the bank accounts that their codes name.

Locks: none, the tables are new. Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "p0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
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
    op.create_table(
        "payees",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organisations.id"], name=op.f("fk_payees_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_payees")),
    )
    op.create_table(
        "receiving_accounts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bin", sa.String(length=6), nullable=False),
        sa.Column("account_number", sa.String(length=19), nullable=False),
        sa.Column("holder_name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_credit_id", sa.Uuid(), nullable=True),
        sa.Column(
            "test_vouched_by",
            postgresql.ARRAY(sa.Uuid()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status <> 'active' OR (test_credit_id IS NOT NULL AND activated_at IS NOT NULL)",
            name=op.f("ck_receiving_accounts_tested"),
        ),
        sa.CheckConstraint(
            "status <> 'active' OR NOT (proposed_by = ANY (test_vouched_by))",
            name=op.f("ck_receiving_accounts_tested_by_others"),
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'approved', 'active', 'retired')",
            name=op.f("ck_receiving_accounts_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('approved', 'active') OR approved_by IS NOT NULL",
            name=op.f("ck_receiving_accounts_approved"),
        ),
        sa.CheckConstraint(
            "approved_by IS NULL OR approved_by <> proposed_by",
            name=op.f("ck_receiving_accounts_two_people"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_receiving_accounts_org_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_receiving_accounts")),
    )
    op.create_index(
        "uq_receiving_accounts_active",
        "receiving_accounts",
        ["bin", sa.literal_column("upper(account_number)")],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "uq_receiving_accounts_own",
        "receiving_accounts",
        ["org_id", "bin", sa.literal_column("upper(account_number)")],
        unique=True,
    )
    op.create_table(
        "payee_accounts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("virtual_account", sa.String(length=19), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("test_reference", sa.String(length=13), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_credit_id", sa.Uuid(), nullable=True),
        sa.Column("test_refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_refused_bank", sa.String(), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holder_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holder_told_by", sa.Uuid(), nullable=True),
        sa.Column("owner_kind", sa.String(), nullable=True),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("is_direct_only", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "(owner_kind IS NULL) = (owner_id IS NULL)", name=op.f("ck_payee_accounts_owner_whole")
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'approved', 'active', 'former', 'ended')",
            name=op.f("ck_payee_accounts_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('approved', 'active', 'former') OR approved_by IS NOT NULL",
            name=op.f("ck_payee_accounts_approved"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('active', 'former') OR virtual_account IS NULL"
            " OR test_credit_id IS NOT NULL",
            name=op.f("ck_payee_accounts_tested"),
        ),
        sa.CheckConstraint(
            "approved_by IS NULL OR approved_by <> proposed_by",
            name=op.f("ck_payee_accounts_two_people"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "payee_id"],
            ["payees.org_id", "payees.id"],
            name=op.f("fk_payee_accounts_org_id_payee_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_payee_accounts_org_id_receiving_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_payee_accounts")),
        sa.UniqueConstraint(
            "org_id", "id", "payee_id", "receiving_account_id", name="uq_payee_accounts_link"
        ),
    )
    op.create_index(
        "ix_payee_accounts_account",
        "payee_accounts",
        ["org_id", "receiving_account_id"],
        unique=False,
    )
    op.create_index(
        "uq_payee_accounts_in_force",
        "payee_accounts",
        ["org_id", "payee_id"],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "uq_payee_accounts_virtual_account",
        "payee_accounts",
        ["org_id", "receiving_account_id", sa.literal_column("upper(virtual_account)")],
        unique=True,
        postgresql_where=sa.text("status IN ('active', 'former') AND virtual_account IS NOT NULL"),
    )
    op.create_table(
        "audit_log",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_object", "audit_log", ["org_id", "object_id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("route", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "route", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        "ix_idempotency_keys_created",
        "idempotency_keys",
        ["created_at"],
        unique=False,
        postgresql_using="brin",
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("idempotency_keys")
    op.drop_table("audit_log")
    op.drop_table("payee_accounts")
    op.drop_table("receiving_accounts")
    op.drop_table("payees")
    op.drop_table("organisation_codes")
    op.drop_table("organisations")
