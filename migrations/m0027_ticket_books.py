"""Ticket books: which numbered tickets were given out to whom, and how far they were used.

Locks: none, the table is new. Survives the release still running: it does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0027"
down_revision = "m0026"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"


def upgrade() -> None:
    """Make the table, its border, and what each role may do."""
    op.create_table(
        "ticket_books",
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("shift_id", sa.Uuid(), nullable=False),
        sa.Column("issued_to", sa.Uuid(), nullable=False),
        sa.Column("issued_by", sa.Uuid(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prefix", sa.String(length=10), nullable=False),
        sa.Column("digits", sa.SmallInteger(), nullable=False),
        sa.Column("first_number", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("last_used", sa.Integer(), nullable=True),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("returned_by", sa.Uuid(), nullable=True),
        sa.Column("lost_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lost_by", sa.Uuid(), nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "first_number BETWEEN 0 AND last_number",
            name=op.f("ck_ticket_books_numbers_in_order"),
        ),
        sa.CheckConstraint("digits BETWEEN 1 AND 8", name=op.f("ck_ticket_books_digits_in_range")),
        sa.CheckConstraint(
            "last_used BETWEEN first_number AND last_number",
            name=op.f("ck_ticket_books_used_within_the_book"),
        ),
        sa.CheckConstraint(
            "returned_at IS NOT NULL OR (last_used IS NULL AND returned_by IS NULL)",
            name=op.f("ck_ticket_books_return_whole"),
        ),
        sa.CheckConstraint(
            "(lost_at IS NULL) = (lost_by IS NULL)", name=op.f("ck_ticket_books_loss_whole")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lot_id"],
            ["lots.org_id", "lots.id"],
            name=op.f("fk_ticket_books_org_id_lot_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "shift_id"],
            ["shifts.org_id", "shifts.id"],
            name=op.f("fk_ticket_books_org_id_shift_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "issued_to"],
            ["staff.org_id", "staff.id"],
            name=op.f("fk_ticket_books_org_id_issued_to"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_ticket_books")),
    )
    op.create_index("ix_ticket_books_lot", "ticket_books", ["org_id", "lot_id", "id"], unique=False)
    op.execute("GRANT SELECT, INSERT ON ticket_books TO phopay_app")
    op.execute(
        "GRANT UPDATE (last_used, returned_at, returned_by, lost_at, lost_by)"
        " ON ticket_books TO phopay_app"
    )
    op.execute("GRANT SELECT ON ticket_books TO phopay_worker")
    op.execute("ALTER TABLE ticket_books ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_rows ON ticket_books TO phopay_app"
        f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
    )
    op.execute("CREATE POLICY all_rows ON ticket_books TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop it, with its policies and grants."""
    op.drop_table("ticket_books")
