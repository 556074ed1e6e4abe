"""Runs of the checks of the books, and the columns of callback endpoints that one of them reads.

Locks: callback_endpoints for an instant, to grant columns of it. Survives the release still
running: it does not know the table, and nothing is taken from it.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0035"
down_revision = "m0034"

# Whether an endpoint is in force, and neither its address nor its secrets.
WORKER_MAY_READ = "org_id, id, revoked_at"


def upgrade() -> None:
    """Make the table, which is no organisation's, and let the worker see who is in force."""
    op.create_table(
        "invariant_runs",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("violations", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=100), nullable=True),
        sa.CheckConstraint(
            "status IN ('ok', 'violated', 'not_checked')",
            name=op.f("ck_invariant_runs_status_known"),
        ),
        sa.CheckConstraint(
            "(violations IS NULL) = (status = 'not_checked')"
            " AND (error IS NOT NULL) = (status = 'not_checked')"
            " AND (violations > 0) = (status = 'violated')",
            name=op.f("ck_invariant_runs_result_whole"),
        ),
        sa.PrimaryKeyConstraint("name", "started_at", name=op.f("pk_invariant_runs")),
    )
    op.create_index("ix_invariant_runs_started", "invariant_runs", ["started_at"], unique=False)
    op.execute("GRANT SELECT ON invariant_runs TO phopay_app")
    op.execute("GRANT SELECT, INSERT, DELETE ON invariant_runs TO phopay_worker")
    op.execute(f"GRANT SELECT ({WORKER_MAY_READ}) ON callback_endpoints TO phopay_worker")


def downgrade() -> None:
    """Drop it, and what the worker may see."""
    op.execute(f"REVOKE SELECT ({WORKER_MAY_READ}) ON callback_endpoints FROM phopay_worker")  # noqa: S608
    op.drop_table("invariant_runs")
