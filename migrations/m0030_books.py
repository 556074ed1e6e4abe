"""The books: a day and an item for each posting, closed days, and checkpoints of balances.

Locks: postings for an instant, for two columns and a check that rewrite and read nothing; as
briefly, against writing, organisations (a trigger, and foreign keys to it) and ledger_accounts (a
foreign key to it).
Survives the release still running: what it posts has the day "before the books" ('-infinity'), and
whatever organisation it makes has its books by a trigger.
"""

import sqlalchemy as sa
from alembic import op

revision = "m0030"
down_revision = "m0029"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = ("ledger_books", "ledger_days", "ledger_checkpoints")


def upgrade() -> None:
    """Make columns and tables, their border, what each role may do, and everybody's books."""
    op.add_column(
        "postings",
        sa.Column("day", sa.Date(), server_default=sa.text("'-infinity'"), nullable=False),
    )
    op.add_column("postings", sa.Column("item_id", sa.Uuid(), nullable=True))
    # Rows from before the books hold it as well; m0031 has PostgreSQL look, without this lock.
    op.execute(
        "ALTER TABLE postings ADD CONSTRAINT ck_postings_clearing_has_its_item CHECK ("
        "item_id IS NOT NULL OR day = '-infinity'"
        " OR (debit_code <> 'bank_clearing' AND credit_code <> 'bank_clearing')) NOT VALID"
    )
    op.create_table(
        "ledger_days",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("previous_day", sa.Date(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("postings", sa.BigInteger(), nullable=False),
        sa.Column("postings_before", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("previous_day = day - 1", name=op.f("ck_ledger_days_follows")),
        sa.CheckConstraint(
            "(previous_day IS NULL) = (previous_hash IS NULL)", name=op.f("ck_ledger_days_chained")
        ),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_ledger_days_hash_whole")),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_ledger_days_org_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "previous_day", "previous_hash"],
            ["ledger_days.org_id", "ledger_days.day", "ledger_days.hash"],
            name="fk_ledger_days_previous",
        ),
        sa.PrimaryKeyConstraint("org_id", "day", name=op.f("pk_ledger_days")),
        sa.UniqueConstraint("org_id", "day", "hash", name=op.f("uq_ledger_days_org_id_day_hash")),
        sa.UniqueConstraint(
            "org_id",
            "previous_day",
            name=op.f("uq_ledger_days_org_id_previous_day"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "ledger_checkpoints",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("balance_vnd", sa.BigInteger(), nullable=False),
        sa.Column("postings", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "code", "subject_id"],
            ["ledger_accounts.org_id", "ledger_accounts.code", "ledger_accounts.subject_id"],
            name="fk_ledger_checkpoints_account",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "day"],
            ["ledger_days.org_id", "ledger_days.day"],
            name=op.f("fk_ledger_checkpoints_org_id_day"),
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "code", "subject_id", "day", name=op.f("pk_ledger_checkpoints")
        ),
    )
    op.create_index("ix_ledger_checkpoints_day", "ledger_checkpoints", ["org_id", "day"])
    op.create_table(
        "ledger_books",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("closed_through", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_ledger_books_org_id")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "closed_through"],
            ["ledger_days.org_id", "ledger_days.day"],
            name=op.f("fk_ledger_books_org_id_closed_through"),
        ),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_ledger_books")),
    )
    op.execute(
        "CREATE FUNCTION open_ledger_books() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN INSERT INTO public.ledger_books (org_id) VALUES (NEW.id); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER open_ledger_books AFTER INSERT ON organisations"
        " FOR EACH ROW EXECUTE FUNCTION open_ledger_books()"
    )
    op.execute("INSERT INTO ledger_books (org_id) SELECT id FROM organisations")
    op.execute(f"GRANT SELECT, INSERT ON {', '.join(TABLES)} TO phopay_app")
    op.execute("GRANT UPDATE (closed_through) ON ledger_books TO phopay_app")
    op.execute(f"GRANT SELECT ON {', '.join(TABLES)} TO phopay_worker")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    op.execute("DROP TRIGGER open_ledger_books ON organisations")
    op.execute("DROP FUNCTION open_ledger_books()")
    op.drop_table("ledger_books")
    op.drop_table("ledger_checkpoints")
    op.drop_table("ledger_days")
    op.drop_constraint(op.f("ck_postings_clearing_has_its_item"), "postings", type_="check")
    op.drop_column("postings", "item_id")
    op.drop_column("postings", "day")
