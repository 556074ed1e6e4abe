"""The database roles: the owner migrates, the others each do one job and nothing more."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

from core.database_connections import KEEPALIVES
from ops.environment import DATABASE, OWNER, SERVICE_ROLES
from ops.errors import CannotStart
from ops.postgres.supervisor import Cluster

# One after another when two starts meet: CREATE ROLE has no IF NOT EXISTS.
ROLES_LOCK = 0x50686F50  # "PhoP"


def ensure_embedded_database(
    cluster: Cluster, passwords: Mapping[str, str], *, database: str = DATABASE
) -> None:
    """Make the owner, the service roles and the owner's database in our own cluster.

    Safe to repeat: passwords are set again, so that they follow the secret key.
    """
    with psycopg.connect(cluster.dsn(), autocommit=True, **KEEPALIVES) as superuser:
        superuser.execute("SELECT pg_advisory_lock(%s)", [ROLES_LOCK])
        for role in (OWNER, *SERVICE_ROLES):
            _make_role(superuser, role, passwords[role])
        known = superuser.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
        if known.fetchone() is None:
            superuser.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(database), sql.Identifier(OWNER)
                )
            )
        _limit_database(superuser, database)


def ensure_roles(owner_url: str, passwords: Mapping[str, str]) -> None:
    """Make the service roles in a database that is not ours, with the rights of its owner.

    Args:
        owner_url: postgresql:// address whose user owns the database and may make roles.
        passwords: one for each of SERVICE_ROLES.

    Raises:
        CannotStart: the server does not answer, or the owner may not make roles; the message then
            has the statements for an administrator.
    """
    try:
        with psycopg.connect(owner_url, autocommit=True, connect_timeout=10, **KEEPALIVES) as owner:
            owner.execute("SELECT pg_advisory_lock(%s)", [ROLES_LOCK])
            _ensure_as_owner(owner, passwords)
    except psycopg.OperationalError as problem:
        host = psycopg.conninfo.conninfo_to_dict(owner_url).get("host", "localhost")
        msg = f"The database on {host} does not answer (DATABASE_URL):\n{problem}"
        raise CannotStart(msg) from problem


def _ensure_as_owner(owner: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    row = owner.execute(
        "SELECT rolcreaterole OR rolsuper, current_database() FROM pg_roles"
        " WHERE rolname = current_user"
    ).fetchone()
    assert row is not None
    may_make, database = bool(row[0]), str(row[1])
    _limit_database(owner, database)  # a role that is there may lack only the right to come in
    lacking = [r for r in SERVICE_ROLES if not _can_log_in(owner, r, passwords[r])]
    if lacking and not may_make:
        raise CannotStart(_ask_administrator(owner, lacking, passwords))
    try:
        for role in lacking:
            _make_role(owner, role, passwords[role])
    except psycopg.errors.InsufficientPrivilege as problem:  # a role that somebody else made
        raise CannotStart(_ask_administrator(owner, lacking, passwords)) from problem
    if lacking:
        _limit_database(owner, database)


def _can_log_in(owner: psycopg.Connection, role: str, password: str) -> bool:
    """Whether a role exists and takes its password, as the service itself will find out."""
    info = {**owner.info.get_parameters(), "password": password, "user": role}
    try:
        with psycopg.connect(psycopg.conninfo.make_conninfo("", **info)):
            return True
    except psycopg.OperationalError:
        return False


def _make_role(connection: psycopg.Connection, role: str, password: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    connection.execute(_role_statement("ALTER" if known else "CREATE", role, password))


def _role_statement(verb: str, role: str, password: str) -> sql.Composed:
    # Only who has a right may name it, even to deny it, in a role that is there (PostgreSQL 16 on).
    # All of them are off in any new role, and a test looks.
    return sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
        sql.SQL(verb), sql.Identifier(role), sql.Literal(password)
    )


def _limit_database(connection: psycopg.Connection, database: str) -> None:
    """Let nobody in but the roles that are named; schema rights are the migrations' matter."""
    name = sql.Identifier(database)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    known = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(SERVICE_ROLES)]
    )
    for (role,) in known.fetchall():
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(role))
        )


def _ask_administrator(
    owner: psycopg.Connection, lacking: list[str], passwords: Mapping[str, str]
) -> str:
    statements = []
    for role in lacking:
        known = owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        verb = "ALTER" if known else "CREATE"
        statements.append(_role_statement(verb, role, passwords[role]).as_string(owner) + ";")
    return (
        f"The database user {owner.info.user!r} may not make or change these roles. "
        "Let an administrator of the database run this once, then start again "
        "(it holds passwords: do not paste it elsewhere):"
        "\n\n" + "\n".join(statements)
    )
