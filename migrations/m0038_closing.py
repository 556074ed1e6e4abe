"""Closing by account: what proves each, how a day was closed, and what it carries.

Locks: ledger_days for an instant against everything (a column with a constant default: nothing is
rewritten); receiving_accounts, ledger_days and organisations against writing until the migration
commits (SHARE ROW EXCLUSIVE, for foreign keys of tables that are new: no row is looked at).
Survives the release still running: it reads no column by its place, and closes no day.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0038"
down_revision = "m0037"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = (
    "account_proofs",
    "opening_balances",
    "closed_over_days",
    "ledger_day_accounts",
    "carried_items",
)
MAY_UPDATE = {
    "account_proofs": "proof, set_by, set_at",
    "opening_balances": (
        "confirmed_by, confirmed_at, bank_vnd, clearing_vnd, under_way_vnd, ended_by, ended_at"
    ),
    "closed_over_days": "by_2, at_2",
    "carried_items": "cleared_day",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.add_column(
        "ledger_days",
        sa.Column("hash_version", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
    )
    op.create_table(
        "account_proofs",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("proof", sa.String(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "proof IN ('statement', 'callbacks_only')", name=op.f("ck_account_proofs_proof_known")
        ),
        _account_key("account_proofs"),
        sa.PrimaryKeyConstraint(
            "org_id", "receiving_account_id", "from_day", name=op.f("pk_account_proofs")
        ),
    )
    op.create_table(
        "opening_balances",
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column(
            "under_way",
            postgresql.ARRAY(sa.Uuid()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bank_vnd", sa.BigInteger(), nullable=True),
        sa.Column("clearing_vnd", sa.BigInteger(), nullable=True),
        sa.Column("under_way_vnd", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "confirmed_by <> proposed_by", name=op.f("ck_opening_balances_two_people")
        ),
        sa.CheckConstraint(
            "num_nonnulls(confirmed_by, confirmed_at, bank_vnd, clearing_vnd, under_way_vnd)"
            " IN (0, 5)",
            name=op.f("ck_opening_balances_confirmed_whole"),
        ),
        sa.CheckConstraint(
            "(ended_by IS NULL) = (ended_at IS NULL)", name=op.f("ck_opening_balances_ended_whole")
        ),
        _account_key("opening_balances"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_opening_balances")),
    )
    op.create_index(
        "uq_opening_balances_in_force",
        "opening_balances",
        ["org_id", "receiving_account_id", "day"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "closed_over_days",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("by_1", sa.Uuid(), nullable=False),
        sa.Column("at_1", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_2", sa.Uuid(), nullable=True),
        sa.Column("at_2", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("by_2 <> by_1", name=op.f("ck_closed_over_days_two_people")),
        sa.CheckConstraint(
            "(by_2 IS NULL) = (at_2 IS NULL)", name=op.f("ck_closed_over_days_second_whole")
        ),
        _account_key("closed_over_days"),
        sa.PrimaryKeyConstraint(
            "org_id", "day", "receiving_account_id", name=op.f("pk_closed_over_days")
        ),
    )
    _create_day_accounts()
    _create_carried_items()
    op.execute(f"GRANT SELECT, INSERT ON {', '.join(TABLES)} TO phopay_app")
    op.execute(f"GRANT SELECT ON {', '.join(TABLES)} TO phopay_worker")
    for table, columns in MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("ledger_days", "hash_version")


def _account_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["org_id", "receiving_account_id"],
        ["receiving_accounts.org_id", "receiving_accounts.id"],
        name=op.f(f"fk_{table}_org_id_receiving_account_id"),
    )


def _create_day_accounts() -> None:
    op.create_table(
        "ledger_day_accounts",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("proof", sa.String(), nullable=False),
        sa.Column("opening_vnd", sa.BigInteger(), nullable=True),
        sa.Column("in_vnd", sa.BigInteger(), nullable=True),
        sa.Column("out_vnd", sa.BigInteger(), nullable=True),
        sa.Column("closing_vnd", sa.BigInteger(), nullable=True),
        sa.Column("bank_vnd", sa.BigInteger(), nullable=False),
        sa.Column("late_lines_vnd", sa.BigInteger(), nullable=False),
        sa.Column("clearing_vnd", sa.BigInteger(), nullable=False),
        sa.Column("carried_count", sa.BigInteger(), nullable=True),
        sa.Column("carried_vnd", sa.BigInteger(), nullable=False),
        sa.Column("over_by_1", sa.Uuid(), nullable=True),
        sa.Column("over_by_2", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "proof IN ('statement', 'callbacks_only', 'closed_over')",
            name=op.f("ck_ledger_day_accounts_proof_known"),
        ),
        sa.CheckConstraint(
            "opening_vnd + in_vnd - out_vnd = closing_vnd",
            name=op.f("ck_ledger_day_accounts_statement_adds_up"),
        ),
        sa.CheckConstraint(
            "(in_vnd IS NULL) = (out_vnd IS NULL)"
            " AND (opening_vnd IS NULL) = (closing_vnd IS NULL)"
            " AND (proof <> 'statement' OR in_vnd IS NOT NULL)"
            " AND (proof <> 'callbacks_only' OR in_vnd IS NULL)",
            name=op.f("ck_ledger_day_accounts_statement_whole"),
        ),
        sa.CheckConstraint(
            "proof <> 'statement' OR closing_vnd IS NULL"
            " OR bank_vnd + late_lines_vnd = closing_vnd",
            name=op.f("ck_ledger_day_accounts_bank_is_the_statement"),
        ),
        sa.CheckConstraint(
            "carried_vnd = clearing_vnd", name=op.f("ck_ledger_day_accounts_all_is_carried")
        ),
        sa.CheckConstraint(
            "CASE proof WHEN 'statement' THEN carried_count IS NOT NULL"
            " WHEN 'callbacks_only' THEN carried_count IS NULL ELSE true END",
            name=op.f("ck_ledger_day_accounts_carried_by_item"),
        ),
        sa.CheckConstraint(
            "carried_count <> 0 OR carried_vnd = 0",
            name=op.f("ck_ledger_day_accounts_carried_by_something"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(over_by_1, over_by_2) = CASE proof WHEN 'closed_over' THEN 2 ELSE 0 END",
            name=op.f("ck_ledger_day_accounts_over_by_two"),
        ),
        sa.CheckConstraint(
            "over_by_1 <> over_by_2", name=op.f("ck_ledger_day_accounts_over_by_others")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "day"],
            ["ledger_days.org_id", "ledger_days.day"],
            name=op.f("fk_ledger_day_accounts_org_id_day"),
        ),
        _account_key("ledger_day_accounts"),
        sa.PrimaryKeyConstraint(
            "org_id", "day", "receiving_account_id", name=op.f("pk_ledger_day_accounts")
        ),
    )


def _create_carried_items() -> None:
    op.create_table(
        "carried_items",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("since_day", sa.Date(), nullable=False),
        sa.Column("receiving_account_id", sa.Uuid(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("cleared_day", sa.Date(), nullable=True),
        sa.CheckConstraint("amount_vnd <> 0", name=op.f("ck_carried_items_amount_not_zero")),
        sa.CheckConstraint(
            "since_day <= first_day AND first_day < cleared_day",
            name=op.f("ck_carried_items_days_in_order"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "first_day", "receiving_account_id"],
            [
                "ledger_day_accounts.org_id",
                "ledger_day_accounts.day",
                "ledger_day_accounts.receiving_account_id",
            ],
            name="fk_carried_items_first",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "cleared_day"],
            ["ledger_days.org_id", "ledger_days.day"],
            name=op.f("fk_carried_items_org_id_cleared_day"),
        ),
        sa.PrimaryKeyConstraint("org_id", "credit_id", "first_day", name=op.f("pk_carried_items")),
    )
    op.create_index(
        "uq_carried_items_open",
        "carried_items",
        ["org_id", "receiving_account_id", "credit_id"],
        unique=True,
        postgresql_where=sa.text("cleared_day IS NULL"),
    )
    op.create_index("ix_carried_items_first", "carried_items", ["org_id", "first_day"])
    op.create_index(
        "ix_carried_items_cleared",
        "carried_items",
        ["org_id", "cleared_day"],
        postgresql_where=sa.text("cleared_day IS NOT NULL"),
    )
