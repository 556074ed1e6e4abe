"""The ground of every other test: a database of its own, and roles without other rights."""

import time

import psycopg
import pytest
from sqlalchemy import text

from core.db import Database
from ops.environment import SERVICE_ROLES
from ops.postgres.supervisor import Cluster
from tests.world.databases import FreshDatabase, create_database

pytestmark = pytest.mark.anyio


async def test_each_test_gets_a_database_of_its_own(
    cluster: Cluster, fresh_database: FreshDatabase
) -> None:
    started = time.monotonic()
    with create_database(cluster) as other:
        print(f"clone took {time.monotonic() - started:.3f} s")
        with psycopg.connect(other.owner_url) as owner:
            owner.execute("CREATE TABLE only_here (n int)")
        with psycopg.connect(fresh_database.owner_url) as owner:
            found = owner.execute("SELECT to_regclass('only_here')").fetchone()
    assert found == (None,)


async def test_sessions_connect_as_their_role(
    app_database: Database, worker_database: Database, owner_database: Database
) -> None:
    users = []
    for database in (app_database, worker_database, owner_database):
        async with database.begin() as session:
            users.append(await session.scalar(text("SELECT current_user")))
    assert users == ["phopay_app", "phopay_worker", "phopay_owner"]


async def test_no_role_can_pass_row_level_security_or_make_roles(
    fresh_database: FreshDatabase,
) -> None:
    with psycopg.connect(fresh_database.owner_url) as owner:
        rows = owner.execute(
            "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb"
            " FROM pg_roles WHERE rolname LIKE 'phopay\\_%' ORDER BY rolname"
        ).fetchall()
    assert [name for name, _ in rows] == sorted([*SERVICE_ROLES, "phopay_owner"])
    assert not any(may_more for _, may_more in rows)
