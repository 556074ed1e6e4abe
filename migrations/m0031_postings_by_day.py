"""The index of postings by the day of the books, and a look at the check that m0030 made.

Locks: nothing that a reader or writer waits for; it waits itself for transactions that began
before it. Survives the release still running. One that was interrupted is begun anew.
"""

from alembic import op

revision = "m0031"
down_revision = "m0030"

LIMITS = ("lock_timeout", "statement_timeout")


def upgrade() -> None:
    """Make the index beside the city's traffic, and have the check looked at."""
    with op.get_context().autocommit_block():
        # Nobody queues behind these waits: they may be long, as the table is.
        for limit in LIMITS:
            op.execute(f"SELECT set_config('phopay.{limit}', current_setting('{limit}'), false)")
            op.execute(f"SET {limit} = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_postings_day")
        op.execute("CREATE INDEX CONCURRENTLY ix_postings_day ON postings (org_id, day, id)")
        op.execute("ALTER TABLE postings VALIDATE CONSTRAINT ck_postings_clearing_has_its_item")
        for limit in LIMITS:
            op.execute(f"SELECT set_config('{limit}', current_setting('phopay.{limit}'), false)")


def downgrade() -> None:
    """Drop the index; the check is true, looked at or not."""
    op.drop_index("ix_postings_day", "postings")
