"""Databases that are not ours: what PhoPay makes there, and what it asks an administrator for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ops.environment import SERVICE_ROLES, build_environment, role_passwords
from ops.errors import CannotStart
from ops.migrate import list_revisions
from ops.postgres.supervisor import Cluster, running_postgres
from ops.roles import ensure_roles
from tests.world.databases import (
    TEST_SECRET_KEY,
    FreshDatabase,
    chosen_binaries,
    create_database,
    reachable_folder,
)

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.database


@pytest.fixture
def foreign(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of somebody else's cluster, and its owner, who may make roles or not."""
    right = request.param
    with (
        reachable_folder() as folder,
        running_postgres(folder, bin_dir=chosen_binaries()) as cluster,
    ):
        with psycopg.connect(cluster.dsn(), autocommit=True) as administrator:
            administrator.execute(f"CREATE ROLE city LOGIN {right} PASSWORD 'p@ss/word'")
            administrator.execute("CREATE DATABASE hub OWNER city")
        yield cluster.dsn("city", "hub", "p@ss/word")


@pytest.mark.slow
@pytest.mark.parametrize("foreign", ["CREATEROLE"], indirect=True)
def test_an_owner_who_may_make_roles_makes_them(foreign: str, tmp_path: Path) -> None:
    ensure_roles(foreign, role_passwords(TEST_SECRET_KEY))
    ensure_roles(foreign, role_passwords(TEST_SECRET_KEY))  # and again changes nothing

    told = build_environment(foreign, TEST_SECRET_KEY, tmp_path)
    with psycopg.connect(told["PHOPAY_APP_DATABASE_URL"]) as app:
        assert app.execute("SELECT current_user, current_database()").fetchone() == (
            "phopay_app",
            "hub",
        )


@pytest.mark.slow
@pytest.mark.parametrize("foreign", ["CREATEROLE"], indirect=True)
def test_a_new_secret_key_gives_the_roles_new_passwords(foreign: str, tmp_path: Path) -> None:
    ensure_roles(foreign, role_passwords("an older key"))

    ensure_roles(foreign, role_passwords(TEST_SECRET_KEY))

    told = build_environment(foreign, TEST_SECRET_KEY, tmp_path)
    for role in ("APP", "GATE", "WORKER"):
        psycopg.connect(told[f"PHOPAY_{role}_DATABASE_URL"]).close()
    with psycopg.connect(foreign) as owner:
        query = "SELECT rolcreatedb OR rolcreaterole OR rolsuper OR rolbypassrls FROM pg_roles"
        rights = owner.execute(f"{query} WHERE rolname = ANY(%s)", [list(SERVICE_ROLES)])
        assert rights.fetchall() == [(False,)] * len(SERVICE_ROLES)


@pytest.mark.skipif(
    (os.environ.get("PHOPAY_TEST_POSTGRES") or "18") < "16",
    reason="before PostgreSQL 16 who may make roles may change all but superusers",
)
def test_a_role_that_somebody_else_made_is_left_to_an_administrator(
    fresh_database: FreshDatabase, cluster: Cluster
) -> None:
    with psycopg.connect(cluster.dsn(), autocommit=True) as administrator:
        administrator.execute("CREATE ROLE mayor LOGIN CREATEROLE PASSWORD 'p'")
        try:
            mayor = cluster.dsn("mayor", fresh_database.name, "p")
            administrator.execute(f"GRANT CONNECT ON DATABASE {fresh_database.name} TO mayor")
            with pytest.raises(CannotStart, match='ALTER ROLE "phopay_app" LOGIN PASSWORD'):
                ensure_roles(mayor, role_passwords("another key"))
        finally:
            administrator.execute(f"REVOKE ALL ON DATABASE {fresh_database.name} FROM mayor")
            administrator.execute("DROP ROLE mayor")


@pytest.mark.slow
@pytest.mark.parametrize("foreign", ["NOCREATEROLE"], indirect=True)
def test_an_owner_who_may_not_is_told_what_an_administrator_has_to_run(foreign: str) -> None:
    with pytest.raises(CannotStart) as refused:
        ensure_roles(foreign, role_passwords(TEST_SECRET_KEY))

    message = str(refused.value)
    for role in SERVICE_ROLES:
        assert f'CREATE ROLE "{role}" LOGIN' in message


def test_roles_with_another_secret_key_are_not_taken_for_ours(
    fresh_database: FreshDatabase,
) -> None:
    with pytest.raises(CannotStart, match='ALTER ROLE "phopay_app"'):
        ensure_roles(fresh_database.owner_url, role_passwords("another key"))


def test_a_database_that_does_not_answer_is_named() -> None:
    with pytest.raises(CannotStart, match=r"127\.0\.0\.1 does not answer"):
        ensure_roles("postgresql://city:p@127.0.0.1:9/hub", role_passwords(TEST_SECRET_KEY))


@pytest.mark.slow
def test_migrate_brings_an_empty_database_up_and_back(cluster: Cluster) -> None:
    def migrate(*options: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ops.cli", "migrate", *options],
            env={
                **os.environ,
                "DATABASE_URL": empty.owner_url,
                "PHOPAY_SECRET_KEY": TEST_SECRET_KEY,
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    with create_database(cluster, template="template0") as empty:
        assert migrate("--show") == "empty"
        newest = migrate()
        assert newest == list_revisions()[-1]
        assert migrate("--to", "m0001", "--drop-data") == "m0001"
        assert migrate("--to", "base", "--drop-data") == "empty"
        assert migrate("--to", "head") == newest


@pytest.mark.slow
def test_showing_the_revision_of_our_own_database_changes_nothing() -> None:
    with reachable_folder() as folder:
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-m", "ops.cli", "migrate", "--show", "--data", str(folder)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=100,
                check=True,
            )
            assert done.stdout == "empty\n"
