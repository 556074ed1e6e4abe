"""Settlement statements: terms, runs, statements, the periods that they own, and their lines.

Locks: the tables are new; their foreign keys take SHARE ROW EXCLUSIVE on payees and ledger_days
until the migration commits, and who writes there waits: a close of a day, a new payee. Postings are
not touched. Survives the release still running: it does not know the tables.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "m0040"
down_revision = "m0039"

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
TABLES = (
    "settlement_terms",
    "settlement_runs",
    "settlements",
    "settlement_periods",
    "settlement_lines",
)
MAY_UPDATE = {
    "settlement_runs": "job_id, payees_done, drafted, reached_payee_id, finished_at",
    "settlements": (
        "status, side, reached_at, reached_id, postings, gross_vnd, refunds_vnd, charges,"
        " charges_vnd, fixed_charge_vnd, commission_bps, commission_vnd, net_vnd, shares,"
        " payee_vnd, carried, carried_count, drafted_at, reviewed_by, reviewed_at,"
        " approved_by, approved_at, is_approved_alone, number, sent_by, sent_at, discarded_by,"
        " discarded_at, discarded_words"
    ),
    "settlement_lines": "credited_vnd, debited_vnd, postings",
}


def upgrade() -> None:
    """Make the tables, their border, and what each role may do."""
    op.create_table(
        "settlement_terms",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("commission_bps", sa.Integer(), nullable=False),
        sa.Column("fixed_charge_vnd", sa.BigInteger(), nullable=False),
        sa.Column("charge_bps", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("shares", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "commission_bps BETWEEN 0 AND 10000",
            name=op.f("ck_settlement_terms_commission_in_range"),
        ),
        sa.CheckConstraint(
            "fixed_charge_vnd >= 0", name=op.f("ck_settlement_terms_fixed_charge_not_negative")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_settlement_terms_version_positive")),
        sa.ForeignKeyConstraint(
            ["org_id", "payee_id"],
            ["payees.org_id", "payees.id"],
            name=op.f("fk_settlement_terms_org_id_payee_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_settlement_terms")),
        sa.UniqueConstraint(
            "org_id",
            "payee_id",
            "version",
            name=op.f("uq_settlement_terms_org_id_payee_id_version"),
        ),
    )
    op.create_table(
        "settlement_runs",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payees_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("drafted", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reached_payee_id", sa.Uuid(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("last_day >= first_day", name=op.f("ck_settlement_runs_days_in_order")),
        sa.ForeignKeyConstraint(
            ["org_id", "last_day"],
            ["ledger_days.org_id", "ledger_days.day"],
            name=op.f("fk_settlement_runs_org_id_last_day"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "payee_id"],
            ["payees.org_id", "payees.id"],
            name=op.f("fk_settlement_runs_org_id_payee_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_settlement_runs")),
    )
    op.create_table(
        "settlements",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("payee_name", sa.String(), nullable=False),
        sa.Column("payee_place", sa.String(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("cut_off_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("terms_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("side", sa.String(), server_default=sa.text("'credit'"), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reached_id", sa.Uuid(), nullable=True),
        sa.Column("postings", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("gross_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refunds_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "charges",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("charges_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("fixed_charge_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("commission_bps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("commission_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("net_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "shares",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("payee_vnd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "carried",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("carried_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("drafted_by", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("drafted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewed_by", sa.Uuid(), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "is_approved_alone", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("sent_by", sa.Uuid(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("discarded_by", sa.Uuid(), nullable=True),
        sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("discarded_words", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(status IN ('approved', 'sent')) = (approved_by IS NOT NULL)"
            " AND (status IN ('approved', 'sent')) = (number IS NOT NULL)",
            name=op.f("ck_settlements_approved_with_its_number"),
        ),
        sa.CheckConstraint(
            "status <> 'sent' OR sent_by IS NOT NULL", name=op.f("ck_settlements_sent_by_a_person")
        ),
        sa.CheckConstraint(
            "status IN ('drafting', 'discarded') OR drafted_at IS NOT NULL",
            name=op.f("ck_settlements_drafted_first"),
        ),
        sa.CheckConstraint(
            "status IN ('drafting', 'reviewed', 'approved', 'sent', 'discarded')",
            name=op.f("ck_settlements_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('reviewed', 'approved', 'sent') OR reviewed_by IS NOT NULL",
            name=op.f("ck_settlements_reviewed"),
        ),
        sa.CheckConstraint(
            "approved_by IS NULL OR is_approved_alone"
            " OR (approved_by <> drafted_by AND approved_by <> reviewed_by)",
            name=op.f("ck_settlements_two_people"),
        ),
        sa.CheckConstraint("last_day >= first_day", name=op.f("ck_settlements_days_in_order")),
        sa.CheckConstraint(
            "net_vnd = gross_vnd - refunds_vnd - charges_vnd - fixed_charge_vnd - commission_vnd",
            name=op.f("ck_settlements_net_follows"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "payee_id"],
            ["payees.org_id", "payees.id"],
            name=op.f("fk_settlements_org_id_payee_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "run_id"],
            ["settlement_runs.org_id", "settlement_runs.id"],
            name=op.f("fk_settlements_org_id_run_id"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "terms_id"],
            ["settlement_terms.org_id", "settlement_terms.id"],
            name=op.f("fk_settlements_org_id_terms_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_settlements")),
        sa.UniqueConstraint(
            "org_id", "id", "payee_id", "first_day", "last_day", name="uq_settlements_period"
        ),
    )
    op.create_index(
        "ix_settlements_last_day", "settlements", ["org_id", "last_day", "id"], unique=False
    )
    op.create_index(
        "ix_settlements_payee", "settlements", ["org_id", "payee_id", "id"], unique=False
    )
    op.create_index(
        "ix_settlements_status", "settlements", ["org_id", "status", "id"], unique=False
    )
    op.create_index(
        "uq_settlements_number",
        "settlements",
        ["org_id", "number"],
        unique=True,
        postgresql_where=sa.text("number IS NOT NULL"),
    )
    op.create_table(
        "settlement_periods",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("payee_id", sa.Uuid(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("previous_last_day", sa.Date(), nullable=True),
        sa.Column("settlement_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "last_day >= first_day", name=op.f("ck_settlement_periods_days_in_order")
        ),
        sa.CheckConstraint(
            "previous_last_day IS NULL OR first_day = previous_last_day + 1",
            name=op.f("ck_settlement_periods_follows"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "last_day"],
            ["ledger_days.org_id", "ledger_days.day"],
            name=op.f("fk_settlement_periods_org_id_last_day"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "payee_id", "previous_last_day"],
            [
                "settlement_periods.org_id",
                "settlement_periods.payee_id",
                "settlement_periods.last_day",
            ],
            name="fk_settlement_periods_previous",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "settlement_id", "payee_id", "first_day", "last_day"],
            [
                "settlements.org_id",
                "settlements.id",
                "settlements.payee_id",
                "settlements.first_day",
                "settlements.last_day",
            ],
            name="fk_settlement_periods_settlement",
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "payee_id", "last_day", name=op.f("pk_settlement_periods")
        ),
        sa.UniqueConstraint(
            "org_id",
            "payee_id",
            "previous_last_day",
            name="uq_settlement_periods_previous",
            postgresql_nulls_not_distinct=True,
        ),
        sa.UniqueConstraint(
            "org_id", "settlement_id", name=op.f("uq_settlement_periods_org_id_settlement_id")
        ),
    )
    op.create_index(
        "ix_settlement_periods_first",
        "settlement_periods",
        ["org_id", "first_day"],
        unique=False,
        postgresql_where=sa.text("previous_last_day IS NULL"),
    )
    op.create_table(
        "settlement_lines",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("settlement_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("credited_vnd", sa.BigInteger(), nullable=False),
        sa.Column("debited_vnd", sa.BigInteger(), nullable=False),
        sa.Column("postings", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "credited_vnd >= 0 AND debited_vnd >= 0", name=op.f("ck_settlement_lines_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "settlement_id"],
            ["settlements.org_id", "settlements.id"],
            name=op.f("fk_settlement_lines_org_id_settlement_id"),
        ),
        sa.PrimaryKeyConstraint(
            "org_id", "settlement_id", "line", name=op.f("pk_settlement_lines")
        ),
    )
    for table in TABLES:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO phopay_app")
        op.execute(f"GRANT SELECT ON {table} TO phopay_worker")
        if columns := MAY_UPDATE.get(table):
            op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")
    # Of a statement that is discarded; the foreign key keeps what a later period follows.
    op.execute("GRANT DELETE ON settlement_periods TO phopay_app")


def downgrade() -> None:
    """Drop them, with their policies and grants."""
    for table in reversed(TABLES):
        op.drop_table(table)
