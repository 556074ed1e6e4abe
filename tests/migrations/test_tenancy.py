"""The border between tenants: every table has it, or docs/tenancy.md says why not."""

import re
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from core.ids import new_id
from tests.world.databases import FreshDatabase

DOCS = Path(__file__).parents[2] / "docs/tenancy.md"
MINE, THEIRS = uuid4(), uuid4()


def open_tables() -> set[str]:
    """The tables that docs/tenancy.md lists as nobody's, each in a row of its own."""
    listed = DOCS.read_text().split("## Tables that are not tenant data")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", listed, re.MULTILINE))


def all_tables(owner: psycopg.Connection) -> set[str]:
    """All tables; a partition is reached by its parent alone."""
    rows = owner.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition"
    ).fetchall()
    return {str(row[0]) for row in rows}


def tenant_tables(owner: psycopg.Connection) -> list[str]:
    return sorted(all_tables(owner) - open_tables())


def test_every_table_is_bordered_or_documented(owner: psycopg.Connection) -> None:
    assert open_tables() <= all_tables(owner)
    for table in tenant_tables(owner):
        bordered, first_key = owner.execute(
            """SELECT c.relrowsecurity,
                   (SELECT a.attname FROM pg_index i JOIN pg_attribute a
                      ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                     WHERE i.indrelid = c.oid AND i.indisprimary)
               FROM pg_class c WHERE c.oid = %s::regclass""",
            [table],
        ).fetchone() or (None, None)
        assert bordered, f"{table} has no row-level security and is not in docs/tenancy.md"
        assert first_key == "org_id", f"the primary key of {table} does not start with org_id"
        policies = owner.execute(
            "SELECT roles::text[], qual, with_check FROM pg_policies WHERE tablename = %s", [table]
        ).fetchall()
        for roles, qual, with_check in policies:
            if "phopay_app" in roles or "public" in roles:
                assert "app.org_id" in qual, f"a policy of {table} lets the application see all"
                assert "app.org_id" in (with_check or qual)
        assert any("phopay_app" in roles for roles, _, _ in policies), table


def test_every_unique_key_and_foreign_key_starts_with_the_organisation(
    owner: psycopg.Connection,
) -> None:
    # (BIN, number) is unique in the whole hub on purpose: docs/adr/0001, decision 6.
    hub_wide = {"uq_receiving_accounts_active"}
    for table in tenant_tables(owner):
        rows = owner.execute(
            """SELECT i.indexrelid::regclass::text, a.attname
               FROM pg_index i LEFT JOIN pg_attribute a
                 ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
               WHERE i.indrelid = %s::regclass AND i.indisunique""",
            [table],
        ).fetchall()
        rows += owner.execute(
            """SELECT k.conname, a.attname FROM pg_constraint k JOIN pg_attribute a
                 ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
               WHERE k.conrelid = %s::regclass AND k.contype = 'f'""",
            [table],
        ).fetchall()
        for name, column in rows:
            assert column == "org_id" or name in hub_wide, f"{name} does not start with org_id"


@pytest.mark.parametrize("role", ["phopay_app", "phopay_worker", "phopay_gate"])
def test_nobody_reaches_a_partition_past_its_parent(owner: psycopg.Connection, role: str) -> None:
    rows = owner.execute(
        "SELECT oid::regclass::text, has_table_privilege(%s, oid, 'SELECT, INSERT, UPDATE, DELETE')"
        " FROM pg_class WHERE relispartition AND relkind = 'r'",
        [role],
    ).fetchall()
    assert rows
    for partition, may in rows:
        assert not may, f"{role} may use {partition}, whose rows no policy guards"


@pytest.fixture
def filled(owner: psycopg.Connection) -> dict[str, tuple[UUID, UUID]]:
    """One row of each of two organisations in every tenant table, whatever its columns.

    Foreign keys and checks are put aside: the border does not depend on them.
    """
    for table in all_tables(owner):
        checks = owner.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN"
            " ('f', 'c')",
            [table],
        ).fetchall()
        for (name,) in checks:
            owner.execute(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                    sql.Identifier(table), sql.Identifier(name)
                )
            )
    rows: dict[str, tuple[UUID, UUID]] = {}
    for table in tenant_tables(owner):
        for org_id in (MINE, THEIRS):
            insert_row(owner, table, org_id)
        rows[table] = (MINE, THEIRS)
    return rows


def insert_row(connection: psycopg.Connection, table: str, org_id: UUID) -> None:
    """Insert a row that has only what must not be empty."""
    columns = connection.execute(
        """SELECT column_name, data_type, udt_name FROM information_schema.columns
           WHERE table_name = %s AND is_nullable = 'NO' AND column_default IS NULL""",
        [table],
    ).fetchall()
    values = {name: org_id if name == "org_id" else a_value(udt) for name, _, udt in columns}
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        ),
        list(values.values()),
    )


def a_value(udt: str) -> object:
    return {
        "uuid": new_id(),
        "timestamptz": "2026-11-21T05:00:00Z",
        "date": "2026-11-21",
        "bool": False,
        "int2": 1,
        "int4": 1,
        "int8": 1,
        "bytea": b"x",
        "json": "{}",
        "jsonb": "{}",
        "_text": [],
    }.get(udt, "x")


def connect_as(fresh_database: FreshDatabase, org_id: UUID | None) -> psycopg.Connection:
    """Connect as the hub does, bound to one organisation (or none)."""
    connection = psycopg.connect(fresh_database.app_url)
    if org_id is not None:
        connection.execute(sql.SQL("SET LOCAL app.org_id = {}").format(sql.Literal(str(org_id))))
    return connection


