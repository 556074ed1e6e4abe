"""A database or a backup of another release: refused, untouched, with the way out."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ops.backup.backup import make_backup
from ops.backup.restore import Restored, restore_backup
from ops.errors import MadeByOtherRelease
from ops.migrate import downgrade, read_current, read_newest
from ops.postgres.supervisor import Cluster
from tests.world.databases import TEST_SECRET_KEY, FreshDatabase, create_database

ROOT = Path(__file__).parents[2]
OLD, NEWER, STRANGE = "p0008", "m9999", "1a2b3c4d5e6f"
COMMANDS = (
    ["migrate"],
    ["migrate", "--to", "head"],
    ["seed"],
    ["demo", "--no-browser", "--sandbox-port", "{port}", "--port", "{other_port}"],
    ["serve", "--no-browser", "--port", "{port}"],
    ["worker"],
    ["restore", "--advance-serials"],
)


@pytest.fixture
def target(cluster: Cluster) -> Iterator[FreshDatabase]:
    """An empty database to restore into."""
    with create_database(cluster, template="template0") as empty:
        yield empty


def make_others(fresh_database: FreshDatabase, revision: str) -> None:
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("UPDATE alembic_version SET version_num = %s", [revision])


def back_up(fresh_database: FreshDatabase, folder: Path) -> Path:
    return make_backup(
        fresh_database.owner_url,
        TEST_SECRET_KEY,
        folder,
        has_key=False,
        photo_dir=folder / "no photos",
    ).folder


def restore(target: FreshDatabase, folder: Path, *, may_replace: bool = False) -> Restored:
    return restore_backup(
        target.owner_url,
        TEST_SECRET_KEY,
        folder,
        photo_dir=folder.parent / "no photos",
        may_replace=may_replace,
    )


def run(fresh_database: FreshDatabase, data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the database as a city's administrator would."""
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(str(free.getsockname()[1]))
    named = [word.format(port=ports[0], other_port=ports[1]) for word in words]
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", *named, "--data", str(data)],
        env={
            **os.environ,
            "DATABASE_URL": fresh_database.owner_url,
            "PHOPAY_SECRET_KEY": TEST_SECRET_KEY,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("revision", "maker"), [(OLD, "an older, unreleased PhoPay"), (NEWER, "a newer PhoPay")]
)
def test_no_command_works_on_a_database_of_another_release(
    fresh_database: FreshDatabase, tmp_path: Path, revision: str, maker: str, command: list[str]
) -> None:
    make_others(fresh_database, revision)

    done = run(fresh_database, tmp_path, *command)

    assert done.returncode == 1, done.stderr
    for told in (maker, repr(revision), "--data DIR", "./phopay restore FOLDER"):
        assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert read_current(fresh_database.owner_url) == revision


@pytest.mark.slow
def test_where_such_a_database_stands_is_still_shown(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    make_others(fresh_database, STRANGE)

    assert run(fresh_database, tmp_path, "migrate", "--show").stdout == f"{STRANGE}\n"


@pytest.mark.parametrize("revision", [OLD, NEWER, STRANGE])
def test_a_backup_of_another_release_is_kept_and_not_restored(
    fresh_database: FreshDatabase, target: FreshDatabase, tmp_path: Path, revision: str
) -> None:
    make_others(fresh_database, revision)
    folder = back_up(fresh_database, tmp_path)

    with pytest.raises(MadeByOtherRelease, match=revision):
        restore(target, folder)

    assert read_current(target.owner_url) is None


@pytest.mark.slow
def test_a_backup_of_this_release_replaces_a_database_of_another(
    fresh_database: FreshDatabase, target: FreshDatabase, tmp_path: Path
) -> None:
    folder = back_up(fresh_database, tmp_path)
    with psycopg.connect(target.owner_url) as owner:
        owner.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        owner.execute("INSERT INTO alembic_version VALUES (%s)", [OLD])
        owner.execute("CREATE TABLE organisation_codes (code varchar(4), org_id uuid)")

    restore(target, folder, may_replace=True)

    assert read_current(target.owner_url) == read_newest()


@pytest.mark.parametrize("revision", ["m0011", "m0012", "m0013"])
@pytest.mark.slow
def test_an_older_backup_is_brought_up_to_this_release_before_the_books_are_looked_at(
    fresh_database: FreshDatabase, target: FreshDatabase, tmp_path: Path, revision: str
) -> None:
    downgrade(fresh_database.owner_url, revision)
    folder = back_up(fresh_database, tmp_path)

    restored = restore(target, folder)

    assert restored.violations == []
    assert read_current(target.owner_url) == read_newest()
