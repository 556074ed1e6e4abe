"""Breaks with a deadline, notes, files and decisions about their money by two people.

Locks, from the first statement to the migration's end, in the order in which processing writes:
bank_transactions and bills against writing (SHARE ROW EXCLUSIVE, for the foreign keys of a table
that is empty), then breaks against everything (ACCESS EXCLUSIVE: new columns without a value, a
check that reads the table, the deadlines of what is open, five indexes). So no notice is processed
and no bill is opened meanwhile: as long as it takes to read and index breaks, which are few beside
payments. Nothing is locked more strongly later on: that could wait crosswise with who reads breaks.
Survives the release still running: what it opens has no deadline, and what it closes no outcome.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0039"
down_revision = "m0038"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
INSTANT = sa.DateTime(timezone=True)
DECISIONS_MAY_UPDATE = (
    "status, decided_by, decided_at, decided_words, is_decided_alone, reviewed_by, reviewed_at,"
    " undone_at"
)
# What is open gets the deadline of its kind, as the rules had them: hours → kinds.
DEADLINES = {
    4: ("unreadable", "keys_doubted", "books_disagree", "work_overdue", "endpoint_silent"),
    24: (
        *("unknown_account", "foreign_account", "contradiction", "possible_duplicate"),
        *("unassigned", "simulated_in_live", "poll_incomplete", "stuck", "webhook_stopped"),
    ),
    48: ("wrong_account", "several_references", "unknown_reference"),
    72: ("refund_due", "refund_agreed", "nothing_given", "parking_conflict"),
}
TABLES = ("break_notes", "break_files", "break_decisions")
LOCKS = (
    "LOCK TABLE bank_transactions, bills IN SHARE ROW EXCLUSIVE MODE",
    "LOCK TABLE breaks IN ACCESS EXCLUSIVE MODE",
)


def upgrade() -> None:
    """Widen the table, make the others, their border, and what each role may do."""
    for lock in LOCKS:
        op.execute(lock)
    op.add_column("breaks", sa.Column("deadline_at", INSTANT, nullable=True))
    op.add_column("breaks", sa.Column("outcome", sa.String(), nullable=True))
    op.create_check_constraint(
        op.f("ck_breaks_outcome_known"),
        "breaks",
        "outcome IN ('explained', 'received', 'void', 'decided')",
    )
    op.execute("GRANT UPDATE (outcome) ON breaks TO phopay_app")
    for hours, kinds in DEADLINES.items():
        op.get_bind().execute(
            sa.text(
                "UPDATE breaks SET deadline_at = opened_at + :hours * interval '1 hour'"
                " WHERE kind = ANY(CAST(:kinds AS text[])) AND closed_at IS NULL"
            ),
            {"hours": hours, "kinds": list(kinds)},
        )
    op.create_index(
        "ix_breaks_open_id",
        "breaks",
        ["org_id", "id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "ix_breaks_deadline",
        "breaks",
        ["org_id", "deadline_at"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL AND deadline_at IS NOT NULL"),
    )
    op.create_index("ix_breaks_kind", "breaks", ["org_id", "kind", "id"], unique=False)
    op.create_index("ix_breaks_opened", "breaks", ["org_id", "opened_at"], unique=False)
    op.create_index(
        "ix_breaks_owner",
        "breaks",
        ["org_id", "owner_id", "id"],
        unique=False,
        postgresql_where=sa.text("owner_id IS NOT NULL"),
    )
    op.create_table(
        "break_notes",
        sa.Column("break_id", sa.Uuid(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("written_by", sa.Uuid(), nullable=False),
        sa.Column("written_at", INSTANT, nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "break_id"], ["breaks.org_id", "breaks.id"], name="fk_break_notes_break"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_break_notes")),
    )
    op.create_index(
        "ix_break_notes_break", "break_notes", ["org_id", "break_id", "id"], unique=False
    )
    op.create_table(
        "break_files",
        sa.Column("break_id", sa.Uuid(), nullable=False),
        sa.Column("file_no", sa.SmallInteger(), nullable=False),
        sa.Column("file_name", sa.String(length=120), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("content_bytes", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("file_no BETWEEN 1 AND 10", name=op.f("ck_break_files_ten_files")),
        sa.CheckConstraint(
            "octet_length(content) BETWEEN 1 AND 5242880",
            name=op.f("ck_break_files_content_bounded"),
        ),
        sa.CheckConstraint(
            "content_type IN ('application/pdf', 'image/png', 'image/jpeg')",
            name=op.f("ck_break_files_type_known"),
        ),
        sa.CheckConstraint(
            "octet_length(content_hash) = 32", name=op.f("ck_break_files_hash_whole")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "break_id"], ["breaks.org_id", "breaks.id"], name="fk_break_files_break"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_break_files")),
        sa.UniqueConstraint("org_id", "break_id", "file_no", name="uq_break_files_no"),
        sa.UniqueConstraint("org_id", "break_id", "content_hash", name="uq_break_files_content"),
    )
    _make_decisions()
    for table in TABLES:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO phopay_app")
        op.execute(f"GRANT SELECT ON {table} TO phopay_worker")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")
    op.execute(f"GRANT UPDATE ({DECISIONS_MAY_UPDATE}) ON break_decisions TO phopay_app")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_breaks_owner", table_name="breaks")
    op.drop_index("ix_breaks_opened", table_name="breaks")
    op.drop_index("ix_breaks_kind", table_name="breaks")
    op.drop_index("ix_breaks_deadline", table_name="breaks")
    op.drop_index("ix_breaks_open_id", table_name="breaks")
    op.drop_constraint(op.f("ck_breaks_outcome_known"), "breaks", type_="check")
    op.drop_column("breaks", "outcome")
    op.drop_column("breaks", "deadline_at")


def _make_decisions() -> None:
    op.create_table(
        "break_decisions",
        sa.Column("break_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("debit_code", sa.String(), nullable=False),
        sa.Column("debit_subject_id", sa.Uuid(), nullable=False),
        sa.Column("credit_code", sa.String(), nullable=False),
        sa.Column("credit_subject_id", sa.Uuid(), nullable=False),
        sa.Column("undoes_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", INSTANT, nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.Column("decided_words", sa.String(), nullable=True),
        sa.Column(
            "is_decided_alone", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("reviewed_by", sa.Uuid(), nullable=True),
        sa.Column("reviewed_at", INSTANT, nullable=True),
        sa.Column("undone_at", INSTANT, nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("amount_vnd > 0", name=op.f("ck_break_decisions_amount_positive")),
        sa.CheckConstraint(
            "action IN ('write_off', 'correct', 'undo')",
            name=op.f("ck_break_decisions_action_known"),
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'approved', 'refused', 'withdrawn')",
            name=op.f("ck_break_decisions_status_known"),
        ),
        sa.CheckConstraint(
            "(credit_id IS NULL) <> (bill_id IS NULL)", name=op.f("ck_break_decisions_one_money")
        ),
        sa.CheckConstraint(
            "(action = 'undo') = (undoes_id IS NOT NULL)",
            name=op.f("ck_break_decisions_undo_names_it"),
        ),
        sa.CheckConstraint(
            "(status = 'proposed') = (decided_by IS NULL)"
            " AND (decided_by IS NULL) = (decided_at IS NULL)",
            name=op.f("ck_break_decisions_decided_by_somebody"),
        ),
        sa.CheckConstraint(
            "status <> 'approved' OR decided_by <> proposed_by OR is_decided_alone",
            name=op.f("ck_break_decisions_two_people"),
        ),
        sa.CheckConstraint(
            "debit_code NOT IN ('bank', 'bank_clearing')"
            " AND credit_code NOT IN ('bank', 'bank_clearing')",
            name=op.f("ck_break_decisions_never_the_banks"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "break_id"], ["breaks.org_id", "breaks.id"], name="fk_break_decisions_break"
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "credit_id"],
            ["bank_transactions.org_id", "bank_transactions.id"],
            name="fk_break_decisions_credit",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "bill_id"], ["bills.org_id", "bills.id"], name="fk_break_decisions_bill"
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "undoes_id"],
            ["break_decisions.org_id", "break_decisions.id"],
            name="fk_break_decisions_undoes",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_break_decisions")),
    )
    unique = {
        "uq_break_decisions_waiting": (["org_id", "break_id"], "status = 'proposed'"),
        "uq_break_decisions_in_force": (
            ["org_id", "break_id"],
            "status = 'approved' AND action <> 'undo' AND undone_at IS NULL",
        ),
        "uq_break_decisions_undone": (["org_id", "undoes_id"], "status = 'approved'"),
    }
    for name, (columns, condition) in unique.items():
        op.create_index(
            name, "break_decisions", columns, unique=True, postgresql_where=sa.text(condition)
        )
    op.create_index("ix_break_decisions_break", "break_decisions", ["org_id", "break_id", "id"])
    op.create_index(
        "ix_break_decisions_credit",
        "break_decisions",
        ["org_id", "credit_id"],
        postgresql_where=sa.text("credit_id IS NOT NULL"),
    )
    op.create_index(
        "ix_break_decisions_waiting",
        "break_decisions",
        ["org_id", "id"],
        postgresql_where=sa.text(
            "status = 'proposed' OR (is_decided_alone AND reviewed_at IS NULL)"
        ),
    )
