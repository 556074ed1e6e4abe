"""./phopay ledger verify: what it prints, and its exit code where books do not agree."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from core.db import Database
from tests.payments.closing.days import FRIDAY, THURSDAY
from tests.payments.closing.days import close as close_by_account
from tests.payments.ledger.books import a_posting, close, post
from tests.world.databases import TEST_SECRET_KEY, FreshDatabase
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[3]


def verify(
    fresh_database: FreshDatabase, data: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", "ledger", "verify", *words, "--data", str(data)],
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


async def test_books_that_do_not_agree_are_named_with_their_day_and_end_in_exit_code_one(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall, tmp_path: Path
) -> None:
    neighbour = await a_payable_stall(app_database, code="HKXN")
    await post(app_database, stall, a_posting(stall, 5))
    closed = await close(app_database, stall)

    sound = verify(fresh_database, tmp_path)

    assert sound.returncode == 0, sound.stderr
    assert sound.stdout.splitlines() == [
        f"HKXM: 1 closed days up to 2026-11-20 agree, 1 postings. Head: {closed.hash.hex()}",
        "HKXN: no day is closed yet",
    ]

    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("UPDATE postings SET amount_vnd = 6")
    told = verify(fresh_database, tmp_path)
    of_one = verify(fresh_database, tmp_path, "--org", "HKXM", "--json")
    of_other = verify(fresh_database, tmp_path, "--org", neighbour.org.code)

    assert (told.returncode, of_one.returncode, of_other.returncode) == (1, 1, 0), told.stderr
    assert "HKXM: 2026-11-20 DOES NOT AGREE" in told.stdout
    (line,) = of_one.stdout.splitlines()
    found = json.loads(line)
    assert (found["org"], found["agrees"], found["wrong_day"]) == ("HKXM", False, "2026-11-20")
    reason = "says -5 ₫ (1 legs), and the postings give -6 ₫ (1 legs)."
    assert found["reasons"][0].endswith(reason), found


async def test_a_changed_account_of_a_closed_day_is_named_with_its_day(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall, tmp_path: Path
) -> None:
    """The accounts of a day are in its hash, as payments/closing adds them."""
    await post(app_database, stall, a_posting(stall, 5))
    for day in (THURSDAY, FRIDAY):
        await close_by_account(app_database, stall, day)
    assert verify(fresh_database, tmp_path).returncode == 0

    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute(
            "UPDATE ledger_day_accounts SET clearing_vnd = 6, carried_vnd = 6 WHERE day = %s",
            [FRIDAY],
        )
    told = verify(fresh_database, tmp_path)

    assert told.returncode == 1
    assert "HKXM: 2026-11-20 DOES NOT AGREE" in told.stdout


def test_an_unknown_organisation_is_one_plain_line(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    done = verify(fresh_database, tmp_path, "--org", "XXXX")

    assert done.returncode == 1
    assert "There is no organisation 'XXXX'" in done.stderr
    assert "Traceback" not in done.stderr
