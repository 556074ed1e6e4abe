"""Going back to an older revision: what it would drop is said first, and dropped only on demand."""

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ops import migrate
from ops.errors import WouldDropData
from tests.world.databases import TEST_SECRET_KEY, FreshDatabase
from tests.world.stalls import PayableStall

ROOT = Path(__file__).parents[2]
COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    AND NOT (SELECT relispartition FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relname = table_name)
"""
WITH_A_COLUMN = '''
"""A migration that a test made up."""

from alembic import op
import sqlalchemy as sa

revision = "m9001"
down_revision = "{newest}"


def upgrade() -> None:
    op.add_column("payees", sa.Column("motto", sa.String()))


def downgrade() -> None:
    op.drop_column("payees", "motto")
'''


def list_columns(fresh_database: FreshDatabase) -> set[tuple[str, str]]:
    with psycopg.connect(fresh_database.owner_url) as owner:
        return set(owner.execute(COLUMNS).fetchall())


def count_rows(fresh_database: FreshDatabase, table: str) -> int:
    with psycopg.connect(fresh_database.owner_url) as owner:
        count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        found = owner.execute(count).fetchone()
    assert found is not None
    return int(found[0])


def run_migrate(
    fresh_database: FreshDatabase, data: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", "migrate", *words, "--data", str(data)],
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
def test_going_back_is_refused_until_it_is_said_that_the_data_may_go(
    fresh_database: FreshDatabase, stall: PayableStall, tmp_path: Path
) -> None:
    newest = migrate.read_newest()
    accounts = count_rows(fresh_database, "receiving_accounts")
    assert accounts == 1

    refused = run_migrate(fresh_database, tmp_path, "--to", "m0005")

    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    for told in (f"  receiving_accounts: {accounts} row\n", "  bills: 0 rows", "--drop-data"):
        assert told in refused.stderr
    assert "  organisations:" not in refused.stderr  # they stay
    assert migrate.read_current(fresh_database.owner_url) == newest
    assert count_rows(fresh_database, "receiving_accounts") == accounts

    done = run_migrate(fresh_database, tmp_path, "--to", "m0005", "--drop-data")

    assert (done.returncode, done.stdout) == (0, "m0005\n"), done.stderr
    assert count_rows(fresh_database, "organisations") == 1


@pytest.mark.parametrize("revision", ["head", migrate.read_newest()])
def test_staying_where_the_database_stands_needs_no_word(
    fresh_database: FreshDatabase, revision: str
) -> None:
    migrate.move_to(fresh_database.owner_url, revision)

    assert migrate.read_current(fresh_database.owner_url) == migrate.read_newest()


@pytest.mark.slow
def test_the_word_alone_is_refused_as_it_says_nothing(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    done = run_migrate(fresh_database, tmp_path, "--drop-data")

    assert done.returncode == 1
    assert "goes with --to" in done.stderr


@pytest.mark.slow
def test_what_is_said_to_be_dropped_is_what_is_dropped(fresh_database: FreshDatabase) -> None:
    """A downgrade that drops by other means than Alembic's own would be red here."""
    revisions = ["base", *migrate.list_revisions()]
    for older, newer in list(pairwise(revisions))[::-1]:
        before = list_columns(fresh_database)
        said = migrate.count_dropped(fresh_database.owner_url, newer, older)
        migrate.downgrade(fresh_database.owner_url, older)
        gone = before - list_columns(fresh_database)

        assert gone == {
            (table, column)
            for table, column in before
            if table in said or f"{table}.{column}" in said
        }, newer


def test_a_column_is_said_with_how_many_rows_have_a_value_in_it(
    fresh_database: FreshDatabase,
    stall: PayableStall,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    newest = migrate.read_newest()
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, folder, ignore=shutil.ignore_patterns("environment"))
    (folder / "m9001_motto.py").write_text(WITH_A_COLUMN.format(newest=newest))
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    migrate.upgrade(fresh_database.owner_url)
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("UPDATE payees SET motto = 'ngon, bổ, rẻ'")

    with pytest.raises(WouldDropData, match=r"payees\.motto: 1 row with a value") as refused:
        migrate.move_to(fresh_database.owner_url, newest)

    assert refused.value.dropped == {"payees.motto": 1}
    assert count_rows(fresh_database, "payees") == 1
