"""`./phopay check-books`: a line for each check, and 1 where one does not end well."""

import psycopg
import pytest

from ops.books import check_books
from payments.invariants.queries import CHECKS
from tests.world.databases import FreshDatabase
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_each_check_is_said_with_its_time_and_kept(
    fresh_database: FreshDatabase, stall: PayableStall, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await check_books(fresh_database.settings, is_whole=True) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == list(CHECKS)
    assert {line[3] for line in lines} == {"ok"}
    with psycopg.connect(fresh_database.owner_url) as owner:
        kept = owner.execute("SELECT name FROM invariant_runs WHERE status = 'ok'").fetchall()
    assert {name for (name,) in kept} == set(CHECKS), stall.org.code


async def test_what_does_not_hold_or_cannot_be_checked_is_counted(
    fresh_database: FreshDatabase,
    stall: PayableStall,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("ALTER TABLE bills ADD COLUMN share numeric")
    monkeypatch.setitem(CHECKS, "changes_are_counted", "SELECT no_such_column")

    assert await check_books(fresh_database.settings, is_whole=False) == 2

    said = capsys.readouterr().out
    assert "VIOLATED" in said
    assert "rows: 1" in said
    assert "NOT CHECKED" in said
    assert "ProgrammingError" in said, stall.org.code
