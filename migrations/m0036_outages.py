"""Heartbeat of the hubs, outages, and polls by the clock: what is polled when, and how far it is.

Locks: the tables are new; their foreign keys take SHARE ROW EXCLUSIVE on callback_endpoints,
receiving_accounts and organisations until the migration commits, and who writes there waits.
Survives the release still running: it does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0036"
down_revision = "m0035"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
INSTANT = sa.DateTime(timezone=True)
POLLS_MAY_UPDATE = "leased_until, lease_token, next_request_at, failures, problem, last_answered_at"
WINDOWS_MAY_UPDATE = (
    "every_s, from_at, until_at, cursor, rows_read, failures, problem, next_attempt_at, finished_at"
)


def upgrade() -> None:
    """Make the tables, the border of those that belong to a tenant, and what each role may do."""
    op.create_table(
        "hub_heartbeats",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("beat_at", INSTANT, nullable=True),
        sa.Column("stopped_at", INSTANT, nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_hub_heartbeats_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_heartbeats")),
    )
    op.execute("INSERT INTO hub_heartbeats (id) VALUES (1)")
    op.create_table(
        "outages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("from_at", INSTANT, nullable=False),
        sa.Column("until_at", INSTANT, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("planned_at", INSTANT, nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.CheckConstraint("until_at > from_at", name=op.f("ck_outages_ends_after_it_begins")),
        sa.CheckConstraint(
            "reason IN ('unknown', 'shutdown', 'database')", name=op.f("ck_outages_reason_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outages")),
    )
    op.create_index("ix_outages_until", "outages", ["until_at"], unique=False)
    op.create_table(
        "endpoint_polls",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("leased_until", INSTANT, nullable=True),
        sa.Column("next_request_at", INSTANT, nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("last_answered_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "endpoint_id"],
            ["callback_endpoints.org_id", "callback_endpoints.id"],
            name=op.f("fk_endpoint_polls_org_id_endpoint_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "endpoint_id", name=op.f("pk_endpoint_polls")),
    )
    op.create_table(
        "poll_windows",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("outage_id", sa.Uuid(), nullable=True),
        sa.Column("every_s", sa.Integer(), nullable=True),
        sa.Column("from_at", INSTANT, nullable=False),
        sa.Column("until_at", INSTANT, nullable=True),
        sa.Column("cursor", sa.String(length=100), nullable=True),
        sa.Column("rows_read", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("next_attempt_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "outage_id IS NULL OR until_at IS NOT NULL", name=op.f("ck_poll_windows_outage_ends")
        ),
        sa.CheckConstraint(
            "every_s = 0 OR every_s BETWEEN 60 AND 86400",
            name=op.f("ck_poll_windows_interval_in_range"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "endpoint_id"],
            ["callback_endpoints.org_id", "callback_endpoints.id"],
            name=op.f("fk_poll_windows_org_id_endpoint_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
            name=op.f("fk_poll_windows_org_id_receiving_account_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_poll_windows")),
        sa.UniqueConstraint(
            "org_id",
            "endpoint_id",
            "receiving_account_id",
            "outage_id",
            name="uq_poll_windows_of_outage",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        "ix_poll_windows_due",
        "poll_windows",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index("ix_poll_windows_outage", "poll_windows", ["outage_id", "org_id"], unique=False)
    op.create_index("ix_poll_windows_finished", "poll_windows", ["finished_at"], unique=False)
    op.create_table(
        "outage_reports",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("outage_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_outage_reports_org_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "outage_id", name=op.f("pk_outage_reports")),
    )
    op.create_index("ix_outage_reports_recorded", "outage_reports", ["recorded_at"], unique=False)
    op.execute("GRANT SELECT ON hub_heartbeats, outages TO phopay_app, phopay_worker")
    op.execute("GRANT UPDATE (beat_at, stopped_at) ON hub_heartbeats TO phopay_app")
    op.execute("GRANT INSERT ON outages TO phopay_app")
    op.execute("GRANT UPDATE (planned_at, closed_at), DELETE ON outages TO phopay_worker")
    op.execute("GRANT SELECT, INSERT ON endpoint_polls, poll_windows, outage_reports TO phopay_app")
    op.execute(f"GRANT UPDATE ({POLLS_MAY_UPDATE}) ON endpoint_polls TO phopay_app")
    op.execute(f"GRANT UPDATE ({WINDOWS_MAY_UPDATE}) ON poll_windows TO phopay_app")
    op.execute("GRANT SELECT ON endpoint_polls, poll_windows, outage_reports TO phopay_worker")
    op.execute("GRANT DELETE ON poll_windows, outage_reports TO phopay_worker")
    for table in ("endpoint_polls", "poll_windows", "outage_reports"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in ("outage_reports", "poll_windows", "endpoint_polls", "outages", "hub_heartbeats"):
        op.drop_table(table)
