"""Rights of each database role, and the border between tenants.

The roles themselves are made by `ops.roles` before the first migration, since roles belong to the
server and not to one database. Only the owner migrates.

Locks: ACCESS EXCLUSIVE on each table for an instant. Survives the release still running: the roles
gain rights and lose none.
"""

from alembic import op

revision = "p0006"
down_revision = "p0005"

# Columns that may be changed after a row was written. A table that is not named here is
# insert-only for the application: postings, sightings, audit rows, events, rejections.
APP_MAY_UPDATE = {
    "organisations": "name, code",
    "organisation_codes": "next_serial, taken_on, taken_at",
    "payees": "name, place, closed_at",
    "receiving_accounts": (
        "holder_name, status, proposed_by, proposed_at, approved_by, approved_at, test_credit_id,"
        " test_vouched_by, activated_at, retired_at"
    ),
    "payee_accounts": (
        "status, approved_by, approved_at, test_credit_id, test_refused_at, test_refused_bank,"
        " activated_at, ended_at, holder_told_at, holder_told_by, owner_kind, owner_id,"
        " is_direct_only"
    ),
    "bills": "paid_vnd, received_vnd, status, is_late, paid_at, cancelled_at, provider_order_id",
    "callback_endpoints": (
        "name, sealed_secrets, previous_key_until, pull_url, sealed_pull_token, key_vouched_by,"
        " key_vouched_from, pull_vouched_by, pull_vouched_from, revoked_at"
    ),
    "callback_endpoint_accounts": "vouched_by",
    "notices": "handled_at, outcome, attempts, next_attempt_at",
    "payments": "reversed_at, refundable_vnd",
    "bill_changes": "handled_at, attempts, next_attempt_at, error",
    "bank_transactions": "open_vnd",
    "matches": "reversed_at, reversed_by, attempts, next_attempt_at",
    "match_legs": "reversed_at",
    "breaks": "owner_id, closed_at, closed_by, resolution, decision",
    "staff": (
        "display_name, password_hash, roles, failed_attempts, locked_until, disabled_at,"
        " lost_elsewhere_at"
    ),
    "sign_ins": "last_seen_at, expires_at, revoked_at",
    "api_keys": "last_used_at, expires_at, revoked_at",
    "setup_tokens": "used_at",
}
APP_MAY_DELETE = ["callback_endpoint_accounts", "staff_scopes"]
# Reports and sweeps need no password, key or sign-in.
WORKER_MAY_NOT_READ = [
    "staff",
    "staff_scopes",
    "api_keys",
    "callback_endpoints",
    "logins",
    "setup_tokens",
]
# Whose loss of rights some organisation has not handled yet.
WORKER_MAY_READ_COLUMNS = {"staff": "org_id, id, lost_elsewhere_at"}
WORKER_MAY_DELETE = ["idempotency_keys", "events", "rejections", "sign_ins"]

TENANT_TABLES = [
    "payees",
    "receiving_accounts",
    "payee_accounts",
    "audit_log",
    "idempotency_keys",
    "bills",
    "payments",
    "bill_changes",
    "callback_endpoints",
    "callback_endpoint_accounts",
    "notices",
    "rejections",
    "bank_transactions",
    "matches",
    "match_legs",
    "sightings",
    "breaks",
    "ledger_accounts",
    "postings",
    "events",
    "staff",
    "staff_scopes",
    "sign_ins",
    "api_keys",
]
# Read before a tenant is known; listed with the reason in docs/tenancy.md.
OPEN_TABLES = ["organisations", "organisation_codes", "logins", "setup_tokens"]

# A pooled connection answers '' for a local setting that has ended, hence NULLIF.
OWN_ROWS = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
READ_BY_ALL = {
    "organisations": OWN_ROWS.replace("org_id =", "id ="),
    "organisation_codes": OWN_ROWS,
    "logins": OWN_ROWS,
}


def upgrade() -> None:
    """Grant by column, and let the application see one organisation per transaction."""
    op.execute("GRANT USAGE ON SCHEMA public TO phopay_app, phopay_worker, phopay_gate")
    for table in TENANT_TABLES + OPEN_TABLES:
        op.execute(f"GRANT SELECT, INSERT ON {table} TO phopay_app")
        if table not in WORKER_MAY_NOT_READ:
            op.execute(f"GRANT SELECT ON {table} TO phopay_worker")
    op.execute("GRANT SELECT ON alembic_version TO phopay_app, phopay_worker")
    for table, columns in APP_MAY_UPDATE.items():
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO phopay_app")
    for table in APP_MAY_DELETE:
        op.execute(f"GRANT DELETE ON {table} TO phopay_app")
    for table, columns in WORKER_MAY_READ_COLUMNS.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO phopay_worker")
    for table in WORKER_MAY_DELETE:
        op.execute(f"GRANT DELETE ON {table} TO phopay_worker")
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_rows ON {table} TO phopay_app"
            f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})"
        )
        op.execute(f"CREATE POLICY all_rows ON {table} TO phopay_worker USING (true)")
    # Everyone may read who a code or a login belongs to; only the organisation itself may add or
    # change its own rows.
    for table, own in READ_BY_ALL.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY read_by_all ON {table} FOR SELECT USING (true)")
        op.execute(f"CREATE POLICY add_own ON {table} FOR INSERT TO phopay_app WITH CHECK ({own})")
        op.execute(f"CREATE POLICY change_own ON {table} FOR UPDATE TO phopay_app USING ({own})")
    # The worker notes by the hour that serials are known here, and moves none.
    op.execute("GRANT UPDATE (taken_at) ON organisation_codes TO phopay_worker")
    op.execute(
        "CREATE POLICY confirm_all ON organisation_codes FOR UPDATE TO phopay_worker USING (true)"
    )


def downgrade() -> None:
    """Take the policies and every grant back."""
    op.execute("DROP POLICY confirm_all ON organisation_codes")
    op.execute("REVOKE UPDATE (taken_at) ON organisation_codes FROM phopay_worker")
    for table in READ_BY_ALL:
        for policy in ("read_by_all", "add_own", "change_own"):
            op.execute(f"DROP POLICY {policy} ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("REVOKE SELECT ON alembic_version FROM phopay_app, phopay_worker")
    for table in TENANT_TABLES:
        op.execute(f"DROP POLICY all_rows ON {table}")
        op.execute(f"DROP POLICY own_rows ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for table in TENANT_TABLES + OPEN_TABLES:
        op.execute(f"REVOKE ALL ON {table} FROM phopay_app, phopay_worker")
    op.execute("REVOKE USAGE ON SCHEMA public FROM phopay_app, phopay_worker, phopay_gate")
