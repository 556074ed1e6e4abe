"""Checks that a change must pass: format, lint, types, imports, and the tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ops.console import say
from ops.errors import CannotStart

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "imports": ["lint-imports"],
}
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
# Letters of Vietnamese and a browser; without recommended packages, which are a whole desktop.
APT_PACKAGES = ["chromium", "fonts-noto-core"]
SLOWEST_SHOWN = "10"  # at the end of the quick tests and of the drills
POSTGRES = Path("/usr/lib/postgresql")  # where Debian puts other versions


def run_checks() -> int:
    """Run every check, show each, and return how many failed."""
    failed = []
    for name, (program, *options) in CHECKS.items():
        say(f"{name}: {program} {' '.join(options)}".rstrip())
        done = subprocess.run([BIN / program, *options], cwd=ROOT, env=_clean(), check=False)
        if done.returncode != 0:
            failed.append(name)
    say(f"failed: {', '.join(failed)}" if failed else f"all {len(CHECKS)} checks passed")
    return len(failed)


def run_tests(
    arguments: list[str], *, quick: bool = False, drills: bool = False, postgres: str | None = None
) -> int:
    """Bring Chromium where that is possible, run pytest, and return its exit code.

    Args:
        arguments: handed on to pytest; paths count from the folder of the project.
        quick: leave out what takes long.
        drills: only what takes too long for every day.
        postgres: Debian's major version to run what stands on a database with.

    Raises:
        CannotStart: CI=true and no Chromium, or no such PostgreSQL.
    """
    environment = _clean()
    major = postgres or os.environ.get("PHOPAY_TEST_POSTGRES")
    if major:
        _refuse_missing(major)
        environment["PHOPAY_TEST_POSTGRES"] = major
    may_browse = not quick and not major
    chromium = (find_chromium() or _install_chromium()) if may_browse else None
    if chromium:
        environment["PHOPAY_CHROMIUM"] = chromium
    elif may_browse and os.environ.get("CI"):
        raise CannotStart("CI needs Chromium for the browser tests, and there is none.")
    elif may_browse:
        say("No Chromium or Chrome here: the tests marked 'browser' do not run.")
        say("Install one (on Debian: apt install chromium), or name one: PHOPAY_CHROMIUM")
    marks = choose_marks(
        quick=quick, drills=drills, needs_database=bool(major), has_browser=bool(chromium)
    )
    # Whoever adds a test that takes long shall see it, and make it cheaper or mark it `slow`.
    slowest = ["--durations", SLOWEST_SHOWN, "--durations-min", "0.5"]
    arguments = ["-m", marks, *(slowest if quick or drills else []), *arguments]
    say(
        f"pytest {' '.join(arguments)}".rstrip()
        + f" | PostgreSQL: {f'Debian {major}' if major else 'embedded'}"
        + f" | browser: {chromium or 'none'}"
    )
    command = [sys.executable, "-m", "pytest", *_side_by_side(arguments), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def choose_marks(*, quick: bool, drills: bool, needs_database: bool, has_browser: bool) -> str:
    """Return pytest's expression for the marks of the tests to run (pyproject.toml lists them)."""
    marks = ["drill" if drills else "not drill"]
    if quick:
        marks += ["not faults", "not slow"]
    if needs_database:
        marks.append("database")
    if not has_browser:
        marks.append("not browser")
    return " and ".join(marks)


def find_chromium() -> str | None:
    """Return the path of an installed Chromium or Chrome; PHOPAY_CHROMIUM goes first."""
    given = os.environ.get("PHOPAY_CHROMIUM")
    if given:
        if not os.access(given, os.X_OK):
            raise CannotStart(f"PHOPAY_CHROMIUM is {given!r}, and that cannot be run.")
        return given
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    return found or (MAC_CHROME if os.access(MAC_CHROME, os.X_OK) else None)


def _install_chromium() -> str | None:
    """Bring Debian's Chromium when we are root on a machine with apt; else return None."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    say("Bringing Chromium with apt (once)")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *APT_PACKAGES]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (install, ["apt-get", "update", "-q"], install):
        done = subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False)
        if command is install and done.returncode == 0:
            break
    return find_chromium()


def _refuse_missing(major: str) -> None:
    server = POSTGRES / major / "bin" / "postgres"
    if not os.access(server, os.X_OK):
        raise CannotStart(f"There is no PostgreSQL {major} here: {server} cannot be run.")


def _clean() -> dict[str, str]:
    """Our environment without a database of the caller's: tests bring their own."""
    # A hundred processes would each compile every module anew.
    leave_out = {"PYTHONDONTWRITEBYTECODE"}
    leave_out |= {"DATABASE_URL", "PHOPAY_DATABASE_URL", "PHOPAY_APP_DATABASE_URL"}
    leave_out |= {"PHOPAY_WORKER_DATABASE_URL", "PHOPAY_GATE_DATABASE_URL", "PHOPAY_SECRET_KEY"}
    kept = {name: value for name, value in os.environ.items() if name not in leave_out}
    return {**kept, "PYTHONPATH": str(ROOT)}


def _side_by_side(arguments: list[str]) -> list[str]:
    """Say how many test files to run at once, unless the arguments do, or name a single test.

    One for each processor and two more, since browsers, speakers and time-outs are waited for. A
    file stays in one process, which has a PostgreSQL of its own.
    """
    if any(one.startswith(("-n", "--numprocesses", "--pdb")) or "::" in one for one in arguments):
        return []
    side_by_side = ["-n", str((os.cpu_count() or 1) + 2), "--dist", "loadfile"]
    return [*side_by_side, "--no-loadscope-reorder"]  # tests/conftest.py has an order