def test_nobody_reads_or_writes_across(
    fresh_database: FreshDatabase, owner: psycopg.Connection, filled: dict[str, tuple[UUID, UUID]]
) -> None:
    assert len(filled) >= 20
    for table in filled:
        name = sql.Identifier(table)
        both = owner.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()
        assert both == (2,), table
        with connect_as(fresh_database, MINE) as mine:
            seen = mine.execute(sql.SQL("SELECT org_id FROM {}").format(name)).fetchall()
            assert seen == [(MINE,)], f"{table} shows another organisation's rows"
        with connect_as(fresh_database, MINE) as mine:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                insert_row(mine, table, THEIRS)
            mine.rollback()
        with connect_as(fresh_database, MINE) as mine:
            for column in updatable_columns(owner, table):
                changed = mine.execute(
                    sql.SQL("UPDATE {t} SET {c} = {c} WHERE org_id = %s").format(
                        t=name, c=sql.Identifier(column)
                    ),
                    [THEIRS],
                )
                assert changed.rowcount == 0, f"{table}.{column} can be changed across"


def test_without_an_organisation_nothing_is_seen(
    fresh_database: FreshDatabase, filled: dict[str, tuple[UUID, UUID]]
) -> None:
    for table in filled:
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        with connect_as(fresh_database, None) as nobody:
            assert nobody.execute(query).fetchone() == (0,), table
        # A pooled connection answers '' after a local setting has ended.
        with connect_as(fresh_database, MINE) as reused:
            reused.commit()
            assert reused.execute(query).fetchone() == (0,), table


def test_no_row_can_move_to_another_organisation(owner: psycopg.Connection) -> None:
    for table in all_tables(owner):
        assert not {"org_id", "id"} & set(updatable_columns(owner, table)), table


def updatable_columns(owner: psycopg.Connection, table: str, role: str = "phopay_app") -> list[str]:
    """The columns of a table that a role may change."""
    rows = owner.execute(
        """SELECT column_name FROM information_schema.columns
           WHERE table_schema = 'public' AND table_name = %s
             AND has_column_privilege(%s, %s::regclass, column_name, 'UPDATE')""",
        [table, role, table],
    ).fetchall()
    return [str(row[0]) for row in rows]


EVIDENCE = [
    "postings",
    "sightings",
    "audit_log",
    "events",
    "ledger_accounts",
    "ledger_days",
    "ledger_checkpoints",
    "rejections",
]


@pytest.mark.parametrize("role", ["phopay_app", "phopay_worker", "phopay_gate"])
def test_evidence_is_never_changed(owner: psycopg.Connection, role: str) -> None:
    for table in EVIDENCE:
        assert updatable_columns(owner, table, role) == [], table
    for table in (
        "notices",
        "matches",
        "bills",
        "bank_transactions",
        "payments",
        "match_legs",
        "bill_changes",
    ):
        changeable = set(updatable_columns(owner, table, role))
        assert not changeable & {
            "body", "headers", "endpoint_id", "received_at", "credit_id", "bill_id", "rule",
            "applied_vnd", "amount_vnd", "memo", "occurred_at", "source_id", "seq", "to_status",
            "reference", "receiving_account_id", "payee_id",
        }  # fmt: skip


@pytest.mark.parametrize("role", ["phopay_app", "phopay_worker", "phopay_gate"])
def test_the_request_of_a_job_is_never_changed(owner: psycopg.Connection, role: str) -> None:
    asked = {"kind", "key", "arguments", "attempts_max", "queued_at"}
    assert not asked & set(updatable_columns(owner, "jobs", role))
    leased = {"lease_token", "due_at", "attempts"} & set(updatable_columns(owner, "jobs", role))
    assert bool(leased) == (role == "phopay_worker")


@pytest.mark.parametrize("role", ["phopay_app", "phopay_worker", "phopay_gate"])
def test_evidence_is_never_deleted_or_emptied(owner: psycopg.Connection, role: str) -> None:
    may_go = {"events", "rejections"} if role == "phopay_worker" else set()
    for table in [
        *EVIDENCE,
        "notices",
        "matches",
        "bills",
        "payments",
        "match_legs",
        "bank_transactions",
        "receiving_accounts",
        "breaks",
    ]:
        for privilege in ("DELETE", "TRUNCATE"):
            (has,) = owner.execute(
                "SELECT has_table_privilege(%s, %s::regclass, %s)", [role, table, privilege]
            ).fetchone() or (None,)
            assert not has or (privilege == "DELETE" and table in may_go), f"{role} {table}"


def test_the_application_is_refused_in_practice(
    fresh_database: FreshDatabase, filled: dict[str, tuple[UUID, UUID]]
) -> None:
    for statement in (
        "UPDATE postings SET amount_vnd = 1",
        "DELETE FROM postings",
        "UPDATE bank_transactions SET memo = 'x'",
        "DELETE FROM audit_log",
        "UPDATE notices SET body = ''",
        "UPDATE bills SET amount_vnd = 1",
        "TRUNCATE events",
        "CREATE TABLE mine (id int)",
        "ALTER TABLE bills DISABLE ROW LEVEL SECURITY",
        "SET ROLE phopay_worker",
    ):
        with (
            connect_as(fresh_database, MINE) as mine,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            mine.execute(statement.encode())


def test_the_hubs_roles_cannot_step_over_the_border(owner: psycopg.Connection) -> None:
    rows = owner.execute(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles"
        " WHERE rolname LIKE 'phopay\\_%'"
    ).fetchall()
    assert {"phopay_app", "phopay_worker", "phopay_gate"} <= {str(row[0]) for row in rows}
    for name, *rights in rows:
        if name != "phopay_owner":
            assert rights == [False, False, False], name
    (owned,) = owner.execute(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner IN"
        " ('phopay_app', 'phopay_worker', 'phopay_gate')"
    ).fetchone() or (None,)
    assert owned == 0
