"""./phopay, the script: where it is called from, and what it says when it cannot go on."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.databases import reachable_folder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PAYLOAD = "00020101021138"  # cut short: an answer all the same
NOBODY = 65_534
is_root = os.geteuid() == 0
is_set_up = (ROOT / ".venv" / "phopay-stamp").exists()
only_after_set_up = pytest.mark.skipif(not is_set_up, reason="the tests were started without it")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout with nothing but the script and its lock files; its path has spaces."""
    folder = tmp_path / "phố đi bộ"
    folder.mkdir()
    for name in ("phopay", "requirements.lock", "requirements-dev.lock", "requirements-uv.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def small_disk() -> Iterator[Path]:
    with reachable_folder() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
        if not is_root or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this machine does not let us mount a small disk")
        yield folder
        subprocess.run(["umount", str(folder)], check=True)


def run(
    script: Path, *arguments: str, cwd: Path | None = None, user: int | None = None, **given: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *arguments],
        cwd=cwd or ROOT,
        env={**os.environ, **given},
        input=f"{PAYLOAD}\n",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        user=user,
        group=user,
        extra_groups=[] if user is not None else None,
    )


@only_after_set_up
def test_it_works_from_any_folder_and_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "secrets.py").write_text("raise SystemExit('shadowed')\n", encoding="utf-8")
    folder = tmp_path / "a b"
    folder.mkdir()
    (folder / "one").symlink_to(ROOT / "phopay")
    (folder / "two").symlink_to("one")

    assert run(folder / "two", "version", cwd=tmp_path).stdout.strip().count(".") == 2


@only_after_set_up
def test_a_tool_writes_its_answers_and_nothing_else_to_standard_output() -> None:
    answered = run(ROOT / "phopay", "vietqr", "decode")

    assert [list(json.loads(line)) for line in answered.stdout.splitlines()] == [["error"]]
    assert answered.stderr == ""
    assert answered.returncode == 0


def test_an_old_python_is_named_with_what_is_needed(bare: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.2' || exit 1\n")
    old.chmod(0o755)

    refused = run(bare / "phopay", "version", PHOPAY_PYTHON=str(old))

    assert refused.returncode == 1
    assert "Python 3.9.2; PhoPay needs Python 3.11 or newer" in refused.stderr


def test_a_python_that_is_not_there_is_named(bare: Path) -> None:
    refused = run(bare / "phopay", "version", PHOPAY_PYTHON="/nowhere/python3")

    assert refused.returncode == 1
    assert "there is no such program" in refused.stderr


def test_a_lost_network_is_named_and_the_next_start_may_try_again(bare: Path) -> None:
    nobody_there = "http://127.0.0.1:9/simple"
    refused = run(
        bare / "phopay",
        "version",
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL=nobody_there,
        PIP_FIND_LINKS="",
        PIP_RETRIES="0",
        UV_DEFAULT_INDEX=nobody_there,
        UV_NO_CONFIG="1",
        UV_NO_CACHE="1",
        UV_HTTP_RETRIES="0",
    )

    assert refused.returncode == 1
    assert "could not be reached" in refused.stderr
    assert refused.stdout == ""
    assert not (bare / ".phopay" / "setup.lock").exists()
    assert not (bare / ".venv" / "phopay-stamp").exists()


@pytest.mark.skipif(not is_root, reason="only root can become somebody else")
def test_a_folder_that_cannot_be_written_is_named() -> None:
    with reachable_folder() as folder:
        for name in ("phopay", "requirements.lock"):
            shutil.copy(ROOT / name, folder)
        folder.chmod(0o555)
        refused = run(folder / "phopay", "version", cwd=Path("/"), user=NOBODY)

    assert refused.returncode == 1
    assert "cannot be written" in refused.stderr


def test_a_full_disk_is_named(small_disk: Path) -> None:
    for name in ("phopay", "requirements.lock", "requirements-uv.lock"):
        shutil.copy(ROOT / name, small_disk)

    refused = run(small_disk / "phopay", "version", UV_LINK_MODE="copy")

    assert refused.returncode == 1
    assert "The disk is full" in refused.stderr


def test_a_lock_left_by_a_killed_set_up_is_taken_over(bare: Path) -> None:
    left = bare / ".phopay" / "setup.lock"
    left.mkdir(parents=True)
    ended = subprocess.Popen(["true"])
    ended.wait()
    (left / "pid").write_text(str(ended.pid), encoding="ascii")

    refused = run(bare / "phopay", "version", PHOPAY_PYTHON="/nowhere/python3")

    assert "there is no such program" in refused.stderr  # it went on past the lock
    assert not left.exists()


def test_a_lock_whose_maker_died_before_signing_it_is_taken_over(bare: Path) -> None:
    left = bare / ".phopay" / "setup.lock"
    left.mkdir(parents=True)

    refused = run(bare / "phopay", "version", PHOPAY_PYTHON="/nowhere/python3")

    assert "there is no such program" in refused.stderr
    assert not left.exists()
