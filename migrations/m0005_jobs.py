"""Jobs: work that outlives a request, with its leases and its progress.

Locks: none, the table is new. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0005"
down_revision = "m0004"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
# The application queues, cancels, and marks as done in a handler's own transaction.
APP_MAY_UPDATE = "status, finished_at, cancel_requested_at"
# The worker leases; arguments, and who queued it, stay as it was queued.
WORKER_MAY_UPDATE = (
    "status, attempts, due_at, lease_token, leased_by, progress_done, progress_total, "
    "progress_note, progress_at, error_code, error_detail, started_at, finished_at"
)


def upgrade() -> None:
    """Make the table, its border, and what each role may do."""
    op.create_table(
        "jobs",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("attempts_max", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("leased_by", sa.String(), nullable=True),
        sa.Column("progress_done", sa.BigInteger(), nullable=True),
        sa.Column("progress_total", sa.BigInteger(), nullable=True),
        sa.Column("progress_note", sa.String(), nullable=True),
        sa.Column("progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error_detail", sa.String(), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_jobs_status_known"),
        ),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (status IN ('queued', 'running'))",
            name=op.f("ck_jobs_finished"),
        ),
        sa.CheckConstraint(
            "(lease_token IS NOT NULL) OR status <> 'running'", name=op.f("ck_jobs_leased")
        ),
        sa.CheckConstraint("attempts_max BETWEEN 1 AND 100", name=op.f("ck_jobs_attempts_bounded")),
        sa.CheckConstraint(
            "attempts BETWEEN 0 AND attempts_max", name=op.f("ck_jobs_attempts_in_range")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_jobs")),
    )
    op.create_index(
        "uq_jobs_key",
        "jobs",
        ["org_id", "kind", "key"],
        unique=True,
        postgresql_where=sa.text("key IS NOT NULL AND started_at IS NULL AND finished_at IS NULL"),
    )
    op.create_index(
        "ix_jobs_due",
        "jobs",
        ["org_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "ix_jobs_running",
        "jobs",
        ["org_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_jobs_finished",
        "jobs",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.execute("GRANT SELECT, INSERT ON jobs TO phopay_app")
    op.execute(f"GRANT UPDATE ({APP_MAY_UPDATE}) ON jobs TO phopay_app")
    op.execute("GRANT SELECT ON jobs TO phopay_worker")
    op.execute("GRANT DELETE ON jobs TO phopay_worker")
    op.execute(f"GRANT UPDATE ({WORKER_MAY_UPDATE}) ON jobs TO phopay_worker")
    op.execute("ALTER TABLE jobs ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY own_rows ON jobs TO phopay_app USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON jobs TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    op.drop_table("jobs")
