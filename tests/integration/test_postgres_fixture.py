"""What every other test stands on: a database of its own, and roles without other rights."""

import time

import psycopg
import pytest
from sqlalchemy import text

from core.db import Sessions
from ops.environment import SERVICE_ROLES
from ops.postgres import Cluster
from tests.databases import Database, fresh_database

pytestmark = pytest.mark.anyio


async def test_each_test_gets_a_database_of_its_own(cluster: Cluster, database: Database) -> None:
    started = time.monotonic()
    with fresh_database(cluster) as other:
        print(f"clone took {time.monotonic() - started:.3f} s")
        with psycopg.connect(other.owner_url) as owner:
            owner.execute("CREATE TABLE only_here (n int)")
        with psycopg.connect(database.owner_url) as owner:
            found = owner.execute("SELECT to_regclass('only_here')").fetchone()
    assert found == (None,)


async def test_sessions_connect_as_their_role(
    app_sessions: Sessions, worker_sessions: Sessions, owner_sessions: Sessions
) -> None:
    users = []
    for sessions in (app_sessions, worker_sessions, owner_sessions):
        async with sessions.begin() as session:
            users.append(await session.scalar(text("SELECT current_user")))
    assert users == ["phopay_app", "phopay_worker", "phopay_owner"]


async def test_no_role_can_pass_row_level_security_or_make_roles(database: Database) -> None:
    with psycopg.connect(database.owner_url) as owner:
        rows = owner.execute(
            "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb"
            " FROM pg_roles WHERE rolname LIKE 'phopay\\_%' ORDER BY rolname"
        ).fetchall()
    assert [name for name, _ in rows] == sorted([*SERVICE_ROLES, "phopay_owner"])
    assert not any(may_more for _, may_more in rows)
