"""Blocks of references that phones draw codes from while they have no network.

Locks: none, the table is new. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0029"
down_revision = "m0028"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"


def upgrade() -> None:
    """Make the table, its border, and what each role may do: nobody changes a row."""
    op.create_table(
        "reference_blocks",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("virtual_account", sa.String(length=19), nullable=True),
        sa.Column("code", sa.String(length=4), nullable=False),
        sa.Column("first_serial", sa.Integer(), nullable=False),
        sa.Column("last_serial", sa.Integer(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "first_serial >= 0 AND last_serial >= first_serial",
            name=op.f("ck_reference_blocks_serials_in_order"),
        ),
        sa.CheckConstraint(
            "expires_at > issued_at", name=op.f("ck_reference_blocks_ends_after_it_begins")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "device_id"],
            ["devices.org_id", "devices.id"],
            name=op.f("fk_reference_blocks_org_id_device_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "link_id", "payee_id", "receiving_account_id"],
            [
                "payee_accounts.org_id",
                "payee_accounts.id",
                "payee_accounts.payee_id",
                "payee_accounts.receiving_account_id",
            ],
            name="fk_reference_blocks_link",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_reference_blocks")),
        sa.UniqueConstraint(
            "org_id",
            "code",
            "first_serial",
            name=op.f("uq_reference_blocks_org_id_code_first_serial"),
        ),
    )
    op.create_index(
        "ix_reference_blocks_device",
        "reference_blocks",
        ["org_id", "device_id", "issued_at"],
        unique=False,
    )
    op.execute("GRANT SELECT, INSERT ON reference_blocks TO phopay_app")
    op.execute("GRANT SELECT ON reference_blocks TO phopay_worker")
    op.execute("ALTER TABLE reference_blocks ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_rows ON reference_blocks TO phopay_app"
        f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON reference_blocks TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    op.drop_table("reference_blocks")
