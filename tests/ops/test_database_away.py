"""Commands whose database is not there, or changes hands: words and an exit code, no traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world.databases import TEST_SECRET_KEY, reachable_folder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
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
