"""Commands whose database is not there, or changes hands: words and an exit code, no traceback."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from ops import database
from ops.environment import embedded_owner_url, read_or_make_secret_key
from ops.maintenance import LOCK_TIMEOUT_MS, ONE_AT_A_TIME
from ops.postgres.supervisor import Cluster, running_postgres
from tests.world.databases import TEST_SECRET_KEY, reachable_folder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WAIT_S = 60.0
COMMANDS = (
    ["migrate"],
    ["migrate", "--show"],
    ["migrate", "--to", "base"],
    ["seed"],
    ["backup", "{folder}"],
    ["add-code", "HKXM", "HKXN"],
    ["restore", "--advance-serials"],
)


def start(data: Path, *words: str, **given: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ops.cli", *words, "--data", str(data)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_whose_database_is_away_says_so(tmp_path: Path, command: list[str]) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = nobody_listens.getsockname()[1]
        words = [word.format(folder=tmp_path / "backups") for word in command]
        url = f"postgresql://phopay_owner:geheim@127.0.0.1:{port}/phopay"
        process = start(tmp_path, *words, DATABASE_URL=url, PHOPAY_SECRET_KEY=TEST_SECRET_KEY)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "Traceback" not in said
    assert "127.0.0.1" in said
    assert "does not answer" in said
    assert "geheim" not in said


@pytest.mark.database
def test_three_first_migrations_at_once_all_end_well() -> None:
    """Two share the server of the first, which stops it at its end."""
    with reachable_folder() as data:
        started = [start(data, "migrate") for _ in range(3)]
        ended = [process.communicate(timeout=120) for process in started]

    assert [process.returncode for process in started] == [0, 0, 0], ended
    assert len({revision for revision, _ in ended}) == 1


def migrate(data: Path) -> None:
    with start(data, "migrate") as process:
        _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said


def wait_for_the_lock(cluster: Cluster, process: subprocess.Popen[str]) -> None:
    """Wait until somebody waits for an advisory lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    deadline = time.monotonic() + WAIT_S
    with psycopg.connect(cluster.dsn(), autocommit=True) as superuser:
        while superuser.execute(waiting, ["SELECT pg_advisory_lock%"]).fetchone() is None:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("command", ["migrate", "maintain"])
def test_partitions_are_made_though_the_server_changes_hands_meanwhile(command: str) -> None:
    with reachable_folder() as data:
        migrate(data)
        with running_postgres(data) as owner:
            url = embedded_owner_url(owner, read_or_make_secret_key(data))
            with psycopg.connect(url, autocommit=True) as busy:
                busy.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
                process = start(data, command)
                wait_for_the_lock(owner, process)
                owner.stop()

        _, said = process.communicate(timeout=WAIT_S)

    assert process.returncode == 0, said


def test_a_long_wait_for_another_maintenance_is_no_error() -> None:
    with reachable_folder() as data:
        migrate(data)
        with running_postgres(data) as owner:
            url = embedded_owner_url(owner, read_or_make_secret_key(data))
            with psycopg.connect(url, autocommit=True) as busy:
                busy.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
                process = start(data, "maintain")
                wait_for_the_lock(owner, process)
                time.sleep(LOCK_TIMEOUT_MS / 1_000 + 0.5)
            _, said = process.communicate(timeout=WAIT_S)

    assert process.returncode == 0, said


def test_how_long_the_work_took_before_the_server_went_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "CHANGES_HANDS_S", 0.4)
    attempts = []

    def work() -> str:
        attempts.append(time.monotonic())
        if len(attempts) == 1:
            time.sleep(0.5)
            raise psycopg.OperationalError("the connection is lost")
        return "m0001"

    assert database.keep_trying(work) == "m0001"


def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHANGES_HANDS_S", 0.4)

    def connect() -> None:
        raise psycopg.OperationalError("nobody answers")

    with pytest.raises(psycopg.OperationalError):
        database.keep_trying(connect)
