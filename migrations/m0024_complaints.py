"""Complaints, each with its link and its outcome; refunds, by what was paid for.

Locks: breaks for an instant, to add empty columns, and against writing while they are read once
for an index. Survives the release still running: it does not know the table, and what it opens
without the columns can be closed in words as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0024"
down_revision = "m0023"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("complaints",)
# Columns that may be changed after a row was written.
APP_MAY_UPDATE = {
    "complaints": "words, contact, photo, status, outcome, answer, refund_vnd, resolved_at,"
    " resolved_by",
}
# What people wrote about themselves is erased after its retention.
WORKER_MAY_UPDATE = {"complaints": "words, contact"}


def upgrade() -> None:
    """Make the table and the columns, their border, and what each role may do."""
    op.add_column("breaks", sa.Column("matter_id", sa.Uuid(), nullable=True))
    op.add_column("breaks", sa.Column("held_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE breaks SET matter_id = bill_id WHERE kind = 'refund_due' AND credit_id IS NULL"
    )
    op.create_index(
        "ix_breaks_matter",
        "breaks",
        ["org_id", "matter_id"],
        unique=False,
        postgresql_where=sa.text("matter_id IS NOT NULL"),
    )
    op.execute("GRANT UPDATE (held_at) ON breaks TO phopay_app")
    op.create_table(
        "complaints",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("subject_kind", sa.String(length=20), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("taken_vnd", sa.BigInteger(), nullable=True),
        sa.Column("words", sa.String(length=1000), nullable=True),
        sa.Column("contact", sa.String(length=100), nullable=True),
        sa.Column("photo", sa.LargeBinary(), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("public_token", sa.String(length=22), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("answer", sa.String(length=1000), nullable=True),
        sa.Column("refund_vnd", sa.BigInteger(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "category IN ('overcharged', 'charged_twice', 'no_receipt', 'damaged_or_lost', 'rude',"
            " 'other')",
            name=op.f("ck_complaints_category_known"),
        ),
        sa.CheckConstraint(
            "subject_kind IN ('parking_session', 'bill', 'payment', 'receipt')",
            name=op.f("ck_complaints_subject_kind_known"),
        ),
        sa.CheckConstraint(
            "status IN ('open', 'answered', 'closed')", name=op.f("ck_complaints_status_known")
        ),
        sa.CheckConstraint(
            "(status = 'open') = (outcome IS NULL AND resolved_at IS NULL)",
            name=op.f("ck_complaints_outcome_whole"),
        ),
        sa.CheckConstraint(
            "status <> 'answered' OR answer IS NOT NULL",
            name=op.f("ck_complaints_answer_in_words"),
        ),
        sa.CheckConstraint("refund_vnd > 0", name=op.f("ck_complaints_refund_positive")),
        sa.CheckConstraint(
            "category <> 'other' OR words IS NOT NULL", name=op.f("ck_complaints_other_in_words")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "payee_id"],
            ["payees.org_id", "payees.id"],
            name=op.f("fk_complaints_org_id_payee_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_complaints")),
    )
    op.create_index(
        "uq_complaints_open",
        "complaints",
        ["org_id", "subject_id", "category"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "ix_complaints_due",
        "complaints",
        ["org_id", "due_on", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "ix_complaints_resolved",
        "complaints",
        ["org_id", "resolved_at", "id"],
        unique=False,
        postgresql_where=sa.text("status <> 'open'"),
    )
    op.create_index("uq_complaints_token", "complaints", ["org_id", "public_token"], unique=True)
    op.create_index("ix_complaints_session", "complaints", ["org_id", "session_id"], unique=False)
    op.create_index("ix_complaints_bill", "complaints", ["org_id", "bill_id"], unique=False)
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
    for table, columns in WORKER_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_worker")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_breaks_matter", table_name="breaks")
    op.drop_column("breaks", "held_at")
    op.drop_column("breaks", "matter_id")
